"""What the benchmarks of the store have in common: sessions filled without a model, and figures.

The derived bytes are random, for the store does not look into them; they are written, published and
checksummed as a model's would be. Tokens and text are the demo's book, over and over.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from _machine import book_messages, milliseconds, percentile
from numpy.typing import NDArray

from hsa_memory.engine import Engine, load_engine
from hsa_memory.precision import DEFAULT, PRECISIONS
from hsa_memory.storage import Layout, SessionStore, Turn

_BATCH_CHUNKS = 4096
_BATCH_TURNS = 256
_BOOK_TOKENS = 131_072
_TAIL_BYTES = 65_536
# Nothing but the processor: what a program on the other cores costs the store's own work.
_SPIN = "while True: sum(range(10_000))"


def turns_of(engine: Engine, turn_tokens: int) -> Iterator[Turn]:
    """Turns of `turn_tokens` tokens each, without end: the book, cut anew."""
    tokenizer = engine.tokenizer
    messages = book_messages(tokenizer, min(_BOOK_TOKENS, 64 * turn_tokens))
    ids = [i for message in messages for i in tokenizer.encode(message["content"])]
    ids = ids[: max(turn_tokens, len(ids) // turn_tokens * turn_tokens)]
    parts = [ids[i : i + turn_tokens] for i in range(0, len(ids), turn_tokens)]
    ready = [(tokenizer.decode(part), np.array(part, np.uint32)) for part in parts]
    for number, (text, tokens) in enumerate(itertools.cycle(ready)):
        role = ("user", "assistant")[number % 2]
        yield Turn(turn_id=f"t{number}", role=role, text=text, tokens=tokens, timestamp=time.time())


def fill(session: SessionStore, engine: Engine, num_chunks: int, *, turn_tokens: int = 512) -> None:
    """Append turns that fill `num_chunks` chunks, write the chunks and publish them.

    Args:
        session: a new one, of the engine's layout.
        engine: gives layout and tokens; its model does not run.
        num_chunks: chunks to publish.
        turn_tokens: tokens of each turn.
    """
    layout, size = session.layout, session.layout.chunk_size
    turns = turns_of(engine, turn_tokens)
    rng = np.random.default_rng(0)
    needed = -(-(num_chunks * size + layout.lookahead) // turn_tokens)
    for first in range(0, needed, _BATCH_TURNS):
        session.append(list(itertools.islice(turns, min(_BATCH_TURNS, needed - first))))
    for first in range(0, num_chunks, _BATCH_CHUNKS):
        count = min(_BATCH_CHUNKS, num_chunks - first)
        landmarks = _random_rows(rng, count, layout.landmark_bytes)
        session.write_chunks(first, landmarks, _random_rows(rng, count, layout.kv_bytes))
        session.publish(first + count, bytes(_TAIL_BYTES))


def _random_rows(rng: np.random.Generator, count: int, width: int) -> NDArray[np.uint8]:
    return np.frombuffer(rng.bytes(count * width), np.uint8).reshape(count, width)


def load_layout(model: str) -> tuple[Engine, Layout]:
    """The engine of a bundled name or a checkpoint folder, and the layout of a session that keeps
    K/V in the default format."""
    engine = load_engine(model, "auto")
    return engine, engine.layout(PRECISIONS[DEFAULT])


@contextmanager
def folder_with_room(num_bytes: int) -> Iterator[Path]:
    """A temporary folder on a disk that has that many bytes and a tenth to spare; then removed.

    Raises:
        SystemExit: there is no such room; set TMPDIR to another disk.
    """
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as name:
        status = os.statvfs(name)
        free = status.f_bavail * status.f_frsize
        if free < num_bytes * 1.1:
            raise SystemExit(
                f"{num_bytes / 1e9:.1f} GB are needed in {Path(name).parent}, {free / 1e9:.1f} GB "
                "are free; set TMPDIR to a folder on another disk"
            )
        yield Path(name)


@contextmanager
def busy_cores() -> Iterator[int]:
    """Keep every core busy with a process of its own; gives their number."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    spinning = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(cores or 1)]
    try:
        yield len(spinning)
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def drop_from_page_cache(folder: Path) -> None:
    """Write every file below a folder to the disk and ask the kernel to forget its pages."""
    for path in folder.rglob("*"):
        # Closing a descriptor of SQLite's files would drop the locks this process has on them.
        if path.is_file() and not path.name.startswith(("session.db", "catalog.db")):
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bytes_on_disk(folder: Path) -> int:
    """Allocated bytes of a folder and everything below it, folders included."""
    return sum(path.lstat().st_blocks * 512 for path in [folder, *folder.rglob("*")])


def summary(times: Sequence[float]) -> dict[str, float]:
    """Median, p99 and the longest of some seconds, and how many there were."""
    return {
        "count": len(times),
        "p50": statistics.median(times),
        "p99": percentile(times, 99),
        "max": max(times),
    }


def said(times: dict[str, float]) -> str:
    """A summary as text."""
    return ", ".join(f"{name} {milliseconds(times[name])}" for name in ("p50", "p99", "max"))
