"""Appending within the user's quota, with the session's key."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from .derived import Derived
from .errors import QuotaExceeded
from .gate import Gate
from .quotas import Budget
from .truth import Truth
from .types import Turn


class Spending(Gate):
    """The part of a `SessionStore` that asks before it writes."""

    _truth: Truth
    _budget: Budget | None

    @property
    @abstractmethod
    def _derived(self) -> Derived:
        """The derived files, looked at when they are first used."""

    def _before_write(self) -> None:
        self._truth.cipher.begin()

    def _append(self, turns: Sequence[Turn], notes: Mapping[str, dict[str, Any]]) -> list[Turn]:
        if self._budget is not None and self._budget.is_limited():
            # Not inside the transaction.
            _ = self._derived
        try:
            return self._truth.append(turns, notes, self._admit)
        except QuotaExceeded:
            # The log is on the disk too, and can be emptied.
            if not self._truth.database.wal_bytes():
                raise
            self._truth.database.checkpoint()
            return self._truth.append(turns, notes, self._admit)

    def _admit(self, tokens: int, num_bytes: int) -> None:
        if self._budget is not None:
            self._budget.admit(self._truth, lambda: self._derived, tokens, num_bytes)

    def _settle_budget(self) -> None:
        """Hold of the user's quota what the session takes, and no more."""
        if self._budget is not None:
            self._budget.settle(self._truth, lambda: self._derived)
