"""Arguments of single commands."""

from __future__ import annotations

import argparse

from .cli_options import key_value, positive


def add_export(parser: argparse.ArgumentParser) -> None:
    """Arguments of `export`."""
    parser.add_argument("file", help="a new file; what is encrypted in the store is not in it")
    parser.add_argument(
        "--all", action="store_true", help="all sessions instead of the one of --session"
    )
    parser.add_argument(
        "--derived",
        action="store_true",
        help="with landmarks, keys and values: a hundred times larger, but the same model needs "
        "not encode it again",
    )


def add_import(parser: argparse.ArgumentParser) -> None:
    """Arguments of `import`."""
    parser.add_argument("file")
    parser.add_argument(
        "--rename",
        metavar="OLD=NEW",
        action="append",
        type=_renamed,
        help="give a session of the file another name (repeatable)",
    )


def add_search(parser: argparse.ArgumentParser) -> None:
    """Arguments of `search`."""
    parser.add_argument("query")
    parser.add_argument("-k", type=positive, default=5, help="most messages (default: 5)")
    add_filters(parser)


def add_ask(parser: argparse.ArgumentParser) -> None:
    """Arguments of `ask`."""
    parser.add_argument("question")
    parser.add_argument(
        "--max-tokens", type=positive, default=64, help="longest answer (default: 64)"
    )
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="0 (default): the best token"
    )
    parser.add_argument("--seed", type=int, help="makes a temperature above 0 repeatable")
    parser.add_argument("--remember", action="store_true", help="add question and answer")
    add_filters(parser)


def add_context(parser: argparse.ArgumentParser) -> None:
    """Arguments of `context`."""
    parser.add_argument("query")
    parser.add_argument(
        "--max-tokens", type=positive, default=1024, help="longest text (default: 1024)"
    )
    add_filters(parser)


def add_forget(parser: argparse.ArgumentParser) -> None:
    """Arguments of `forget`."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="messages by id; or use conditions")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    parser.add_argument(
        "--scan", action="store_true", help="search the session's files for what was removed"
    )
    add_filters(parser)


def add_fork(parser: argparse.ArgumentParser) -> None:
    """Arguments of `fork`."""
    parser.add_argument("name", help="of the new session")
    point = parser.add_mutually_exclusive_group()
    point.add_argument("--at", metavar="TIME", help="leave the history at this time, ISO 8601")
    point.add_argument("--message", metavar="ID", help="leave it after this message")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that chooses messages."""
    parser.add_argument("--role", action="append", help="only messages of this role (repeatable)")
    parser.add_argument("--since", metavar="TIME", help="only messages from this time on, ISO 8601")
    parser.add_argument("--until", metavar="TIME", help="only messages before this time, ISO 8601")
    parser.add_argument(
        "--where",
        metavar="KEY=VALUE",
        action="append",
        type=key_value,
        help="only messages with this metadata; VALUE is JSON or else text (repeatable)",
    )


def _renamed(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not old or not equals or not new:
        raise argparse.ArgumentTypeError(f"must be OLD=NEW; found {text!r}")
    return old, new
