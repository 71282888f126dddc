"""Verifying rows of landmarks.bin as they are read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .checksums import bound_sums, digest_of
from .errors import CorruptMetadata
from .parts import Part
from .records import Records, RecordTable
from .side_by_side import side_by_side

Rows = NDArray[np.uint8]


class LandmarkChecks:
    """Compares rows with their records.

    Args:
        generation: number that opens every checksum's input.
        cap: chunks per segment; digests never span two.
    """

    def __init__(self, generation: int, cap: int, records: RecordTable) -> None:
        self._generation = generation
        self._cap = cap
        self._records = records
        # Digests of runs of rows, as they were when each row was verified.
        self._known: dict[tuple[int, int], bytes] = {}

    def good(self, first: int, rows: Rows) -> NDArray[np.bool_]:
        """Which rows of chunks first, first+1, ... are those that their records were made for."""
        self._records.need(first, first + len(rows))
        return self._agree(first, self._records.rows[first : first + len(rows)], rows)

    def _agree(self, first: int, records: Records, rows: Rows) -> NDArray[np.bool_]:
        ids = np.arange(first, first + len(rows))
        sums = bound_sums(self._generation, ids, records["chain"], rows)
        return np.asarray(sums == records["landmark_sum"])

    def belong(self, part: Part, first: int, records: Records) -> NDArray[np.bool_]:
        """Which records of chunks first, first+1, ... were made for the landmarks there now."""
        try:
            rows = part.landmarks().rows(first, first + len(records))
        except CorruptMetadata:
            return np.zeros(len(records), bool)
        return self._agree(first, records, rows)

    def note(self, first: int, stop: int, digest: bytes) -> None:
        """Take the rows of chunks first..stop-1 for verified as long as they have that digest."""
        self._known[first, stop] = digest

    def forget(self, count: int) -> None:
        """Rows of chunks from `count` on are to be looked at anew."""
        self._known = {run: self._known[run] for run in self._known if run[1] <= count}

    def damaged(self, first: int, rows: Rows) -> list[int]:
        """Those of chunks first, first+1, ... whose rows are not what their records were made for,
        ascending."""
        stop, cap = first + len(rows), self._cap
        starts = [first, *range((first // cap + 1) * cap, stop, cap)] if len(rows) else []
        parts = [rows[start - first : (start // cap + 1) * cap - first] for start in starts]
        # One digest where it is known, or else many small ones.
        digests = side_by_side(lambda i: digest_of(parts[i]), len(parts))
        bad: list[int] = []
        for start, part, digest in zip(starts, parts, digests, strict=True):
            if self._known.get((start, start + len(part))) != digest:
                bad += (start + np.flatnonzero(~self.good(start, part))).tolist()
        return bad
