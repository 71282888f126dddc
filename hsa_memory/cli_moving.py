"""`hsa-memory export`, `import`, `backup` and `reingest`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from . import cli_view
from .cli_commands import open_existing, open_memory, print_json
from .cli_view import console
from .text_view import count, duration, plain, size
from .types import Moved, MoveProgress


def run_export(args: argparse.Namespace) -> int:
    """Write one session, or all, into one file."""
    names = None if args.all else [args.session]
    with open_memory(args, create=False) as memory, _bar() as progress:
        moved = memory.export(args.file, sessions=names, derived=args.derived, progress=progress)
    return _say(args, moved, f"exported to {moved.path}")


def run_import(args: argparse.Namespace) -> int:
    """Add the sessions of a file."""
    with open_memory(args, create=True) as memory, _bar() as progress:
        rename = dict(args.rename or ())
        moved = memory.import_file(args.file, rename=rename, progress=progress)
    return _say(args, moved, f"imported into {args.store}")


def run_backup(args: argparse.Namespace) -> int:
    """Copy the store; 1 if the copy lacks something, because the store does."""
    with open_memory(args, create=False) as memory, _bar() as progress:
        moved = memory.backup(args.folder, progress=progress)
    code = _say(args, moved, f"copied to {moved.path} and verified")
    if moved.findings and not args.json:
        cli_view.findings(moved.findings)
    # What could not be looked at, for want of a key, is in the copy as it was.
    return code or int(any(not x.repaired and x.kind != "not-checked" for x in moved.findings))


def run_reingest(args: argparse.Namespace) -> int:
    """Encode a session with this model."""
    with open_existing(args) as memory, _bar() as progress:
        moved = memory.reingest(
            args.session, kv_dtype=args.kv_dtype, force=args.force, progress=progress
        )
    done = "encoded again" if moved.tokens_ingested else "of this model, with nothing to encode"
    return _say(args, moved, done)


def _say(args: argparse.Namespace, moved: Moved, done: str) -> int:
    if args.json:
        print_json(moved)
        return 0
    names = ", ".join(repr(name) for name in moved.sessions[:3])
    if len(moved.sessions) > 3:
        names += f" and {count(len(moved.sessions) - 3)} more"
    line = f"{names or 'no session'} {done}: {count(moved.num_messages)} messages, "
    line += f"{count(moved.num_tokens)} tokens"
    if moved.num_bytes:
        line += f", {size(moved.num_bytes)}"
    if moved.tokens_ingested:
        line += f", {count(moved.tokens_ingested)} tokens encoded"
    cli_view.line(plain(f"{line} in {duration(moved.seconds)}"))
    return 0


@contextmanager
def _bar() -> Iterator[Callable[[MoveProgress], None]]:
    """A bar on stderr while something moves: session, share, time left."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        console=console(stderr=True),
        # A bar that is not on a terminal would only fill log files.
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("", total=None)

        def show(told: MoveProgress) -> None:
            bar.update(
                task, description=plain(told.session), completed=told.done, total=told.total or None
            )

        yield show
