"""Opening a session of 16M tokens in a new process: until an append can start, until a search can.

Targets, files in the page cache: 15 ms until the session can append ("append-ready"), 60 ms until
its landmarks are verified and the first 32 chunks are gathered ("search-ready"), both without
imports, which are shown beside them. Each run is a process of its own; the two ends are measured in
different processes, and an append or a search then follows. The session has the bundled model's
layout; its derived bytes are random, written through the store (several GB in a temporary folder).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

WANTED = 32


def main() -> int:
    """Run the benchmark, or one process of it."""
    if "--child" in sys.argv:
        return _child()
    from _machine import parser

    options = parser(__doc__)
    options.add_argument("--chunks", type=int, default=500_000, help="chunks in the session")
    options.add_argument("--turn-tokens", type=int, default=512)
    options.add_argument("--runs", type=int, default=15, help="new processes of each kind")
    args = options.parse_args()
    if args.quick:
        args.chunks, args.turn_tokens, args.runs = 200, 16, 2
    return _benchmark(args)


def _benchmark(args: argparse.Namespace) -> int:
    from _machine import finish, milliseconds, percentile
    from _store import bytes_on_disk, drop_from_page_cache, fill, folder_with_room, load_layout

    from hsa_memory.storage import Store

    engine, layout = load_layout(args.model)
    needed = args.chunks * (layout.kv_bytes + layout.landmark_bytes + 64 + 8 * layout.chunk_size)
    with folder_with_room(needed) as folder:
        root = folder / "store"
        started = time.perf_counter()
        with Store.open(root) as store, store.session("s", layout=layout) as session:
            fill(session, engine, args.chunks, turn_tokens=args.turn_tokens)
            num_tokens = session.num_tokens
        made = time.perf_counter() - started
        size = bytes_on_disk(root)
        found: dict[str, list[dict[str, float]]] = {}
        for state in ("warm", "cold"):
            for kind in ("append", "search"):
                runs = []
                for _ in range(args.runs + 1):
                    if state == "cold":
                        drop_from_page_cache(root)
                    runs.append(_start(kind, root))
                found[f"{state}, {kind}"] = runs[1:]
    rows = []
    for name, runs in found.items():
        for part in runs[0]:
            values = [run[part] for run in runs]
            middle, high = statistics.median(values), percentile(values, 90)
            text = f"median {milliseconds(middle)}, p90 {milliseconds(high)}"
            rows.append((f"{name}: {part}", text))
    title = f"opening {num_tokens:,} tokens, {args.chunks:,} chunks, {size / 1e9:.2f} GB"
    figures: dict[str, Any] = {"tokens": num_tokens, "chunks": args.chunks, "bytes": size}
    finish(title, rows, {**figures, "seconds_to_make": made, **found}, args)
    return 0


def _start(kind: str, root: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", kind, str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    times: dict[str, float] = json.loads(done.stdout)
    return times


def _child() -> int:
    """What a new process does: print the seconds of each part."""
    kind, root = sys.argv[2:]
    started = time.perf_counter()
    import numpy as np

    from hsa_memory.storage import Store, Turn

    marks = {"imports": time.perf_counter() - started}
    begun = time.perf_counter()
    with Store.open(root, create=False) as store:
        marks["store"] = time.perf_counter() - begun
        with store.session("s", layout=None, create=False) as session:
            marks[f"{kind}-ready" if kind == "append" else "session"] = time.perf_counter() - begun
            if kind == "append":
                turn = Turn(
                    turn_id=f"again-{time.time_ns()}",
                    role="user",
                    text="One more.",
                    tokens=np.arange(8, dtype=np.uint32),
                    timestamp=time.time(),
                )
                before = time.perf_counter()
                session.append([turn])
                marks["first append itself"] = time.perf_counter() - before
            else:
                landmarks = session.landmarks()
                marks["landmarks"] = time.perf_counter() - begun
                ids = np.linspace(0, len(landmarks) - 1, min(WANTED, len(landmarks)))
                session.gather(ids.astype(np.int64))
                marks["search-ready"] = time.perf_counter() - begun
    print(json.dumps(marks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
