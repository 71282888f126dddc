"""One segment file: header page, table of records, blocks of K/V."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import CorruptMetadata
from .files import OwnedFile
from .geometry import RECORD, RECORD_BYTES, Geometry, grown
from .header import HEADER_BYTES, decode_header, encode_header, require_fields
from .vfs import Vfs

Records = NDArray[np.void]
_GROWTH_BYTES = 64 << 10


class Segment:
    """An open segment; bytes above the session's watermark are garbage by definition.

    Use `create` or `open`.
    """

    def __init__(
        self, vfs: Vfs, file: OwnedFile, path: str, geometry: Geometry, kv_bytes: int
    ) -> None:
        self._vfs = vfs
        self._file = file
        self.descriptor = file.fd
        self.path = path
        self._geometry = geometry
        self._kv_bytes = kv_bytes
        self._allocated = vfs.size(file.fd)
        self._padding = memoryview(bytearray(geometry.stride - kv_bytes))

    @classmethod
    def create(
        cls,
        vfs: Vfs,
        path: str,
        fields: dict[str, Any],
        geometry: Geometry,
        kv_bytes: int,
        *,
        first: int,
    ) -> Segment:
        """A new file with its header, on the disk by name; the caller syncs the directory.

        Args:
            first: the chunk to be written first; no room is reserved in front of it.
        """
        file = OwnedFile(vfs.open(path, create=True))
        try:
            vfs.write(file.fd, encode_header("kv", fields), 0)
            # The table stays a hole until its records are written: small sessions stay small.
            vfs.extend(file.fd, geometry.block_offset(first))
            vfs.sync(file.fd)
            return cls(vfs, file, path, geometry, kv_bytes)
        except BaseException:
            file.close()
            vfs.unlink(path)
            raise

    @classmethod
    def open(
        cls,
        vfs: Vfs,
        path: str,
        fields: dict[str, Any],
        geometry: Geometry,
        kv_bytes: int,
        *,
        write: bool,
    ) -> Segment:
        """An existing file whose header must say what `fields` say.

        Raises:
            CorruptMetadata: missing, damaged, or a header of another file.
        """
        try:
            file = OwnedFile(vfs.open(path, write=write))
        except FileNotFoundError as error:
            raise CorruptMetadata(f"{path}: the segment is missing") from error
        try:
            found = decode_header("kv", vfs.read(file.fd, HEADER_BYTES, 0), path)
            require_fields(found, fields, path)
            return cls(vfs, file, path, geometry, kv_bytes)
        except BaseException:
            file.close()
            raise

    def read_records(self, first: int, stop: int) -> Records:
        """Records of chunks first..stop-1; a short file gives fewer."""
        records = np.empty(stop - first, RECORD)
        return records[: self.read_records_into(first, records)]

    def read_records_into(self, first: int, out: Records) -> int:
        """Fill out [n] with the records of chunks first, first+1, ...; how many there are."""
        view, offset = memoryview(out.view(np.uint8)), self._geometry.record_offset(first)
        return self._vfs.read_into(self.descriptor, [view], offset) // RECORD_BYTES

    def write_records(self, first: int, records: Records) -> None:
        """Put records of chunks first, first+1, ..."""
        self._vfs.write(self.descriptor, records.tobytes(), self._geometry.record_offset(first))

    def read_blocks(self, first: int, out: NDArray[np.uint8]) -> bool:
        """Fill out [n, kv_bytes] with the blocks from chunk `first` on; False if too short."""
        offset = self._geometry.block_offset(first)
        if not len(self._padding):
            view = memoryview(out.reshape(-1))
            return self._vfs.read_into(self.descriptor, [view], offset) == len(view)
        buffers: list[memoryview] = []
        for row in out:
            buffers += [memoryview(row), self._padding]
        buffers.pop()
        expected = (len(out) - 1) * self._geometry.stride + self._kv_bytes
        return self._vfs.read_into(self.descriptor, buffers, offset) == expected

    def write_blocks(self, first: int, kv: NDArray[np.uint8]) -> None:
        """Put blocks of chunks first, first+1, ...; kv is [n, kv_bytes]."""
        offset = self._geometry.block_offset(first)
        self._reserve(offset + len(kv) * self._geometry.stride)
        if len(self._padding):
            padded = np.zeros((len(kv), self._geometry.stride), np.uint8)
            padded[:, : self._kv_bytes] = kv
            kv = padded
        self._vfs.write(self.descriptor, memoryview(kv.reshape(-1)), offset)

    def whole_blocks(self, first: int, stop: int) -> int:
        """How far the blocks of chunks first..stop-1 lie inside the file, as a chunk index."""
        room = self._vfs.size(self.descriptor) - self._geometry.block_offset(first) - self._kv_bytes
        return min(stop, first + max(0, room // self._geometry.stride + 1))

    def _reserve(self, needed: int) -> None:
        if needed <= self._allocated:
            return
        size = grown(self._allocated, needed, self._geometry.segment_bytes, _GROWTH_BYTES)
        self._vfs.allocate(self.descriptor, self._allocated, size - self._allocated)
        self._allocated = size

    def sync(self) -> None:
        """Force written blocks and records to the disk."""
        self._vfs.sync(self.descriptor, data_only=True)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()


def runs(ids: Sequence[int], cap: int) -> list[tuple[int, int, int]]:
    """Split chunk ids into (place in ids, first id, length) runs within one segment."""
    found: list[tuple[int, int, int]] = []
    start = 0
    for i in range(1, len(ids) + 1):
        if i == len(ids) or ids[i] != ids[i - 1] + 1 or ids[i] % cap == 0:
            found.append((start, ids[start], i - start))
            start = i
    return found
