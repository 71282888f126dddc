"""A memory on servers: appends to PostgreSQL, and a restore on a machine with an empty disk.

Starts its own PostgreSQL, which syncs every commit to this machine's disk, and its own
S3-compatible server; both share the cores with what is measured, and nothing crosses a network.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from _machine import book_messages, finish, milliseconds, parser, percentile
from _servers import Unavailable, postgres_server, s3_server

import hsa_memory
from hsa_memory.storage import Layout, Store, Turn

WORDS = "By the way, the meeting with the publisher was moved to Thursday at 3:40 pm. " * 5
LAYOUT = Layout(
    fingerprint="0" * 64, chunk_size=32, dtype="bfloat16", kv_bytes=8192, landmark_bytes=512
)
QUESTION = "Who opened the door?"


def main() -> int:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--appends", type=int, default=1_000)
    options.add_argument("--writers", type=int, default=4, help="sessions written to at once")
    options.add_argument("--history", type=int, default=131_072, help="tokens to restore")
    args = options.parse_args()
    appends, history = (20, 1_024) if args.quick else (args.appends, args.history)
    try:
        with postgres_server() as database, s3_server() as address:
            figures, rows = _measure(args, database, _bucket(address), appends, history)
    except Unavailable as error:
        figures, rows = {"unavailable": str(error)}, [("not measured", str(error))]
    finish(f"{appends} appends of 100 tokens, a restore of {history:,}", rows, figures, args)
    return 0


def _bucket(address: str) -> str:
    keys = {"AWS_ENDPOINT": address, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    os.environ.update(keys, AWS_REGION="us-east-1")
    urllib.request.urlopen(urllib.request.Request(f"{address}/bench", method="PUT")).close()
    return "s3://bench/memory"


def _measure(
    args: Any, database: str, objects: str, appends: int, history: int
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as name:
        folder = Path(name)
        local = _append(folder / "local", None, 1, appends)
        one = _append(folder / "one", f"{database}?schema=one", 1, appends)
        many = _append(folder / "many", f"{database}?schema=many", args.writers, appends)
        where = {"database": f"{database}?schema=memory", "objects": objects}
        restored = _restore(folder, args.model, where, history)
    figures = {"sqlite": local, "postgresql": one, f"{args.writers} sessions": many, **restored}
    rows = []
    for what, found in (
        ("SQLite, one session", local),
        ("PostgreSQL, one session", one),
        (f"PostgreSQL, {args.writers} sessions", many),
    ):
        times = found["seconds"]
        p50, p99 = (milliseconds(percentile(times, percent)) for percent in (50, 99))
        rows.append((what, f"{found['turns_per_second']:.0f} turns/s, p50 {p50}, p99 {p99}"))
    rows += [
        ("close after ingest: chunks to the storage", milliseconds(restored["close"])),
        ("objects", f"{restored['object_bytes'] / 1e6:.1f} MB"),
        ("restore, folder empty, to the first hits", milliseconds(restored["empty"])),
        ("restore, folder as it was left", milliseconds(restored["warm"])),
        ("tokens encoded again", str(restored["encoded"])),
    ]
    return figures, rows


def _append(folder: Path, database: str | None, writers: int, appends: int) -> dict[str, Any]:
    """Appends of 100 tokens to some sessions at once, without a model."""
    tokens = np.arange(100, dtype=np.uint32)
    times: list[list[float]] = [[] for _ in range(writers)]
    with Store.open(folder, database=database) as store:
        sessions = [store.session(str(i), layout=LAYOUT) for i in range(writers)]

        def write(number: int) -> None:
            for index in range(appends // writers):
                turn = Turn(
                    turn_id=str(index),
                    role="user",
                    text=WORDS,
                    tokens=tokens,
                    timestamp=time.time(),
                )
                started = time.perf_counter()
                sessions[number].append([turn])
                times[number].append(time.perf_counter() - started)

        threads = [threading.Thread(target=write, args=(i,)) for i in range(writers)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        passed = time.perf_counter() - started
    joined = [seconds for own in times for seconds in own]
    return {"turns_per_second": len(joined) / passed, "seconds": joined}


def _restore(folder: Path, model: str, where: dict[str, str], history: int) -> dict[str, Any]:
    memory = hsa_memory.open(folder / "writer", model=model, **where)
    session = memory.session("s")
    session.add_messages(book_messages(memory.tokenizer, history))
    expected = [hit.message.id for hit in session.search(QUESTION).hits]
    started = time.perf_counter()
    memory.close()
    found: dict[str, Any] = {"close": time.perf_counter() - started}
    for kind in ("empty", "warm"):
        started = time.perf_counter()
        with hsa_memory.open(folder / "reader", model=model, **where) as memory:
            session = memory.session("s")
            result = session.search(QUESTION)
            found[kind] = time.perf_counter() - started
            found["object_bytes"] = sum(session._store._mirror.object_bytes())
            found["encoded"] = result.stats.tokens_ingested + result.stats.prefilled_history
        assert [hit.message.id for hit in result.hits] == expected
    return found


if __name__ == "__main__":
    sys.exit(main())
