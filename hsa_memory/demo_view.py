"""How the demo looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .cli_view import console
from .text_view import bar, count, duration, plain


class DemoView:
    """Prints the demo's story and its tables.

    Args:
        quiet: print nothing; somebody reads JSON.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = console()

    def begin(self, book: Path) -> None:
        """Say what is about to happen."""
        self._say("A user and an agent read a book together, and now and then the user tells")
        self._say(f"something about themselves. The book: {book.name}\n")

    def killed(self, ingest: dict[str, Any]) -> None:
        """Say that the first process is gone."""
        speed = ingest["tokens"] / ingest["seconds"]
        self._say(
            f"{count(ingest['messages'])} messages, {count(ingest['tokens'])} tokens in "
            f"{duration(ingest['seconds'])} ({count(speed)} tokens/s)"
        )
        self._say("The process has ended with SIGKILL. A new one opens what is on disk.\n")

    def restored(self, seconds: float, last_words: bool) -> None:
        """Say how the second process found the store."""
        self._say(f"Restored in {duration(seconds)}, first search result included.")
        found = "is there" if last_words else "IS MISSING"
        self._say(f"The message acknowledged right before the kill {found}.\n")

    def answer(self, answer: dict[str, Any]) -> None:
        """Print one answer, and the memory it used most, as soon as it is there."""
        if self._quiet:
            return
        mark, style = ("✓", "green") if answer["right"] else ("✗ WRONG", "bold red")
        self._console.print(
            Text.assemble(
                (f"{mark} ", style), f"{answer['question']} ", (plain(answer["answer"]), "bold")
            )
        )
        self._console.print(Padding(_memory(answer["citations"]), (0, 0, 0, 2)))

    def end(self, report: dict[str, Any], *, kept: Path | None) -> None:
        """Print the tables."""
        if self._quiet:
            return
        self._console.print()
        self._console.print(_answers_table(report["answers"]))
        self._console.print(_numbers_table(report))
        style = "green" if report["right"] == report["asked"] else "bold red"
        verdict = f"{report['right']} of {report['asked']} answers are right"
        self._console.print(Text(verdict, style=style))
        if kept:
            self._say(f"Go on with it: hsa-memory --store {kept} --session reader chat")

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(Text(text))


def _answers_table(answers: list[dict[str, Any]]) -> Table:
    table = Table(title="Asked after the restore", title_justify="left", header_style="bold")
    table.add_column("question")
    table.add_column("answer", style="bold")
    table.add_column("expected")
    table.add_column("", no_wrap=True)
    table.add_column("cites", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    for answer in answers:
        right = Text("right", style="green") if answer["right"] else Text("WRONG", style="bold red")
        table.add_row(
            answer["question"],
            Text(plain(answer["answer"])),
            answer["expected"],
            right,
            _cites(answer["citations"]),
            f"{answer['seconds'] * 1000:.0f}",
        )
    return table


def _cites(citations: list[dict[str, Any]]) -> Text:
    """The place of the strongest memory, marked if the answer was told there."""
    if not citations:
        return Text("none", style="dim")
    mark, style = (" ✓", "green") if citations[0]["told_it"] else (" ✗", "red")
    return Text.assemble(f"#{count(citations[0]['message'])}", (mark, style))


def _memory(citations: list[dict[str, Any]]) -> Text:
    if not citations:
        return Text("no memory was used", style="dim")
    first = citations[0]
    told = [rank for rank, citation in enumerate(citations, start=1) if citation["told_it"]]
    if told[:1] == [1]:
        mark, style = "where it was told", "green"
    elif told:
        mark, style = f"where it was told is number {told[0]}", "yellow"
    else:
        mark, style = "not where it was told", "red"
    return Text.assemble(
        (f"message {count(first['message'])}, {first['age']}, ", "cyan"),
        (f"{bar(first['weight'], 5)} {first['weight']:.0%} ", "green"),
        (first["excerpt"], "dim"),
        (f" [{mark}]", style),
    )


def _numbers_table(report: dict[str, Any]) -> Table:
    table = Table(title="Measured", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = (
        ("tokens in context", count(report["tokens_in_context"])),
        ("messages lost by the kill", count(report["messages_lost"])),
        ("restore, to the first search result", f"{report['restore_seconds'] * 1000:.1f} ms"),
        ("weights loaded (not part of the restore)", f"{report['weights_seconds'] * 1000:.0f} ms"),
        ("re-ingest that the restore saved", f"{report['reingest_seconds_saved']:.1f} s"),
        ("history tokens prefilled again", count(report["prefilled_history"])),
        ("per answer", f"{report['seconds_per_answer'] * 1000:.0f} ms"),
        ("on disk", f"{report['bytes_per_token']:.0f} bytes per token"),
        ("answers whose strongest memory told it", f"{report['cited_first']}/{report['asked']}"),
    )
    for name, value in rows:
        table.add_row(name, value)
    return table
