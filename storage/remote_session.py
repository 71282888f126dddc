"""RemoteSession: a session whose truth lies in PostgreSQL, and whose folder is a cache."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from .changing import OpenForks, no_forks
from .cipher import PLAIN, Cipher
from .errors import DurabilityLost, Erased, FencedWriter, SessionClosed, StoreError, StoreLocked
from .forgetting import Needles
from .layouts import Wanted
from .leases import BRANCH, Lease
from .locks import FileLock, try_lock
from .mirror import Mirror
from .objects import ObjectStore
from .pieces import drop_pieces
from .postgres import PostgresDatabase
from .postgres_server import Server
from .scanning import Scan
from .session import SessionStore
from .truth import Truth
from .types import Finding, SessionInfo
from .vfs import Vfs

_log = logging.getLogger(__name__)
_FETCH_SECONDS = 600.0
_POLL_SECONDS = 0.02
# Found missing in a cache, and no damage: its writer has not stored it yet, or never will.
_ABSENT = ("short-file", "bad-segment", "bad-header")
_there = sa.text("SELECT count(*) FROM state")


class WriterLock:
    """The lease of a session, and the lock of its files here.

    Args:
        files: so that one process of this machine changes them at a time.
        lease: so that one process of all machines writes.
    """

    def __init__(self, files: FileLock, lease: Lease) -> None:
        self._files = files
        self.lease = lease

    def release(self) -> None:
        """Free both; a second call does nothing."""
        try:
            self.lease.release()
        finally:
            self._files.release()


class RemoteSession(SessionStore):
    """An open session of a store on servers; made by `Store.session`.

    Args:
        server: with the truth.
        objects: with the chunks; None if nowhere.
    """

    _is_cache = True

    def __init__(
        self,
        vfs: Vfs,
        root: str,
        store_id: bytes,
        info: SessionInfo,
        *,
        server: Server,
        objects: ObjectStore | None,
        layout: Wanted,
        lock: WriterLock | None,
        trust_head: bool = True,
        cipher: Cipher = PLAIN,
        open_forks: OpenForks = no_forks,
    ) -> None:
        self._server = server
        self._objects = objects
        self._store_id = store_id
        self._lease = None if lock is None else lock.lease
        self._locks = os.path.join(root, "locks")
        self._damaged_objects: list[Finding] = []
        super().__init__(
            vfs,
            root,
            store_id,
            info,
            layout=layout,
            lock=lock,
            trust_head=trust_head,
            cipher=cipher,
            open_forks=open_forks,
        )

    def _open_truth(self, sid: bytes, cipher: Cipher) -> Truth:
        database = PostgresDatabase(
            self._server, sid.hex(), write=self._writable, lease=self._lease
        )
        truth = Truth(
            self._vfs, self.folder, sid, write=self._writable, cipher=cipher, database=database
        )
        self._mirror = Mirror(self._vfs, self._objects, self._store_id, truth, write=self._writable)
        return truth

    def _require_there(self) -> None:
        with self._truth.database.read() as connection:
            there = connection.execute(_there).scalar_one()
        if not there:
            raise Erased(f"session {self._name!r} was deleted")

    # ---- derived files

    def _fetch(self) -> bool:
        mirrors = [self._mirror]
        truth = self._truth
        while truth.base is not None:
            # Chunks that a fork shares are objects of the session it was forked from.
            truth = truth.base.truth
            gen = self._truth.state.gen
            mirrors.append(
                Mirror(self._vfs, self._objects, self._store_id, truth, write=False, gen=gen)
            )
        replaced, problems = False, []
        for mirror in mirrors:
            with self._fetching(mirror.session_id) as allowed:
                if allowed:
                    new, damaged = mirror.fetch()
                    replaced |= new
                    problems += damaged
        self._damaged_objects = self._findings(problems)
        return replaced

    @contextmanager
    def _fetching(self, session_id: str) -> Iterator[bool]:
        """Change a session's files here; False if another process of this machine is its writer."""
        deadline = time.monotonic() + _FETCH_SECONDS
        path = os.path.join(self._locks, f"f-{session_id}.lock")
        while (lock := try_lock(self._vfs, path)) is None:
            if time.monotonic() > deadline:
                raise StoreLocked(f"{path} is held by another process; try again")
            time.sleep(_POLL_SECONDS)
        try:
            own = self._writable and session_id == self.info.id
            yield own or not self._is_written_here(session_id)
        finally:
            lock.release()

    def _is_written_here(self, session_id: str) -> bool:
        lock = try_lock(self._vfs, os.path.join(self._locks, f"s-{session_id}.lock"))
        if lock is not None:
            lock.release()
        return lock is None

    def _follow(self) -> None:
        super()._follow()
        self._recovered += [x for x in self._damaged_objects if x not in self._recovered]
        if not self.writable:
            found = [*self._damaged_objects, *self._damaged]
            self._damaged = [finding for finding in found if finding.kind not in _ABSENT]

    def _dropped(self, connection: sa.Connection, gen: int, chunks: range) -> None:
        drop_pieces(connection, gen, chunks)

    def _published(self) -> None:
        self._try_to_push(everything=False)

    def _settled(self) -> None:
        if self._try_to_push(everything=True):
            try:
                self._mirror.collect()
            except (DurabilityLost, FencedWriter, SessionClosed):
                raise
            except StoreError as error:
                _log.warning("session %r leaves objects without use: %s", self._name, error)

    def _try_to_push(self, *, everything: bool) -> bool:
        """Store chunks; what cannot be stored now is stored later, or encoded again elsewhere."""
        try:
            self._mirror.push(everything=everything)
        except (DurabilityLost, FencedWriter, SessionClosed):
            raise
        except StoreError as error:
            _log.warning("session %r: chunks are not stored: %s", self._name, error)
            return False
        return True

    def _scan(self, needles: Needles) -> Scan:
        self._mirror.collect()
        files, objects = super()._scan(needles), self._mirror.search(needles)
        traces = [*files.traces, *objects.traces]
        return Scan(files.files + objects.files, files.bytes + objects.bytes, traces)

    def _require_no_new_forks(self, connection: sa.Connection) -> None:
        assert self._lease is not None
        lease = self._lease.beside(BRANCH + self.info.id)
        # The row stays locked until the commit, so nobody begins a fork before that either.
        if lease is None or connection.exec_driver_sql(lease.renewal).rowcount != 1:
            raise StoreLocked(
                f"session {self._name!r}: forks may have been made while this process did not "
                "answer, so nothing was forgotten; try again"
            )

    def _forgotten(self) -> None:
        # Rows went in the transaction that forgot; until their objects are gone it is not done.
        self._mirror.collect()

    def check(self, *, repair: bool = False) -> list[Finding]:
        """See `SessionStore.check`; reads every object too, and a repair deletes orphans."""
        found = super().check(repair=repair)
        with self._writing() if repair else self._reading():
            return found + [self._finding(x) for x in self._mirror.check(repair=repair)]
