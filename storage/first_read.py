"""Landmarks that were read to see whether they are good, kept for the first who asks for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .room import filled_at_once

Rows = NDArray[np.uint8]


class FirstRead:
    """Room for the rows of chunks first..stop-1, each handed out once at most.

    Args:
        cap: chunks per segment; `first` is the first chunk of one.
    """

    def __init__(self, first: int, stop: int, cap: int, row_bytes: int) -> None:
        self._first = first
        self._stop = stop
        self._cap = cap
        self._rows = filled_at_once(stop - first, row_bytes)
        self._next = first
        self.good: set[int] = set()
        """Segments whose rows are here, as they were verified."""

    def segment(self, n: int) -> Rows:
        """Where the rows of segment n belong, to be filled before anything is handed out."""
        start = n * self._cap - self._first
        return self._rows[start : start + self._cap]

    def hand_out(self, first: int, stop: int) -> tuple[Rows, list[tuple[int, int]]] | None:
        """Room for the rows of chunks first..stop-1, the caller's own from now on, with the runs
        that are not there and have to be read; None unless they follow those handed out before."""
        if not self._next == first < stop <= self._stop:
            return None
        self._next = stop
        rows = self._rows[first - self._first : stop - self._first]
        missing: list[tuple[int, int]] = []
        while first < stop:
            n = first // self._cap
            end = min(stop, (n + 1) * self._cap)
            if n not in self.good:
                missing.append((first, end))
            first = end
        return rows, missing

    @property
    def spent(self) -> bool:
        """Whether nothing is left to be handed out."""
        return self._next >= self._stop
