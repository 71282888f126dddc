"""`hsa-memory ingest`: a file becomes messages, with progress, interruptible and resumable."""

from __future__ import annotations

import argparse
import codecs
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, cast

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from .cli_commands import open_memory, print_json, stdin
from .cli_view import console
from .documents import FileMessage, Format, read_messages
from .errors import InvalidArgument
from .interrupts import Interrupts
from .messages import ALIASES
from .session import MemorySession
from .text_view import count, duration, plain

EXIT_INTERRUPTED = 130
# Messages of one transaction: about a second of work, so that Ctrl-C and the bar react quickly.
BATCH = 24


@dataclass(kw_only=True)
class Ingested:
    """What has been done so far."""

    messages_added: int = 0
    messages_known: int = 0
    tokens: int = 0
    """Tokens encoded into the memory."""
    bytes_read: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def tokens_per_second(self) -> float:
        """Encoding speed; 0 before anything was encoded."""
        return self.tokens / self.seconds if self.seconds else 0.0


def run_ingest(args: argparse.Namespace) -> int:
    """Add a file's messages to a session; those that are there already are skipped."""
    with _opened(args.file) as file:
        memory = open_memory(args, create=True, kv_dtype=args.kv_dtype)
        with memory, memory.session(args.session) as session:
            messages = read_messages(
                file,
                format=_format(args),
                encoding=_known_encoding(args.encoding),
                source=args.source,
            )
            done = ingest(session, messages, total_bytes=_size(file), title=args.file)
    if args.json:
        print_json({**vars(done), "tokens_per_second": done.tokens_per_second})
    _say(done)
    return EXIT_INTERRUPTED if done.interrupted else 0


def ingest(
    session: MemorySession,
    messages: Iterable[FileMessage],
    *,
    total_bytes: int | None = None,
    title: str = "",
) -> Ingested:
    """Add messages in batches, each acknowledged before the next; progress goes to stderr.

    Args:
        session: where they go; messages whose id it knows are skipped.
        messages: in the order of the file.
        total_bytes: size of the file, for the estimate of the time left; None if unknown.
        title: stands before the bar.

    Returns:
        What was done; `interrupted` if Ctrl-C ended it early. Nothing acknowledged is lost then,
        and the next call with the same messages goes on from there.
    """
    done, start = Ingested(), time.perf_counter()
    with Interrupts() as interrupts, progress_bar() as bar:
        task = bar.add_task(plain(title), total=total_bytes, tokens=0, speed=0.0)
        for batch in _batches(_skip_known(session, messages, done)):
            result = session.add_messages([m.to_dict() for m in batch])
            done.messages_added += result.num_added
            done.messages_known += len(batch) - result.num_added
            done.tokens += result.stats.tokens_ingested
            done.bytes_read = batch[-1].end
            done.seconds = time.perf_counter() - start
            show(bar, task, done)
            if interrupts.seen:
                done.interrupted = True
                return done
        done.tokens += session.catch_up().tokens_ingested
        done.seconds = time.perf_counter() - start
        show(bar, task, done)
    return done


def progress_bar() -> Progress:
    """Return the bar of an ingest, on stderr: share, tokens, tokens/s, time left."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        _TokensColumn(),
        TimeRemainingColumn(),
        console=console(stderr=True),
        # A bar that is not on a terminal would only fill log files.
        disable=not sys.stderr.isatty(),
    )


def show(bar: Progress, task: TaskID, done: Ingested) -> None:
    """Bring the bar up to date."""
    bar.update(task, completed=done.bytes_read, tokens=done.tokens, speed=done.tokens_per_second)


class _TokensColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        fields = task.fields
        return Text(f"{count(fields['tokens'])} tokens, {count(fields['speed'])} tokens/s")


def _skip_known(
    session: MemorySession, messages: Iterable[FileMessage], done: Ingested
) -> Iterator[FileMessage]:
    """Pass over the messages at the beginning that an earlier run has added."""
    iterator = iter(messages)
    for message in iterator:
        known = session.get(message.id)
        role = ALIASES.get(message.role, message.role)
        if known is None or (known.role, known.text) != (role, message.content):
            yield message
            break
        done.messages_known += 1
        done.bytes_read = message.end
    # Whatever is known further on (ids that a JSON line gave), `add_messages` recognises, and an
    # id that is known with another content it refuses.
    yield from iterator


def _batches(messages: Iterable[FileMessage]) -> Iterator[list[FileMessage]]:
    iterator = iter(messages)
    while batch := list(islice(iterator, BATCH)):
        yield batch


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield stdin()
        return
    try:
        file = open(name, "rb")  # noqa: SIM115 - closed below; only opening it is tried
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidArgument(
            f"cannot read {name!r:.100}: {why}; expected a file of text or of JSON lines"
        ) from error
    with file:
        yield file


def _size(file: BinaryIO) -> int | None:
    about = os.fstat(file.fileno())
    return about.st_size if stat.S_ISREG(about.st_mode) else None


def _format(args: argparse.Namespace) -> Format:
    if args.format == "auto":
        lines = args.file.lower().endswith((".jsonl", ".ndjson"))
        return "jsonl" if lines else "text"
    return cast(Format, args.format)


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError) as error:
        raise InvalidArgument(f"--encoding: {error}; for example utf-8 or latin-1") from error
    return name


def _say(done: Ingested) -> None:
    line = f"{count(done.messages_added)} messages added, {count(done.messages_known)} known; "
    line += f"{count(done.tokens)} tokens in {duration(done.seconds)}"
    if done.tokens:
        line += f", {count(done.tokens_per_second)} tokens/s"
    if done.interrupted:
        line += "; interrupted, the same command goes on from here"
    console(stderr=True).print(line)
