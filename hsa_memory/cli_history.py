"""The commands that change what a session holds: forgetting, and forks."""

from __future__ import annotations

import argparse

from . import cli_view
from .cli_commands import filters, open_memory, print_json
from .errors import InvalidArgument
from .types import ForgetResult


def run_forget(args: argparse.Namespace) -> int:
    """Remove messages for good; 1 if a search of the files still finds something of them."""
    if not args.ids and not any(filters(args).values()):
        raise InvalidArgument(
            "`hsa-memory forget` needs ids of messages, or a condition such as --role or --until"
        )
    with open_memory(args, create=True) as memory:
        with memory.session(args.session, create=False) as session:
            result = session.forget(
                args.ids or None, dry_run=args.dry_run, scan=args.scan, **filters(args)
            )
    if args.json:
        print_json(result)
    else:
        _show(result)
        cli_view.remarks(result.diagnostics)
    return int(bool(result.traces))


def _show(result: ForgetResult) -> None:
    words = "would forget" if result.dry_run else "forgot"
    messages = "message" if len(result) == 1 else "messages"
    cli_view.line(f"{words} {len(result)} {messages} ({result.num_tokens} tokens)")
    for id in result.ids:
        cli_view.line(f"  {id}")
    if result.scanned_files:
        megabytes = result.scanned_bytes / 1e6
        cli_view.line(f"searched {result.scanned_files} files ({megabytes:.1f} MB)")
        for trace in result.traces or ("found nothing",):
            cli_view.line(f"  {trace}")


def run_fork(args: argparse.Namespace) -> int:
    """Make a session that begins with the history of another."""
    with open_memory(args, create=True) as memory:
        with memory.session(args.session, create=False) as session:
            with session.fork(args.name, args.at, message=args.message) as fork:
                stats = fork.stats()
    if args.json:
        print_json(stats)
    else:
        cli_view.line(
            f"session {args.name!r} begins with the first {stats.num_messages} messages of "
            f"{args.session!r}"
        )
    return 0
