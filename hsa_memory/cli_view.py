"""How results look on a terminal; the REPL prints the same parts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .text_view import age, bar, count, duration, excerpt, plain, safe, size
from .types import (
    AddResult,
    Answer,
    Citation,
    Finding,
    Hit,
    MemoryStats,
    SearchResult,
    SessionInfo,
    SessionStats,
    Stats,
)

# Citations that carry less than this share of the attention are left out of short lists.
LEAST_WEIGHT = 0.02
MOST_CITATIONS = 5
# Columns that a line of a table has besides the excerpt, and the shortest excerpt.
_BESIDES = 48
_SHORTEST = 24


def console(*, stderr: bool = False) -> Console:
    """Return a console that prints text as it is: no markup, no highlighting."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def room(out: Console) -> int:
    """Return how many characters of an excerpt fit on a line beside age, weight and role."""
    return max(_SHORTEST, out.width - _BESIDES)


def line(text: str) -> None:
    """Print a line as it is, however long."""
    console().print(text, soft_wrap=True)


def added(result: AddResult) -> None:
    """Say what `add` did."""
    state = "remembered" if result.num_added else "already known"
    line(plain(f"{state}: message {result.seq}, id {result.id}"))


def piece(text: str) -> None:
    """Print a piece of an answer as soon as it is there."""
    console().print(Text(safe(text)), end="", soft_wrap=True)


def answer_end(answer: Answer) -> None:
    """Print what stands beneath a streamed answer."""
    out = console()
    out.print()
    out.print()
    out.print(citations_table(used(answer.citations), width=room(out)))
    line = f"support {answer.support:.2f}, {cost(answer.stats)}"
    out.print(Text(line, style="dim"), soft_wrap=True)


def used(citations: Sequence[Citation]) -> Sequence[Citation]:
    """Return the citations worth a line: the best one, and those of some weight."""
    best = [c for c in citations[:MOST_CITATIONS] if c.weight >= LEAST_WEIGHT]
    return best or citations[:1]


def citations_table(citations: Sequence[Citation], *, width: int) -> Table:
    """Lay out the memories an answer used: age, weight, role, excerpt."""
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(style="green", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for item in citations:
        table.add_row(
            age(0.0, item.age_seconds),
            bar(item.weight),
            f"{item.weight:.0%}",
            item.role,
            Text(around(item, width)),
        )
    return table


def around(item: Hit | Citation, width: int) -> str:
    """Return the part of a message that was found, on one line."""
    start, stop = item.spans[0] if item.spans else (0, 0)
    return excerpt(item.text, start, stop, width)


def remarks(diagnostics: Sequence[str]) -> None:
    """Say on stderr what went wrong without making the result wrong."""
    for remark in diagnostics:
        console(stderr=True).print(Text(f"note: {plain(remark)}"), soft_wrap=True)


def hits(result: SearchResult, now: float) -> None:
    """Print what `search` found."""
    out = console()
    out.print(hits_table(result, now, width=room(out)) if result else "nothing found")
    out.print(Text(cost(result.stats), style="dim"), soft_wrap=True)


def hits_table(found: Sequence[Hit], now: float, *, width: int) -> Table:
    """Lay out found messages: place, age, score, role, excerpt."""
    table = Table(box=None, header_style="bold", padding=(0, 1), pad_edge=False)
    table.add_column("message", justify="right", no_wrap=True)
    table.add_column("age", style="cyan", no_wrap=True)
    table.add_column("score", justify="right", style="green", no_wrap=True)
    table.add_column("role", style="dim", no_wrap=True)
    table.add_column("text", overflow="fold")
    for hit in found:
        table.add_row(
            count(hit.seq),
            age(hit.timestamp, now),
            f"{hit.score:.3f}",
            hit.role,
            Text(around(hit, width)),
        )
    return table


def sessions(found: Sequence[SessionInfo], now: float) -> None:
    """Print the sessions of a store."""
    console().print(sessions_table(found, now) if found else "no sessions yet")


def sessions_table(found: Sequence[SessionInfo], now: float, current: str = "") -> Table:
    """Lay out sessions, the current one marked."""
    table = Table(box=None, header_style="bold", padding=(0, 1), pad_edge=False)
    for title in ("", "session", "created", "id"):
        table.add_column(title)
    for info in found:
        mark = "*" if info.name == current else ""
        table.add_row(mark, Text(plain(info.name)), age(info.created, now), info.id)
    return table


def stats(memory: MemoryStats, session: SessionStats | None) -> None:
    """Print the sizes of a store and of a session."""
    out = console()
    out.print(memory_table(memory))
    if session is not None:
        out.print()
        out.print(session_table(session))


def memory_table(memory: MemoryStats) -> Table:
    """Lay out the size of a store and its model."""
    return _pairs(
        ("store", plain(memory.path)),
        ("sessions", count(memory.num_sessions)),
        ("on disk", size(memory.bytes_on_disk)),
        ("model", f"{plain(memory.model)}, {memory.num_parameters / 1e6:.1f}M parameters"),
        ("fingerprint", memory.fingerprint[:16]),
    )


def session_table(session: SessionStats) -> Table:
    """Lay out the size of a session."""
    total = sum(session.bytes_on_disk.values())
    kinds = ", ".join(f"{kind} {size(n)}" for kind, n in session.bytes_on_disk.items() if n)
    return _pairs(
        ("session", plain(session.name)),
        ("messages", count(session.num_messages)),
        ("tokens", count(session.num_tokens)),
        ("chunks", f"{count(session.num_chunks)} of {session.chunk_size} tokens"),
        ("keys, values", session.kv_dtype),
        ("on disk", f"{size(total)} ({kinds})" if kinds else size(total)),
        ("per token", f"{session.bytes_per_token:.0f} bytes"),
    )


def findings(found: Sequence[Finding]) -> None:
    """Print what `check` found."""
    if not found:
        console().print("everything is as it was written")
    for finding in found:
        done = "repaired" if finding.repaired else "NOT repaired"
        if finding.kind == "lost-messages":
            done = "LOST; restore a backup to have them back"
        if finding.kind == "not-checked":
            done = "give the key"
        whose = f"{finding.user}: " if finding.user else ""
        where = f"{whose}{finding.session or 'store'}: {finding.path}"
        line(plain(f"{where}: {finding.kind}: {finding.detail} ({done})"))


def cost(used: Stats) -> str:
    """Return the cost of a call on one line."""
    parts = [duration(used.seconds)]
    for number, what in (
        (used.tokens_ingested, "tokens ingested"),
        (used.tokens_prefilled, "tokens prefilled"),
        (used.tokens_generated, "tokens generated"),
        (used.chunks_read, "chunks read"),
    ):
        if number:
            parts.append(f"{count(number)} {what}")
    return ", ".join(parts)


def _pairs(*rows: tuple[str, str]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    for name, value in rows:
        table.add_row(name, Text(value))
    return table
