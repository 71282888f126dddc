"""Derived files of one session under one model: functions of the tokens, published up to the
session's watermark; what lies above is garbage that nobody reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .checksums import rows_of, sums_of
from .errors import CorruptChunk
from .geometry import RECORD
from .landmarks import row_place
from .records import Records, Seal
from .segment import runs
from .taking_in import Opening

_SCAN = 64


class Generation(Opening):
    """The chunks of one generation; arguments as `Opening`."""

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
            tokens: [n, chunk_size + lookahead], what each chunk depends on, from the truth.
            last_seqs: [n], the turn that holds the last of these.
        """
        ids = np.arange(first, first + len(kv))
        landmarks = self.own.cipher.seal_rows(landmarks, row_place(self.number, "landmark"), ids)
        kv = self.own.cipher.seal_rows(kv, row_place(self.number, "kv"), ids)
        records = self.records.make(first, landmarks, kv, tokens, last_seqs)
        self._put(first, landmarks, kv, records)
        self.count = max(self.count, first + len(kv))

    def _put(
        self, first: int, landmarks: NDArray[np.uint8], kv: NDArray[np.uint8], records: Records
    ) -> None:
        # Of a segment that waits, the seal covers the records as they are before this.
        self.records.need(first, first + len(kv))
        for start, chunk, length in runs(range(first, first + len(kv)), self._geometry.cap):
            n = self._geometry.segment_of(chunk)
            segment = self.own.segment_to_write(n, chunk)
            part = slice(start, start + length)
            segment.write_blocks(chunk, kv[part])
            segment.write_records(chunk, records[part])
            self._dirty.add(n)
        self._checks.forget(first)
        self._first_read = None
        self.own.landmarks().write(first, landmarks)
        self.records.keep(first, records, good=True)

    def wipe(self, first: int, stop: int) -> None:
        """Overwrite chunks first..stop-1 with zeros and force that to the disk."""
        for chunk in range(first, stop, _SCAN):
            n = min(_SCAN, stop - chunk)
            landmarks = np.zeros((n, self.own.landmark_width), np.uint8)
            kv = np.zeros((n, self.own.stored_kv), np.uint8)
            self._put(chunk, landmarks, kv, np.zeros(n, RECORD))
        self.sync()

    def sync(self) -> None:
        """Force everything written to the disk."""
        for n in sorted(self._dirty):
            self.own.segment(n).sync()
        if self._dirty:
            self.own.landmarks().sync()
        self._dirty.clear()

    def keep_unsynced(self, first: int, stop: int) -> None:
        """Have the next `sync` force chunks first..stop-1, which another handle wrote."""
        # Those that are shared are their own writer's.
        first = max(first, self.own.first)
        if first < stop:
            cap = self._geometry.cap
            self._dirty.update(range(first // cap, (stop - 1) // cap + 1))
            # Nobody knows whether the names of their files are on the disk.
            self.own.sync_dir()

    def seals(self, first: int, stop: int, published: int) -> dict[int, Seal]:
        """Seals of the full segments that chunks first..stop-1 lie in and that have no hole."""
        cap = self._geometry.cap
        full = range(first // cap, min(-(-stop // cap), published // cap))
        return {
            n: self._seal(n)
            for n in full
            # One that begins in another session's files is nobody's whole.
            if n * cap >= self.own.first
            and not self.in_holes(np.arange(n * cap, (n + 1) * cap)).any()
        }

    def roll_back(self, count: int) -> None:
        """Forget chunks from `count` on; their bytes are overwritten later."""
        if count < self.count:
            self.count = count
            self._first_read = None
        self.records.drop(self.count)
        self._checks.forget(self.count)

    # ---- reading

    def landmarks(self, first: int, stop: int) -> NDArray[np.uint8]:
        """Landmark rows of chunks first..stop-1, as they were verified when they were taken in or,
        from the second time on, are verified now; zeros in holes. Raises CorruptChunk, naming the
        chunks whose rows have changed since they were taken in."""
        read = self._first_landmarks(first, stop)
        rows, bad = read or self._checked_landmarks(first, max(first, stop))
        if bad:
            what = f"the landmarks of {len(bad)} chunks, first chunk {bad[0]}, fail their checksum"
            raise CorruptChunk(f"{self.own.folder}: {what}; roll back to it", chunk_ids=bad)
        return rows

    def _checked_landmarks(self, first: int, stop: int) -> tuple[NDArray[np.uint8], list[int]]:
        found = self._stored_landmarks(first, stop)
        if len(found) == 1 and not self.own.cipher.overhead and not self.holes:
            return found[0][1], self._checks.damaged(first, found[0][1])
        rows = np.zeros((stop - first, self._layout.landmark_bytes), np.uint8)
        bad: set[int] = set()
        chunk = first
        for part, stored in found:
            ids = np.arange(chunk, chunk + len(stored))
            bad.update(self._checks.damaged(chunk, stored))
            out = rows[chunk - first :][: len(stored)]
            bad.update(part.cipher.open_rows(stored, row_place(self.number, "landmark"), ids, out))
            chunk += len(stored)
        inside = self.in_holes(np.arange(first, stop))
        rows[inside] = 0
        return rows, sorted(x for x in bad if not inside[x - first])

    def gather(self, ids: NDArray[np.int64], out: NDArray[np.uint8], durable: int) -> None:
        """Fill out [n, kv_bytes] with the verified blocks of ids [n], as for `unusable`.

        Raises:
            CorruptChunk: naming every chunk that cannot be trusted.
        """
        # Whoever reads blocks has the landmarks that it wants.
        self._first_read = None
        bad = set(self.records.unusable(ids, durable))
        if self.holes:
            bad.update(ids[self.in_holes(ids)].tolist())
        sealed = self.own.cipher.overhead
        stored = np.empty((len(ids), self.own.stored_kv), np.uint8) if sealed else out
        # Lists and not arrays: for a few chunks each call of numpy costs as much as a checksum.
        chunks, rows = ids.tolist(), rows_of(stored)
        bad.update(self._blocks.read(chunks, rows, self.parts))
        found = sums_of(self.number, chunks, self.records.rows["chain"][ids].tolist(), rows)
        expected = self.records.rows["kv_sum"][ids].tolist()
        if found != expected:
            bad.update(x for x, a, b in zip(chunks, found, expected, strict=True) if a != b)
        if sealed and not bad:
            bad.update(self._open_blocks(stored, ids, out))
        if bad:
            raise CorruptChunk(
                f"{self.own.folder}: the K/V of {len(bad)} chunks fails its checksum, first chunk "
                f"{min(bad)}; roll back to it and encode again from the tokens",
                chunk_ids=sorted(bad),
            )

    def _open_blocks(
        self, stored: NDArray[np.uint8], ids: NDArray[np.int64], out: NDArray[np.uint8]
    ) -> list[int]:
        """Decrypt blocks; the chunks of those that cannot be."""
        bad: list[int] = []
        first, place = 0, row_place(self.number, "kv")
        for part in self.parts:
            here = (ids >= first) & (ids < part.stop)
            first = part.stop
            if here.all():
                return part.cipher.open_rows(stored, place, ids, out)
            rows = np.empty((int(here.sum()), out.shape[1]), np.uint8)
            bad += part.cipher.open_rows(stored[here], place, ids[here], rows)
            out[here] = rows
        return bad

    def stored(self, chunks: Sequence[int]) -> tuple[list[bytes], list[bytes]]:
        """Landmark rows and K/V blocks of published chunks as they lie in their files."""
        landmarks, blocks = [], []
        for chunk in chunks:
            part = self.part_of(chunk)
            landmarks.append(part.landmarks().rows(chunk, chunk + 1).tobytes())
            block = np.empty((1, self.own.stored_kv), np.uint8)
            if part.segment(self._geometry.segment_of(chunk)).read_blocks(chunk, block):
                blocks.append(block.tobytes())
        return landmarks, blocks

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
        self.records.need(0, count)
        stored = np.concatenate([rows for _, rows in self._stored_landmarks(0, count)])
        wrong = ~self._checks.good(0, stored)
        wrong |= self.records.sums(0, count) != self.records.rows["record_sum"][:count]
        whole = ~self.in_holes(np.arange(count))
        bad = {*np.flatnonzero(wrong & whole).tolist(), *self.bad_chunks(np.flatnonzero(whole))}
        return sorted(bad)

    def close(self) -> None:
        """Close all files."""
        for part in self.parts:
            part.close()
        self.own.close()
