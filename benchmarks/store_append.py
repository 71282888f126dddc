"""Appending a turn of 100 tokens to the store, without a model: latency, and fsyncs from outside.

Targets: p50 1 ms and p99 10 ms on 2 cores, one fsync per acknowledged turn. Latency is measured
with the machine as it is found and with a busy process on every core. fsyncs are counted by strace
(where it is installed) in a process that makes a system call of its own before each append: the
ones of a turn's commit, and those of turns after which SQLite's log was copied back.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _machine import finish, parser
from _store import busy_cores, load_layout, said, summary, turns_of

from hsa_memory.storage import Store

_SYNC = re.compile(r"(?:fsync|fdatasync|sync_file_range|msync)\(\d+<(.*?)>")
_MARK = re.compile(r"getpriority\(")


def main() -> int:
    """Run the benchmark, or the process whose fsyncs are counted."""
    options = parser(__doc__)
    options.add_argument("--appends", type=int, default=2_000)
    options.add_argument("--turn-tokens", type=int, default=100)
    options.add_argument("--counted", type=int, default=500, help="appends under strace")
    options.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.child:
        _appends(args, args.child, args.counted, mark=True)
        return 0
    if args.quick:
        args.appends, args.counted = 20, 10
    figures: dict[str, Any] = {"turn_tokens": args.turn_tokens}
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
        figures["as found"] = summary(_appends(args, Path(folder, "found"), args.appends))
        with busy_cores() as count:
            figures["busy"] = summary(_appends(args, Path(folder, "busy"), args.appends))
        figures["busy_processes"] = count
        figures["fsyncs"] = _count_fsyncs(args, Path(folder))
    rows = [
        ("the machine as it was found", said(figures["as found"])),
        (f"beside {count} busy processes", said(figures["busy"])),
        *_fsync_rows(figures["fsyncs"]),
    ]
    title = f"{args.appends} appends of {args.turn_tokens} tokens to the store"
    finish(title, rows, figures, args)
    return 0


def _appends(
    args: argparse.Namespace, folder: Path, count: int, *, mark: bool = False
) -> list[float]:
    """Seconds of each append to a new session; the first of a process is not counted."""
    engine, layout = load_layout(args.model)
    times = []
    with Store.open(folder) as store, store.session("s", layout=layout) as session:
        for turn in itertools.islice(turns_of(engine, args.turn_tokens), count + 1):
            if mark:
                os.getpriority(os.PRIO_PROCESS, 0)
            started = time.perf_counter()
            session.append([turn])
            times.append(time.perf_counter() - started)
        if mark:
            os.getpriority(os.PRIO_PROCESS, 0)
    return times[1:]


def _count_fsyncs(args: argparse.Namespace, folder: Path) -> dict[str, Any] | None:
    """What strace saw of each append, or None without strace."""
    strace, log = shutil.which("strace"), folder / "strace.log"
    if strace is None:
        return None
    calls = "fsync,fdatasync,sync_file_range,msync,getpriority"
    command = [strace, "-f", "-y", "-o", str(log), "-e", f"trace={calls}", sys.executable]
    command += [__file__, "--model", args.model, "--turn-tokens", str(args.turn_tokens)]
    command += ["--counted", str(args.counted), "--child", str(folder / "counted")]
    if subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode != 0:
        return None
    turns: list[collections.Counter[str]] = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if _MARK.search(line):
            turns.append(collections.Counter())
        elif turns and (found := _SYNC.search(line)):
            turns[-1][Path(found[1]).name] += 1
    # After the last mark the session is closed.
    per_turn = [sum(turn.values()) for turn in turns[1:-1]]
    by_file = sum(turns[1:-1], collections.Counter[str]())
    return {
        "turns": len(per_turn),
        "turns_by_fsyncs": dict(sorted(collections.Counter(per_turn).items())),
        "by_file": dict(by_file),
    }


def _fsync_rows(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    if found is None:
        return [("fsyncs per turn", "not counted: strace is not installed or not allowed")]
    by_count = found["turns_by_fsyncs"]
    mean = sum(int(count) * turns for count, turns in by_count.items()) / found["turns"]
    parts = ", ".join(f"{count} in {turns} turns" for count, turns in by_count.items())
    return [
        ("fsyncs of an append", parts),
        ("fsyncs per turn, log copied back included", f"{mean:.2f}"),
    ]


if __name__ == "__main__":
    sys.exit(main())
