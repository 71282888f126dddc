"""Part of a store: sessions that are made beside the others, copies, and generations made anew."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from .administration import Administration
from .backup import Copied, StoreCopy
from .errors import SessionMissing, StoreError
from .keys import KeySource
from .quotas import NOTHING, Amount, closed_amount, limits
from .rebuilding import Rebuilding
from .session import SessionStore
from .staging import Staging
from .types import Finding, Layout, SessionInfo, User
from .vfs import Vfs

if TYPE_CHECKING:
    from .store import Store


class Moving(Administration, ABC):
    """Part of `Store`."""

    has_files = True
    """Whether the folder is all there is; a store on servers keeps copies there."""

    @classmethod
    @abstractmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        key: KeySource | None = None,
        create: bool = True,
        read_only: bool = False,
        vfs: Vfs | None = None,
    ) -> Store:
        """Open the store in a directory."""

    @property
    def vfs(self) -> Vfs:
        """Access to files, for what is written outside of the store."""
        return self._vfs

    def _require_files(self, action: str) -> None:
        if not self.has_files:
            raise StoreError(
                f"a store on servers cannot {action}; export its sessions and import them into "
                "one in a folder, or use what the servers have for it"
            )

    @contextmanager
    def staging(self, place: str | None = None) -> Iterator[Staging]:
        """A place to make sessions that nobody sees before `install`; see `Staging`."""
        with self._mutex:
            self._require_open()
            self._require_writable()
            self._require_files("take sessions in")
            staging = Staging(self._vfs, self.root, self._id, place)
        try:
            yield staging
        finally:
            staging.close(self._catalog)
            self._reserve.keep()

    def make_staged(
        self, staging: Staging, name: str, created: float, layout: Layout
    ) -> SessionStore:
        """A new session of a staging, open for writing; it is closed before `install`."""
        with self._mutex, self._catalog_lock():
            user = self._user_to_own()
        info = SessionInfo(name=name, id=os.urandom(16).hex(), created=created, user=user.id)
        return staging.make(info, layout, *self._new_cipher(user, info))

    def staged_successor(
        self, staging: Staging, session: Rebuilding, layout: Layout
    ) -> SessionStore:
        """A session that is to take the place of another: one that an earlier attempt has begun in
        that staging, if it has the layout, else a new one."""
        user = self._owner() or User(name="", id="", created=0.0)
        for session_id in staging.found():
            info = replace(session.info, id=session_id)
            with suppress(StoreError):
                store = staging.open(info, layout, self._new_cipher(user, info)[0])
                if _is_beginning(store, session):
                    return store
                store.close()
            session.drop_unfinished()
        info = replace(session.info, id=os.urandom(16).hex())
        return staging.make(info, layout, *self._new_cipher(user, info))

    def install(
        self, staging: Staging, infos: Sequence[SessionInfo], *, gone: SessionInfo | None = None
    ) -> None:
        """Put staged sessions into their places, all or none; raises as `Staging.install`.

        Args:
            gone: a session that is deleted in the same moment; the caller holds its lock.
        """
        with self._mutex, self._catalog_lock():
            self._require_open()
            if gone is not None:
                self.require_no_forks(gone.name)
            taken = {info.id: self._staged_amount(staging, info) for info in infos if info.user}
            wanted: dict[str, Amount] = {}
            for info in infos:
                before = wanted.get(info.user, NOTHING)
                wanted[info.user] = before.plus(taken.get(info.id, NOTHING))
            self._require_room_for(wanted, gone.id if gone else "")
            staging.install(self._catalog, infos, gone=gone, held=taken)
            if gone is not None:
                self.finish_deletion(gone.id)

    def _staged_amount(self, staging: Staging, info: SessionInfo) -> Amount:
        user = self._catalog.user_by_id(info.user)
        if user is None or limits(user) == (None, None):
            return NOTHING
        return closed_amount(self._vfs, staging.place, info.id)

    def backup(
        self, folder: str, on_session: Callable[[str, int, int], None] | None = None
    ) -> tuple[list[Copied], int, list[Finding]]:
        """Copy the store into a missing or empty folder, while its writers go on.

        The copy is verified; damage that it shares with the store is repaired in it as `check`
        does. Until all of that is done it has another name, and before all is copied it is no
        store. A file `<folder>.partial` that a kill leaves is cleared away by the next backup.

        Args:
            on_session: called with each session's name, the bytes copied and all bytes.

        Returns:
            Its sessions, whoever they belong to, bytes copied, and what the verification found.

        Raises:
            NotAllowed: this handle was opened for a user.
            StoreError, NotAFolder: the folder cannot be used; StoreLocked: another backup to it is
                on its way.
        """
        with self._mutex:
            self._require_open()
            self._require_files("be copied")
            self._require_administration()
        copy = StoreCopy(self._vfs, self.root, self._id, folder)
        with closing(copy):
            copy.copy(on_session or (lambda name, done, total: None))
            key = None if self._keys is None else self._keys.secret
            with type(self).open(copy.staged, key=key, create=False, vfs=self._vfs) as store:
                found = store.check(repair=True)
                copied = copy.sizes(store.every_session())
            copy.finish()
        return copied, copy.num_bytes, found

    def switch(self, session: Rebuilding) -> None:
        """Make what was built the derived state of a session; raises as `Rebuilding.switch`.

        Raises:
            SessionHasForks: somebody has forked it meanwhile.
        """
        with self._catalog_lock():
            # A fork whose listing was killed must not come back to chunks that are gone.
            self._catalog.adopt_log(self._vfs, nullcontext)
            self.require_no_forks(session.info.name)
            session.switch()

    @contextmanager
    def rebuilding(self, name: str) -> Iterator[Rebuilding]:
        """A session open for writing, whatever its layout, to have its derived state made anew.

        Raises:
            SessionMissing, SessionBusy.
            SessionHasForks: forks read its chunks.
        """
        with self._mutex:
            self._require_open()
            self._require_writable()
            self._require_files("encode a session anew")
            session = None
            while session is None:
                info = self._find(name)
                if info is None:
                    raise SessionMissing(f"there is no session {name!r} in {self.root}")
                self.require_no_forks(name)
                with self._unless_gone(info):
                    session = self._open_rebuilding(info)
        with session:
            yield session

    def _open_rebuilding(self, info: SessionInfo) -> Rebuilding:
        lock = self._lock_session(info)
        try:
            self._catalog.adopt_log(self._vfs, self._catalog_lock)
            return Rebuilding(
                self._vfs,
                self.root,
                self._id,
                info,
                layout=None,
                lock=lock,
                cipher=self._cipher_of(info, write=True),
            )
        except BaseException:
            lock.release()
            raise


def _is_beginning(store: SessionStore, session: SessionStore) -> bool:
    """Whether all of a session's turns are the first of another's, some of them forgotten there
    and here."""
    count = store.num_turns
    if count > session.num_turns or store.num_forgotten != session.num_forgotten:
        return False
    ours, theirs = store.turns(count - 1, count), session.turns(count - 1, count)
    return [turn.turn_id for turn in ours] == [turn.turn_id for turn in theirs]
