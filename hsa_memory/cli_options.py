"""Arguments of the command line that have a file of their own; light to import."""

from __future__ import annotations

import argparse


def add_users(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hsa-memory users`."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=("list", "quota", "delete"),
        default="list",
        help="list (default); quota: set limits, those not named are taken away, and show them; "
        "delete: the user with all sessions",
    )
    parser.add_argument("name", nargs="?", help="the user, for quota and delete")
    parser.add_argument("--max-tokens", metavar="N", type=_natural, help="most tokens")
    parser.add_argument("--max-bytes", metavar="N", type=_natural, help="most bytes on disk")
    parser.add_argument("--yes", action="store_true", help="delete without asking")


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _whole(text, 1)


def _natural(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or len(text) > 18 or int(text) < least:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {least} to 10^18 - 1; found {text[:100]!r}"
        )
    return int(text)


def key_value(text: str) -> tuple[str, object]:
    """KEY=VALUE, the value JSON or else text."""
    import json

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE; found {text!r}")
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):
        return key, value
