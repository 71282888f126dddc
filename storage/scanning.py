"""Looking for bytes in files: the proof that what was forgotten is in none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from .checking import files_below
from .errors import StoreError
from .vfs import Vfs

_WINDOW = 8 << 20
# Shorter bytes are found by chance, or in other messages.
MIN_NEEDLE_BYTES = 16
_MAX_NEEDLES = 64
_COPY = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)"


class Trace(NamedTuple):
    """Bytes of something forgotten that a file holds."""

    path: str
    kind: str
    """"text", "tokens", "attachment", "landmark" or "kv"."""
    offset: int


class Scan(NamedTuple):
    """What a search through files came to."""

    files: int
    bytes: int
    traces: list[Trace]


def spread(values: Sequence[bytes]) -> list[bytes]:
    """Values that are long enough to be told from chance, at most 64, evenly spread."""
    long = [value for value in values if len(value) >= MIN_NEEDLE_BYTES]
    step = -(-len(long) // _MAX_NEEDLES) or 1
    return long[::step]


def scan(vfs: Vfs, folders: Iterable[str], needles: Mapping[str, Sequence[bytes]]) -> Scan:
    """Search all files of some folders; those that are removed meanwhile are passed over.

    Args:
        needles: bytes to look for by kind.
    """
    longest = max((len(x) for kind in needles.values() for x in kind), default=0)
    num_files = num_bytes = 0
    traces: list[Trace] = []
    for path in (path for folder in folders for path in files_below(vfs, folder)):
        size = 0
        before = b""
        for window in _windows(vfs, path):
            data = before + window
            start = size - len(before)
            for kind, wanted in needles.items():
                places = (data.find(needle) for needle in wanted)
                traces += [Trace(path, kind, start + place) for place in places if place >= 0]
            size += len(window)
            before = data[len(data) - longest + 1 :] if longest > 1 else b""
        num_files += 1
        num_bytes += size
    return Scan(num_files, num_bytes, traces)


def may_hold(path: str, needles: Sequence[bytes]) -> bool:
    """Whether a database's file, if it is one, holds any of some bytes; taken for granted if they
    are too many to look for."""
    if not os.path.isfile(path):
        return False
    if len(needles) > _MAX_NEEDLES:
        return True
    data = _of_database(path)
    return any(needle in data for needle in needles)


def _of_database(path: str) -> bytes:
    # By another process: closing a database's file here, or the memory that its readers share,
    # would drop the locks SQLite has on it. Nothing if it was removed meanwhile.
    command = [sys.executable, "-I", "-S", "-c", _COPY, path]
    copy = subprocess.run(command, check=False, capture_output=True)
    if copy.returncode and os.path.lexists(path):
        said = copy.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise StoreError(f"cannot read {path}: {said or f'the reader left with {copy.returncode}'}")
    return copy.stdout


def _windows(vfs: Vfs, path: str) -> Iterator[bytes]:
    if path.endswith((".db", "-shm")):
        yield _of_database(path)
        return
    try:
        fd = vfs.open(path)
    except FileNotFoundError:
        # Of a session that another process makes or throws away.
        return
    try:
        for offset in range(0, vfs.size(fd), _WINDOW):
            yield vfs.read(fd, _WINDOW, offset)
    finally:
        vfs.close(fd)
