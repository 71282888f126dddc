"""landmarks.bin: one packed row per chunk, written with its K/V, read through a map."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import CorruptMetadata
from .geometry import grown
from .header import HEADER_BYTES, decode_header, encode_header, require_fields
from .vfs import Vfs

_GROWTH_BYTES = 16 << 10
_NO_LIMIT = 1 << 62


class Landmarks:
    """The open file. It is never cut, so a map of it can never fault.

    Args:
        create: write the header of a new file; otherwise it must be there.

    Raises:
        CorruptMetadata: missing, damaged, or a header of another file.
    """

    def __init__(
        self, vfs: Vfs, path: str, fields: dict[str, Any], row_bytes: int, *, write: bool
    ) -> None:
        self._vfs = vfs
        self._row_bytes = row_bytes
        self._map: mmap.mmap | None = None
        try:
            self._fd = vfs.open(path, write=write)
        except FileNotFoundError as error:
            raise CorruptMetadata(f"{path}: the landmark file is missing") from error
        try:
            found = decode_header("landmarks", vfs.read(self._fd, HEADER_BYTES, 0), path)
            require_fields(found, fields, path)
            self._allocated = vfs.size(self._fd)
        except BaseException:
            vfs.close(self._fd)
            raise

    @property
    def capacity(self) -> int:
        """Rows that lie wholly inside the file."""
        return (self._vfs.size(self._fd) - HEADER_BYTES) // self._row_bytes

    def rows(self, count: int) -> NDArray[np.uint8]:
        """The first `count` rows, read-only, backed by the page cache.

        Raises:
            CorruptMetadata: the file is shorter than that.
        """
        if count == 0:
            return np.empty((0, self._row_bytes), np.uint8)
        needed = HEADER_BYTES + count * self._row_bytes
        if self._map is None or len(self._map) < needed:
            size = self._vfs.size(self._fd)
            if size < needed:
                raise CorruptMetadata(f"landmarks.bin has {size} bytes, {needed} are published")
            self._map = self._vfs.map(self._fd, size)
        flat = np.frombuffer(self._map, np.uint8, count * self._row_bytes, HEADER_BYTES)
        return flat.reshape(count, self._row_bytes)

    def write(self, first: int, rows: NDArray[np.uint8]) -> None:
        """Put rows [n, row_bytes] from chunk `first` on."""
        offset = HEADER_BYTES + first * self._row_bytes
        needed = offset + rows.size
        if needed > self._allocated:
            size = grown(self._allocated, needed, _NO_LIMIT, _GROWTH_BYTES)
            self._vfs.allocate(self._fd, self._allocated, size - self._allocated)
            self._allocated = size
        self._vfs.write(self._fd, memoryview(rows.reshape(-1)), offset)

    def sync(self) -> None:
        """Force written rows to the disk."""
        self._vfs.sync(self._fd, data_only=True)

    def close(self) -> None:
        """Close the file; maps that were handed out stay valid."""
        self._vfs.close(self._fd)


class JoinedLandmarks:
    """Rows that do not lie in one file as they are: encrypted ones, and those of a fork; read once
    and kept in memory."""

    def __init__(self) -> None:
        self._rows = np.empty((0, 0), np.uint8)
        self._count = 0
        # Rows below the count that were written anew since.
        self._stale: list[range] = []

    def upto(
        self, count: int, width: int, read: Callable[[int, NDArray[np.uint8]], None]
    ) -> NDArray[np.uint8]:
        """The first `count` rows, read-only: [count, width].

        Args:
            read: fills an array [n, width] with the rows from a number on.
        """
        if count > len(self._rows):
            grown = np.zeros((max(count, 2 * self._count), width), np.uint8)
            if self._count:
                grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        for span in (*self._stale, range(self._count, count)):
            if span:
                read(span.start, self._rows[span.start : span.stop])
        self._stale, self._count = [], max(self._count, count)
        rows = self._rows[:count]
        rows.flags.writeable = False
        return rows

    def forget(self, first: int, stop: int) -> None:
        """Rows first..stop-1 are to be read anew."""
        stop = min(stop, self._count)
        if first >= stop:
            return
        # What was handed out stays as it is.
        self._rows = self._rows[: self._count].copy()
        if stop == self._count:
            self._count = first
            below = [range(x.start, min(x.stop, first)) for x in self._stale]
            self._stale = [span for span in below if span]
        else:
            self._stale.append(range(first, stop))


def row_place(generation: int, what: str) -> bytes:
    """What encrypted rows of a kind are bound to, besides session and chunk."""
    return f"/{generation}/{what}/".encode()


def create_landmarks(vfs: Vfs, path: str, fields: dict[str, Any], *, first: int = 0) -> None:
    """Write and sync a landmark file without rows.

    Args:
        first: bytes of rows in front of the first to be written; no room is reserved for them.
    """
    fd = vfs.open(path, create=True)
    try:
        vfs.write(fd, encode_header("landmarks", fields), 0)
        vfs.extend(fd, HEADER_BYTES + first)
        vfs.sync(fd)
    finally:
        vfs.close(fd)
