"""Derived files of one session under one model: K/V segments, landmarks, tail.

Everything here is a function of the tokens. Bytes below the session's watermark are
published; what lies above is garbage that nobody reads.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checksums import bound_sums, xxh3_bytes
from .cipher import Cipher
from .errors import CorruptChunk, CorruptMetadata
from .findings import Problem
from .geometry import RECORD
from .landmarks import Landmarks, OpenedLandmarks, create_landmarks
from .layouts import Description
from .records import Records, RecordTable, Seal, TokensOf
from .segment import Segment, runs
from .tail import Tails
from .vfs import Vfs

_SCAN = 64


class Generation:
    """The open files of one generation.

    Args:
        folder: the generation's directory.
        common: what every header of the generation says.
        chain_seed: chain hash before chunk 0.
        tokens_of: verified tokens of turns, from the truth.
        cipher: how blocks, landmarks and tail are stored.
    """

    def __init__(
        self,
        vfs: Vfs,
        folder: str,
        common: dict[str, Any],
        described: Description,
        *,
        chain_seed: int,
        tokens_of: TokensOf,
        cipher: Cipher,
        write: bool,
    ) -> None:
        self._vfs = vfs
        self.folder = folder
        self._common = common
        self.number = int(common["gen"])
        self._layout = described.layout
        self._geometry = described.geometry
        self._cipher = cipher
        self._stored_kv = self._layout.kv_bytes + cipher.overhead
        self._landmark_width = self._layout.landmark_bytes + cipher.overhead
        self._write = write
        self._segments: dict[int, Segment] = {}
        self._dirty: set[int] = set()
        self._landmarks: Landmarks | None = None
        self.tails = Tails(vfs, folder, common, cipher)
        size = self._layout.chunk_size
        self.records = RecordTable(self.number, size, chain_seed, tokens_of, cipher)
        # Chunks whose records are in memory; those above the watermark are not visible yet.
        self.count = 0
        # Chunks that are being encoded anew, ascending: their bytes are nobody's.
        self.holes: list[range] = []
        self._opened = OpenedLandmarks()

    # ---- opening

    def advance(self, published: int, seals: dict[int, Seal]) -> list[Problem]:
        """Take in chunks count..published-1; stops before the first that cannot be used."""
        try:
            good = min(published, self._open_landmarks().capacity)
            problem = Problem(self.landmarks_path, "short-file", f"rows for {good} chunks only")
        except CorruptMetadata as error:
            good, problem = 0, Problem(self.landmarks_path, "bad-header", str(error))
        problems = [problem] if good < published else []
        first = self.count
        while first < good:
            stop = min(good, (first // self._geometry.cap + 1) * self._geometry.cap)
            reached, found = self._advance_segment(first, stop, seals)
            self.count = reached
            problems += found
            if reached < stop:
                break
            first = stop
        return problems

    def _advance_segment(
        self, first: int, stop: int, seals: dict[int, Seal]
    ) -> tuple[int, list[Problem]]:
        n = self._geometry.segment_of(first)
        path = self.segment_path(n)
        try:
            segment = self._open_segment(n)
        except CorruptMetadata as error:
            return first, [Problem(path, "bad-segment", str(error))]
        records = segment.read_records(first, stop)
        usable = min(first + len(records), segment.whole_blocks(first, stop))
        problems = []
        if usable < stop:
            problems.append(Problem(path, "short-file", f"bytes for chunks below {usable} only"))
        self.records.keep(first, records[: usable - first])
        seal = seals.get(n)
        full = first == n * self._geometry.cap and usable == first + self._geometry.cap
        if seal is not None and full and self._seal(n) == seal:
            self.records.keep(first, records, good=True)
        else:
            bad = self._first_bad(first, usable, with_records=seal is not None)
            if bad < usable:
                problems.append(self._name_bad(path, bad))
                usable = bad
        return usable, problems

    def _name_bad(self, path: str, chunk: int) -> Problem:
        """Which of its two files a chunk's landmark or record is damaged in."""
        record = self.records.rows["record_sum"][chunk]
        if self.records.sums(chunk, chunk + 1)[0] != record:
            return Problem(path, "corrupt-record", f"chunk {chunk}")
        return Problem(self.landmarks_path, "corrupt-landmark", f"chunk {chunk}")

    def _first_bad(self, first: int, stop: int, *, with_records: bool) -> int:
        """First chunk of first..stop-1 whose landmark (or record) fails its checksum."""
        records = self.records.rows[first:stop]
        good = self.landmark_sums(first, stop) == records["landmark_sum"]
        if with_records:
            good &= self.records.sums(first, stop) == records["record_sum"]
        good |= self.in_holes(np.arange(first, stop))
        return stop if good.all() else first + int(np.argmin(good))

    def in_holes(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the chunks are being encoded anew."""
        inside = np.zeros(len(ids), bool)
        for hole in self.holes:
            inside |= (ids >= hole.start) & (ids < hole.stop)
        return inside

    def _open_landmarks(self) -> Landmarks:
        if self._landmarks is None:
            self._landmarks = Landmarks(
                self._vfs,
                self.landmarks_path,
                self._common,
                self._landmark_width,
                write=self._write,
            )
        return self._landmarks

    def _open_segment(self, n: int) -> Segment:
        if n not in self._segments:
            self._segments[n] = Segment.open(
                self._vfs,
                self.segment_path(n),
                self.segment_fields(n),
                self._geometry,
                self._stored_kv,
                write=self._write,
            )
        return self._segments[n]

    def segment_fields(self, n: int) -> dict[str, Any]:
        """What the header of segment n says."""
        return {**self._common, "chunk0": n * self._geometry.cap}

    def segment_path(self, n: int) -> str:
        """Path of segment n."""
        return os.path.join(self.folder, f"kv-{n}.seg")

    @property
    def landmarks_path(self) -> str:
        """Path of the landmark file."""
        return os.path.join(self.folder, "landmarks.bin")

    # ---- checksums

    def landmark_sums(self, first: int, stop: int) -> NDArray[np.uint64]:
        """Checksums that the stored landmark rows have now."""
        ids = np.arange(first, stop)
        rows = self._open_landmarks().rows(stop)[first:stop]
        return bound_sums(self.number, ids, self.records.rows["chain"][first:stop], rows)

    def _seal(self, n: int) -> Seal:
        first = n * self._geometry.cap
        stop = first + self._geometry.cap
        rows = self._open_landmarks().rows(stop)[first:stop]
        return Seal(
            xxh3_bytes(self.records.rows[first:stop].tobytes()),
            xxh3_bytes(memoryview(rows.reshape(-1))),
        )

    # ---- writing

    def write(
        self,
        first: int,
        landmarks: NDArray[np.uint8],
        kv: NDArray[np.uint8],
        tokens: NDArray[np.uint32],
        last_seqs: NDArray[np.int64],
    ) -> None:
        """Write chunks first, first+1, ... with their records; nobody sees them yet.

        Args:
            landmarks: [n, landmark_bytes].
            kv: [n, kv_bytes].
            tokens: [n * chunk_size], the chunks' own tokens from the truth.
            last_seqs: [n], the turn that holds each chunk's last token.
        """
        ids = np.arange(first, first + len(kv))
        landmarks = self._cipher.seal_rows(landmarks, b"landmark", ids)
        kv = self._cipher.seal_rows(kv, b"kv", ids)
        records = self.records.make(first, landmarks, kv, tokens, last_seqs)
        self._put(first, landmarks, kv, records)
        self._opened.forget(first)
        self.count = max(self.count, first + len(kv))

    def _put(
        self, first: int, landmarks: NDArray[np.uint8], kv: NDArray[np.uint8], records: Records
    ) -> None:
        for start, chunk, length in runs(range(first, first + len(kv)), self._geometry.cap):
            n = self._geometry.segment_of(chunk)
            segment = self._segments.get(n) or self._new_segment(n)
            part = slice(start, start + length)
            segment.write_blocks(chunk, kv[part])
            segment.write_records(chunk, records[part])
            self._dirty.add(n)
        self._open_landmarks().write(first, landmarks)
        self.records.keep(first, records, good=True)

    def wipe(self, first: int, stop: int) -> None:
        """Overwrite chunks first..stop-1 with zeros and force that to the disk."""
        blank = np.zeros((_SCAN, max(self._stored_kv, self._landmark_width)), np.uint8)
        for chunk in range(first, stop, _SCAN):
            n = min(_SCAN, stop - chunk)
            landmarks, kv = blank[:n, : self._landmark_width], blank[:n, : self._stored_kv]
            nothing = np.zeros(n, RECORD)
            self._put(chunk, np.ascontiguousarray(landmarks), np.ascontiguousarray(kv), nothing)
        self._opened.forget(first)
        self.sync()

    def _new_segment(self, n: int) -> Segment:
        path = self.segment_path(n)
        if self._vfs.lstat(path) is not None:
            try:
                return self._open_segment(n)
            except CorruptMetadata:
                # Left by a crash before its header was whole, or refused at open.
                self._vfs.unlink(path)
        fields = self.segment_fields(n)
        segment = Segment.create(self._vfs, path, fields, self._geometry, self._stored_kv)
        self._segments[n] = segment
        self._vfs.sync_dir(self.folder)
        return segment

    def remake_landmarks(self) -> None:
        """Replace a landmark file that cannot be opened; nothing may be published."""
        try:
            self._open_landmarks()
        except CorruptMetadata:
            with suppress(FileExistsError):
                self._vfs.make_dir(self.folder)
            self._vfs.unlink(self.landmarks_path)
            create_landmarks(self._vfs, self.landmarks_path, self._common)
            self._vfs.sync_dir(self.folder)
            self._vfs.sync_dir(os.path.dirname(self.folder))

    def sync(self) -> None:
        """Force everything written to the disk."""
        for n in sorted(self._dirty):
            self._segments[n].sync()
        if self._dirty:
            self._open_landmarks().sync()
        self._dirty.clear()

    def keep_unsynced(self, first: int, stop: int) -> None:
        """Have the next `sync` force chunks first..stop-1, which another handle wrote."""
        if first < stop:
            cap = self._geometry.cap
            self._dirty.update(range(first // cap, (stop - 1) // cap + 1))
            # Nobody knows whether the names of their files are on the disk.
            self._vfs.sync_dir(self.folder)

    def seals(self, first: int, stop: int, published: int) -> dict[int, Seal]:
        """Seals of the full segments that chunks first..stop-1 lie in and that have no hole."""
        cap = self._geometry.cap
        full = range(first // cap, min(-(-stop // cap), published // cap))
        return {
            n: self._seal(n)
            for n in full
            if not self.in_holes(np.arange(n * cap, (n + 1) * cap)).any()
        }

    def roll_back(self, count: int) -> None:
        """Forget chunks from `count` on; their bytes are overwritten later."""
        self.count = min(self.count, count)
        self.records.forget(self.count)

    def segment_of(self, chunk: int) -> int:
        """Number of the segment that holds a chunk."""
        return self._geometry.segment_of(chunk)

    # ---- reading

    def landmarks(self, count: int) -> NDArray[np.uint8]:
        """Landmark rows of the first `count` chunks, read-only."""
        if count == 0:
            return np.empty((0, self._layout.landmark_bytes), np.uint8)
        stored = self._open_landmarks().rows(count)
        if not self._cipher.overhead:
            return stored
        return self._opened.upto(count, stored, self._layout.landmark_bytes, self._cipher)

    def gather(self, ids: NDArray[np.int64], out: NDArray[np.uint8], durable: int) -> None:
        """Fill out [n, kv_bytes] with the verified blocks of ids [n], as for `unusable`.

        Raises:
            CorruptChunk: naming every chunk that cannot be trusted.
        """
        bad = set(self.records.unusable(ids, durable))
        if self.holes:
            bad.update(ids[self.in_holes(ids)].tolist())
        stored = np.empty((len(ids), self._stored_kv), np.uint8) if self._cipher.overhead else out
        wanted = [
            (self._segments[self._geometry.segment_of(first)], start, first, length)
            for start, first, length in runs(ids.tolist(), self._geometry.cap)
        ]
        for segment, _, first, length in wanted:
            segment.prefetch_blocks(first, length)
        for segment, start, first, length in wanted:
            if not segment.read_blocks(first, stored[start : start + length]):
                bad.update(range(first, first + length))
        found = bound_sums(self.number, ids, self.records.rows["chain"][ids], stored)
        wrong = found != self.records.rows["kv_sum"][ids]
        bad.update(ids[wrong].tolist())
        if self._cipher.overhead and not bad:
            bad.update(ids[self._cipher.open_rows(stored, b"kv", ids, out)].tolist())
        if bad:
            raise CorruptChunk(
                f"{self.folder}: the K/V of {len(bad)} chunks fails its checksum, first chunk "
                f"{min(bad)}; roll back to it and encode again from the tokens",
                chunk_ids=sorted(bad),
            )

    def stored(self, chunks: Sequence[int]) -> tuple[list[bytes], list[bytes]]:
        """Landmark rows and K/V blocks of published chunks as they lie in their files."""
        rows = self._open_landmarks().rows(max(chunks, default=-1) + 1)
        block = np.empty((1, self._stored_kv), np.uint8)
        blocks = []
        for chunk in chunks:
            if self._open_segment(self._geometry.segment_of(chunk)).read_blocks(chunk, block):
                blocks.append(block.tobytes())
        return [rows[chunk].tobytes() for chunk in chunks], blocks

    def bad_chunks(self, ids: NDArray[np.int64]) -> list[int]:
        """Those of the chunks whose K/V, record or tokens do not agree, ascending."""
        bad: list[int] = []
        self.records.forget(min(ids.tolist(), default=self.count))
        for first in range(0, len(ids), _SCAN):
            part = ids[first : first + _SCAN]
            try:
                self.gather(part, np.empty((len(part), self._layout.kv_bytes), np.uint8), 0)
            except CorruptChunk as error:
                bad += error.chunk_ids
        return sorted(bad)

    def damaged(self, count: int) -> list[int]:
        """Chunks below `count` whose landmark, record, K/V or tokens do not agree."""
        if count == 0:
            return []
        wrong = self.landmark_sums(0, count) != self.records.rows["landmark_sum"][:count]
        wrong |= self.records.sums(0, count) != self.records.rows["record_sum"][:count]
        whole = ~self.in_holes(np.arange(count))
        bad = {*np.flatnonzero(wrong & whole).tolist(), *self.bad_chunks(np.flatnonzero(whole))}
        return sorted(bad)

    def close(self) -> None:
        """Close all files; arrays that were handed out stay valid."""
        # Out of sight before it is closed: who is interrupted here may call this again.
        while self._segments:
            self._segments.popitem()[1].close()
        landmarks, self._landmarks = self._landmarks, None
        if landmarks is not None:
            landmarks.close()
