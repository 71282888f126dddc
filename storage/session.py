"""SessionStore: one session's turns (truth) and chunks (derived), under one watermark."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .changing import Changing, OpenForks, no_forks
from .checking import check_session, session_stats
from .cipher import PLAIN, Cipher
from .creating import identity_from
from .derived import Derived
from .errors import (
    CorruptMetadata,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreUnreachable,
)
from .findings import Problem
from .forgetting import clean_pages, has_old_pages
from .index import IndexCache
from .layouts import Wanted, read_layout, require_cipher, require_followed, require_layout
from .leaving import close_after
from .locks import Lock
from .paths import session_folder
from .quotas import Budget
from .spending import Spending
from .truth import CALLERS
from .types import Finding, Layout, SessionInfo, Turn
from .unfinished import clear_generations
from .vfs import Vfs

_log = logging.getLogger(__name__)


class SessionStore(Spending, Changing):
    """An open session; made by `Store.session`.

    A context manager, and safe to share between threads. After an error of durability
    the handle refuses everything but `close`; open the session again.

    Attributes:
        info: the session's row of the catalog.
        folder: its directory.
    """

    _released = True  # until everything is open

    def __init__(
        self,
        vfs: Vfs,
        root: str,
        store_id: bytes,
        info: SessionInfo,
        *,
        layout: Wanted,
        lock: Lock | None,
        trust_head: bool = True,
        cipher: Cipher = PLAIN,
        budget: Budget | None = None,
        open_forks: OpenForks = no_forks,
    ) -> None:
        super().__init__(info.name, writable=lock is not None)
        self.info = info
        self.folder = session_folder(root, info.id)
        self._vfs = vfs
        self._root = root
        self._store_id = store_id
        self._wanted = layout
        self._lock_file = lock
        self._budget = budget
        self._open_forks = open_forks
        sid = bytes.fromhex(info.id)
        self._truth = self._open_truth(sid, cipher)
        self._index = IndexCache(self._truth)
        self._recovered: list[Finding] = []
        self._damaged: list[Finding] = []
        derived = None
        try:
            state = self._truth.load()
            self._truth.open_base(root)
            # What a reader has followed: its state row, and the revision of all that it shares.
            self._followed = state, self.revision
            if trust_head:
                self._truth.require_acknowledged()
            described = read_layout(self._truth, state.gen)
            require_cipher(described.cipher, cipher, info.name)
            require_layout(described.layout, layout, state.n_tok, info.name)
            self._fetch()
            self._files = derived = Derived(
                vfs,
                self.folder,
                store_id,
                sid,
                self._truth,
                write=lock is not None,
                dropped=self._dropped,
                is_cache=self._is_cache,
            )
            if self.writable and not self._is_cache:
                clear_generations(vfs, root, self.folder, self._truth)
            self._recovered = self._findings(self._lost())
            if self.writable and (self._files.has_holes() or has_old_pages(self._truth)):
                # What was forgotten goes before anything else, whatever is asked for here.
                with suppress(StoreFull):
                    clean_pages(self._truth)
                self._follow()
            self._settle_budget()
        except BaseException:
            if derived is not None:
                derived.close()
            self._truth.close()
            raise
        self._released = False

    def _lost(self) -> list[Problem]:
        lost = self._truth.lost_commits()
        detail = f"the last {lost} unsynced changes of watermark or notes are lost"
        return [Problem(self._truth.where, "lost-changes", detail)] if lost else []

    def _findings(self, problems: Sequence[Problem]) -> list[Finding]:
        return [self._finding(replace(problem, repaired=self.writable)) for problem in problems]

    def _finding(self, problem: Problem) -> Finding:
        return problem.as_finding(self.info.name, self._root)

    @property
    def _derived(self) -> Derived:
        """The derived files, looked at when they are first used: an append needs none of them."""
        if not self._files.taken_in:
            with self._mutex:
                if not self._files.taken_in:
                    self._follow()
        return self._files

    @property
    def recovered(self) -> list[Finding]:
        """What a first look at the derived files, or a refresh, found damaged; the chunks from
        there on are not published any more, so the caller encodes them again."""
        if not self._closed:
            _ = self._derived
        return self._recovered

    @property
    def damaged(self) -> list[Finding]:
        """What a reader cannot use now, because no writer has repaired it yet."""
        if not self._closed:
            _ = self._derived
        return self._damaged

    @property
    def layout(self) -> Layout:
        """What the session's derived files hold."""
        return self._files.layout

    @property
    def writable(self) -> bool:
        """Whether this handle is the session's writer."""
        return self._writable

    @property
    def is_held(self) -> bool:
        """Whether this handle has the session's lock: a writer's, until it is closed."""
        return self._writable and not self._released

    def close(self) -> None:
        """Sync what was published, close all files and free the lock; idempotent, also when it was
        interrupted."""
        with self._mutex:
            if self._released:
                return
            again, self._closed = self._closed, True
            try:
                if self._may_write() and not again:
                    self._recover()
                    self._files.settle()
                    self._settled()
                    self._truth.database.checkpoint()
                    if has_old_pages(self._truth):
                        clean_pages(self._truth)
                    self._settle_budget()
            except (StoreFull, StoreLocked, StoreUnreachable) as error:
                # Nothing acknowledged hangs on this; the next open does it again.
                _log.warning("session %r closed without its checkpoint: %s", self.info.name, error)
            finally:
                try:
                    self._release()
                finally:
                    # Whatever an interrupt left open.
                    self._release()

    def _release(self) -> None:
        if self._released:
            return
        self._files.close()
        self._truth.close()
        if self._lock_file is not None:
            self._lock_file.release()
        self._released = True

    def __del__(self) -> None:
        # What was acknowledged is on disk; files and lock must not outlive their last user.
        if not sys.is_finalizing():
            self._release()

    def __enter__(self) -> SessionStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        close_after(error, self.close)

    def _start_over(self) -> None:
        """Read everything anew, as if the session was opened now."""
        self._truth.reload()
        self._index = IndexCache(self._truth)
        self._fetch()
        self._files.reopen()

    def _follow(self) -> None:
        found = self._findings(self._files.follow())
        self._recovered += [finding for finding in found if finding not in self._recovered]
        self._damaged = [] if self.writable else found

    # ---- truth

    def append(
        self, turns: Sequence[Turn], *, meta: Mapping[str, dict[str, Any]] | None = None
    ) -> list[Turn]:
        """Store turns in one transaction; when this returns they are durable.

        A turn whose id is known is not stored again; the stored one is returned in its place.

        Args:
            turns: in stream order; text up to 256 MiB of UTF-8, up to 2**27 tokens,
                metadata up to 64 KiB packed, id up to 512 and role up to 64 bytes.
            meta: small maps as of `set_meta`, stored in the same transaction if a turn of it is
                new; one whose key is known stays as it is.

        Returns:
            The turns as stored, with `seq` and `token_start`.

        Raises:
            ValueError, LimitExceeded: a bad field; nothing was stored.
            TurnConflict: a known id with another role or text; nothing was stored.
            StoreFull: nothing was stored; try again when there is space. QuotaExceeded, which is
                one, if the user's quota leaves none.
            DurabilityLost, FencedWriter, ReadOnly, SessionClosed.
        """
        with self._mutex:
            with self._writing():
                notes = {CALLERS + key: value for key, value in (meta or {}).items()}
                stored = self._append(turns, notes)
            try:
                with self._writing():
                    self._truth.database.checkpoint(only_if_large=True)
            except StoreError as error:
                # The turns are durable in the log, which the next commit tries to empty again;
                # after a failed fsync it refuses to.
                _log.warning("session %r keeps its long log: %s", self.info.name, error)
        return stored

    def set_meta(self, key: str, value: dict[str, Any]) -> None:
        """Keep a small map (64 KiB packed) under a key; survives a kill, synced by `append`."""
        with self._writing(), self._truth.writing(self._truth.state) as connection:
            self._truth.put_note(connection, CALLERS + key, value)

    # ---- derived state

    def write_chunks(self, first: int, landmarks: NDArray[np.uint8], kv: NDArray[np.uint8]) -> None:
        """Write chunks that nobody sees until `publish`.

        Args:
            first: index of the first one, from `published` up to what was written so far.
            landmarks: uint8 [n, landmark_bytes].
            kv: uint8 [n, kv_bytes].

        Raises:
            ValueError: wrong shape, a gap, or chunks whose tokens are not all appended.
            StoreFull: nothing visible has changed; try again when there is space.
        """
        with self._writing():
            self._derived.write_chunks(first, landmarks, kv)

    def publish(self, num_chunks: int, tail: bytes) -> None:
        """Move the watermark up and replace the tail; both become visible together.

        Survives a kill at once. After a power cut the watermark may be older.

        Args:
            num_chunks: new watermark, from `published` up to what was written.
            tail: derived state that belongs to exactly that many chunks.

        Raises:
            ValueError: num_chunks out of range.
        """
        with self._writing():
            self._derived.publish(num_chunks, tail)
            self._published()

    def rollback(self, num_chunks: int) -> None:
        """Lower the watermark; the chunks above it are to be written again. It goes further down
        if the records of the chunks before it are damaged.

        Raises:
            ValueError: num_chunks is above the watermark or negative.
        """
        with self._writing():
            if not 0 <= num_chunks <= self.published:
                raise ValueError(f"cannot roll back to {num_chunks} of {self.published} chunks")
            self._derived.roll_back(num_chunks)

    def tail(self) -> bytes | None:
        """The tail that was published with the watermark, or None if it cannot be used."""
        with self._reading():
            blob, problem = self._derived.tail()
            # A reader may be looking at a slot that its writer fills anew.
            if problem and not self.writable and self._truth.read_state() == self._truth.state:
                self._damaged.append(self._finding(problem))
            return blob

    def refresh(self) -> bool:
        """Follow the writer: see its turns and chunks. Returns whether anything changed.

        Raises:
            Erased: the session was deleted.
            ModelMismatch: its derived state was made anew with another layout.
        """
        with self._reading():
            if self.writable:
                return False
            self._require_there()
            for base in self._truth.bases():
                # Its writer may have encoded anew what this session shares.
                base.load()
            now = self._truth.load(), self.revision
            if now == self._followed:
                return False
            old, revision = self._followed
            require_followed(self._truth, old, self._wanted, self.info.name)
            if self._fetch() or now[1] != revision or now[0].gen != old.gen:
                self._index = IndexCache(self._truth)
                self._truth.forgot()
                self._files.reopen()
            if self._files.taken_in:
                self._follow()
            # Last: what failed on the way is followed the next time.
            self._followed = now
            return True

    # ---- inspection

    def identity(self) -> SessionInfo:
        """Name and id as the session itself keeps them, whatever the catalog says."""
        with self._reading():
            note = self._truth.note("identity")
            if note is None or note.get("sid") != self.info.id:
                raise CorruptMetadata(f"{self._truth.where}: does not say which session it is")
            return identity_from(note)

    def stats(self) -> dict[str, Any]:
        """Counts, bytes on disk by kind (allocated blocks, not lengths), bytes per token."""
        with self._reading():
            return session_stats(self._vfs, self.folder, self._truth, self._derived)

    def check(self, *, repair: bool = False) -> list[Finding]:
        """Read everything and report what is not as written; empty means all is well.

        Args:
            repair: lower the watermark to the first damaged chunk, drop a damaged tail,
                write head.bin anew. Damaged turns are reported and never changed.
        """
        with self._writing() if repair else self._reading():
            found = check_session(self._vfs, self.folder, self._truth, self._derived, repair)
            return [self._finding(problem) for problem in found]
