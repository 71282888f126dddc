"""Restoring a session of 128K tokens in a new process, until the first search has its result.

Target: 100 ms, without imports and the loading of weights (both are shown beside it). Each run is a
new process: with the files in the page cache, and with the kernel asked to drop them first.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUESTION = "What is my dog called?"


def main() -> int:
    """Run the benchmark, or one restore of it."""
    started = time.perf_counter()
    from _machine import parser

    options = parser(__doc__)
    options.add_argument("--tokens", type=int, default=131_072)
    options.add_argument("--runs", type=int, default=15, help="new processes, warm and cold each")
    options.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    return _restore(args, started) if args.store else _benchmark(args)


def _benchmark(args: argparse.Namespace) -> int:
    from _machine import book_messages, finish, milliseconds, percentile

    import hsa_memory

    tokens, runs = (2_048, 2) if args.quick else (args.tokens, args.runs)
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
        with hsa_memory.open(folder, model=args.model) as memory, memory.session("s") as session:
            session.add("user", "My dog is called Biscuit.")
            session.add_messages(book_messages(memory.tokenizer, tokens))
            num_tokens = session.stats().num_tokens
        warm = [restore_once(args.model, folder) for _ in range(runs + 1)][1:]
        cold = []
        if hasattr(os, "posix_fadvise"):
            for _ in range(runs):
                drop_from_page_cache(Path(folder))
                cold.append(restore_once(args.model, folder))
    rows = []
    for name, times in (("warm", warm), ("cold", cold)):
        for part in ("restore", "open", "session", "search") if times else ():
            values = [t[part] for t in times]
            middle, high = (milliseconds(percentile(values, p)) for p in (50, 90))
            rows.append((f"{name} page cache, {part}", f"median {middle}, p90 {high}"))
    for part in ("imports", "weights", "second search"):
        rows.append((part, f"median {milliseconds(percentile([t[part] for t in warm], 50))}"))
    figures = {"tokens": num_tokens, "warm": warm, "cold": cold}
    finish(f"restore of {num_tokens:,} tokens in {runs} new processes", rows, figures, args)
    return 0


def restore_once(model: str, folder: str) -> dict[str, float]:
    """Return the seconds of each part of a restore of the store in `folder`, in a new process."""
    command = [sys.executable, __file__, "--model", model, "--store", folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    times: dict[str, float] = json.loads(done.stdout)
    return times


def _restore(args: argparse.Namespace, started: float) -> int:
    """What the new process does: print the seconds of each part."""
    import hsa_memory
    import hsa_memory.memory
    from hsa_memory.engine import load_engine

    times = {"imports": time.perf_counter() - started}
    before = time.perf_counter()
    load_engine(args.model, "auto")
    times["weights"] = time.perf_counter() - before
    marks = [time.perf_counter()]
    memory = hsa_memory.open(args.store, model=args.model, create=False)
    marks.append(time.perf_counter())
    session = memory.session("s", create=False)
    marks.append(time.perf_counter())
    session.search(QUESTION)
    marks.append(time.perf_counter())
    session.search("Who opened the door?")
    marks.append(time.perf_counter())
    parts = ("open", "session", "search", "second search")
    times |= {part: end - begin for part, begin, end in zip(parts, marks, marks[1:], strict=False)}
    times["restore"] = marks[3] - marks[0]
    memory.close()
    print(json.dumps(times))
    return 0


def drop_from_page_cache(folder: Path) -> None:
    """Ask the kernel to forget the files; it may keep what others use."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    sys.exit(main())
