"""RemoteStore: sessions in PostgreSQL and object storage, that any machine can open."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial

import sqlalchemy as sa

from .addresses import check_addresses, parse_address
from .catalog import Catalog
from .checking_store import check_one
from .cipher import Cipher
from .creating import Start, fill_tables, identity_from
from .errors import (
    CorruptMetadata,
    NotAllowed,
    SessionBusy,
    SessionMissing,
    StoreError,
    StoreLocked,
)
from .findings import told
from .layouts import Wanted
from .leases import BRANCH, Leases
from .locks import Lock, catalog_lock, try_lock
from .marker import NAME as MARKER
from .marker import read_marker, write_marker
from .mirror import delete_objects
from .objects import ObjectStore
from .paths import require_folder, session_folder, session_ids
from .postgres import PostgresDatabase
from .postgres_server import Server
from .postgres_tables import delete_rows, open_tables
from .remote_session import RemoteSession, WriterLock
from .reserve import NAME as RESERVE
from .session import SessionStore
from .store import Store
from .tables import sessions
from .truth import Truth
from .types import Finding, SessionInfo, User
from .vfs import Vfs

_CATALOG = "catalog"
_POLL_SECONDS = 0.05
_BRIEFLY = 5
_FOLDERS = ("locks", "s", "tmp", "trash")


def open_remote(
    vfs: Vfs,
    root: str,
    database: str | None,
    objects: str | None,
    *,
    create: bool,
    read_only: bool,
) -> RemoteStore:
    """See `Store.open`; the folder is made, and filled, for a reader too: it is a cache."""
    check_addresses(database, objects)
    assert database is not None
    server = Server(parse_address(database))
    stored = None if objects is None else ObjectStore(objects)
    try:
        if stored is not None:
            # Before anything is made in the database for an address that is mistaken.
            stored.require_there()
        store_id = open_tables(server, create=create and not read_only)
        _open_cache(vfs, root, store_id, server.address.shown)
        store = RemoteStore(vfs, root, store_id, server=server, objects=stored, read_only=read_only)
        if not read_only:
            store.finish_deletions()
        return store
    except BaseException:
        server.close()
        raise


def _open_cache(vfs: Vfs, root: str, store_id: bytes, shown: str) -> None:
    """Make the folder the cache of a store, or require that it is."""
    require_folder(root)
    if vfs.lstat(root) is None:
        with suppress(FileExistsError):
            vfs.make_dir(root, parents=True)
    foreign = {name for name in vfs.list_dir(root) if name not in (*_FOLDERS, MARKER)}
    if foreign == {RESERVE} and _is_cache(vfs, root):
        # Made by an earlier version when it deleted a session; a cache needs none.
        foreign = set()
    if foreign:
        raise StoreError(
            f"{root} cannot be a cache: it is a store of its own, or not empty (it holds "
            f"{min(foreign)!r}). Choose another folder."
        )
    for folder in _FOLDERS:
        vfs.ensure_dir(os.path.join(root, folder))
    with catalog_lock(vfs, root):
        try:
            found = read_marker(vfs, root, is_cache=True)
        except (CorruptMetadata, SessionMissing):
            # Nothing here that is not there: it may as well be the first time.
            write_marker(vfs, root, store_id, shown)
            return
    if found != store_id:
        raise StoreError(
            f"{root} is the cache of another store ({found.hex()}), not of {shown} "
            f"({store_id.hex()}). Choose another folder."
        )


def _is_cache(vfs: Vfs, root: str) -> bool:
    with suppress(StoreError):
        read_marker(vfs, root, is_cache=True)
        return True
    return False


class RemoteStore(Store):
    """An open store on servers; made by `Store.open` with a database.

    Args:
        server: with the truth.
        objects: with the chunks; None if every machine encodes for itself.
    """

    has_files = False

    def __init__(
        self,
        vfs: Vfs,
        root: str,
        store_id: bytes,
        *,
        server: Server,
        objects: ObjectStore | None,
        read_only: bool,
    ) -> None:
        self._server = server
        self._objects = objects
        self._leases = Leases(server)
        super().__init__(vfs, root, store_id, read_only=read_only)

    def _owner(self) -> User:
        # Sessions on servers belong to nobody, and are stored as they are.
        return User(name="", id="", created=0.0)

    def _require_users(self) -> None:
        raise NotAllowed("users need a store in a folder; one on servers has none")

    def check_without_key(self, info: SessionInfo) -> list[Finding] | None:
        """None: nothing is encrypted."""
        return None

    def _open_catalog(self) -> Catalog:
        shown = f"{self._server.address.shown} catalog"
        return Catalog(
            shown, self._id, lambda write: PostgresDatabase(self._server, "", write=write)
        )

    def _catalog_lock(self) -> AbstractContextManager[None]:
        return self._leased(catalog_lock(self._vfs, self.root), _CATALOG)

    def _branch_lock(self, session_id: str) -> AbstractContextManager[None]:
        return self._leased(super()._branch_lock(session_id), BRANCH + session_id)

    @contextmanager
    def _leased(self, here: AbstractContextManager[None], name: str) -> Iterator[None]:
        """Hold a lock of this machine and a lease, which others wait for; both span several
        transactions."""
        deadline = time.monotonic() + 2 * self._leases.seconds
        with here:
            while True:
                try:
                    lease = self._leases.take(name, name)
                    break
                except SessionBusy as error:
                    if time.monotonic() > deadline:
                        raise StoreLocked(f"{name} stays locked: {error}") from error
                    time.sleep(_POLL_SECONDS)
            try:
                yield
            finally:
                lease.release()

    # ---- sessions

    def _make_session(
        self,
        info: SessionInfo,
        layout: Wanted,
        lock: Lock | None,
        trust_head: bool,
        cipher: Cipher | None,
    ) -> SessionStore:
        assert lock is None or isinstance(lock, WriterLock)
        return RemoteSession(
            self._vfs,
            self.root,
            self._id,
            info,
            server=self._server,
            objects=self._objects,
            layout=layout,
            lock=lock,
            trust_head=trust_head,
            open_forks=partial(self._open_forks, info),
        )

    def _lock_session(self, info: SessionInfo) -> Lock:
        path = self._path("locks", f"s-{info.id}.lock")
        for _ in range(_BRIEFLY):
            # A reader here may be looking whether there is a writer.
            if (files := try_lock(self._vfs, path)) is not None:
                break
            threading.Event().wait(_POLL_SECONDS / 2)
        else:
            raise SessionBusy(
                f"session {info.name!r} is being written by another handle or process on this "
                "machine; close it there, or open it here with read_only=True"
            )
        try:
            return WriterLock(files, self._leases.take(info.id, info.name))
        except BaseException:
            files.release()
            raise

    def _write_session(self, info: SessionInfo, start: Start) -> None:
        """All rows of a new session and its row in the catalog, in one transaction."""
        database = PostgresDatabase(self._server, info.id, write=True)
        try:
            with database.write() as connection:
                fill_tables(connection, self._id, info, start)
                connection.execute(sa.insert(sessions), self._catalog.row_of(info))
        finally:
            database.close()

    def finish_deletion(self, session_id: str) -> None:
        """Remove what is left of a session whose deletion was decided, here and elsewhere."""
        if self._objects is not None:
            delete_objects(self._objects, self._id, session_id)
        database = PostgresDatabase(self._server, "", write=True)
        try:
            with database.write() as connection:
                delete_rows(connection, session_id)
        finally:
            database.close()
        self._vfs.remove_tree(session_folder(self.root, session_id))
        self._catalog.remove(session_id)

    def finish_deletions(self) -> None:
        """Finish deletions that were interrupted, and forget files here of sessions that are gone.

        What is damaged or cannot be reached is told by whatever needs it.
        """
        with suppress(StoreError):
            deleted = self._catalog.deleted_ids()
            if deleted:
                with self._catalog_lock():
                    for session_id in self._catalog.deleted_ids():
                        self.finish_deletion(session_id)
            known = {info.id for info in self._catalog.sessions()}
            for session_id in session_ids(self._vfs, self.root):
                if session_id not in known:
                    self._vfs.remove_tree(session_folder(self.root, session_id))

    # ---- inspection and closing

    def check(self, *, repair: bool = False) -> list[Finding]:
        """Read every row and object of the store and report what is not as written.

        Args:
            repair: as in a store on disk; and objects that no row names are deleted.
        """
        with self._mutex:
            self._require_open()
            if not repair:
                return self._check(repair=False)
            self._require_writable()
            with self._catalog_lock():
                return self._check(repair=True)

    def _check(self, *, repair: bool) -> list[Finding]:
        found, listed = self._check_catalog(repair=repair)
        for info in listed:
            found += check_one(self, self._catalog, info, repair=repair)
        return [told(finding) for finding in found]

    def _check_catalog(self, *, repair: bool) -> tuple[list[Finding], list[SessionInfo]]:
        """Findings, and the sessions to be checked: each knows its own name."""
        where = f"{self._server.address.shown} catalog"
        found = [
            Finding(session="", path=where, kind="corrupt-catalog", detail=text, repaired=repair)
            for text in self._catalog.damaged()
        ]
        if not found:
            return [], self._catalog.sessions()
        listed = []
        for row in self._catalog.scan()[0]:
            whole = self._catalog.if_whole(row)
            if whole is not None and whole.deleted:
                continue
            identity = self._identity(str(row.sid))
            if identity is None:
                detail = f"the session {row.sid!r} does not say its name; its row stays as it is"
                found.append(Finding(session="", path=where, kind="corrupt-note", detail=detail))
                continue
            if whole is None and repair:
                self._catalog.restore(identity)
            listed.append(identity)
        return found, listed

    def _identity(self, session_id: str) -> SessionInfo | None:
        """What a session says of itself, if it can."""
        with suppress(StoreError, ValueError):
            database = PostgresDatabase(self._server, session_id, write=False)
            sid, folder = bytes.fromhex(session_id), session_folder(self.root, session_id)
            truth = Truth(self._vfs, folder, sid, write=False, database=database)
            note = truth.note("identity")
            truth.close()
            if note is not None:
                return identity_from(note)
        return None

    def mend_indexes(self, info: SessionInfo) -> list[Finding]:
        """Nothing: indexes are the server's."""
        return []

    def close(self) -> None:
        """Close every open session, the catalog and all connections; idempotent."""
        with ExitStack() as closing:
            closing.callback(self._server.close)
            closing.callback(self._leases.close)
            closing.callback(super().close)
