"""The turn index: every turn's numbers in memory, read once and then extended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .rows import FORGOTTEN
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
            forgotten=np.empty(0, bool),
        )

    def upto(self, num_turns: int) -> TurnIndex:
        """The index of the first num_turns turns, each row verified."""
        known = len(self._index)
        if known < num_turns:
            self._extend(known, num_turns)
        return self._index

    def forget(self, seqs: Sequence[int]) -> None:
        """Take turns for forgotten; nothing else of what is known changes with that."""
        forgotten = self._index.forgotten.copy()
        forgotten[[seq for seq in seqs if seq < len(forgotten)]] = True
        self._index = replace(self._index, forgotten=forgotten)

    def _extend(self, known: int, num_turns: int) -> None:
        rows = self._truth.light_rows(known, num_turns)
        old = self._index
        seq, _, timestamp, role, n_tokens, token_start, flags, _ = zip(*rows, strict=True)
        codes = [self._codes.setdefault(name, len(self._codes)) for name in role]
        self._index = TurnIndex(
            seq=np.concatenate([old.seq, np.array(seq, np.int64)]),
            token_start=np.concatenate([old.token_start, np.array(token_start, np.int64)]),
            n_tokens=np.concatenate([old.n_tokens, np.array(n_tokens, np.int64)]),
            timestamp=np.concatenate([old.timestamp, np.array(timestamp, np.float64)]),
            role_code=np.concatenate([old.role_code, np.array(codes, np.int32)]),
            roles=tuple(self._codes),
            forgotten=np.concatenate([old.forgotten, np.array(flags) & FORGOTTEN > 0]),
        )
