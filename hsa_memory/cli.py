"""The `hsa-memory` command: reads arguments, calls the command, turns errors into exit codes.

Exit codes: 0 success, 1 an error (said on stderr), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from types import ModuleType

from . import __version__
from .cli_arguments import (
    add_ask,
    add_context,
    add_export,
    add_forget,
    add_fork,
    add_import,
    add_search,
)
from .cli_options import add_users
from .errors import HSAMemoryError
from .interrupts import Interrupts

STORE_VARIABLE = "HSA_MEMORY_STORE"
DATABASE_VARIABLE = "HSA_MEMORY_DATABASE"
OBJECTS_VARIABLE = "HSA_MEMORY_OBJECTS"
DEFAULT_STORE = "./agent-memory"
USER_VARIABLE = "HSA_MEMORY_USER"
KEY_VARIABLE = "HSA_MEMORY_KEY"

KV_DTYPES = ("bfloat16", "int8", "float8")
"""Number formats of `hsa_memory.open`, the default first."""

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

# Command -> the module whose function `run_<command>` does it. Imported when it is called: the
# help must not wait for torch.
_MODULES = {
    "add": "cli_commands",
    "ask": "cli_commands",
    "backup": "cli_moving",
    "chat": "repl",
    "check": "cli_commands",
    "context": "cli_commands",
    "demo": "demo",
    "export": "cli_moving",
    "forget": "cli_history",
    "fork": "cli_history",
    "import": "cli_moving",
    "ingest": "cli_ingest",
    "reingest": "cli_moving",
    "search": "cli_commands",
    "sessions": "cli_commands",
    "stats": "cli_commands",
    "users": "cli_users",
}
# Commands that bring their own arguments: `add_arguments(parser)` and `main(args) -> int`.
_DELEGATED = {"train": ".model.training.train", "eval": ".evaluation"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` by default, and return its exit code."""
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    if rest and args.command not in _DELEGATED:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    with _streams():
        return _main(args, rest)


@contextmanager
def _streams() -> Iterator[None]:
    """stdout and stderr that take any text."""
    with open(os.devnull, "w") as nowhere, ExitStack() as redirected:
        # Closed by whoever started us: what is printed then is lost and no error.
        if sys.stdout is None:
            redirected.enter_context(redirect_stdout(nowhere))
        if sys.stderr is None:
            redirected.enter_context(redirect_stderr(nowhere))
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that cannot show a character shows its number.
                stream.reconfigure(errors="backslashreplace")
        yield


def _main(args: argparse.Namespace, rest: Sequence[str]) -> int:
    try:
        code = _run(args, rest)
        sys.stdout.flush()
        return code
    except HSAMemoryError as error:
        return _fail(f"{type(error).__name__}: {error}")
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except OSError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run(args: argparse.Namespace, rest: Sequence[str]) -> int:
    if args.command in _DELEGATED:
        module = _imported(_DELEGATED[args.command])
        parser = argparse.ArgumentParser(prog=f"hsa-memory {args.command}")
        module.add_arguments(parser)
        return int(module.main(parser.parse_args(rest)))
    module = _imported(f".{_MODULES[args.command]}")
    return int(getattr(module, f"run_{args.command}")(args))


def _imported(name: str) -> ModuleType:
    """Import a module of this package; a Ctrl-C waits for it, because numpy would call it a
    damaged installation."""
    with Interrupts() as interrupts:
        module = import_module(name, __package__)
    if interrupts.seen:
        raise KeyboardInterrupt
    return module


