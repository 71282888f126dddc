"""A session as it was: read-only, and nothing of it is copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .derived import Derived
from .errors import SessionClosed
from .gate import Gate
from .index import IndexCache
from .session import SessionStore
from .types import Finding, Layout, Turn


class SessionView(SessionStore):
    """The first turns of an open session; it reads through that handle and ends with it.

    Args:
        whole: the open session.
        num_turns: how many of its turns there were.
    """

    def __init__(self, whole: SessionStore, num_turns: int) -> None:
        Gate.__init__(self, whole.info.name, writable=False)
        self._released = True  # the files are the other handle's
        self._whole = whole
        self._num_turns = num_turns
        self.info, self.folder = whole.info, whole.folder
        self._truth = whole._truth
        self._index = IndexCache(self._truth)
        self._seen = whole.revision
        with whole._reading():
            self._num_tokens = self._truth.tokens_upto(num_turns)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if self._closed:
            raise SessionClosed(f"this view of session {self.info.name!r} is closed; make another")
        with self._whole._reading():
            yield

    @property
    def _derived(self) -> Derived:
        return self._whole._derived

    @property
    def layout(self) -> Layout:
        """What the session's derived files hold."""
        return self._whole.layout

    @property
    def recovered(self) -> list[Finding]:
        """Nothing: the whole session tells it."""
        return []

    @property
    def damaged(self) -> list[Finding]:
        """What the whole session cannot use now."""
        return self._whole.damaged

    @property
    def num_turns(self) -> int:
        """Turns that there were."""
        return self._num_turns

    @property
    def num_tokens(self) -> int:
        """Tokens that there were."""
        return self._num_tokens

    @property
    def num_forgotten(self) -> int:
        """Those of the turns that are forgotten now."""
        with self._reading():
            return self._truth.num_forgotten(self._num_turns)

    @property
    def published(self) -> int:
        """Chunks that could be finished then, and are encoded now."""
        return min(self.layout.num_chunks(self._num_tokens), self._whole.published)

    def landmarks(self, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
        """Landmarks of those chunks, as of the whole session."""
        first, last, _ = slice(start, stop).indices(self.published)
        return self._whole.landmarks(first, max(first, last))

    def gather(
        self, ids: NDArray[np.int64] | Sequence[int], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """K/V of chosen ones of those chunks, as of the whole session."""
        last, count = int(np.max(ids, initial=-1)), self.published
        if last >= count:
            raise IndexError(f"chunk id {last}, this view has {count} chunks")
        return self._whole.gather(ids, out)

    def find(self, turn_id: str) -> Turn | None:
        """The turn with that id, or None."""
        found = super().find(turn_id)
        return None if found is None or found.seq >= self._num_turns else found

    def tail(self) -> bytes | None:
        """None: a tail is kept for the end of a session only."""
        return None

    def refresh(self) -> bool:
        """Take in what was forgotten since."""
        with self._reading():
            pass
        self._whole.refresh()
        changed = self._seen != self._whole.revision
        if changed:
            self._seen = self._whole.revision
            self._index = IndexCache(self._truth)
        return changed

    def stats(self) -> dict[str, Any]:
        """As of the whole session, with the counts of the view."""
        counts = {"turns": self.num_turns, "tokens": self.num_tokens, "chunks": self.published}
        return {**self._whole.stats(), **counts}

    def close(self) -> None:
        """End the view; the session stays open."""
        self._closed = True
