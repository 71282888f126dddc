"""Derived files as raw bytes: cut into pieces for the object storage, and put together from them.

What is stored elsewhere is what lies on disk, encrypted or not; nothing here reads its meaning.
Files are put together beside the old ones and renamed: who has an old one open keeps what it had.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from .checksums import xxh3_bytes
from .errors import CorruptMetadata
from .geometry import RECORD_BYTES
from .header import HEADER_BYTES, decode_header, encode_header, require_fields
from .landmarks import create_landmarks
from .layouts import Description
from .vfs import Vfs

Content = tuple[bytes, bytes, bytes]
"""Records, landmark rows and blocks of some chunks, each as it lies in its file."""


class CacheFiles:
    """The folder of one generation.

    Args:
        folder: the generation's; it need not exist.
        fields: what every header of the generation says.
        described: the generation's layout and geometry.
        base: the session's first own chunk; there are no bytes in front of it.
    """

    def __init__(
        self, vfs: Vfs, folder: str, fields: dict[str, Any], described: Description, base: int = 0
    ) -> None:
        self._base = base
        self._vfs = vfs
        self.folder = folder
        self._fields = fields
        self._geometry = described.geometry
        self._row_bytes = described.landmark_width
        self._landmarks = os.path.join(folder, "landmarks.bin")

    def _segment(self, chunk: int) -> str:
        return os.path.join(self.folder, f"kv-{self._geometry.segment_of(chunk)}.seg")

    def _segment_fields(self, chunk: int) -> dict[str, Any]:
        first = self._geometry.segment_of(chunk) * self._geometry.cap
        return {**self._fields, "chunk0": first}

    # ---- reading

    def sums(self, first: int, stop: int) -> tuple[bytes, bytes] | None:
        """xxh3 of the records and of the landmark rows of chunks of one segment; None if the files
        do not hold them."""
        table, rows = self._table(first, stop), self._rows(first, stop)
        if table is None or rows is None or self._missing_blocks(first, stop):
            return None
        return xxh3_bytes(table), xxh3_bytes(rows)

    def read(self, first: int, stop: int) -> Content | None:
        """Records, landmark rows and blocks of chunks of one segment; None as in `sums`."""
        table, rows = self._table(first, stop), self._rows(first, stop)
        if table is None or rows is None:
            return None
        length = (stop - first) * self._geometry.stride
        blocks = self._read(self._segment(first), "kv", length, self._geometry.block_offset(first))
        if len(blocks) < length - self._geometry.stride + 1:
            return None
        # The last block's padding need not be in the file.
        return table, rows, blocks.ljust(length, b"\0")

    def _table(self, first: int, stop: int) -> bytes | None:
        length = (stop - first) * RECORD_BYTES
        offset = self._geometry.record_offset(first)
        data = self._read(self._segment(first), "kv", length, offset, self._segment_fields(first))
        return data if len(data) == length else None

    def _rows(self, first: int, stop: int) -> bytes | None:
        length = (stop - first) * self._row_bytes
        offset = HEADER_BYTES + first * self._row_bytes
        data = self._read(self._landmarks, "landmarks", length, offset, self._fields)
        return data if len(data) == length else None

    def _missing_blocks(self, first: int, stop: int) -> bool:
        status = self._vfs.lstat(self._segment(first))
        needed = self._geometry.block_offset(stop - 1) + 1
        return status is None or status.st_size < needed

    def _read(
        self, path: str, kind: str, length: int, offset: int, fields: dict[str, Any] | None = None
    ) -> bytes:
        """A range of a file; nothing if it is missing, or its header says something else."""
        try:
            fd = self._vfs.open(path)
        except FileNotFoundError:
            return b""
        try:
            if fields is not None:
                found = decode_header(kind, self._vfs.read(fd, HEADER_BYTES, 0), path)
                require_fields(found, fields, path)
            return self._vfs.read(fd, length, offset)
        except CorruptMetadata:
            return b""
        finally:
            self._vfs.close(fd)

    def read_file(self, name: str) -> bytes:
        """A whole small file of the folder; nothing if it is missing."""
        path = os.path.join(self.folder, name)
        status = self._vfs.lstat(path)
        return b"" if status is None else self._read(path, "", status.st_size, 0)

    # ---- writing

    def prepare(self) -> None:
        """Make the folder and a landmark file without rows, where they are missing."""
        made = []
        folder = self.folder
        while self._vfs.lstat(folder) is None:
            made.append(folder)
            folder = os.path.dirname(folder)
        for folder in reversed(made):
            self._vfs.ensure_dir(folder)
        if self._vfs.lstat(self._landmarks) is None:
            first = self._base * self._row_bytes
            create_landmarks(self._vfs, self._landmarks, self._fields, first=first)

    def replace_segment(self, first: int, parts: Iterable[tuple[int, Content]]) -> None:
        """Put a segment's file together anew.

        Args:
            first: one of its chunks.
            parts: first chunk and content of each part.
        """
        path = self._segment(first)
        with _Staged(self._vfs, path) as fd:
            self._vfs.write(fd, encode_header("kv", self._segment_fields(first)), 0)
            self._vfs.extend(fd, self._geometry.base)
            for chunk, (table, _, blocks) in parts:
                self._vfs.write(fd, table, self._geometry.record_offset(chunk))
                self._vfs.write(fd, blocks, self._geometry.block_offset(chunk))

    def replace_landmarks(self, kept: int, parts: Iterable[tuple[int, bytes]]) -> None:
        """Put the landmark file together anew: the first `kept` rows as they are, then parts."""
        with _Staged(self._vfs, self._landmarks) as fd:
            self._vfs.write(fd, encode_header("landmarks", self._fields), 0)
            self._vfs.extend(fd, HEADER_BYTES + self._base * self._row_bytes)
            for chunk in range(self._base, kept, self._geometry.cap):
                rows = self._rows(chunk, min(chunk + self._geometry.cap, kept))
                if rows is not None:
                    self._vfs.write(fd, rows, HEADER_BYTES + chunk * self._row_bytes)
            for chunk, rows in parts:
                self._vfs.write(fd, rows, HEADER_BYTES + chunk * self._row_bytes)

    def replace_file(self, name: str, data: bytes) -> None:
        """Put a whole small file into the folder."""
        with _Staged(self._vfs, os.path.join(self.folder, name)) as fd:
            self._vfs.write(fd, data, 0)

    # ---- objects

    def pack(self, first: int, stop: int) -> bytes | None:
        """The object of chunks of one segment; None if the files do not hold them."""
        content = self.read(first, stop)
        if content is None:
            return None
        fields = {**self._fields, "first": first, "stop": stop}
        return b"".join((encode_header("chunks", fields), *content))

    def unpack(self, data: bytes, first: int, stop: int, where: str) -> Content:
        """The content of an object.

        Raises:
            CorruptMetadata: it is not that of these chunks.
        """
        expected = {**self._fields, "first": first, "stop": stop}
        require_fields(decode_header("chunks", data[:HEADER_BYTES], where), expected, where)
        count = stop - first
        widths = (RECORD_BYTES, self._row_bytes, self._geometry.stride)
        if len(data) != HEADER_BYTES + count * sum(widths):
            raise CorruptMetadata(f"{where}: {len(data)} bytes for {count} chunks")
        table = HEADER_BYTES + count * RECORD_BYTES
        rows = table + count * self._row_bytes
        return data[HEADER_BYTES:table], data[table:rows], data[rows:]


class _Staged:
    """A new file that takes its name at the end of the block, if that is reached."""

    def __init__(self, vfs: Vfs, path: str) -> None:
        self._vfs = vfs
        self._path = path
        self._fd = -1

    def __enter__(self) -> int:
        self._vfs.unlink(self._path + ".new")
        self._fd = self._vfs.open(self._path + ".new", create=True)
        return self._fd

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._vfs.close(self._fd)
        if error is None:
            self._vfs.rename(self._path + ".new", self._path)
        else:
            self._vfs.unlink(self._path + ".new")
