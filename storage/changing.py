"""Forgetting turns of an open session, and what a fork of it begins with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from .creating import Start
from .errors import SharedTurn
from .forgetting import (
    Forgotten,
    Needles,
    forget_turns,
    token_spans,
    touch_chunks,
    turns_seen,
)
from .forking import origin_of, start_of
from .places import InFolder
from .reading import Reading
from .reserve import Reserve
from .scanning import Scan
from .scanning import scan as scan_files
from .types import SessionInfo
from .unfinished import drop_unfinished


class Changing(Reading, InFolder):
    """The part of a `SessionStore` that changes what is there already."""

    info: SessionInfo
    _root: str
    _open_forks: OpenForks

    def forget(
        self,
        seqs: Sequence[int],
        *,
        blank: int,
        reach: int,
        keys: Sequence[str] = (),
        scan: bool = False,
    ) -> Forgotten:
        """Remove what turns said: text, tokens, metadata, id, and every chunk they had a part in.

        Each keeps its number, time, role and place in the stream, with blank tokens there. When
        this returns none of the session's files holds the rest; the chunks are `holes` until
        `fill` writes them anew. What is known already to be forgotten is passed over.

        Args:
            seqs: numbers of turns.
            blank: token id that takes the place of each of their tokens.
            reach: tokens after a turn whose chunks depend on it.
            keys: names of maps (`set_meta`) to be removed with them.
            scan: search every file of the session, and what the store is about to throw away, for
                the removed bytes; takes as long as reading all of it.

        Raises:
            IndexError: there is no such turn.
            SessionBusy: somebody writes to a fork; nothing was forgotten.
            StoreLocked: forks are being made; nothing was forgotten.
            StoreFull, DurabilityLost, FencedWriter, ReadOnly, SessionClosed.
        """
        with self._writing():
            pass  # whoever may not write takes no locks
        with self._open_forks() as forks, self._writing():
            for seq in seqs:
                if not 0 <= seq < self.num_turns:
                    raise IndexError(f"turn {seq} of {self.num_turns}")
                if seq < self._truth.state.base_turn:
                    owner = origin_of(self._truth, seq + 1).sid.hex()
                    raise SharedTurn(
                        f"turn {seq} belongs to session {owner}, from which {self.info.name!r} was "
                        "forked; forget it there, and it is gone from every fork"
                    )
            # First: if it ends here, they only have to encode what they had.
            spans = token_spans(self._truth, seqs)
            for fork in forks:
                fork.touch(self.info.id, spans, reach)
            if not self._is_cache:
                drop_unfinished(self._vfs, self.folder, self._truth)
            done = forget_turns(
                self._truth,
                self._derived,
                seqs,
                blank=blank,
                reach=reach,
                keys=keys,
                look=self._scan if scan else None,
                reserve=Reserve(self._vfs, self._root),
                fence=self._require_no_new_forks,
            )
            self._index.forget(seqs)
            self._forgotten()
            return done

    def _require_no_new_forks(self, connection: sa.Connection) -> None:
        """Raise StoreLocked, in the transaction that forgets, if a fork may have been made since
        `_open_forks`."""
        return

    def touch(self, session_id: str, spans: Mapping[int, tuple[int, int]], reach: int) -> None:
        """Make holes of this fork's own chunks that depend on turns it shares.

        Args:
            session_id: of the session whose turns they are.
            spans: token range (start, stop) of each turn, by its number.
            reach: as of `forget`.
        """
        with self._writing():
            seen = turns_seen(self._truth, session_id)
            touch_chunks(
                self._truth, self._derived, [x for seq, x in spans.items() if seq < seen], reach
            )

    def settle(self) -> None:
        """Force what is published to the disk, as `close` does."""
        with self._writing():
            self._derived.settle()
            self._settled()

    def lineage(self) -> list[str]:
        """Ids of the sessions whose turns it has, the first one first, itself last."""
        with self._reading():
            return [truth.sid.hex() for truth in (*self._truth.bases()[::-1], self._truth)]

    def start_of_fork(self, store_id: bytes, num_turns: int) -> tuple[Start, str]:
        """What a fork after `num_turns` turns begins with, and the id of the session it is a fork
        of."""
        with self._reading():
            if not 0 <= num_turns <= self.num_turns:
                raise IndexError(f"turn {num_turns} of {self.num_turns}")
            start = start_of(store_id, self._truth, self._derived, num_turns)
            return start, origin_of(self._truth, num_turns).sid.hex() if num_turns else ""

    def _scan(self, needles: Needles) -> Scan:
        thrown_away = [os.path.join(self._root, name) for name in ("tmp", "trash")]
        there = [path for path in thrown_away if self._vfs.lstat(path) is not None]
        return scan_files(self._vfs, [self.folder, *there], needles)

    def fill(self, first: int, landmarks: NDArray[np.uint8], kv: NDArray[np.uint8]) -> None:
        """Write chunks anew that forgetting made a hole of; they are readable when this returns.

        Args:
            first: index of the first chunk of a hole.
            landmarks, kv: as of `write_chunks`, for the whole hole or the beginning of it.

        Raises:
            ValueError: no hole begins there, or it is shorter.
            StoreFull: the hole is as it was; try again when there is space.
        """
        with self._writing():
            self._derived.fill(first, landmarks, kv)
            self._published()


OpenForks = Callable[[], AbstractContextManager[Sequence[Changing]]]


@contextmanager
def no_forks() -> Iterator[list[Changing]]:
    """A session without forks."""
    yield []
