"""Store: a directory of sessions."""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from .catalog import Catalog, create_catalog
from .checking_store import check_store
from .database import Database, create_database
from .errors import (
    ReadOnly,
    SessionBusy,
    SessionClosed,
    SessionMissing,
    StoreError,
    StorePermission,
)
from .geometry import geometry_of
from .indexes import mend_indexes
from .landmarks import create_landmarks
from .layouts import common_fields, layout_key, layout_note
from .leaving import close_after
from .locks import FileLock, catalog_lock, try_lock
from .maps import pack_map
from .marker import has_sessions, read_marker, write_marker
from .paths import require_folder, session_folder
from .rows import State, encode_head, note_sum
from .session import SessionStore
from .tables import notes, session_tables, state
from .types import Finding, Layout, SessionInfo
from .vfs import Vfs

MAX_NAME_BYTES = 1024
_FOLDERS = ("locks", "s", "tmp", "trash")


class Store:
    """An open store; made by `Store.open`, a context manager, safe between threads."""

    def __init__(self, vfs: Vfs, root: str, store_id: bytes, *, read_only: bool) -> None:
        self.root = root
        self.read_only = read_only
        self._vfs = vfs
        self._id = store_id
        self._catalog = Catalog(self._path("catalog.db"), store_id)
        # Weak: a handle that nobody has any more ends, and frees its lock.
        self._sessions: weakref.WeakSet[SessionStore] = weakref.WeakSet()
        self._mutex = threading.RLock()
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        create: bool = True,
        read_only: bool = False,
        vfs: Vfs | None = None,
    ) -> Store:
        """Open the store in a directory.

        Args:
            path: the directory; made with mode 0700 if it is missing and `create` is set.
            create: make a new store in a missing or empty directory.
            read_only: never write, not even locks.
            vfs: file access, for tests.

        Raises:
            SessionMissing: there is no store and none may be made.
            StorePermission: no access, or everybody may write to the directory.
            NotAFolder: there is a file in its place or above it.
            CorruptMetadata, FormatTooNew, FormatTooOld.
        """
        vfs = vfs or Vfs()
        root = os.path.abspath(os.fspath(path))
        require_folder(root)
        marker = os.path.join(root, "STORE")
        if vfs.lstat(marker) is None and create and not read_only:
            _create_store(vfs, root)
        store_id = read_marker(vfs, root)
        status = os.stat(root)
        if status.st_mode & 0o002:
            raise StorePermission(f"{root} is writable by everybody; run chmod o-w on it")
        store = cls(vfs, root, store_id, read_only=read_only)
        if not read_only:
            store._sweep()
        return store

    def _path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def _sweep(self) -> None:
        """Finish deletions and empty tmp and trash, if something is there and nobody is busy."""
        leftovers = [self._path(f, n) for f in ("tmp", "trash") for n in self._names(f)]
        if not leftovers:
            return
        lock = try_lock(self._vfs, self._path("locks", "catalog.lock"))
        if lock is None:
            return
        try:
            for session_id in self._catalog.deleted_ids():
                self.finish_deletion(session_id)
            for path in leftovers:
                self._vfs.remove_tree(path)
        finally:
            lock.release()

    def _names(self, folder: str) -> list[str]:
        try:
            return self._vfs.list_dir(self._path(folder))
        except FileNotFoundError:
            return []

    # ---- sessions

    def session(
        self,
        name: str,
        *,
        layout: Layout | None,
        create: bool = True,
        read_only: bool = False,
    ) -> SessionStore:
        """Open a session, making it if it is new.

        Args:
            name: any text of 1 to 1024 bytes of UTF-8; it never becomes part of a path.
            layout: what the model's derived files look like; None takes an existing
                session as it is.
            create: make the session if it is missing.
            read_only: take no lock and follow a writer with `refresh`.

        Raises:
            SessionBusy: another handle writes to the session, here or in another process.
            SessionMissing: no such session.
            ModelMismatch: it was written with another layout.
            ValueError: an impossible name.
        """
        encoded = _encode_name(name)
        with self._mutex:
            self._require_open()
            read_only = read_only or self.read_only
            info = self._catalog.find(name)
            if info is None:
                if not create or read_only or layout is None:
                    raise SessionMissing(f"there is no session {name!r} in {self.root}")
                info = self._create_session(name, encoded, layout)
            return self._open_session(info, layout, read_only=read_only)

    def _open_session(
        self,
        info: SessionInfo,
        layout: Layout | None,
        *,
        read_only: bool,
        trust_head: bool = True,
    ) -> SessionStore:
        lock = None if read_only else self._lock_session(info)
        session = None
        try:
            session = SessionStore(
                self._vfs,
                self.root,
                self._id,
                info,
                layout=layout,
                lock=lock,
                trust_head=trust_head,
            )
            self._sessions.add(session)
            return session
        except BaseException:
            if session is not None:
                session.close()
            elif lock is not None:
                lock.release()
            raise

    def _lock_session(self, info: SessionInfo) -> FileLock:
        lock = try_lock(self._vfs, self._path("locks", f"s-{info.id}.lock"))
        if lock is None:
            raise SessionBusy(
                f"session {info.name!r} is being written by another handle or process; "
                "close it there, or open it here with read_only=True"
            )
        return lock

    def list_sessions(self) -> list[SessionInfo]:
        """All sessions, oldest first."""
        with self._mutex:
            self._require_open()
            return self._catalog.sessions()

    def has_session(self, name: str) -> bool:
        """Whether a session of that name exists."""
        _encode_name(name)
        with self._mutex:
            self._require_open()
            return self._catalog.find(name) is not None

    def delete_session(self, name: str) -> None:
        """Delete a session's files. Bytes may linger on the medium; this is no secure erase.

        Raises:
            SessionMissing, SessionBusy.
        """
        with self._mutex:
            self._require_open()
            self._require_writable()
            info = self._catalog.find(name)
            if info is None:
                raise SessionMissing(f"there is no session {name!r} in {self.root}")
            session_lock = self._lock_session(info)
            try:
                with catalog_lock(self._vfs, self.root):
                    self._catalog.mark_deleted(info)
                    self.finish_deletion(info.id)
            finally:
                session_lock.release()

    def finish_deletion(self, session_id: str) -> None:
        """Remove what is left of a session whose deletion was decided; under the catalog's lock."""
        folder = session_folder(self.root, session_id)
        grave = self._path("trash", session_id)
        if self._vfs.lstat(folder) is not None:
            self._vfs.ensure_dir(self._path("trash"))
            self._vfs.rename(folder, grave)
            self._vfs.sync_dir(os.path.dirname(folder))
            self._vfs.sync_dir(self._path("trash"))
        self._vfs.remove_tree(grave)
        self._catalog.remove(session_id)

    def _create_session(self, name: str, encoded: bytes, layout: Layout) -> SessionInfo:
        with catalog_lock(self._vfs, self.root):
            found = self._catalog.find(name)
            if found is not None:
                return found
            info = SessionInfo(name=name, id=os.urandom(16).hex(), created=time.time())
            # All but the session may have been removed by hand, or not copied while empty.
            for parent in ("tmp", "s"):
                self._vfs.ensure_dir(self._path(parent))
            staged = self._path("tmp", info.id)
            write_session(self._vfs, staged, self._id, info, layout)
            folder = session_folder(self.root, info.id)
            fan = os.path.dirname(folder)
            if self._vfs.lstat(fan) is None:
                self._vfs.make_dir(fan)
                self._vfs.sync_dir(self._path("s"))
            self._vfs.rename(staged, folder)
            self._vfs.sync_dir(fan)
            self._catalog.add(info)
            return info

    # ---- inspection and closing

    def check(self, *, repair: bool = False) -> list[Finding]:
        """Read every byte of the store and report what is not as written.

        Args:
            repair: lower watermarks below damaged chunks, rebuild damaged catalog rows and
                indexes, drop damaged tails. Damaged turns are reported, never changed. Sessions
                that another writer has open are reported as busy and left alone.
        """
        with self._mutex:
            self._require_open()
            if repair:
                self._require_writable()
            if not repair:
                return check_store(self._vfs, self, self._catalog, repair=False)
            with catalog_lock(self._vfs, self.root):
                return check_store(self._vfs, self, self._catalog, repair=True)

    def open_for_check(self, info: SessionInfo, *, repair: bool) -> SessionStore:
        """A session whatever its layout and its head.bin say; for `check`."""
        return self._open_session(info, None, read_only=not repair, trust_head=False)

    def mend_indexes(self, info: SessionInfo) -> list[Finding]:
        """Build indexes of a session anew if they are damaged; for `check`."""
        lock = self._lock_session(info)
        try:
            folder = session_folder(self.root, info.id)
            mended = mend_indexes(self._vfs, folder, bytes.fromhex(info.id))
        finally:
            lock.release()
        return [problem.as_finding(info.name, self.root) for problem in mended]

    def _require_open(self) -> None:
        if self._closed:
            raise SessionClosed(f"the store in {self.root} is closed; open it again")

    def _require_writable(self) -> None:
        if self.read_only:
            raise ReadOnly(f"the store in {self.root} was opened read-only")

    def close(self) -> None:
        """Close every open session and the catalog; idempotent."""
        with self._mutex:
            self._closed = True
            with ExitStack() as closing:
                closing.callback(self._catalog.close)
                for session in list(self._sessions):
                    closing.callback(session.close)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        close_after(error, self.close)


