"""What can be read of an open session: its turns, and the chunks below its watermark."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .derived import Derived
from .forking import origin_of
from .gate import Gate
from .holes import within
from .index import IndexCache
from .truth import CALLERS, Truth
from .types import Turn, TurnIndex


class Reading(Gate):
    """The reading half of a `SessionStore`."""

    _truth: Truth
    _index: IndexCache

    @property
    @abstractmethod
    def _derived(self) -> Derived: ...

    @property
    def num_turns(self) -> int:
        """Turns stored, as of the last append or refresh."""
        return self._truth.state.n_turn

    @property
    def num_forgotten(self) -> int:
        """Those of the turns that are forgotten."""
        if self._truth.base is None:
            return self._truth.state.forgotten
        with self._reading():
            return self._truth.num_forgotten(self.num_turns)

    @property
    def num_shared(self) -> int:
        """Turns that belong to the session this one was forked from."""
        return self._truth.state.base_turn

    @property
    def num_tokens(self) -> int:
        """Tokens in the stream, as of the last append or refresh."""
        return self._truth.state.n_tok

    def turns(self, start: int = 0, stop: int | None = None) -> list[Turn]:
        """Turns by number, as a slice would take them.

        Raises:
            CorruptMetadata: a row is not what was written; the message names the turn.
        """
        with self._reading():
            first, last, _ = slice(start, stop).indices(self.num_turns)
            return self._truth.turns(first, last) if first < last else []

    def turns_in_tokens(self, ranges: Sequence[tuple[int, int]]) -> list[list[Turn]]:
        """For each range (start, stop) of the stream, the turns that have a token in start..stop-1.

        Raises:
            IndexError: a range that is empty or leaves the stream.
        """
        with self._reading():
            for start, stop in ranges:
                if not 0 <= start < stop <= self.num_tokens:
                    raise IndexError(f"tokens {start}..{stop} of a stream of {self.num_tokens}")
            return self._truth.turns_in_tokens(ranges)

    def find(self, turn_id: str) -> Turn | None:
        """The turn with that id, or None."""
        with self._reading():
            found = self._truth.find(turn_id)
            return None if found is None or found.forgotten else found

    def expired(self, now: float) -> list[int]:
        """Numbers of the turns that are to be forgotten from `now` (Unix seconds) or earlier."""
        with self._reading():
            found = [seq for seq, at in self._truth.expiries().items() if at <= now]
            return sorted(seq for seq in found if seq < self.num_turns)

    def num_turns_until(self, moment: float) -> int:
        """How many turns come before the first with a time after `moment` (Unix seconds); found
        in a time that grows with the logarithm of the number of turns."""
        with self._reading():
            return self._truth.prefix_until(moment, self.num_turns)

    def expiries(self) -> dict[int, float]:
        """Unix seconds from which on turns are to be forgotten, by their numbers."""
        with self._reading():
            known = self._truth.expiries()
            return {seq: at for seq, at in known.items() if seq < self.num_turns}

    def turn_index(self) -> TurnIndex:
        """Numbers of all turns as arrays; read once, then extended."""
        with self._reading():
            return self._index.upto(self.num_turns)

    def tokens(self, start: int, stop: int) -> NDArray[np.uint32]:
        """Token ids of stream positions start..stop-1, uint32; the range must exist."""
        with self._reading():
            if not 0 <= start <= stop <= self.num_tokens:
                raise IndexError(f"tokens {start}..{stop} of a stream of {self.num_tokens}")
            return self._truth.stream.tokens(start, stop)

    def get_meta(self, key: str, *, of_turn: int | None = None) -> dict[str, Any] | None:
        """A small map of the caller's, or None.

        Args:
            of_turn: number of a turn; the map is then looked for in the session that the turn was
                added to, which a fork shares it with. None: in this session.
        """
        with self._reading():
            truth = self._truth if of_turn is None else origin_of(self._truth, of_turn + 1)
            return truth.note(CALLERS + key)

    def meta_keys(self) -> list[str]:
        """Keys of all maps of the caller's."""
        with self._reading():
            keys = self._truth.note_keys()
            return sorted(key[len(CALLERS) :] for key in keys if key.startswith(CALLERS))

    # ---- derived state

    @property
    def published(self) -> int:
        """The watermark: chunks whose landmark and K/V are visible here."""
        return self._derived.published

    @property
    def revision(self) -> int:
        """A number that grows whenever chunks below the watermark may have changed, shared ones
        too."""
        return sum(truth.state.revision for truth in (self._truth, *self._truth.bases()))

    @property
    def holes(self) -> list[range]:
        """Chunks below the watermark that wait to be encoded anew: nobody may read them."""
        below = range(self.published)
        return [x for hole in self._derived.generation.holes if (x := within(hole, below))]

    @property
    def own_holes(self) -> list[range]:
        """Those that `fill` takes; the others are those of the session this one was forked from."""
        return list(self._derived.holes)

    def landmarks(self, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
        """Landmarks of published chunks, as a slice would take them: uint8 [n, landmark_bytes],
        zeros in holes.

        Raises:
            CorruptChunk: names the chunks whose rows are not what was written.
        """
        with self._reading():
            return self._derived.landmarks(start, stop)

    def gather(
        self, ids: NDArray[np.int64] | Sequence[int], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """K/V of chosen chunks, every block verified.

        Args:
            ids: int64 [n], each below `published`, in any order.
            out: uint8 [n, kv_bytes], C-contiguous, to be filled; None makes a new one.

        Returns:
            uint8 [n, kv_bytes] in the order of ids.

        Raises:
            IndexError: an id that is not published.
            CorruptChunk: names the chunks whose bytes are not what was written.
        """
        with self._reading():
            return self._derived.gather(ids, out)
