"""Gathering 32 random chunks from a session against plain `preadv` of the same bytes.

Target: at most 1.5 times, warm and cold. Both read into memory that is there, in one thread, from
the same files; the gather also looks up the chunks' records and verifies a checksum over every
block. Both take turns, each with chunks of its own. Warm: the files lie in the page cache. Cold:
before each reading the kernel is asked to drop them (`posix_fadvise`), and its own count of bytes
read from the disk says whether it did. "Announced" is preadv after the kernel was told of all the
places, which is how a gather reads too.

Last, the parts of a warm gather, with nothing between the calls: the whole of it, its reads (as
plain `preadv`), its checksums, and what is left: Python.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _machine import finish, parser
from _store import drop_from_page_cache, fill, folder_with_room, load_layout
from numpy.typing import NDArray

from hsa_memory.storage import Layout, SessionStore, Store
from hsa_memory.storage.checksums import bound_sums
from hsa_memory.storage.geometry import Geometry, geometry_of

Ids = NDArray[np.int64]


class Plain:
    """The blocks of a session's segments, read with nothing around the system calls.

    Args:
        folder: of the generation.
        layout: its layout.
    """

    def __init__(self, folder: Path, layout: Layout, num_chunks: int, wanted: int) -> None:
        self._geometry: Geometry = geometry_of(layout)
        self._kv_bytes = layout.kv_bytes
        count = -(-num_chunks // self._geometry.cap)
        self._fds = [os.open(folder / f"kv-{n}.seg", os.O_RDONLY) for n in range(count)]
        self.out = np.empty((wanted, layout.kv_bytes), np.uint8)
        self._views = [memoryview(row) for row in self.out]

    def prepare(self, ids: Ids) -> list[tuple[int, list[memoryview], int]]:
        """Arguments of the calls; not part of the time."""
        geometry = self._geometry
        return [
            (self._fds[geometry.segment_of(i)], [view], geometry.block_offset(i))
            for i, view in zip(ids.tolist(), self._views, strict=True)
        ]

    def read(self, calls: list[tuple[int, list[memoryview], int]]) -> None:
        """Read one block after the other."""
        for fd, buffers, offset in calls:
            os.preadv(fd, buffers, offset)

    def read_announced(self, calls: list[tuple[int, list[memoryview], int]]) -> None:
        """Tell the kernel of all blocks, then read them."""
        for fd, _, offset in calls:
            os.posix_fadvise(fd, offset, self._kv_bytes, os.POSIX_FADV_WILLNEED)
        self.read(calls)

    def close(self) -> None:
        """Close the files."""
        for fd in self._fds:
            os.close(fd)


def main() -> int:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--chunks", type=int, default=65_536, help="chunks in the session")
    options.add_argument("--wanted", type=int, default=32, help="chunks of each gather")
    options.add_argument("--rounds", type=int, default=1_000, help="gathers, warm")
    options.add_argument("--cold-rounds", type=int, default=60)
    options.add_argument("--kv-bytes", type=int, help="bytes of a block; default the model's")
    args = options.parse_args()
    if args.quick:
        args.chunks, args.wanted, args.rounds, args.cold_rounds = 64, 8, 5, 2
    engine, layout = load_layout(args.model)
    if args.kv_bytes:
        layout = replace(layout, kv_bytes=args.kv_bytes)
    needed = args.chunks * (layout.kv_bytes + layout.landmark_bytes + 512)
    with folder_with_room(needed) as folder, Store.open(folder / "store") as store:
        with store.session("s", layout=layout) as session:
            fill(session, engine, args.chunks)
            figures, parts = _measure(args, session, layout)
    rows = [
        (f"{state}, {what}", f"{1e6 * values[what]:.0f} us")
        for state, values in figures.items()
        for what in ("gather", "preadv", "preadv announced")
    ]
    rows += [
        (f"{state}, gather over preadv", f"{values['ratio']:.2f}")
        for state, values in figures.items()
    ]
    rows += [(f"parts, {what}", f"{1e6 * seconds:.0f} us") for what, seconds in parts.items()]
    title = f"{args.wanted} of {args.chunks:,} chunks of {layout.kv_bytes:,} bytes, medians"
    sizes = {"chunks": args.chunks, "wanted": args.wanted, "kv_bytes": layout.kv_bytes}
    finish(title, rows, {**sizes, **figures, "parts": parts}, args)
    return 0


def _measure(
    args: Any, session: SessionStore, layout: Layout
) -> tuple[dict[str, dict[str, Any]], dict[str, float]]:
    generation = next(Path(session.folder).glob("g*"))
    plain = Plain(generation, layout, args.chunks, args.wanted)
    out = np.empty_like(plain.out)
    rng = np.random.default_rng(1)

    def gather(ids: Ids) -> Callable[[], object]:
        return lambda: session.gather(ids, out)

    def preadv(ids: Ids) -> Callable[[], object]:
        calls = plain.prepare(ids)
        return lambda: plain.read(calls)

    def announced(ids: Ids) -> Callable[[], object]:
        calls = plain.prepare(ids)
        return lambda: plain.read_announced(calls)

    ways = {"gather": gather, "preadv": preadv, "preadv announced": announced}
    ids = rng.choice(args.chunks, args.wanted, replace=False)
    session.gather(ids, out)
    plain.read(plain.prepare(ids))
    if not np.array_equal(out, plain.out):
        raise SystemExit("the gather and preadv read different bytes")
    session.gather(np.arange(args.chunks))  # all in the page cache, all records looked at
    figures = {}
    for state, rounds in (("warm", args.rounds), ("cold", args.cold_rounds)):
        if state == "cold" and not hasattr(os, "posix_fadvise"):
            continue
        times: dict[str, list[float]] = {name: [] for name in ways}
        from_disk: dict[str, list[int]] = {name: [] for name in ways}
        # Before the clock starts: to draw them sweeps the processor's caches.
        draws = [rng.choice(args.chunks, args.wanted, replace=False) for _ in range(3 * rounds)]
        for turn in range(rounds):
            for name, ids in zip(ways, draws[3 * turn :], strict=False):
                run = ways[name](ids)
                if state == "cold":
                    drop_from_page_cache(generation)
                before, started = _bytes_from_disk(), time.perf_counter()
                run()
                times[name].append(time.perf_counter() - started)
                from_disk[name].append(_bytes_from_disk() - before)
        middle = {name: statistics.median(values) for name, values in times.items()}
        figures[state] = {
            **middle,
            "ratio": middle["gather"] / middle["preadv"],
            "bytes_from_disk": {name: statistics.median(v) for name, v in from_disk.items()},
            "rounds": rounds,
        }
    draws = [rng.choice(args.chunks, args.wanted, replace=False) for _ in range(args.rounds)]
    session.gather(np.arange(args.chunks))
    parts = _parts(session, plain, draws)
    plain.close()
    return figures, parts


def _parts(session: SessionStore, plain: Plain, draws: list[Ids]) -> dict[str, float]:
    """Median seconds of a warm gather and its parts, each called again and again."""
    chains = np.arange(len(draws[0]), dtype=np.uint64)
    calls = [plain.prepare(ids) for ids in draws]
    parts = {
        "gather": _median(lambda ids: session.gather(ids, plain.out), draws),
        "reads": _median(plain.read, calls),
        "checksums": _median(lambda ids: bound_sums(1, ids, chains, plain.out), draws),
    }
    return {**parts, "Python": 2 * parts["gather"] - sum(parts.values())}


def _median(run: Callable[[Any], object], inputs: list[Any]) -> float:
    times = []
    for value in inputs:
        started = time.perf_counter()
        run(value)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _bytes_from_disk() -> int:
    """What this process has had read from disks so far, as Linux counts it; else 0."""
    counts = Path("/proc/self/io")
    if not counts.exists():
        return 0
    lines = dict(line.split(": ") for line in counts.read_text(encoding="ascii").splitlines())
    return int(lines["read_bytes"])


if __name__ == "__main__":
    sys.exit(main())
