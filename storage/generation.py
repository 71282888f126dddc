"""Derived files of one session under one model: functions of the tokens, published up to the
session's watermark; what lies above is garbage that nobody reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .blocks import BlockReader
from .checksums import digest_of, rows_of, sums_of, xxh3_bytes
from .cipher import Cipher
from .errors import CorruptChunk, CorruptMetadata
from .findings import Problem
from .geometry import RECORD
from .landmark_checks import LandmarkChecks
from .landmarks import row_place
from .layouts import Description
from .parts import Part, most_rows
from .records import Records, RecordTable, Seal, TokensOf
from .segment import runs
from .tail import Tails
from .vfs import Vfs

_SCAN = 64


class Generation:
    """The chunks of one generation.

    Args:
        number: opens the input of every checksum.
        described: what it holds.
        parts: where its chunks lie, in their order; the last is the session's own.
        tails: its tails.
        chain_seed: chain hash before chunk 0.
        tokens_of: verified tokens of turns, from the truth.
    """

    def __init__(
        self,
        vfs: Vfs,
        number: int,
        described: Description,
        parts: list[Part],
        tails: Tails,
        *,
        chain_seed: int,
        tokens_of: TokensOf,
    ) -> None:
        self.number = number
        self.tails = tails
        self.parts = parts
        self.own = parts[-1]
        self._layout = described.layout
        self._geometry = described.geometry
        self._dirty: set[int] = set()
        size = self._layout.chunk_size
        self.records = RecordTable(
            number,
            size,
            chain_seed,
            tokens_of,
            self._cipher_of,
        )
        # Chunks whose records are in memory; those above the watermark are not visible yet.
        self.count = 0
        # Chunks that are being encoded anew, ascending: their bytes are nobody's.
        self.holes: list[range] = []
        self._checks = LandmarkChecks(number, self._geometry.cap, self.records)
        self._blocks = BlockReader(vfs, self._geometry)

    def part_of(self, chunk: int) -> Part:
        """Where a chunk lies."""
        return next(part for part in self.parts if chunk < part.stop)

    def _cipher_of(self, chunk: int) -> Cipher:
        return self.part_of(chunk).cipher

    def lower_base(self, chunk: int) -> None:
        """From `chunk` on chunks are the session's own, to be written anew."""
        self.parts = [part for part in self.parts[:-1] if part.first < chunk]
        for part in self.parts:
            part.stop = min(part.stop, chunk)
        self.parts.append(self.own)
        self.own.first = min(self.own.first, chunk)

    def _runs(self, ids: Sequence[int]) -> list[tuple[Part, int, int, int]]:
        """(part, place in ids, first id, length) of runs within one segment of one part."""
        found = []
        for start, first, length in runs(ids, self._geometry.cap):
            while length:
                part = self.part_of(first)
                here = min(length, part.stop - first)
                found.append((part, start, first, here))
                start, first, length = start + here, first + here, length - here
        return found

    # ---- opening

    def advance(
        self, published: int, durable: int, seals: dict[int, Seal], *, thorough: bool = False
    ) -> list[Problem]:
        """Take in chunks count..published-1; stops before the first that cannot be used.

        Args:
            published: the watermark.
            durable: chunks below it were on the disk before they were published.
            seals: of full segments by number, of whatever part they are.
            thorough: read all records now; otherwise those of sealed segments are read, and
                verified, when they are first used.
        """
        self.records.reserve(min(published, most_rows(self.parts)))
        while (first := self.count) < published:
            stop = min(published, (first // self._geometry.cap + 1) * self._geometry.cap)
            stop = min(stop, self.part_of(first).stop)
            cap, part, n = self._geometry.cap, self.part_of(first), first // self._geometry.cap
            seal = seals.get(n)
            # The last chunk is looked at: the chain goes on from its record.
            may_wait = not thorough and stop - first == cap and stop <= durable and stop < published
            if seal and may_wait and part.agrees_with(n, seal):
                table, belong = partial(part.table, n), partial(self._checks.belong, part)
                self.records.expect(n, cap, seal.table_sum, table, belong)
                self._checks.note(first, stop, seal.landmarks_sum)
                self.count = stop
                continue
            self.count, problems = self._advance_segment(first, stop, seals)
            if self.count < stop:
                return problems
        return []

    def _advance_segment(
        self, first: int, stop: int, seals: dict[int, Seal]
    ) -> tuple[int, list[Problem]]:
        part, n = self.part_of(first), self._geometry.segment_of(first)
        path = part.segment_path(n)
        problems = []
        try:
            rows = part.landmarks().capacity
        except CorruptMetadata as error:
            return first, [Problem(part.landmarks_path, "bad-header", str(error))]
        if rows < stop:
            detail = f"rows for {rows} chunks only"
            problems.append(Problem(part.landmarks_path, "short-file", detail))
            stop = max(first, rows)
        try:
            segment = part.segment(n)
        except CorruptMetadata as error:
            return first, [*problems, Problem(path, "bad-segment", str(error))]
        records = segment.read_records(first, stop)
        usable = min(first + len(records), segment.whole_blocks(first, stop))
        if usable < stop:
            problems.append(Problem(path, "short-file", f"bytes for chunks below {usable} only"))
        self.records.keep(first, records[: usable - first])
        seal = seals.get(n)
        full = first == n * self._geometry.cap and usable == first + self._geometry.cap
        if seal is not None and full and self._seal(n) == seal:
            self.records.keep(first, records, good=True)
            self._checks.note(first, usable, seal.landmarks_sum)
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
        return Problem(self.part_of(chunk).landmarks_path, "corrupt-landmark", f"chunk {chunk}")

    def _first_bad(self, first: int, stop: int, *, with_records: bool) -> int:
        """First chunk of first..stop-1 whose landmark (or record) fails its checksum."""
        rows = self.part_of(first).landmarks().rows(first, stop)
        good = self._checks.good(first, rows)
        if with_records:
            good &= self.records.sums(first, stop) == self.records.rows["record_sum"][first:stop]
        good |= self.in_holes(np.arange(first, stop))
        if not good.all():
            return first + int(np.argmin(good))
        self._checks.note(first, stop, digest_of(rows))
        return stop

    def in_holes(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the chunks are being encoded anew."""
        inside = np.zeros(len(ids), bool)
        for hole in self.holes:
            inside |= (ids >= hole.start) & (ids < hole.stop)
        return inside

    def segment_path(self, chunk: int) -> str:
        """Path of the segment that holds a chunk."""
        return self.part_of(chunk).segment_path(self._geometry.segment_of(chunk))

    def _stored_landmarks(self, first: int, stop: int) -> list[tuple[Part, NDArray[np.uint8]]]:
        """Rows of chunks first..stop-1 as they lie in the files of each part."""
        found = []
        while first < stop:
            part = self.part_of(first)
            end = min(stop, part.stop)
            found.append((part, part.landmarks().rows(first, end)))
            first = end
        return found

    # ---- checksums

    def _seal(self, n: int) -> Seal:
        first = n * self._geometry.cap
        stop = first + self._geometry.cap
        rows = self.part_of(first).landmarks().rows(first, stop)
        self.records.need(first, stop)
        return Seal(xxh3_bytes(self.records.rows[first:stop].tobytes()), digest_of(rows))

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
        self.count = min(self.count, count)
        self.records.drop(self.count)
        self._checks.forget(self.count)

    # ---- reading

    def landmarks(self, first: int, stop: int) -> NDArray[np.uint8]:
        """Landmark rows of chunks first..stop-1, verified once more; zeros in holes. Raises
        CorruptChunk, naming the chunks whose rows have changed since they were taken in."""
        rows, bad = self._checked_landmarks(first, max(first, stop))
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
            for part, start, _, length in self._runs(ids.tolist()):
                run = slice(start, start + length)
                cipher, place = part.cipher, row_place(self.number, "kv")
                bad.update(cipher.open_rows(stored[run], place, ids[run], out[run]))
        if bad:
            raise CorruptChunk(
                f"{self.own.folder}: the K/V of {len(bad)} chunks fails its checksum, first chunk "
                f"{min(bad)}; roll back to it and encode again from the tokens",
                chunk_ids=sorted(bad),
            )

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