def _encode_name(name: str) -> bytes:
    if not isinstance(name, str):
        raise ValueError(f"session name must be a str, got {type(name).__name__}")
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"session name has a lone surrogate: {error}") from error
    if not 0 < len(encoded) <= MAX_NAME_BYTES:
        raise ValueError(f"session name is {len(encoded)} bytes; 1 to {MAX_NAME_BYTES} are allowed")
    return encoded


def _create_store(vfs: Vfs, root: str) -> None:
    if vfs.lstat(root) is None:
        try:
            vfs.make_dir(root, parents=True)
        except FileExistsError:
            pass  # another process may be making the same store; the lock below decides
        except FileNotFoundError as error:  # as in /proc
            raise StorePermission(f"cannot create {root}; choose another place") from error
    require_folder(root)
    _require_free(vfs, root)
    for folder in _FOLDERS:
        vfs.ensure_dir(os.path.join(root, folder))
    with catalog_lock(vfs, root):
        marker = os.path.join(root, "STORE")
        if vfs.lstat(marker) is not None:
            return
        catalog = os.path.join(root, "catalog.db")
        for name in (catalog, catalog + "-wal", catalog + "-shm"):
            vfs.unlink(name)
        create_catalog(vfs, catalog)
        write_marker(vfs, root, os.urandom(16))
        vfs.sync_dir(os.path.dirname(root))


