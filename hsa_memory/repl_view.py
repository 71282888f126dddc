"""How the chat looks; what it does is in repl.py."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from . import cli_view
from .text_view import age, count, duration, plain, safe
from .types import (
    Answer,
    ContextResult,
    MemoryStats,
    Message,
    SearchResult,
    SessionInfo,
    SessionStats,
)

_HELP = (
    'A line that ends with "?", or begins with a question word and does not end with "." or "!", '
    "is answered from memory; question and answer are remembered. Any other line is remembered as "
    "what you said. Ctrl-C stops an answer, and an unfinished answer is not remembered."
)


class ReplView:
    """Prints what the chat has to show."""

    def __init__(self) -> None:
        self._console = cli_view.console()

    def welcome(self, name: str, session: SessionStats) -> None:
        """Greet, with the size of what is remembered."""
        self._console.print(
            Text.assemble(
                ("session ", "dim"),
                (plain(name), "bold"),
                (
                    f": {count(session.num_messages)} messages, {count(session.num_tokens)} tokens "
                    "remembered. /help lists the commands.",
                    "dim",
                ),
            )
        )

    def goodbye(self) -> None:
        """Say that everything is on disk."""
        self.hint("everything said is on disk")

    def hint(self, text: str) -> None:
        """Print a remark."""
        self._console.print(Text(text, style="dim"), soft_wrap=True)

    def error(self, error: Exception) -> None:
        """Print an error without a traceback."""
        self._console.print(Text(f"{type(error).__name__}: {error}", style="red"))

    def piece(self, text: str) -> None:
        """Print a piece of an answer as soon as it is there."""
        self._console.print(Text(safe(text), style="bold"), end="", soft_wrap=True)

    def stopped(self) -> None:
        """Say that the answer was cut off."""
        self._console.print(Text(" (stopped; not remembered)", style="dim"))

    def answer_end(self, answer: Answer) -> None:
        """Print the memories beneath an answer and what it cost."""
        self._console.print()
        used = cli_view.used(answer.citations)
        if used:
            table = cli_view.citations_table(used, width=cli_view.room(self._console))
            self._console.print(Padding(table, (0, 0, 0, 2)))
        self.hint(f"  support {answer.support:.2f}, {cli_view.cost(answer.stats)}")
        for remark in answer.diagnostics:
            self.hint(f"  {remark}")

    def remembered(self, tokens: int, seconds: float) -> None:
        """Confirm that something is on disk."""
        self.hint(f"remembered ({count(tokens)} tokens, {duration(seconds)})")

    def hits(self, result: SearchResult) -> None:
        """Print found messages."""
        if result:
            width = cli_view.room(self._console)
            self._console.print(cli_view.hits_table(result, time.time(), width=width))
        else:
            self.hint("nothing found")

    def why(self, answer: Answer | None) -> None:
        """Print every memory behind an answer, in full."""
        if answer is None:
            self.hint("no answer yet in this session")
            return
        self._console.print(Text(f"{plain(answer.question)} → {plain(answer.text)}", style="bold"))
        for item in answer.citations:
            chunks = ", ".join(str(chunk) for chunk in item.chunk_ids)
            about = f"{age(0.0, item.age_seconds)}, message {count(item.seq)}, {item.role}"
            self._console.print(
                Text(f"{item.weight:6.1%}  {about}, chunks {chunks}, id {item.id}", style="cyan")
            )
            self._console.print(Padding(_marked(item.text, item.spans), (0, 0, 0, 8)))
        self.hint(f"support {answer.support:.2f}, {cli_view.cost(answer.stats)}")

    def context(self, result: ContextResult) -> None:
        """Print what another model would be given."""
        self._console.print(Text(safe(result.text)))
        self.hint(f"{count(result.num_tokens)} tokens, {count(len(result.hits))} messages")

    def messages(self, messages: Sequence[Message]) -> None:
        """Print messages as they were said."""
        table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
        table.add_column(justify="right", style="dim", no_wrap=True)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        now = time.time()
        for message in messages:
            said = age(message.timestamp, now)
            table.add_row(count(message.seq), said, message.role, Text(safe(message.text)))
        self._console.print(table)

    def stats(self, memory: MemoryStats, session: SessionStats) -> None:
        """Print sizes."""
        self._console.print(cli_view.session_table(session))
        self._console.print(cli_view.memory_table(memory))

    def sessions(self, sessions: Sequence[SessionInfo], current: str) -> None:
        """Print the sessions, the current one marked."""
        self._console.print(cli_view.sessions_table(sessions, time.time(), current))

    def help(self, commands: Sequence[tuple[str, str]]) -> None:
        """Print what can be typed."""
        self._console.print(Text(_HELP, style="dim"))
        table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for name, text in commands:
            if text:
                table.add_row(Text(name), Text(text))
        self._console.print(table)

    def clear(self) -> None:
        """Clear the screen."""
        self._console.clear()


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> Text:
    """Return a message with the parts that were used underlined."""
    marked, position = Text(), 0
    for start, stop in spans:
        marked.append(safe(text[position:start]))
        marked.append(safe(text[start:stop]), style="underline")
        position = stop
    return marked.append(safe(text[position:]))
