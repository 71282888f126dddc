"""Deleting sessions: decided in the catalog, then done, by whoever comes next if need be."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, ExitStack, suppress

from .errors import CorruptMetadata, SessionBusy, SessionHasForks, SessionMissing, StoreFull
from .keyed import Keyed
from .locks import Lock, catalog_lock, try_lock
from .names import UNSYNCED
from .reserve import Reserve
from .staging import finish_deletion, sweep_leftover
from .types import SessionInfo

_log = logging.getLogger(__name__)


class Removing(Keyed):
    """The part of `Store` that deletes."""

    _reserve: Reserve
    has_files: bool

    def _catalog_lock(self) -> AbstractContextManager[None]:
        """Held by whoever changes the catalog."""
        return catalog_lock(self._vfs, self.root)

    def _path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def _sweep(self) -> None:
        """Finish deletions and empty tmp and trash, if something is there and nobody is busy."""
        leftovers = [
            self._path(folder, name)
            for folder in ("tmp", "trash")
            for name in self._names(folder)
            if name != UNSYNCED
        ]
        decided = False
        with suppress(CorruptMetadata):
            decided = self._catalog.has_deletions()
        if not leftovers and not decided:
            return
        lock = try_lock(self._vfs, self._path("locks", "catalog.lock"))
        if lock is None:
            return
        try:
            for session_id in self._catalog.deleted_ids():
                self.finish_deletion(session_id)
            for user in self._catalog.users(deleted=True):
                self._catalog.remove_user(user.id)
            for path in leftovers:
                sweep_leftover(self._vfs, self.root, path, self._catalog)
        except StoreFull as error:
            # What is there can be read all the same, and deleted.
            _log.warning("%s: unfinished deletions stay for now: %s", self.root, error)
        except CorruptMetadata as error:
            # Told by whatever needs it; whoever is to repair it must be able to open the store.
            _log.warning("%s: leftovers stay until it is repaired: %s", self.root, error)
        finally:
            lock.release()

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
        lock = try_lock(self._vfs, os.path.join(self.root, "locks", f"s-{info.id}.lock"))
        if lock is None:
            raise SessionBusy(
                f"session {info.name!r} is being written by another handle or process; "
                "close it there, or open it here with read_only=True"
            )
        return lock
