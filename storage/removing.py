"""Deleting sessions: decided in the catalog, then done, by whoever comes next if need be."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet

from .errors import CorruptMetadata, SessionBusy, SessionHasForks, SessionMissing, StoreError
from .keyed import Keyed
from .locks import Lock, catalog_lock, lock_within, try_lock
from .names import UNSYNCED, are_unsynced, sync_names
from .reserve import Reserve
from .staging import finish_deletion, sweep_leftover
from .types import SessionInfo

if TYPE_CHECKING:
    from .session import SessionStore

_log = logging.getLogger(__name__)
_MOMENT_SECONDS = 0.25


class Removing(Keyed):
    """The part of `Store` that deletes."""

    _reserve: Reserve
    _sessions: WeakSet[SessionStore]
    has_files: bool

    def _catalog_lock(self) -> AbstractContextManager[None]:
        """Held by whoever changes the catalog."""
        return self._on_synced_names(catalog_lock(self._vfs, self.root))

    @contextmanager
    def _on_synced_names(self, lock: AbstractContextManager[None]) -> Iterator[None]:
        with lock:
            # Somebody may have repaired the catalog meanwhile, and been killed.
            if are_unsynced(self._vfs, self.root):
                sync_names(self._vfs, self.root)
            yield

    def _path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def _sweep(self) -> None:
        """Finish deletions and empty tmp and trash, if something is there and nobody is busy."""
        decided = False
        with suppress(CorruptMetadata):
            decided = self._catalog.has_deletions()
        if not decided and not self._leftovers("trash", "tmp"):
            return
        lock = try_lock(self._vfs, self._path("locks", "catalog.lock"))
        if lock is not None:
            try:
                self._sweep_locked()
            finally:
                lock.release()

    def _sweep_locked(self) -> None:
        """As `_sweep`, under the catalog's lock."""
        try:
            deleted = self._catalog.deleted_ids()
            users = self._catalog.users(deleted=True)
        except CorruptMetadata as error:
            # Told by whatever needs it; whoever is to repair it must be able to open the store.
            _log.warning("%s: leftovers stay until it is repaired: %s", self.root, error)
            return
        # What frees space without a word in the catalog comes first.
        for path in self._leftovers("trash"):
            if os.path.basename(path) not in deleted:
                self._try_to(partial(sweep_leftover, self._vfs, self.root, path, self._catalog))
        done = [self._try_to(partial(self.finish_deletion, session_id)) for session_id in deleted]
        # A user after her sessions.
        for user in users if all(done) else []:
            self._try_to(partial(self._catalog.remove_user, user.id))
        for path in self._leftovers("tmp"):
            self._try_to(partial(sweep_leftover, self._vfs, self.root, path, self._catalog))

    def _try_to(self, action: Callable[[], None]) -> bool:
        """Do what somebody else has left to be done, on a full disk too; False if it stays."""
        try:
            self._reserve.used_by(action)
            return True
        except (StoreError, FileNotFoundError) as error:
            # What is there can be read all the same; whoever comes next tries again.
            _log.warning("%s: something unfinished stays for now: %s", self.root, error)
            return False

    def _leftovers(self, *folders: str) -> list[str]:
        return [
            self._path(folder, name)
            for folder in folders
            for name in self._names(folder)
            if name != UNSYNCED
        ]

    def _names(self, folder: str) -> list[str]:
        try:
            return self._vfs.list_dir(self._path(folder))
        except FileNotFoundError:
            return []

    def delete_session(self, name: str) -> None:
        """Delete a session's files. Bytes may linger on the medium; this is no secure erase.

        Raises:
            SessionMissing, SessionBusy.
            SessionHasForks: delete them first.
        """
        with self._mutex:
            self._require_open()
            self._require_writable()
            despite_full_disk = self._reserve.used_by
            info = despite_full_disk(lambda: self._find(name))
            if info is None:
                raise SessionMissing(f"there is no session {name!r} in {self.root}")
            session_lock = despite_full_disk(lambda: self._lock_session(info))
            try:
                with ExitStack() as held:
                    despite_full_disk(lambda: held.enter_context(self._catalog_lock()))
                    # Under the lock: a fork is made under it too.
                    self.require_no_forks(name)
                    despite_full_disk(lambda: self._catalog.mark_deleted(info))
                    despite_full_disk(lambda: self.finish_deletion(info.id))
            finally:
                session_lock.release()
            if self.has_files:
                self._reserve.keep()

    def require_no_forks(self, name: str) -> None:
        """Raise SessionHasForks if a session was forked from that one."""
        info = self._find(name)
        if info and (forks := [fork.name for fork in self._catalog.forks(info.id)]):
            raise SessionHasForks(
                f"session {name!r} has forks ({', '.join(map(repr, forks[:5]))}), which read its "
                "turns and chunks; delete them first"
            )

    def finish_deletion(self, session_id: str) -> None:
        """Remove what is left of a session whose deletion was decided; under the catalog's lock."""
        finish_deletion(self._vfs, self.root, self._catalog, session_id)

    def _lock_session(self, info: SessionInfo) -> Lock:
        # Who counts what sessions take, or clears up, holds it for a moment; a writer for long. For
        # one of our own nobody waits: other threads of this handle would wait too.
        own = any(session.info.id == info.id and session.is_held for session in self._sessions)
        return self._lock_within(info, 0.0 if own else _MOMENT_SECONDS)

    def _lock_within(self, info: SessionInfo, seconds: float) -> Lock:
        path = os.path.join(self.root, "locks", f"s-{info.id}.lock")
        lock = lock_within(self._vfs, path, seconds)
        if lock is None:
            raise SessionBusy(
                f"session {info.name!r} is being written by another handle or process; "
                "close it there, or open it here with read_only=True"
            )
        return lock
