"""Memory: a folder of sessions and the model that reads and writes them."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from hsa_memory import storage
from hsa_memory.model import Tokenizer
from hsa_memory.storage import KeySource, SessionStore, Store, check_addresses, rebuild_marker

from . import errors
from .arguments import require_int, require_name, require_path
from .boundary import public_errors
from .engine import Engine, load_engine
from .forgetting import TTL, write_ttl
from .messages import parse_ttl
from .moving import Told
from .precision import DEFAULT, Precision, precision_of, require_precision
from .reingesting import mismatch
from .session import MemorySession
from .sizes import bytes_in_folder
from .transfers import public_findings
from .types import Finding, MemoryStats, Moved, SessionInfo
from .users import Users


def open(
    path: str | os.PathLike[str],
    *,
    user: str | None = None,
    key: KeySource | None = None,
    model: str | os.PathLike[str] = "mini",
    device: str = "auto",
    dtype: str = "auto",
    kv_dtype: str = DEFAULT,
    read_only: bool = False,
    create: bool = True,
    cache_bytes: int = 64 << 20,
    device_cache_bytes: int = 256 << 20,
    database: str | None = None,
    objects: str | None = None,
    allow_network_files: bool = False,
) -> Memory:
    """Open the memory in a folder, or one on servers, making it if there is none.

    Args:
        path: the folder.
        user: see the sessions of this user and nothing else; any text of 1 to 1024 bytes of UTF-8.
            None: the memory's own sessions, and administration.
        key: 32 bytes, "env:NAME" or "keyring:service/name" (hex or base64 there), or a function
            that returns any of these. Sessions of a user that has none yet will be encrypted;
            those that are encrypted can be opened with it only. None: not encrypted.
        model: name of a bundled checkpoint, or path of a checkpoint folder. Each is loaded once
            per process.
        device: where the model runs: "cpu", "cuda" (the current GPU) or "cuda:N". "auto" is the
            CPU: the bundled model is made for it, and no GPU has been measured yet. Any of them
            opens any session.
        dtype: number format to compute in: "bfloat16", "float32", or "auto" for bfloat16 where the
            processor multiplies it in hardware, as GPUs do. Any of them opens any session.
        kv_dtype: number format in which sessions made here keep keys and values on disk:
            "bfloat16", "int8" or "float8" (e4m3), the latter two with scales, in about half the
            bytes. A session that exists stays in its own.
        read_only: never write; every session is opened for reading.
        create: make a memory where there is none.
        cache_bytes: most bytes of keys and values that each session keeps in memory.
        device_cache_bytes: most bytes of them that each session keeps on a GPU besides; without one
            nothing is kept.
        database: URL of a PostgreSQL database (postgresql://user@host/name) that keeps the
            messages. The folder is then a cache that may be empty: any machine opens any session,
            one at a time for writing. `?schema=NAME` keeps several memories apart. There are no
            users and no encryption then.
        objects: URL of an object storage (s3://bucket/prefix, gs://, az://, file://) that keeps
            what the model has read, so that no machine reads a history again. Endpoint and
            credentials come from the environment. Only with a database.
        allow_network_files: write also on a file system that other machines may share (NFS, SMB,
            FUSE), where their locks need not be seen: safe only while no other machine writes.

    Raises:
        ModelNotFound, InvalidCheckpoint: the model cannot be loaded.
        SessionNotFound: there is no memory and none may be made.
        KeyMissing, WrongKey, NotEncrypted, NoCipher: about the key.
        DeviceFull: the model does not fit into the GPU's memory.
        InvalidArgument (also if there is no such device), StorageError (StoreUnreachable: a server
            does not answer).
    """
    if user is not None:
        require_name(user, "user")
    folder, named = require_path("path", path), require_path("model", model)
    require_int("cache_bytes", cache_bytes, least=0)
    require_int("device_cache_bytes", device_cache_bytes, least=0)
    _require_urls(database, objects)
    if database is not None and (user is not None or key is not None):
        found = "a key" if user is None else f"the user {user!r:.100}"
        raise errors.InvalidArgument(
            "a memory on servers has neither users nor encryption; found a database and "
            f"{found}: leave out one of them"
        )
    precision = require_precision(kv_dtype)
    with public_errors():
        engine = load_engine(named, device, dtype)
        store = Store.open(
            folder,
            user=user,
            key=key,
            create=create,
            read_only=read_only,
            allow_network_files=allow_network_files,
            database=database,
            objects=objects,
        )
    return Memory(
        store,
        engine,
        model=named,
        precision=precision,
        cache_bytes=cache_bytes,
        device_cache_bytes=device_cache_bytes,
    )


def _require_urls(database: object, objects: object) -> None:
    for name, url in (("database", database), ("objects", objects)):
        if url is not None and not isinstance(url, str):
            raise errors.InvalidArgument(f"{name} must be a URL; found {url!r:.100}")
    with public_errors():
        check_addresses(database, objects)  # type: ignore[arg-type]


def repair_marker(
    path: str | os.PathLike[str], *, allow_network_files: bool = False
) -> list[Finding]:
    """Write the file that makes a folder a memory again, if it is damaged: `open` needs it.

    Args:
        path, allow_network_files: as `open` has them.

    Returns:
        What was found; nothing if the file is good.

    Raises:
        SessionNotFound: there is no memory.
        CorruptStore: none of the sessions can be read, so nothing says what the file held.
        StorageError.
    """
    folder = require_path("path", path)
    with public_errors():
        return public_findings(rebuild_marker(folder, allow_network_files=allow_network_files))


class Memory(Users):
    """A folder of sessions; made by `hsa_memory.open`. A context manager, thread-safe."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        *,
        model: str,
        precision: Precision,
        cache_bytes: int,
        device_cache_bytes: int,
    ) -> None:
        self.path = Path(store.root)
        self.model = model
        """Name or path the memory was opened with."""
        self._store = store
        self._engine = engine
        self._precision = precision
        self._cache_bytes = cache_bytes
        self._device_cache_bytes = device_cache_bytes
        self._lock = threading.RLock()
        # Weak: a session that nobody has any more ends, and frees its lock.
        self._sessions: weakref.WeakSet[MemorySession] = weakref.WeakSet()
        self._closed = False

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return self._engine.tokenizer

    def session(
        self,
        name: str,
        *,
        create: bool = True,
        read_only: bool = False,
        ttl: float | timedelta | None = None,
    ) -> MemorySession:
        """Open a session, restoring it from disk or making it.

        Args:
            name: any text of 1 to 1024 bytes of UTF-8.
            create: make the session if there is none.
            read_only: read beside a writer; what it adds is seen at the next call.
            ttl: seconds or a timedelta that messages live that are added from now on, in this
                handle and later ones; see `MemorySession.add`. None: as it was, at first for ever.

        Raises:
            SessionBusy: somebody else writes to the session.
            SessionNotFound: there is no such session and none may be made.
            ModelMismatch: it was written with another model.
            InvalidArgument, SessionClosed, StorageError.
        """
        require_name(name)
        lifetime = parse_ttl(ttl, errors.InvalidArgument)
        if lifetime is not None and read_only:
            raise errors.InvalidArgument("a session opened read-only cannot be given a ttl")

        store = None
        try:
            with self._use():
                store = self._open(name, create=create, read_only=read_only)
                write_ttl(store, lifetime)
                session = MemorySession(
                    name,
                    self._engine,
                    store,
                    cache_bytes=self._cache_bytes,
                    device_cache_bytes=self._device_cache_bytes,
                    home=self,
                )
                self._sessions.add(session)
                return session
        except BaseException:
            # Interrupted: nobody has the session, so nobody else would close it.
            if store is not None:
                store.close()
            raise

    def _open(
        self,
        name: str,
        *,
        create: bool,
        read_only: bool = False,
        precision: Precision | None = None,
    ) -> SessionStore:
        layouts = self._engine.layouts(precision or self._precision)
        try:
            return self._store.session(name, layout=layouts, create=create, read_only=read_only)
        except storage.ModelMismatch as error:
            raise mismatch(self._engine, name, error) from error

    def start_over(self, name: str, old: SessionStore) -> SessionStore:
        """Delete a session that this process has closed and open a new one of its name; for
        `MemorySession.clear`."""
        self._store.delete_session(name)
        return self._open(name, create=True, precision=precision_of(old.layout.dtype))

    def made_anew(
        self, name: str, kv_dtype: str | None, progress: Told
    ) -> tuple[Moved, SessionStore]:
        """Encode a session again that this process has closed, and open it; for
        `MemorySession.reingest`."""
        moved = self.reingest(name, kv_dtype=kv_dtype, force=True, progress=progress)
        return moved, self._open(name, create=False)

    def require_no_forks(self, name: str) -> None:
        """Raise SessionHasForks if there is a fork of a session; for `MemorySession.clear`."""
        self._store.require_no_forks(name)

    def fork(self, store: SessionStore, name: str, num_turns: int) -> MemorySession:
        """Make a fork of an open session and open it; for `MemorySession.fork`."""
        require_name(name)
        self._store.fork(store, name, num_turns, keep=(TTL,))
        return self.session(name, create=False)

    def sessions(self) -> list[SessionInfo]:
        """Return all sessions, oldest first."""
        with self._use():
            found = self._store.list_sessions()
        return [SessionInfo(name=x.name, id=x.id, created=x.created) for x in found]

    def has_session(self, name: str) -> bool:
        """Whether there is a session of that name."""
        require_name(name)
        with self._use():
            return self._store.has_session(name)

    def delete_session(self, name: str) -> None:
        """Delete a session with all its messages. This is no secure erase.

        Raises:
            SessionNotFound, SessionBusy (also when it is open here), SessionReadOnly.
        """
        require_name(name)
        with self._use():
            self._store.delete_session(name)

    def stats(self) -> MemoryStats:
        """Return the size of the memory and of its model."""
        with self._use():
            own = self._store.list_sessions()
            return MemoryStats(
                path=str(self.path),
                model=self.model,
                fingerprint=self._engine.fingerprint,
                num_parameters=self._engine.num_parameters,
                kv_dtype=self._precision.name,
                num_sessions=len(own),
                bytes_on_disk=self._bytes_on_disk(),
            )

    def _bytes_on_disk(self) -> int:
        if self.user is not None:
            return self._store.session_bytes()
        return max(0, bytes_in_folder(self.path) - self._store.hidden_bytes())

    def check(self, *, repair: bool = False) -> list[Finding]:
        """Read every byte on disk and return what is not as it was written.

        Opened for a user, of that user's sessions. Of encrypted sessions whose key is missing only
        checksums are looked at; a finding "not-checked" says so.

        Args:
            repair: lower each damaged session to its last good chunk, to be encoded again from its
                tokens, and rebuild what else can be. Damaged messages are reported, never changed.
                Messages that are gone for good are a finding "lost-messages", never `repaired`;
                the session goes on with what is left, and later checks do not tell it again.
                Sessions that are open for writing are left alone.
        """
        with self._use():
            return public_findings(self._store.check(repair=repair))

    def close(self) -> None:
        """Close every session and the store; may be called again."""
        with self._lock:
            self._closed = True
            sessions = list(self._sessions)
        # Without the lock: whoever uses one of them may be waiting for it. All of them, also when
        # one fails.
        with public_errors(), ExitStack() as closing:
            closing.callback(self._store.close)
            for session in sessions:
                closing.callback(session.close)

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        storage.close_after(error, self.close, errors.HSAMemoryError)
