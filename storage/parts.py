"""The files that hold a run of a generation's chunks: a session's own, or those of the session it
was forked from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checksums import digest_of
from .cipher import Cipher
from .errors import CorruptMetadata
from .geometry import RECORD
from .landmarks import Landmarks, create_landmarks
from .layouts import Description
from .records import Seal
from .segment import Records, Segment
from .vfs import Vfs

NO_END = 1 << 62


class Part:
    """Files of one folder, opened when they are first needed.

    Args:
        folder: the generation's directory.
        common: what every header in it says.
        described: of the generation.
        cipher: how blocks and landmarks are stored.
        write: whether they are the session's own, and this is its writer.

    Attributes:
        first, stop: chunks first..stop-1 are read from here.
    """

    def __init__(
        self,
        vfs: Vfs,
        folder: str,
        common: dict[str, Any],
        described: Description,
        cipher: Cipher,
        *,
        write: bool,
        first: int = 0,
        stop: int = NO_END,
    ) -> None:
        self.folder = folder
        self.cipher = cipher
        self.first = first
        self.stop = stop
        self._vfs = vfs
        self._common = common
        self._geometry = described.geometry
        self.stored_kv = described.layout.kv_bytes + cipher.overhead
        self.landmark_width = described.landmark_width
        self._write = write
        self.segments: dict[int, Segment] = {}
        # Segments whose name is on the disk, as far as this handle knows.
        self._named: set[int] = set()
        self._landmarks: Landmarks | None = None

    @property
    def landmarks_path(self) -> str:
        """Path of the landmark file."""
        return os.path.join(self.folder, "landmarks.bin")

    def segment_path(self, n: int) -> str:
        """Path of segment n."""
        return os.path.join(self.folder, f"kv-{n}.seg")

    def landmarks(self) -> Landmarks:
        """The open landmark file; raises CorruptMetadata."""
        if self._landmarks is None:
            self._landmarks = Landmarks(
                self._vfs,
                self.landmarks_path,
                self._common,
                self.landmark_width,
                write=self._write,
            )
        return self._landmarks

    def segment(self, n: int) -> Segment:
        """Segment n, open; raises CorruptMetadata."""
        if n not in self.segments:
            self.segments[n] = Segment.open(
                self._vfs,
                self.segment_path(n),
                self._segment_fields(n),
                self._geometry,
                self.stored_kv,
                write=self._write,
            )
        return self.segments[n]

    def agrees_with(self, n: int, seal: Seal, rows: NDArray[np.uint8]) -> bool:
        """Whether segment n has the landmarks of its seal, which `rows` are filled with, and a file
        that is long enough, which stays closed: its records are read when they are needed."""
        status = self._vfs.lstat(self.segment_path(n))
        unpadded = self._geometry.segment_bytes - self._geometry.stride + self.stored_kv
        if status is None or status.st_size < unpadded:
            return False
        try:
            self.landmarks().read(n * self._geometry.cap, rows)
        except CorruptMetadata:
            return False
        return digest_of(rows) == seal.landmarks_sum

    def read_table(self, n: int, out: Records) -> None:
        """Fill out [cap] with all records of segment n: zeros, which no checksum accepts, where
        there are none."""
        try:
            found = self.segment(n).read_records_into(n * self._geometry.cap, out)
        except CorruptMetadata:
            found = 0
        out[found:] = np.zeros((), RECORD)

    def descriptors(self, numbers: Sequence[int]) -> list[int | None]:
        """Of the files of segments, to be read from; None for one that cannot be opened."""
        segments = self.segments
        try:
            return [segments[n].descriptor for n in numbers]
        except KeyError:
            return [self._descriptor(n) for n in numbers]

    def _descriptor(self, n: int) -> int | None:
        try:
            return self.segment(n).descriptor
        except CorruptMetadata:
            return None

    def _segment_fields(self, n: int) -> dict[str, Any]:
        return {**self._common, "chunk0": n * self._geometry.cap}

    def segment_to_write(self, n: int, chunk: int) -> Segment:
        """Segment n, made if there is none; `chunk` is the first to be written to a new one."""
        if n in self._named:
            return self.segments[n]
        path = self.segment_path(n)
        try:
            there = self._vfs.lstat(path) is not None and self.segment(n)
        except CorruptMetadata:
            # Left by a crash before its header was whole, or refused at open.
            self._vfs.unlink(path)
            there = False
        if not there:
            fields = self._segment_fields(n)
            self.segments[n] = Segment.create(
                self._vfs, path, fields, self._geometry, self.stored_kv, first=chunk
            )
        # Also of one that is there: who made it may have been killed before that.
        self.sync_dir()
        self._named.add(n)
        return self.segments[n]

    def sync_dir(self) -> None:
        """Force the names of the files to the disk."""
        self._vfs.sync_dir(self.folder)

    def remake_landmarks(self) -> None:
        """Replace a landmark file that cannot be opened; nothing in it may be published."""
        try:
            self.landmarks()
        except CorruptMetadata:
            with suppress(FileExistsError):
                self._vfs.make_dir(self.folder)
            self._vfs.unlink(self.landmarks_path)
            create_landmarks(self._vfs, self.landmarks_path, self._common)
            self.sync_dir()
            self._vfs.sync_dir(os.path.dirname(self.folder))

    def close(self) -> None:
        """Close all files; arrays that were handed out stay valid."""
        # Out of sight before it is closed: who is interrupted here may call this again.
        while self.segments:
            self._named.clear()
            self.segments.popitem()[1].close()
        landmarks, self._landmarks = self._landmarks, None
        if landmarks is not None:
            landmarks.close()


def most_rows(parts: Sequence[Part]) -> int:
    """Chunks that all of the parts together have landmarks of, or more."""
    most = 0
    for part in parts:
        with suppress(CorruptMetadata):
            most = max(most, part.landmarks().capacity)
    return most
