"""What encryption costs: appends, gathers of 32 chunks, landmarks, a restore to the first search.

Everything is measured with and without a key in one run, in turns, so that both see the same
machine; the last column is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from _machine import book_messages, finish, milliseconds, parser, percentile

import hsa_memory
from hsa_memory.storage import Layout, SessionStore, Store, Turn

KEY = bytes(range(32))
GATHERED = 32
# As the bundled model has them: 32 tokens a chunk.
LAYOUT = Layout(
    fingerprint="0" * 64, chunk_size=32, dtype="bfloat16", kv_bytes=8192, landmark_bytes=256
)
TEXT = "By the way, the meeting with the publisher was moved to Thursday at 3:40 pm. "
QUESTION = "What is my dog called?"


def main() -> int:
    """Run the benchmark, or one restore of it."""
    options = parser(__doc__)
    options.add_argument("--chunks", type=int, default=16_384, help="in the session of the gathers")
    options.add_argument("--appends", type=int, default=500)
    options.add_argument("--landmarks", type=int, default=500_000, help="rows that are opened")
    options.add_argument("--tokens", type=int, default=131_072, help="of the restored session")
    options.add_argument("--runs", type=int, default=9, help="restores, in new processes")
    options.add_argument("--restore", help=argparse.SUPPRESS)
    options.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.restore:
        return _restore(args.model, args.restore, None if args.plain else KEY)
    if args.quick:
        args.chunks, args.appends, args.landmarks, args.tokens, args.runs = 128, 10, 500, 1024, 2
    figures = {**_store(args), **_restores(args), **_rows(args.landmarks)}
    rows = []
    for what, (plain, sealed) in figures.items():
        for percent in (50, 99) if what == "append" else (50,):
            pair = [percentile(times, percent) for times in (plain, sealed)]
            shown = " -> ".join(milliseconds(x) for x in pair) if pair[0] else milliseconds(pair[1])
            ratio = f", {pair[1] / pair[0]:.2f} times" if pair[0] else ""
            rows.append((f"{what}, p{percent}", shown + ratio))
    finish("without -> with encryption", rows, figures, args)
    return 0


def _store(args: argparse.Namespace) -> dict[str, tuple[list[float], list[float]]]:
    """Times of appends and gathers, without and with a key."""
    appends: tuple[list[float], list[float]] = ([], [])
    gathers: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
        stores = [
            Store.open(os.path.join(folder, str(i)), key=key) for i, key in enumerate((None, KEY))
        ]
        sessions = [store.session("s", layout=LAYOUT) for store in stores]
        for session in sessions:
            _fill(session, args.chunks)
        tokens = np.arange(100, dtype=np.uint32)
        for i in range(args.appends):
            for session, times in zip(sessions, appends, strict=True):
                turn = Turn(
                    turn_id=f"a{i}",
                    role="user",
                    text=TEXT * 4,
                    tokens=tokens,
                    timestamp=time.time(),
                )
                times.append(_seconds(lambda s=session, t=turn: s.append([t])))
        rng = np.random.default_rng(0)
        out = np.empty((GATHERED, LAYOUT.kv_bytes), np.uint8)
        for _ in range(args.appends):
            ids = rng.choice(args.chunks, GATHERED, replace=False)
            for session, times in zip(sessions, gathers, strict=True):
                times.append(_seconds(lambda s=session, n=ids: s.gather(n, out)))
        for store in stores:
            store.close()
    return {"append": appends, f"gather of {GATHERED} chunks": gathers}


def _fill(session: SessionStore, chunks: int) -> None:
    rng = np.random.default_rng(1)
    tokens = np.zeros(chunks * LAYOUT.chunk_size, np.uint32)
    session.append([Turn(turn_id="0", role="user", text=TEXT, tokens=tokens, timestamp=0.0)])
    for first in range(0, chunks, 1024):
        count = min(1024, chunks - first)
        kv = rng.integers(0, 256, (count, LAYOUT.kv_bytes), np.uint8)
        session.write_chunks(first, kv[:, : LAYOUT.landmark_bytes].copy(), kv)
        session.publish(first + count, b"tail")
    session.gather(np.arange(chunks))


def _rows(count: int) -> dict[str, tuple[list[float], list[float]]]:
    """Seconds to seal and to open landmarks; without encryption there is nothing to do."""
    from hsa_memory.storage.aes import Aes

    class Notes:
        def __init__(self) -> None:
            self.known: dict[int, bytes] = {}

        def salts(self) -> dict[int, bytes]:
            return self.known

        def add(self, salt: bytes) -> int:
            self.known[1] = salt
            return 1

    cipher = Aes(KEY, bytes(16))
    cipher.attach(Notes())
    cipher.begin()
    rows = np.zeros((count, LAYOUT.landmark_bytes), np.uint8)
    ids = np.arange(count)
    started = time.perf_counter()
    stored = cipher.seal_rows(rows, b"landmark", ids)
    sealed = time.perf_counter() - started
    opened = _seconds(lambda: cipher.open_rows(stored, b"landmark", ids, np.empty_like(rows)))
    return {
        f"seal {count:,} landmarks": ([0.0], [sealed]),
        f"open {count:,} landmarks": ([0.0], [opened]),
    }


def _restores(args: argparse.Namespace) -> dict[str, tuple[list[float], list[float]]]:
    """Seconds from opening to the first search result, in new processes."""
    times: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
        for name, key in (("plain", None), ("sealed", KEY)):
            path = os.path.join(folder, name)
            with hsa_memory.open(path, model=args.model, key=key) as memory:
                with memory.session("s") as session:
                    session.add("user", "My dog is called Biscuit.")
                    session.add_messages(book_messages(memory.tokenizer, args.tokens))
        for _ in range(args.runs + 1):
            for name, kept in zip(("plain", "sealed"), times, strict=True):
                command = [sys.executable, __file__, "--model", args.model]
                command += ["--restore", os.path.join(folder, name)]
                command += ["--plain"] if name == "plain" else []
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                kept.append(json.loads(done.stdout))
    # The first of each brought the files into the page cache.
    return {f"restore of {args.tokens:,} tokens": (times[0][1:], times[1][1:])}


def _restore(model: str, folder: str, key: bytes | None) -> int:
    """What a new process does."""
    import hsa_memory.memory
    from hsa_memory.engine import load_engine

    load_engine(model, "auto")
    if key is not None:
        # Imports are not counted, as in the benchmark of the restore.
        import hsa_memory.storage.aes  # noqa: F401
    started = time.perf_counter()
    with hsa_memory.open(folder, model=model, key=key, create=False) as memory:
        session = memory.session("s", create=False)
        session.search(QUESTION)
        print(json.dumps(time.perf_counter() - started))
    return 0


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
