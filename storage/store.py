"""Store: a directory of sessions."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from types import TracebackType

from .catalog import Catalog
from .checking_store import check_store
from .creating import Start, create_store, encode_name, new_start, write_files
from .errors import (
    CorruptMetadata,
    ReadOnly,
    SessionBusy,
    SessionClosed,
    SessionExists,
    SessionMissing,
)
from .indexes import mend_indexes
from .layouts import Wanted, layouts_of
from .leaving import close_after
from .locks import Lock, catalog_lock, try_lock
from .marker import read_marker
from .moving import Moving
from .paths import require_folder, session_folder
from .reserve import Reserve
from .safety import require_safe
from .session import SessionStore
from .sweeping import sweep
from .types import Finding, Layout, SessionInfo
from .vfs import Vfs


class Store(Moving):
    """An open store; made by `Store.open`, a context manager, safe between threads."""

    def __init__(self, vfs: Vfs, root: str, store_id: bytes, *, read_only: bool) -> None:
        self.root = root
        self.read_only = read_only
        self._vfs = vfs
        self._id = store_id
        self._reserve = Reserve(vfs, root)
        self._catalog = self._open_catalog()
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
        allow_network_files: bool = False,
        vfs: Vfs | None = None,
        database: str | None = None,
        objects: str | None = None,
    ) -> Store:
        """Open the store in a directory, or one on servers.

        Args:
            path: the directory; made with mode 0700 if it is missing and `create` is set.
            create: make a new store in a missing or empty directory.
            read_only: never write, not even locks.
            allow_network_files: write also where other machines may share the files.
            vfs: file access, for tests.
            database: URL of a PostgreSQL database that holds the truth; the directory is then a
                cache. Of its query, `schema=NAME` and `lease=SECONDS` (15) are ours.
            objects: URL of an object storage (s3://bucket/prefix) that holds the chunks too, so
                that another machine need not encode them again. Only with a database.

        Raises:
            ValueError: a URL that is none, or objects without a database.
            SessionMissing: there is no store and none may be made.
            StorePermission, UnsafeFilesystem, NotAFolder: no place for a store, see safety.py.
            StoreUnreachable: a server does not answer.
            CorruptMetadata, FormatTooNew, FormatTooOld.
        """
        vfs = vfs or Vfs()
        root = os.path.abspath(os.fspath(path))
        if database is not None or objects is not None:
            from .remote import open_remote  # with the drivers of the servers

            return open_remote(vfs, root, database, objects, create=create, read_only=read_only)
        require_folder(root)
        require_safe(vfs, root, read_only=read_only, allow_network_files=allow_network_files)
        marker = os.path.join(root, "STORE")
        if vfs.lstat(marker) is None and create and not read_only:
            create_store(vfs, root)
        store_id = read_marker(vfs, root)
        store = cls(vfs, root, store_id, read_only=read_only)
        if not read_only:
            store._migrate()
            sweep(vfs, root, store._catalog, store.finish_deletion)
            store._reserve.keep()
        return store

    def _open_catalog(self) -> Catalog:
        return Catalog(self._path("catalog.db"), self._id)

    def _catalog_lock(self) -> AbstractContextManager[None]:
        return catalog_lock(self._vfs, self.root)

    def _path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def _migrate(self) -> None:
        """Bring an older catalog up to our format; sessions follow when they are opened."""
        # What is damaged is told by whatever needs it, or by `check`.
        with suppress(CorruptMetadata):
            if self._catalog.is_old:
                with self._catalog_lock():
                    self._catalog.migrate()

    # ---- sessions

    def session(
        self,
        name: str,
        *,
        layout: Wanted,
        create: bool = True,
        read_only: bool = False,
    ) -> SessionStore:
        """Open a session, making it if it is new.

        Args:
            name: any text of 1 to 1024 bytes of UTF-8; it never becomes part of a path.
            layout: what the model's derived files may look like, the first for a new
                session; None takes an existing session as it is.
            create: make the session if it is missing.
            read_only: take no lock and follow a writer with `refresh`.

        Raises:
            SessionBusy: another handle writes to the session, here or in another process.
            SessionMissing: no such session.
            ModelMismatch: it was written with none of these layouts.
            ValueError: an impossible name, or no layout.
        """
        encode_name(name)
        with self._mutex:
            self._require_open()
            read_only = read_only or self.read_only
            info = self._catalog.find(name)
            if info is None:
                if not create or read_only or layout is None:
                    raise SessionMissing(f"there is no session {name!r} in {self.root}")
                info = self._create_session(name, layouts_of(layout)[0])
            return self._open_session(info, layout, read_only=read_only)

    def _open_session(
        self, info: SessionInfo, layout: Wanted, *, read_only: bool, trust_head: bool = True
    ) -> SessionStore:
        lock = None if read_only else self._lock_session(info)
        session = None
        try:
            session = self._make_session(info, layout, lock, trust_head)
            self._sessions.add(session)
            return session
        except BaseException:
            if session is not None:
                session.close()
            elif lock is not None:
                lock.release()
            raise

    def _make_session(
        self, info: SessionInfo, layout: Wanted, lock: Lock | None, trust_head: bool
    ) -> SessionStore:
        return SessionStore(
            self._vfs,
            self.root,
            self._id,
            info,
            layout=layout,
            lock=lock,
            trust_head=trust_head,
            open_forks=lambda: self._open_forks(info),
        )

    @contextmanager
    def _open_forks(self, info: SessionInfo) -> Iterator[list[SessionStore]]:
        """Every fork of a session, open for writing. Takes no lock of this object: a session's own
        is held."""
        with ExitStack() as opened:
            yield [
                opened.enter_context(self._open_session(fork, None, read_only=False))
                for fork in self._catalog.forks(info.id)
            ]

    def fork(self, session: SessionStore, name: str, num_turns: int) -> None:
        """Make a session that begins with the first turns of an open one, and shares them.

        Costs the same for any number of turns.

        Raises:
            SessionExists: there is one of that name.
            IndexError: there are not as many turns.
            ReadOnly, StoreFull, ValueError.
        """
        encode_name(name)
        with self._mutex:
            self._require_open()
            self._require_writable()
            if session.writable:
                session.settle()
            with self._catalog_lock():
                # Here, so that no generation goes while a fork of it is made.
                session.refresh()
                start, parent = session.start_of_fork(self._id, num_turns)
                if self._catalog.find(name, session.info.user) is not None:
                    raise SessionExists(f"there is a session {name!r} in {self.root} already")
                info = SessionInfo(
                    name=name,
                    id=os.urandom(16).hex(),
                    created=time.time(),
                    user=session.info.user,
                    parent=parent,
                )
                self._write_session(info, start)

    def _lock_session(self, info: SessionInfo) -> Lock:
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
        encode_name(name)
        with self._mutex:
            self._require_open()
            return self._catalog.find(name) is not None

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
            info = despite_full_disk(lambda: self._catalog.find(name))
            if info is None:
                raise SessionMissing(f"there is no session {name!r} in {self.root}")
            session_lock = despite_full_disk(lambda: self._lock_session(info))
            try:
                self.require_no_forks(name)
                with ExitStack() as held:
                    despite_full_disk(lambda: held.enter_context(self._catalog_lock()))
                    despite_full_disk(lambda: self._catalog.mark_deleted(info))
                    despite_full_disk(lambda: self.finish_deletion(info.id))
            finally:
                session_lock.release()
            self._reserve.keep()

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

    def _create_session(self, name: str, layout: Layout) -> SessionInfo:
        with self._catalog_lock():
            found = self._catalog.find(name)
            if found is not None:
                return found
            info = SessionInfo(name=name, id=os.urandom(16).hex(), created=time.time())
            self._write_session(info, new_start(layout))
            return info

    def _write_session(self, info: SessionInfo, start: Start) -> None:
        """Make a session, and then give it its name."""
        # All but the session may have been removed by hand, or not copied while empty.
        for parent in ("tmp", "s"):
            self._vfs.ensure_dir(self._path(parent))
        staged = self._path("tmp", info.id)
        write_files(self._vfs, staged, self._id, info, start)
        folder = session_folder(self.root, info.id)
        fan = os.path.dirname(folder)
        if self._vfs.lstat(fan) is None:
            self._vfs.make_dir(fan)
            self._vfs.sync_dir(self._path("s"))
        self._vfs.rename(staged, folder)
        self._vfs.sync_dir(fan)
        self._catalog.add(info)

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
            with self._catalog_lock():
                return check_store(self._vfs, self, self._catalog, repair=True)

    def open_for_check(self, info: SessionInfo, *, repair: bool) -> SessionStore:
        """A session whatever its layout and its head.bin say; for `check`."""
        return self._open_session(info, None, read_only=not repair, trust_head=False)

    def mend_indexes(self, info: SessionInfo) -> list[Finding]:
        """Build indexes of a session anew if they are damaged; for `check`."""
        lock = self._lock_session(info)
        try:
            folder = session_folder(self.root, info.id)
            mended = mend_indexes(self._vfs, self.root, folder, bytes.fromhex(info.id))
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
