"""Many sessions in one store, and many processes that append to different ones at once.

Makes the sessions, each with one short turn, lists them, opens some at random, and weighs them on
disk. Then each of several processes appends turns of 100 tokens to a session of its own, as fast as
it can, all at the same time: turns per second of all together, and the latency of one append. A
process is then killed, and its session opened: the time until another may write to it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _machine import finish, milliseconds, parser
from _store import bytes_on_disk, folder_with_room, load_layout, said, summary, turns_of

from hsa_memory.storage import Store

_SESSION_BYTES = 160_000


def main() -> int:
    """Run the benchmark, or one of its writers."""
    options = parser(__doc__)
    options.add_argument("--sessions", type=int, default=10_000)
    options.add_argument("--opened", type=int, default=200, help="sessions opened one by one")
    options.add_argument("--processes", type=int, default=8)
    options.add_argument("--seconds", type=float, default=10.0, help="how long they append")
    options.add_argument("--turn-tokens", type=int, default=100)
    options.add_argument("--writer", nargs=2, metavar=("STORE", "NAME"), help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.writer:
        return _write(args, *args.writer)
    if args.quick:
        args.sessions, args.opened, args.processes, args.seconds = 12, 3, 2, 0.2
    with folder_with_room(args.sessions * _SESSION_BYTES) as folder:
        root = folder / "store"
        many = _many(args, root)
        together = _together(args, root)
    rows = [
        ("make a session with a turn", said(many["make"])),
        ("list all", milliseconds(many["list"])),
        ("open one to write, and close it", said(many["open"])),
        ("open one to read, and close it", said(many["open_to_read"])),
        ("bytes on disk, each", f"{many['bytes_each']:,.0f}"),
        (f"{args.processes} processes", f"{together['turns_per_second']:,.0f} turns/s"),
        ("an append of theirs", said(together["append"])),
        ("writer killed: another may write after", milliseconds(together["after_kill"])),
    ]
    finish(f"{args.sessions:,} sessions in a store", rows, {**many, **together}, args)
    return 0


def _many(args: argparse.Namespace, root: Path) -> dict[str, Any]:
    engine, layout = load_layout(args.model)
    turns = turns_of(engine, args.turn_tokens)
    rng = random.Random(0)
    made, opened, read = [], [], []
    with Store.open(root) as store:
        for number in range(args.sessions):
            started = time.perf_counter()
            with store.session(f"session {number}", layout=layout) as session:
                session.append([next(turns)])
            made.append(time.perf_counter() - started)
    with Store.open(root) as store:
        started = time.perf_counter()
        count = len(store.list_sessions())
        listed = time.perf_counter() - started
        for times, read_only in ((opened, False), (read, True)):
            for _ in range(args.opened):
                name = f"session {rng.randrange(args.sessions)}"
                started = time.perf_counter()
                store.session(name, layout=layout, create=False, read_only=read_only).close()
                times.append(time.perf_counter() - started)
    return {
        "sessions": count,
        "make": summary(made),
        "list": listed,
        "open": summary(opened),
        "open_to_read": summary(read),
        "bytes_each": bytes_on_disk(root) / count,
        "catalog_bytes": (root / "catalog.db").stat().st_size,
    }


def _together(args: argparse.Namespace, root: Path) -> dict[str, Any]:
    """All processes append at once; then the first of them is killed while it has its session."""
    _, layout = load_layout(args.model)
    with Store.open(root) as store:
        for number in range(args.processes):
            store.session(f"writer {number}", layout=layout).close()
    command = [sys.executable, __file__, "--model", args.model, "--seconds", str(args.seconds)]
    command += ["--turn-tokens", str(args.turn_tokens), "--writer", str(root)]
    writers = [
        subprocess.Popen(
            [*command, f"writer {number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(args.processes)
    ]
    for writer in writers:
        _line_of(writer)  # it is ready
    for writer in writers:
        _say(writer)
    results = [json.loads(_line_of(writer)) for writer in writers]
    times = list(itertools.chain.from_iterable(result["times"] for result in results))
    seconds = max(r["stopped"] for r in results) - min(r["started"] for r in results)
    with Store.open(root) as store:
        started = time.perf_counter()
        writers[0].send_signal(signal.SIGKILL)
        writers[0].wait()
        store.session("writer 0", layout=layout, create=False).close()
        after_kill = time.perf_counter() - started
    for writer in writers:
        writer.communicate()
    return {
        "processes": args.processes,
        "turns_per_second": len(times) / seconds,
        "append": summary(times),
        "append_p50_of_each": [statistics.median(result["times"]) for result in results],
        "after_kill": after_kill,
    }


def _line_of(writer: subprocess.Popen[str]) -> str:
    assert writer.stdout is not None
    line = writer.stdout.readline()
    if not line:
        raise SystemExit(f"a writer ended with {writer.wait()}")
    return line


def _say(writer: subprocess.Popen[str]) -> None:
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()


def _write(args: argparse.Namespace, root: str, name: str) -> int:
    """What a writer does: wait for the word, append for some seconds, hold its session."""
    engine, _ = load_layout(args.model)
    turns = turns_of(engine, args.turn_tokens)
    with Store.open(root, create=False) as store:
        with store.session(name, layout=None, create=False) as session:
            session.append([next(turns)])
            print("ready", flush=True)
            sys.stdin.readline()
            times = []
            # One clock for all processes.
            started = time.monotonic()
            while time.monotonic() - started < args.seconds:
                turn = next(turns)
                before = time.perf_counter()
                session.append([turn])
                times.append(time.perf_counter() - before)
            stopped = time.monotonic()
            result = {"times": times, "started": started, "stopped": stopped}
            os.write(sys.stdout.fileno(), (json.dumps(result) + "\n").encode())
            sys.stdin.readline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
