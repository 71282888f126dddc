"""Store: a directory of sessions."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from types import TracebackType

from .catalog import Catalog
from .checking_store import check_store
from .cipher import Cipher
from .creating import Start, encode_name, new_start, prepare_store, write_files
from .errors import CorruptMetadata, Erased, SessionExists, SessionMissing
from .indexes import mend_indexes
from .keys import Keys, KeySource, store_key
from .layouts import Wanted, layouts_of
from .leaving import close_after
from .locks import Lock, branch_lock
from .marker import read_marker
from .moving import Moving
from .names import make_fan
from .owner_notes import read_owner
from .paths import require_folder, session_folder
from .quotas import Budget
from .reserve import Reserve
from .safety import require_safe
from .session import SessionStore
from .staging import announced
from .types import Finding, Layout, SessionInfo
from .vfs import Vfs


class Store(Moving):
    """An open store; made by `Store.open`, a context manager, safe between threads."""

    def __init__(
        self,
        vfs: Vfs,
        root: str,
        store_id: bytes,
        *,
        read_only: bool,
        user: str | None = None,
        keys: Keys | None = None,
    ) -> None:
        self.root = root
        self.read_only = read_only
        self.user = user
        self._keys = keys
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
        user: str | None = None,
        key: KeySource | None = None,
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
            user: see this user's sessions and nothing else; any text of 1 to 1024 bytes of UTF-8.
                None: the store's own sessions, and administration.
            key: encrypts sessions whose user has none yet, and opens those that are encrypted.
            create: make a new store in a missing or empty directory.
            read_only: never write, not even locks.
            allow_network_files: write also where other machines may share the files.
            vfs: file access, for tests.
            database: URL of a PostgreSQL database that holds the truth; the directory is then a
                cache. Of its query, `schema=NAME` and `lease=SECONDS` (15) are ours.
            objects: URL of an object storage (s3://bucket/prefix) that holds the chunks too, so
                that another machine need not encode them again. Only with a database.

        Raises:
            InvalidAddress: a URL that is none, or objects without a database.
            SessionMissing: there is no store and none may be made.
            StorePermission, UnsafeFilesystem, NotAFolder: no place for a store, see safety.py.
            StoreUnreachable: a server does not answer.
            KeyMissing, WrongKey, NotEncrypted, NoCipher: about the key.
            CorruptMetadata, FormatTooNew, FormatTooOld.
            ValueError: an impossible user name; or a user or a key for a store on servers.
        """
        if user is not None:
            encode_name(user, "user")
        secret = None if key is None else store_key(key)
        vfs = vfs or Vfs()
        root = os.path.abspath(os.fspath(path))
        if database is not None or objects is not None:
            if user is not None or key is not None:
                raise ValueError("a store on servers knows neither users nor keys; use a folder")
            from .remote import open_remote  # with the drivers of the servers

            return open_remote(vfs, root, database, objects, create=create, read_only=read_only)
        require_folder(root)
        require_safe(vfs, root, read_only=read_only, allow_network_files=allow_network_files)
        if not read_only:
            prepare_store(vfs, root, create=create)
        store_id = read_marker(vfs, root)
        keys = None if secret is None else Keys(store_id, secret)
        store = cls(vfs, root, store_id, read_only=read_only, user=user, keys=keys)
        try:
            if not read_only:
                store._migrate()
                store._sweep()
                store._reserve.keep()
            # What is damaged is told by whatever needs it, or by `check`.
            with suppress(CorruptMetadata):
                store._require_fitting_key()
        except BaseException:
            store.close()
            raise
        return store

    def _open_catalog(self) -> Catalog:
        return Catalog(self._path("catalog.db"), self._id)

    def _migrate(self) -> None:
        """Bring an older catalog up to our format; sessions follow when they are opened."""
        with suppress(CorruptMetadata):  # which is told by whatever needs it, or by `check`
            self._catalog.adopt_log(self._vfs, self._catalog_lock)
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
            StoreLocked: another process is changing the store, and takes long.
            SessionMissing: no such session.
            ModelMismatch: it was written with none of these layouts.
            KeyMissing, WrongKey, NotEncrypted: about the key.
            QuotaExceeded: there is no room for another session.
            ValueError: an impossible name, or no layout.
        """
        encode_name(name)
        with self._mutex:
            self._require_open()
            read_only = read_only or self.read_only
            while True:
                info = self._find(name)
                if info is None:
                    if not create or read_only or layout is None:
                        raise SessionMissing(f"there is no session {name!r} in {self.root}")
                    info = self._create_session(name, layouts_of(layout)[0])
                with self._unless_gone(info):
                    return self._open_session(info, layout, read_only=read_only)

    def _open_session(
        self,
        info: SessionInfo,
        layout: Wanted,
        *,
        read_only: bool,
        trust_head: bool = True,
        cipher: Cipher | None = None,
    ) -> SessionStore:
        lock = None if read_only else self._lock_session(info)
        session = None
        try:
            # Nobody deletes it from here on; who was killed doing so must not be followed later.
            if lock is not None and trust_head and self.has_files:
                self._catalog.adopt_log(self._vfs, self._catalog_lock)
            session = self._make_session(info, layout, lock, trust_head, cipher)
            self._sessions.add(session)
            return session
        except BaseException:
            if session is not None:
                session.close()
            elif lock is not None:
                lock.release()
            raise

    def _make_session(
        self,
        info: SessionInfo,
        layout: Wanted,
        lock: Lock | None,
        trust_head: bool,
        cipher: Cipher | None,
    ) -> SessionStore:
        return SessionStore(
            self._vfs,
            self.root,
            self._id,
            info,
            layout=layout,
            lock=lock,
            trust_head=trust_head,
            cipher=cipher or self._cipher_of(info, write=lock is not None),
            # A check adds nothing, and holds the catalog's lock, for which a budget would wait.
            budget=self._budget_of(info) if lock is not None and trust_head else None,
            open_forks=partial(self._open_forks, info),
        )

    def _branch_lock(self, session_id: str) -> AbstractContextManager[None]:
        return branch_lock(self._vfs, self.root, session_id)

    @contextmanager
    def _open_forks(self, info: SessionInfo) -> Iterator[list[SessionStore]]:
        """Every fork of a session, open for writing; no other can be made meanwhile."""
        with ExitStack() as held:
            self._reserve.used_by(lambda: held.enter_context(self._branch_lock(info.id)))
            opened = []
            for fork in self._catalog.forks(info.id):
                try:
                    opened.append(
                        held.enter_context(self._open_session(fork, None, read_only=False))
                    )
                except (CorruptMetadata, Erased, SessionMissing):
                    # It may have been deleted at this moment.
                    if fork in self._catalog.forks(info.id):
                        raise
            yield opened

    def fork(
        self, session: SessionStore, name: str, num_turns: int, *, keep: Sequence[str] = ()
    ) -> None:
        """Make a session that begins with the first turns of an open one, and shares them.

        Costs the same for any number of turns.

        Args:
            keep: names of maps (`set_meta`) that it begins with too.

        Raises:
            SessionExists: there is one of that name.
            IndexError: there are not as many turns.
            StoreLocked: a turn is being forgotten, and takes long.
            ReadOnly, StoreFull, ValueError.
        """
        encode_name(name)
        with self._mutex:
            self._require_open()
            self._require_writable()
            if session.writable:
                session.settle()
            maps = {key: value for key in keep if (value := session.get_meta(key)) is not None}
            with ExitStack() as held:
                # Of all that it will share turns with: what they forget now it shall not have.
                for shared in session.lineage():
                    held.enter_context(self._branch_lock(shared))
                held.enter_context(self._catalog_lock())
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
                owner = read_owner(self._vfs, self.root, session.info.id) if self.has_files else {}
                self._write_session(info, start._replace(owner=owner or None, maps=maps))

    def _budget_of(self, info: SessionInfo) -> Budget | None:
        return Budget(self._vfs, self.root, self._catalog, info) if info.user else None

    def list_sessions(self) -> list[SessionInfo]:
        """The user's sessions, or the store's own, oldest first."""
        with self._mutex:
            self._require_open()
            return self._own_sessions()

    def has_session(self, name: str) -> bool:
        """Whether a session of that name exists."""
        encode_name(name)
        with self._mutex:
            self._require_open()
            return self._find(name) is not None

    def _create_session(self, name: str, layout: Layout) -> SessionInfo:
        with self._catalog_lock():
            found = self._find(name)
            if found is not None:
                return found
            user = self._user_to_own()
            info = SessionInfo(
                name=name, id=os.urandom(16).hex(), created=time.time(), user=user.id
            )
            cipher, owner = self._new_cipher(user, info)
            self._write_session(info, new_start(layout, cipher, owner))
            return info

    def _write_session(self, info: SessionInfo, start: Start) -> None:
        """Make a session, and then give it its name."""
        # All but the session may have been removed by hand, or not copied while empty.
        for parent in ("tmp", "s"):
            self._vfs.ensure_dir(self._path(parent))
        staged = self._path("tmp", info.id)
        write_files(self._vfs, staged, self._id, info, start)
        self._require_room(info, staged)
        folder = session_folder(self.root, info.id)
        fan = make_fan(self._vfs, folder)
        with announced(self._vfs, self.root, info.id):
            self._vfs.rename(staged, folder)
            self._vfs.sync_dir(fan)
            self._catalog.add(info)

    # ---- inspection and closing

    def check(self, *, repair: bool = False) -> list[Finding]:
        """Read every byte that this handle may see and report what is not as written.

        Without a user that is the whole store. Of encrypted sessions only checksums are looked at
        where the key is missing; a finding "not-checked" says so.

        Args:
            repair: lower watermarks below damaged chunks, rebuild damaged catalog rows and
                indexes, drop damaged tails. Damaged turns are reported, never changed. Sessions
                that another writer has open are reported as busy and left alone.
        """
        with self._mutex:
            self._require_open()
            if repair:
                self._require_writable()
            scope = self._scope()
            if not repair:
                return check_store(self._vfs, self, self._catalog, scope, repair=False)
            with self._catalog_lock():
                # A session whose making was killed is not to be listed again.
                self._sweep_locked()
                self._reserve.keep()
                return check_store(self._vfs, self, self._catalog, scope, repair=True)

    def open_for_check(self, info: SessionInfo, *, repair: bool) -> SessionStore:
        """A session whatever its layout and its head.bin say; for `check`."""
        cipher = self.cipher_for_check(info, write=repair)
        return self._open_session(info, None, read_only=not repair, trust_head=False, cipher=cipher)

    def mend_indexes(self, info: SessionInfo) -> list[Finding]:
        """Build indexes of a session anew if they are damaged; for `check`."""
        lock = self._lock_within(info, 0.0)  # under the catalog's, as who has it for a moment
        try:
            folder = session_folder(self.root, info.id)
            mended = mend_indexes(self._vfs, self.root, folder, bytes.fromhex(info.id))
        finally:
            lock.release()
        return [problem.as_finding(info.name, self.root) for problem in mended]

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