def _fail(message: str) -> int:
    print(f"hsa-memory: {message}", file=sys.stderr)
    return EXIT_ERROR


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="hsa-memory",
        description="Long-term memory for language-model agents.",
        epilog="exit codes: 0 success, 1 error, 2 wrong usage, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"hsa-memory {__version__}")
    _add_common(parser, suppress=False)
    # The same options after the command; absent there, they keep what stood before it.
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, suppress=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, help: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help, description=help, parents=[common])

    _add_demo(command("demo", "show the whole line: read a book, be killed, restore, answer"))
    _add_kv_dtype(command("chat", "talk to a session, interactively"))
    _add_add(command("add", "remember one message"))
    _add_ingest(
        command(
            "ingest",
            "remember a file, text or JSON lines of messages; what an earlier run has added of "
            "the same beginning is skipped",
        )
    )
    add_search(command("search", "find past messages"))
    add_ask(command("ask", "answer a question from memory"))
    add_context(command("context", "lay out past messages for another model's prompt"))
    add_forget(command("forget", "remove messages for good, from every file"))
    add_fork(command("fork", "make a session that begins with the history of this one"))
    command("sessions", "list the sessions of the store")
    add_users(command("users", "list the users of the store, limit what one has, or delete one"))
    command("stats", "sizes of the store and of a session")
    check = command(
        "check", "verify the store's files; exit code 1 if something is wrong and not repaired"
    )
    check.add_argument(
        "--repair",
        action="store_true",
        help="recompute what can be recomputed; messages that are lost still make it exit code 1",
    )
    add_export(command("export", "write sessions into one file"))
    add_import(command("import", "add the sessions of a file that `export` wrote"))
    backup = command("backup", "copy the whole store into another folder, while it is in use")
    backup.add_argument("folder", help="missing or empty")
    reingest = command(
        "reingest",
        "encode a session that another model wrote with this one; interrupted, the same command "
        "goes on",
    )
    reingest.add_argument(
        "--kv-dtype",
        choices=KV_DTYPES,
        help="keys and values on disk from now on (default: as they are)",
    )
    reingest.add_argument(
        "--force", action="store_true", help="also if this model wrote it already"
    )
    commands.add_parser("train", help="train a model; `hsa-memory train --help`", add_help=False)
    commands.add_parser("eval", help="measure a model; `hsa-memory eval --help`", add_help=False)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, suppress: bool) -> None:
    def default(value: str | bool | None) -> str | bool | None:
        return argparse.SUPPRESS if suppress else value

    store = os.environ.get(STORE_VARIABLE) or DEFAULT_STORE
    parser.add_argument(
        "--store",
        metavar="DIR",
        default=default(store),
        help=f"folder of the store (default: ${STORE_VARIABLE}, else {DEFAULT_STORE})",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        default=default(os.environ.get(DATABASE_VARIABLE) or None),
        help="PostgreSQL database that keeps the messages, so that any machine opens them; the "
        f"folder is then a cache (default: ${DATABASE_VARIABLE})",
    )
    parser.add_argument(
        "--objects",
        metavar="URL",
        default=default(os.environ.get(OBJECTS_VARIABLE) or None),
        help="object storage, s3://bucket/prefix, that keeps what was read from them; needs a "
        f"database (default: ${OBJECTS_VARIABLE})",
    )
    parser.add_argument(
        "--user",
        metavar="NAME",
        default=default(os.environ.get(USER_VARIABLE) or None),
        help=f"whose sessions (default: ${USER_VARIABLE}, else the store's own)",
    )
    parser.add_argument(
        "--key",
        metavar="SOURCE",
        default=default(f"env:{KEY_VARIABLE}" if os.environ.get(KEY_VARIABLE) else None),
        help="where the key of an encrypted store is: env:NAME or keyring:SERVICE/NAME "
        f"(default: ${KEY_VARIABLE} if it is set)",
    )
    parser.add_argument(
        "--session",
        metavar="NAME",
        default=default("default"),
        help='session in the store (default: "default")',
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        default=default("mini"),
        help="bundled model, or folder of a checkpoint (default: mini)",
    )
    parser.add_argument(
        "--device",
        metavar="NAME",
        default=default("auto"),
        help="where the model runs: cpu, cuda, cuda:N, or auto, which is the CPU (default: auto)",
    )
    parser.add_argument(
        "--json", action="store_true", default=default(False), help="print JSON on stdout"
    )
    parser.add_argument(
        "--allow-network-files",
        action="store_true",
        default=default(False),
        help="write also on NFS, SMB, FUSE and the like; safe while no other machine writes",
    )


def _add_kv_dtype(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kv-dtype",
        choices=KV_DTYPES,
        default=KV_DTYPES[0],
        help="keys and values on disk, if the session is new; the 8-bit formats take about half "
        f"the space (default: {KV_DTYPES[0]})",
    )


def _add_demo(parser: argparse.ArgumentParser) -> None:
    _add_kv_dtype(parser)
    parser.add_argument("--book", metavar="FILE", help="another text to read, UTF-8")
    parser.add_argument("--keep", metavar="DIR", help="keep the store in this new folder")
    parser.add_argument(
        "--questions", type=int, default=8, help="of the 12, the oldest facts first (default: 8)"
    )


def _add_add(parser: argparse.ArgumentParser) -> None:
    _add_kv_dtype(parser)
    parser.add_argument("text", help='the message; "-" reads it from stdin')
    parser.add_argument(
        "--role", default="user", help="user, assistant, system, tool or document (default: user)"
    )
    parser.add_argument("--id", help="id of the message; adding it again changes nothing")
    parser.add_argument("--timestamp", help="ISO 8601, for example 2026-03-01T09:30 (default: now)")
    parser.add_argument(
        "--ttl",
        type=float,
        metavar="SECONDS",
        help="forget it so long after its timestamp (default: never, or as the session was set)",
    )


def _add_ingest(parser: argparse.ArgumentParser) -> None:
    _add_kv_dtype(parser)
    parser.add_argument("file", help='the file; "-" reads stdin')
    parser.add_argument(
        "--format",
        choices=("auto", "text", "jsonl"),
        default="auto",
        help="auto: by the name, .jsonl and .ndjson are JSON lines, the rest is text",
    )
    parser.add_argument(
        "--encoding", default="utf-8", help="of a text file; undecodable bytes stay as \\xNN"
    )
    parser.add_argument(
        "--source",
        metavar="NAME",
        default="",
        help="where the file is from; from another source, known content is added again",
    )
