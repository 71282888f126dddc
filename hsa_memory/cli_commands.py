"""The commands that do one thing and end."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

from . import cli_view
from .errors import InvalidArgument, SessionNotFound
from .memory import Memory, repair_marker
from .memory import open as open_folder
from .precision import DEFAULT
from .session import MemorySession


def open_memory(args: argparse.Namespace, *, create: bool, kv_dtype: str = DEFAULT) -> Memory:
    """Open the store that the arguments name, for writing if it may be created."""
    if args.store and not create and not args.database:
        # What else may be wrong with the path is said where it is opened.
        with suppress(OSError, ValueError):
            _require_there(args.store)
    return open_as_is(args, create=create, read_only=not create, kv_dtype=kv_dtype)


def open_as_is(
    args: argparse.Namespace,
    *,
    create: bool = False,
    read_only: bool = False,
    kv_dtype: str = DEFAULT,
) -> Memory:
    """Open the store that the arguments name, for writing, if it is there."""
    return open_folder(
        args.store,
        user=args.user,
        key=args.key,
        model=args.model,
        device=args.device,
        kv_dtype=kv_dtype,
        create=create,
        read_only=read_only,
        database=args.database,
        objects=args.objects,
        allow_network_files=args.allow_network_files,
    )


def open_existing(args: argparse.Namespace) -> Memory:
    """Open the store that the arguments name for writing, but make none."""
    return open_as_is(args)


def _require_there(store: str) -> None:
    try:
        os.lstat(store)
    except FileNotFoundError as error:
        raise SessionNotFound(
            f"there is no store in {store!r:.100}; `hsa-memory add` or `hsa-memory ingest` makes it"
        ) from error


def stdin() -> BinaryIO:
    """Return the bytes of stdin.

    Raises:
        InvalidArgument: there is none.
    """
    if sys.stdin is None:
        raise InvalidArgument('"-" reads stdin, which is closed; name a file or give the text')
    return sys.stdin.buffer


def run_add(args: argparse.Namespace) -> int:
    """Remember one message and print its id."""
    text = args.text
    if text == "-":
        # Whatever the locale: as `ingest` reads.
        text = stdin().read().decode("utf-8", "backslashreplace")
    with open_memory(args, create=True, kv_dtype=args.kv_dtype) as memory:
        with memory.session(args.session) as session:
            result = session.add(
                args.role, text, id=args.id, timestamp=args.timestamp, ttl=args.ttl
            )
    if args.json:
        print_json(result)
    else:
        cli_view.added(result)
        cli_view.remarks(result.diagnostics)
    return 0


def run_search(args: argparse.Namespace) -> int:
    """Print the past messages that fit a query best."""
    with open_memory(args, create=False) as memory, _reader(memory, args) as session:
        result = session.search(args.query, args.k, **filters(args))
    if args.json:
        print_json(result)
    else:
        cli_view.hits(result, time.time())
        cli_view.remarks(result.diagnostics)
    return 0


def run_ask(args: argparse.Namespace) -> int:
    """Answer a question; without --json the answer appears while it is made."""
    with open_memory(args, create=args.remember) as memory:
        with memory.session(args.session, create=False, read_only=not args.remember) as session:
            stream = session.stream(
                args.question,
                max_tokens=args.max_tokens,
                temperature=args.temperature,
                seed=args.seed,
                remember=args.remember,
                **filters(args),
            )
            for piece in stream:
                if not args.json:
                    cli_view.piece(piece)
            answer = stream.answer
    if args.json:
        print_json(answer)
    else:
        cli_view.answer_end(answer)
        cli_view.remarks(answer.diagnostics)
    return 0


def run_context(args: argparse.Namespace) -> int:
    """Print past messages, laid out for the prompt of another model."""
    with open_memory(args, create=False) as memory, _reader(memory, args) as session:
        result = session.context(args.query, args.max_tokens, **filters(args))
    if args.json:
        print_json(result)
    else:
        print(result.text)
        cli_view.remarks(result.diagnostics)
    return 0


def run_sessions(args: argparse.Namespace) -> int:
    """List the sessions of the store."""
    with open_memory(args, create=False) as memory:
        sessions = memory.sessions()
    if args.json:
        print_json(sessions)
    else:
        cli_view.sessions(sessions, time.time())
    return 0


def run_stats(args: argparse.Namespace) -> int:
    """Print the sizes of the store and, if it exists, of the session."""
    with open_memory(args, create=False) as memory:
        about_memory, about_session = memory.stats(), None
        if memory.has_session(args.session):
            with _reader(memory, args) as session:
                about_session = session.stats()
        elif args.session != "default":
            raise SessionNotFound(f"no session {args.session!r} in {args.store}")
    if args.json:
        print_json({"memory": about_memory, "session": about_session})
    else:
        cli_view.stats(about_memory, about_session)
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Verify the store; 1 if something is wrong and was not repaired, or messages are lost."""
    # On servers the folder is a cache; its marker is written again when it is opened.
    findings = []
    if args.repair and not args.database:
        findings += repair_marker(args.store, allow_network_files=args.allow_network_files)
    with open_as_is(args, read_only=not args.repair) as memory:
        findings += memory.check(repair=args.repair)
    if args.json:
        print_json(findings)
    else:
        cli_view.findings(findings)
    # What could not be looked at is not wrong.
    return int(any(not x.repaired and x.kind != "not-checked" for x in findings))


def filters(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of `search` and `ask` that the options stand for."""
    return {
        "role": args.role,
        "since": args.since,
        "until": args.until,
        "where": dict(args.where) if args.where else None,
    }


def print_json(value: Any) -> None:
    """Print one JSON document, results and their parts as objects."""
    unicode = (sys.stdout.encoding or "").lower() in ("utf-8", "utf8")
    print(json.dumps(_plain(value), ensure_ascii=not unicode, indent=2))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        # Metadata may hold them, JSON cannot.
        return None
    return value


def _reader(memory: Memory, args: argparse.Namespace) -> MemorySession:
    return memory.session(args.session, create=False, read_only=True)
