"""`hsa-memory chat`: what the lines typed do. How it looks is in repl_view.py."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .cli_commands import open_memory
from .errors import HSAMemoryError, InvalidArgument
from .interrupts import Interrupts
from .memory import Memory
from .repl_view import ReplView
from .session import MemorySession
from .types import Answer

DEFAULT_HISTORY = 10
CONTEXT_TOKENS = 512

_QUESTION_WORDS = re.compile(
    r"(?:who|whom|whose|what|which|when|where|why|how|is|are|am|was|were|do|does|did|can|could|"
    r"should|would|will|has|have|had)(?:'s|\b)",
    re.IGNORECASE,
)


def is_question(text: str) -> bool:
    """Tell whether a line is to be answered or only remembered.

    A question ends with "?", or begins with a question word and does not end with "." or "!".
    """
    text = text.rstrip()
    if text.endswith("?"):
        return True
    return bool(_QUESTION_WORDS.match(text)) and not text.endswith((".", "!"))


class LineReader(Protocol):
    """Where the lines come from."""

    def read(self, prompt: str) -> str:
        """Return the next line; raises EOFError at the end, KeyboardInterrupt on Ctrl-C."""


class PlainReader:
    """Lines of a pipe or a file."""

    def read(self, prompt: str) -> str:
        """Return the next line of stdin, without a prompt."""
        # There is no stdin where whoever started us has closed it.
        line = sys.stdin.readline() if sys.stdin else ""
        if not line:
            raise EOFError
        return line


class TerminalReader:
    """Lines edited in the terminal, with a history that outlives the process."""

    def __init__(self, history: Path, commands: list[str]) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.history import FileHistory

        self._prompt: PromptSession[str] = PromptSession(
            history=FileHistory(str(history)),
            completer=WordCompleter(commands, sentence=True),
            complete_while_typing=False,
        )

    def read(self, prompt: str) -> str:
        """Let the user edit a line."""
        return self._prompt.prompt(prompt)


def run_chat(args: argparse.Namespace) -> int:
    """Talk to a session until /exit, Ctrl-D or the end of stdin."""
    view = ReplView()
    with open_memory(args, create=True, kv_dtype=args.kv_dtype) as memory:
        with Repl(memory, args.session, view) as repl:
            repl.run(_reader(repl.command_names))
    return 0


def history_file() -> Path:
    """Return the file of typed lines, in the user's state folder; readable by the user only."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(state) / "hsa-memory"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "chat_history"
    path.touch(mode=0o600)
    return path


def _reader(commands: list[str]) -> LineReader:
    if sys.stdin and sys.stdin.isatty() and sys.stdout.isatty():
        return TerminalReader(history_file(), commands)
    return PlainReader()


class Repl:
    """One conversation; a context manager that closes the session it ends in.

    Args:
        memory: the store.
        session: name of the session to begin with, created if new.
        view: shows what happens.
    """

    def __init__(self, memory: Memory, session: str, view: ReplView) -> None:
        self._memory = memory
        self._view = view
        self._session: MemorySession = memory.session(session)
        self._last: Answer | None = None
        self._running = False
        # Name -> (what it does, its argument, help); the order is that of /help.
        self._commands: dict[str, tuple[Callable[[str], None], str, str]] = {
            "/help": (self._help, "", "this list"),
            "/ask": (self.ask, "TEXT", "answer TEXT, whatever it looks like"),
            "/say": (self.say, "TEXT", "only remember TEXT"),
            "/search": (self._search, "TEXT", "find past messages"),
            "/why": (self._why, "", "the memories behind the last answer, in full"),
            "/context": (self._context, "TEXT", "what another model would be given for TEXT"),
            "/history": (self._history, "[N]", f"the last N messages (default {DEFAULT_HISTORY})"),
            "/stats": (self._stats, "", "sizes of the session and the store"),
            "/sessions": (self._sessions, "", "the sessions of the store"),
            "/session": (self._switch, "NAME", "go to another session, created if new"),
            "/clear": (self._clear_screen, "", "clear the screen; forgets nothing"),
            "/exit": (self._exit, "", "leave; Ctrl-D and /quit do the same"),
            "/quit": (self._exit, "", ""),
        }

    @property
    def command_names(self) -> list[str]:
        """The commands, for completion."""
        return list(self._commands)

    def __enter__(self) -> Repl:
        return self

    def __exit__(self, *exception: object) -> None:
        self._session.close()

    def run(self, reader: LineReader) -> None:
        """Read lines and act on them until the user leaves."""
        self._view.welcome(self._session.name, self._session.stats())
        self._running = True
        while self._running:
            try:
                line = reader.read(f"{self._session.name}> ")
                self.handle(line)
            except EOFError:
                break
            except KeyboardInterrupt:
                self._view.hint("Ctrl-D or /exit leaves")
            except HSAMemoryError as error:
                self._view.error(error)
        self._view.goodbye()

    def handle(self, line: str) -> None:
        """Act on one line: a command, a question or something to remember."""
        line = line.strip()
        if not line:
            return
        if line.startswith("/"):
            name, _, argument = line.partition(" ")
            if name not in self._commands:
                raise InvalidArgument(f"no command {name}; /help lists them")
            action, takes, _ = self._commands[name]
            if takes.isalpha() and not argument.strip():
                raise InvalidArgument(f"{name} needs {takes}")
            action(argument.strip())
        elif is_question(line):
            self.ask(line)
        else:
            self.say(line)

    def ask(self, question: str) -> None:
        """Answer from memory, streaming; question and answer are remembered."""
        with Interrupts() as interrupts:
            stream = self._session.stream(question, remember=True)
            for piece in stream:
                self._view.piece(piece)
                if interrupts.seen:
                    # What was not finished is not remembered.
                    stream.close()
                    self._view.stopped()
                    return
            self._last = stream.answer
        self._view.answer_end(self._last)

    def say(self, text: str) -> None:
        """Remember a message of the user."""
        start = time.perf_counter()
        before = self._session.stats().num_tokens
        self._session.add("user", text)
        tokens = self._session.stats().num_tokens - before
        self._view.remembered(tokens, time.perf_counter() - start)

    def _search(self, query: str) -> None:
        self._view.hits(self._session.search(query))

    def _why(self, _: str) -> None:
        self._view.why(self._last)

    def _context(self, query: str) -> None:
        self._view.context(self._session.context(query, CONTEXT_TOKENS))

    def _history(self, argument: str) -> None:
        if argument and not argument.isdecimal():
            raise InvalidArgument(f"/history needs a number of messages; found {argument!r}")
        number = int(argument) if argument else DEFAULT_HISTORY
        self._view.messages(self._session.messages(-number) if number else [])

    def _stats(self, _: str) -> None:
        self._view.stats(self._memory.stats(), self._session.stats())

    def _sessions(self, _: str) -> None:
        self._view.sessions(self._memory.sessions(), self._session.name)

    def _switch(self, name: str) -> None:
        if name == self._session.name:
            return
        # Opened first: if it is busy or its name is not allowed, the present one stays.
        following = self._memory.session(name)
        self._session.close()
        self._session, self._last = following, None
        self._view.welcome(name, following.stats())

    def _help(self, _: str) -> None:
        self._view.help(
            [(f"{name} {takes}".strip(), text) for name, (_, takes, text) in self._commands.items()]
        )

    def _clear_screen(self, _: str) -> None:
        self._view.clear()

    def _exit(self, _: str) -> None:
        self._running = False
