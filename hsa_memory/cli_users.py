"""`hsa-memory users`: who is there, what they may have, and deleting one of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.table import Table

from .cli_commands import open_as_is, open_memory, print_json
from .cli_view import console
from .errors import InvalidArgument
from .text_view import count, plain, size
from .types import UserInfo


def run_users(args: argparse.Namespace) -> int:
    """Do what the arguments ask for; 1 if a deletion was not confirmed."""
    limits = args.max_tokens is not None or args.max_bytes is not None
    if limits and args.action != "quota":
        raise InvalidArgument("--max-tokens and --max-bytes go with `hsa-memory users quota NAME`")
    if args.action == "list":
        if args.name is not None:
            raise InvalidArgument("`hsa-memory users list` lists all users and takes no name")
        with open_memory(args, create=False) as memory:
            found = memory.users()
        _tell(found, args)
        return 0
    if not args.name:
        raise InvalidArgument(f"`hsa-memory users {args.action}` needs the name of a user")
    if args.action == "delete" and not (args.yes or _confirmed(args.name)):
        console(stderr=True).print("nothing was deleted")
        return 1
    with open_as_is(args) as memory:
        if args.action == "quota":
            memory.set_quota(args.name, max_tokens=args.max_tokens, max_bytes=args.max_bytes)
            # Also of a user who was made by this, perhaps by a slip of the pen.
            _tell([user for user in memory.users() if user.name == args.name], args)
        else:
            memory.delete_user(args.name)
    return 0


def _confirmed(name: str) -> bool:
    """Ask on the terminal; whoever cannot be asked has to say --yes."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidArgument("deleting a user asks first; say --yes where nobody can answer")
    out = console(stderr=True)
    out.print(f"All sessions of {plain(name)} will be deleted. Type the name to go on: ", end="")
    return sys.stdin.readline().strip() == name


def _tell(found: Sequence[UserInfo], args: argparse.Namespace) -> None:
    if args.json:
        print_json(found)
    else:
        _show(found)


def _show(found: Sequence[UserInfo]) -> None:
    if not found:
        console().print("no users yet")
        return
    table = Table(box=None, header_style="bold", padding=(0, 1), pad_edge=False)
    for name in ("user", "sessions", "tokens", "of at most", "on disk", "of at most", "encrypted"):
        table.add_column(name, justify="left" if name in ("user", "encrypted") else "right")
    for user in found:
        table.add_row(
            plain(user.name),
            count(user.num_sessions),
            count(user.num_tokens),
            "-" if user.max_tokens is None else count(user.max_tokens),
            size(user.bytes_on_disk),
            "-" if user.max_bytes is None else size(user.max_bytes),
            "yes" if user.encrypted else "no",
        )
    console().print(table)
