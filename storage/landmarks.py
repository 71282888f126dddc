"""landmarks.bin: one packed row per chunk, written with its K/V."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import CorruptMetadata
from .files import OwnedFile
from .geometry import grown
from .header import HEADER_BYTES, decode_header, encode_header, require_fields
from .room import filled_at_once
from .side_by_side import PIECE_BYTES, side_by_side
from .vfs import Vfs

_GROWTH_BYTES = 16 << 10
_NO_LIMIT = 1 << 62


class Landmarks:
    """The open file. Rows are read and not mapped: a file that somebody cuts while it is mapped
    kills the process that touches it.

    Args:
        write: open it for writing; its header must be there.

    Raises:
        CorruptMetadata: missing, damaged, or a header of another file.
    """

    def __init__(
        self, vfs: Vfs, path: str, fields: dict[str, Any], row_bytes: int, *, write: bool
    ) -> None:
        self._vfs = vfs
        self._row_bytes = row_bytes
        try:
            self._file = OwnedFile(vfs.open(path, write=write))
        except FileNotFoundError as error:
            raise CorruptMetadata(f"{path}: the landmark file is missing") from error
        self._fd = self._file.fd
        try:
            found = decode_header("landmarks", vfs.read(self._fd, HEADER_BYTES, 0), path)
            require_fields(found, fields, path)
            self._allocated = vfs.size(self._fd)
        except BaseException:
            self.close()
            raise

    @property
    def capacity(self) -> int:
        """Rows that lie wholly inside the file."""
        return (self._vfs.size(self._fd) - HEADER_BYTES) // self._row_bytes

    def rows(self, first: int, stop: int) -> NDArray[np.uint8]:
        """Rows first..stop-1 as they are in the file now, as an array of the caller's own.

        What the file no longer holds is zeros, which no checksum accepts.
        """
        out = filled_at_once(stop - first, self._row_bytes)
        per_piece = max(1, PIECE_BYTES // self._row_bytes)

        def read(piece: int) -> None:
            start = piece * per_piece
            self.read(first + start, out[start : start + per_piece])

        side_by_side(read, -(-len(out) // per_piece))
        return out

    def read(self, first: int, out: NDArray[np.uint8]) -> None:
        """Fill out [n, row_bytes] with rows first, first+1, ..., in one thread; see `rows`."""
        flat = out.reshape(-1)
        offset = HEADER_BYTES + first * self._row_bytes
        done = self._vfs.read_into(self._fd, [memoryview(flat)], offset)
        flat[done:] = 0

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
        """Close the file; a second call does nothing."""
        self._file.close()


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
