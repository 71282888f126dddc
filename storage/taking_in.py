"""Taking in the chunks of a generation: which of them can be used, and how that is known."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .blocks import BlockReader
from .checksums import digest_of, xxh3_bytes
from .cipher import Cipher
from .errors import CorruptMetadata
from .findings import Problem
from .first_read import FirstRead
from .landmark_checks import LandmarkChecks
from .layouts import Description
from .parts import Part, most_rows
from .records import RecordTable, Seal, TokensOf
from .side_by_side import side_by_side
from .tail import Tails
from .vfs import Vfs


class Opening:
    """The opening half of a `Generation`.

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
        self.records = RecordTable(
            number,
            self._layout.chunk_size,
            chain_seed,
            tokens_of,
            self._cipher_of,
            lookahead=self._layout.lookahead,
        )
        # Chunks whose records are in memory; those above the watermark are not visible yet.
        self.count = 0
        # Chunks that are being encoded anew, ascending: their bytes are nobody's.
        self.holes: list[range] = []
        self._checks = LandmarkChecks(number, self._geometry.cap, self.records)
        self._first_read: FirstRead | None = None
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
        self._first_read = None
        self.records.reserve(min(published, most_rows(self.parts)))
        cap = self._geometry.cap
        # The last chunk is looked at: the chain goes on from its record.
        known = min(published - 1, durable)
        waiting = set() if thorough else self._agreeing(known, published, seals)
        while (first := self.count) < published:
            part, n = self.part_of(first), first // cap
            stop = min(published, (n + 1) * cap, part.stop)
            if n in waiting:
                read, belong = partial(part.read_table, n), partial(self._checks.belong, part)
                self.records.expect(n, cap, seals[n].table_sum, read, belong)
                self._checks.note(first, stop, seals[n].landmarks_sum)
                self.count = stop
                continue
            self.count, problems = self._advance_segment(first, stop, seals)
            if self.count < stop:
                return problems
        return []

    def _agreeing(self, stop: int, published: int, seals: dict[int, Seal]) -> set[int]:
        """Numbers of the segments from chunk `count` to `stop` that agree with their seals; each
        lies wholly in one part. What is read for that is kept for who asks for it first."""
        cap = self._geometry.cap
        # By the seals that there are: the numbers in a state row may be any.
        numbers = [
            n
            for n in sorted(seals)
            if self.count <= n * cap
            and (n + 1) * cap <= stop
            and self.part_of(n * cap).stop >= (n + 1) * cap
        ]
        if not numbers:
            return set()
        # By the files that there are, too, which may have been cut.
        first = numbers[0] * cap
        stop = max(first, min(published, most_rows(self.parts)))
        read = FirstRead(first, stop, cap, self.own.landmark_width)

        def agrees(i: int) -> bool:
            n = numbers[i]
            return self.part_of(n * cap).agrees_with(n, seals[n], read.segment(n))

        agree = side_by_side(agrees, len(numbers))
        read.good.update(n for n, good in zip(numbers, agree, strict=True) if good)
        if not self.own.cipher.overhead and not self.holes:
            self._first_read = read
        return read.good

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

    def _spans(self, first: int, stop: int) -> Iterator[tuple[Part, int, int]]:
        """Chunks first..stop-1 by the parts that they lie in: (part, first, stop) of each."""
        while first < stop:
            part = self.part_of(first)
            end = min(stop, part.stop)
            yield part, first, end
            first = end

    def _stored_landmarks(self, first: int, stop: int) -> list[tuple[Part, NDArray[np.uint8]]]:
        """Rows of chunks first..stop-1 as they lie in the files of each part."""
        spans = self._spans(first, stop)
        return [(part, part.landmarks().rows(start, end)) for part, start, end in spans]

    def _first_landmarks(self, first: int, stop: int) -> tuple[NDArray[np.uint8], list[int]] | None:
        """Rows of chunks first..stop-1 and which of them are bad, if they follow those that were
        asked for since they were taken in."""
        read = self._first_read
        if read is None or self.holes:
            return None
        handed = read.hand_out(first, stop)
        if handed is None or read.spent:
            self._first_read = None
        if handed is None:
            return None
        rows, missing = handed
        bad: list[int] = []
        for run in missing:
            for part, start, end in self._spans(*run):
                out = rows[start - first : end - first]
                part.landmarks().read(start, out)
                bad += self._checks.damaged(start, out)
        return rows, bad

    # ---- checksums

    def _seal(self, n: int) -> Seal:
        first = n * self._geometry.cap
        stop = first + self._geometry.cap
        rows = self.part_of(first).landmarks().rows(first, stop)
        self.records.need(first, stop)
        return Seal(xxh3_bytes(self.records.rows[first:stop].tobytes()), digest_of(rows))
