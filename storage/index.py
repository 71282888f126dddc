"""The turn index: every turn's numbers in memory, read once and then extended."""

from __future__ import annotations

import numpy as np

from .truth import Truth
from .types import TurnIndex


class IndexCache:
    """Grows a TurnIndex as turns are added."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._codes: dict[str, int] = {}
        self._index = TurnIndex(
            seq=np.empty(0, np.int64),
            token_start=np.empty(0, np.int64),
            n_tokens=np.empty(0, np.int64),
            timestamp=np.empty(0, np.float64),
            role_code=np.empty(0, np.int32),
            roles=(),
        )

    def upto(self, num_turns: int) -> TurnIndex:
        """The index of the first num_turns turns, each row verified."""
        known = len(self._index)
        if known < num_turns:
            self._extend(known, num_turns)
        return self._index

    def _extend(self, known: int, num_turns: int) -> None:
        rows = self._truth.light_rows(known, num_turns)
        old = self._index
        codes = [self._codes.setdefault(row["role"], len(self._codes)) for row in rows]

        def joined(name: str, column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
            new = np.array([row[column] for row in rows], getattr(old, name).dtype)
            return np.concatenate([getattr(old, name), new])

        self._index = TurnIndex(
            seq=joined("seq", "seq"),
            token_start=joined("token_start", "tok0"),
            n_tokens=joined("n_tokens", "n_tok"),
            timestamp=np.concatenate([old.timestamp, np.array([row["ts"] for row in rows])]),
            role_code=np.concatenate([old.role_code, np.array(codes, np.int32)]),
            roles=tuple(self._codes),
        )
