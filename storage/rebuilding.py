"""A new generation of a session's derived files, built beside the one in use.

Its watermark is kept in a note until all chunks are there; then one transaction makes it the
generation in use. Until that moment readers see the old one. Whatever is forgotten meanwhile takes
the unfinished generation with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from .derived import Derived
from .errors import CorruptMetadata, StoreError
from .layouts import describe, layout_key, read_layout
from .paths import generation_folder
from .rows import State
from .session import SessionStore
from .tables import holes, notes, seams, segments
from .truth import Truth
from .types import Layout
from .unfinished import BUILDING, drop_unfinished, throw_away

_WATERMARK = ("gen", "pub_chunk", "durable_chunk", "tail_serial", "clean", "forgotten")


class _NextTruth(Truth):
    """A session's truth under the watermark of a generation that is not in use yet."""

    def __init__(self, truth: Truth, state: State) -> None:
        # The same files; only the watermark is another.
        vars(self).update(vars(truth))
        self._real = truth
        self.state = state

    @contextmanager
    def writing(self, new: State, *, durable: bool = False) -> Iterator[sa.Connection]:
        """See `Truth.writing`; the session's own state row stays as it is."""
        with self._real.writing(self._real.state, durable=durable) as connection:
            self._real.put_note(connection, BUILDING, _watermark(new))
            yield connection
        self.state = new


def _watermark(state: State) -> dict[str, Any]:
    return {name: getattr(state, name) for name in _WATERMARK}


class Rebuilding(SessionStore):
    """A session open for writing whose derived state is made anew; made by `Store.rebuilding`.

    After `begin` the chunks, the tail and the watermark of this object are those of the new
    generation; turns are what they were.
    """

    _next: _NextTruth | None = None

    def begin(self, layout: Layout) -> None:
        """Start a generation of another layout, or go on with one that an earlier call began.

        Raises:
            StoreError: the session is a fork.
        """
        self.require_alone()
        with self._writing():
            truth = self._truth
            state = self._begun(layout) or self._new(layout)
            self._derived.settle()
            self._files.close()
            self._next = _NextTruth(truth, state)
            self._files = Derived(
                self._vfs,
                self.folder,
                self._store_id,
                truth.sid,
                self._next,
                write=True,
                dropped=self._dropped,
            )
            self._files.follow()
            # What an earlier call has written is not encoded again, so it is looked at once.
            if bad := self._derived.generation.damaged(self.published):
                self._derived.roll_back(bad[0])

    def _begun(self, layout: Layout) -> State | None:
        """The watermark of an unfinished generation, if it can be gone on with."""
        truth = self._truth
        try:
            note = truth.note(BUILDING)
            if note is None:
                return None
            watermark: dict[str, Any] = {name: int(note[name]) for name in _WATERMARK}
            state = replace(truth.state, **watermark)
            good = read_layout(truth, state.gen).layout == layout and state.gen > truth.state.gen
        except (CorruptMetadata, KeyError, TypeError, ValueError):
            return None
        return state if good and state.forgotten == truth.state.forgotten else None

    def _new(self, layout: Layout) -> State:
        truth = self._truth
        drop_unfinished(self._vfs, self.folder, truth)
        gen = truth.state.gen + 1
        state = replace(truth.state, gen=gen, pub_chunk=0, durable_chunk=0, tail_serial=0, clean=1)
        described = describe(layout, truth.cipher)
        with truth.writing(truth.state, durable=True) as connection:
            truth.put_note(connection, layout_key(gen), described.to_note())
            truth.put_note(connection, BUILDING, _watermark(state))
        return state

    def switch(self) -> None:
        """Make the new generation the one in use, in one transaction; the old one's files go.

        Raises:
            ValueError: it is not complete.
        """
        with self._writing():
            if self._next is None:
                raise ValueError("nothing was begun")
            whole = self.layout.num_chunks(self.num_tokens)
            if self.published != whole:
                raise ValueError(f"{self.published} of {whole} chunks are there")
            self._derived.settle()
            built, real = self._next.state, self._truth.state
            new = replace(
                real,
                gen=built.gen,
                pub_chunk=built.pub_chunk,
                durable_chunk=built.durable_chunk,
                tail_serial=built.tail_serial,
                revision=real.revision + 1,
            )
            with self._truth.writing(new, durable=True) as connection:
                gone = [BUILDING, layout_key(real.gen)]
                connection.execute(sa.delete(notes).where(notes.c.key.in_(gone)))
                for table in (segments, holes, seams):
                    connection.execute(sa.delete(table).where(table.c.gen == real.gen))
            throw_away(self._vfs, self._root, generation_folder(self.folder, real.gen))

    def require_alone(self) -> None:
        """Raise StoreError if the session is a fork."""
        with self._writing():
            if self._truth.state.base_turn or self._truth.state.base_chunk:
                raise StoreError(
                    f"session {self.info.name!r} is a fork and shares chunks with another session, "
                    "so that they cannot be made anew; export it and import the file under another "
                    "name"
                )

    @property
    def next_place(self) -> str:
        """Where a session is made that is to take this one's place."""
        return os.path.join(self.folder, "next")

    def drop_unfinished(self) -> None:
        """Remove what earlier attempts have left."""
        with self._writing():
            drop_unfinished(self._vfs, self.folder, self._truth)

    def close_files(self) -> None:
        """Close all files and keep the lock, so that nobody opens the session any more."""
        with self._mutex:
            with self._writing():
                self._derived.settle()
                self._truth.database.checkpoint()
            self._closed = True
            self._files.close()
            self._truth.close()