def _require_free(vfs: Vfs, root: str) -> None:
    """Refuse to make a store over somebody's files, or over a store that lost its marker."""
    foreign = [n for n in vfs.list_dir(root) if n not in _FOLDERS and not n.startswith("catalog.")]
    if foreign and "STORE" not in foreign:
        raise StoreError(f"{root} is not a store and not empty (it holds {foreign[0]!r})")
    if has_sessions(vfs, root):
        read_marker(vfs, root)


def _initialise(database: Database, sid: bytes, maps: dict[str, dict[str, Any]]) -> None:
    """Fill the tables of a new session: its first state row and its notes."""
    with database.write() as connection:
        connection.execute(sa.insert(state), {"id": 1, **State().to_row(sid)})
        for key, value in maps.items():
            packed = pack_map(value, key)
            row = {"key": key, "value": packed, "sum": note_sum(sid, key, packed)}
            connection.execute(sa.insert(notes), row)


def write_session(
    vfs: Vfs, folder: str, store_id: bytes, info: SessionInfo, layout: Layout
) -> None:
    """Write all files of a new session into a staging directory and sync them."""
    sid = bytes.fromhex(info.id)
    geometry = geometry_of(layout)
    vfs.make_dir(folder)
    database = create_database(vfs, os.path.join(folder, "session.db"), session_tables)
    identity = {"store": store_id.hex(), "sid": info.id, "name": info.name, "created": info.created}
    _initialise(database, sid, {"identity": identity, layout_key(1): layout_note(layout, geometry)})
    database.checkpoint()
    database.close()
    fd = vfs.open(os.path.join(folder, "head.bin"), create=True)
    vfs.write(fd, encode_head(State(), sid), 0)
    vfs.close(fd)
    generation = os.path.join(folder, "g1")
    vfs.make_dir(generation)
    fields = common_fields(store_id, sid, 1, layout, geometry)
    create_landmarks(vfs, os.path.join(generation, "landmarks.bin"), fields)
    vfs.sync_dir(generation)
    vfs.sync_dir(folder)
