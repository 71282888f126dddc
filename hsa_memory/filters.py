"""Which messages, and so which chunks, a search or question may use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsa_memory.model import ROLES
from hsa_memory.storage import SessionStore, TurnIndex, map_as_stored

from .errors import InvalidArgument
from .messages import ALIASES, parse_time

_BLOCK = 500
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Filter:
    """Conditions that a message has to meet, all of them."""

    roles: frozenset[str] | None = None
    since: float | None = None
    until: float | None = None
    where: Mapping[str, Any] | None = None
    hidden: frozenset[int] = frozenset()
    """Numbers of messages that never pass: they have expired."""

    @property
    def is_open(self) -> bool:
        """Whether every message passes."""
        unbounded = self.since is None and self.until is None
        return self.roles is None and unbounded and not self.where and not self.hidden


def make_filter(
    role: str | Collection[str] | None, since: object, until: object, where: object
) -> Filter:
    """Check the filter arguments of `search` and `ask`; raises `InvalidArgument`."""
    roles = None
    if role is not None:
        several = not isinstance(role, str) and isinstance(role, Iterable)
        listed: list[object] = list(role) if several else [role]
        names = [ALIASES.get(name, name) for name in listed if isinstance(name, str)]
        if len(names) != len(listed) or not set(names) <= set(ROLES):
            raise InvalidArgument(f"role must be of {', '.join(ROLES)}; found {role!r}")
        roles = frozenset(names)
    moments = [None if t is None else parse_time(t, InvalidArgument) for t in (since, until)]
    return Filter(roles, moments[0], moments[1], None if where is None else _as_stored(where))


def _as_stored(where: object) -> dict[str, Any]:
    """Metadata to compare with what the store gives back: tuples as lists, say."""
    if not isinstance(where, Mapping) or not all(isinstance(key, str) for key in where):
        raise InvalidArgument(f"where must be a map with str keys; found {where!r:.100}")
    try:
        return map_as_stored(dict(where), "where")
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


class Metadata:
    """Metadata of every message of a session, read when a filter first asks for it."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._revision: int | None = None  # of what was read
        self._maps: list[dict[str, Any]] = []

    def matches(self, where: Mapping[str, Any], among: NDArray[np.int64]) -> Mask:
        """Whether the messages numbered `among` [n] have all of the entries of `where`."""
        if self._revision != self._store.revision:
            # Messages may have been forgotten.
            self._revision = self._store.revision
            self._maps.clear()
        for start in range(len(self._maps), self._store.num_turns, _BLOCK):
            turns = self._store.turns(start, start + _BLOCK)
            self._maps += [turn.metadata for turn in turns]
        missing = object()
        maps = (self._maps[i] for i in among.tolist())
        return np.array(
            [all(found.get(key, missing) == where[key] for key in where) for found in maps], bool
        )


def allowed_turns(filter: Filter, index: TurnIndex, metadata: Metadata) -> Mask:
    """Which messages [number of messages] pass."""
    allowed = ~index.forgotten
    allowed[[seq for seq in filter.hidden if seq < len(index)]] = False
    if filter.roles is not None:
        codes = [i for i, role in enumerate(index.roles) if role in filter.roles]
        allowed &= np.isin(index.role_code, codes)
    if filter.since is not None:
        allowed &= index.timestamp >= filter.since
    if filter.until is not None:
        allowed &= index.timestamp < filter.until
    if filter.where:
        among = np.flatnonzero(allowed)
        allowed[among] = metadata.matches(filter.where, among)
    return allowed


def touched_chunks(index: TurnIndex, allowed: Mask, chunk_size: int, num_chunks: int) -> Mask:
    """Which chunks [num_chunks] hold a token of an allowed message."""
    first = index.token_start[allowed] // chunk_size
    last = (index.token_start[allowed] + index.n_tokens[allowed] - 1) // chunk_size
    # Count how many allowed messages begin up to and end before each chunk.
    change = np.zeros(num_chunks + 1, np.int64)
    np.add.at(change, np.minimum(first, num_chunks), 1)
    np.add.at(change, np.minimum(last + 1, num_chunks), -1)
    return change[:-1].cumsum() > 0
