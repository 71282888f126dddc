"""Memory: a folder of sessions and the model that reads and writes them."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from hsa_memory import storage
from hsa_memory.model import Tokenizer
from hsa_memory.storage import SessionStore, Store, rebuild_marker

from . import errors
from .arguments import require_int, require_path
from .boundary import public_errors
from .engine import Engine, load_engine
from .forgetting import write_ttl
from .messages import parse_ttl
from .precision import DEFAULT, Precision, precision_of, require_precision
from .session import MemorySession
from .sizes import bytes_in_folder
from .types import Finding, MemoryStats, SessionInfo


def open(
    path: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] = "mini",
    device: str = "auto",
    dtype: str = "auto",
    kv_dtype: str = DEFAULT,
    read_only: bool = False,
    create: bool = True,
    cache_bytes: int = 64 << 20,
) -> Memory:
    """Open the memory in a folder, making it if there is none.

    Args:
        path: the folder.
        model: name of a bundled checkpoint, or path of a checkpoint folder. Each is loaded once
            per process.
        device: "auto" or "cpu".
        dtype: number format to compute in: "bfloat16", "float32", or "auto" for bfloat16 where the
            processor multiplies it in hardware. Any of them opens any session.
        kv_dtype: number format in which sessions made here keep keys and values on disk:
            "bfloat16", "int8" or "float8" (e4m3), the latter two with scales, in about half the
            bytes. A session that exists stays in its own.
        read_only: never write; every session is opened for reading.
        create: make a memory where there is none.
        cache_bytes: most bytes of keys and values that each session keeps in memory.

    Raises:
        ModelNotFound, InvalidCheckpoint: the model cannot be loaded.
        SessionNotFound: there is no memory and none may be made.
        InvalidArgument, StorageError.
    """
    folder, named = require_path("path", path), require_path("model", model)
    require_int("cache_bytes", cache_bytes, least=0)
    precision = require_precision(kv_dtype)
    with public_errors():
        engine = load_engine(named, device, dtype)
        store = Store.open(folder, create=create, read_only=read_only)
    return Memory(store, engine, model=named, precision=precision, cache_bytes=cache_bytes)


def repair_marker(path: str | os.PathLike[str]) -> list[Finding]:
    """Write the file that makes a folder a memory again, if it is damaged: `open` needs it.

    Returns:
        What was found; nothing if the file is good.

    Raises:
        SessionNotFound: there is no memory.
        CorruptStore: none of the sessions can be read, so nothing says what the file held.
        StorageError.
    """
    folder = require_path("path", path)
    with public_errors():
        return _public(rebuild_marker(folder))


def _public(found: Iterable[storage.Finding]) -> list[Finding]:
    return [
        Finding(session=x.session, path=x.path, kind=x.kind, detail=x.detail, repaired=x.repaired)
        for x in found
    ]


class Memory:
    """A folder of sessions; made by `hsa_memory.open`. A context manager, thread-safe."""

    def __init__(
        self, store: Store, engine: Engine, *, model: str, precision: Precision, cache_bytes: int
    ) -> None:
        self.path = Path(store.root)
        self.model = model
        """Name or path the memory was opened with."""
        self._store = store
        self._engine = engine
        self._precision = precision
        self._cache_bytes = cache_bytes
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
        _require_name(name)
        lifetime = parse_ttl(ttl, errors.InvalidArgument)
        if lifetime is not None and read_only:
            raise errors.InvalidArgument("a session opened read-only cannot be given a ttl")

        def open_store(create: bool, precision: Precision) -> SessionStore:
            layouts = self._engine.layouts(precision)
            return self._store.session(name, layout=layouts, create=create, read_only=read_only)

        def start_over(old: SessionStore) -> SessionStore:
            self._store.delete_session(name)
            return open_store(True, precision_of(old.layout.dtype))

        store = None
        try:
            with self._use():
                store = open_store(create, self._precision)
                write_ttl(store, lifetime)
                session = MemorySession(
                    name,
                    self._engine,
                    store,
                    cache_bytes=self._cache_bytes,
                    start_over=start_over,
                )
                self._sessions.add(session)
                return session
        except BaseException:
            # Interrupted: nobody has the session, so nobody else would close it.
            if store is not None:
                store.close()
            raise

    def sessions(self) -> list[SessionInfo]:
        """Return all sessions, oldest first."""
        with self._use():
            found = self._store.list_sessions()
        return [SessionInfo(name=x.name, id=x.id, created=x.created) for x in found]

    def has_session(self, name: str) -> bool:
        """Whether there is a session of that name."""
        _require_name(name)
        with self._use():
            return self._store.has_session(name)

    def delete_session(self, name: str) -> None:
        """Delete a session with all its messages. This is no secure erase.

        Raises:
            SessionNotFound, SessionBusy (also when it is open here), SessionReadOnly.
        """
        _require_name(name)
        with self._use():
            self._store.delete_session(name)

    def stats(self) -> MemoryStats:
        """Return the size of the memory and of its model."""
        with self._use():
            return MemoryStats(
                path=str(self.path),
                model=self.model,
                fingerprint=self._engine.fingerprint,
                num_parameters=self._engine.num_parameters,
                kv_dtype=self._precision.name,
                num_sessions=len(self._store.list_sessions()),
                bytes_on_disk=bytes_in_folder(self.path),
            )

    def check(self, *, repair: bool = False) -> list[Finding]:
        """Read every byte on disk and return what is not as it was written.

        Args:
            repair: lower each damaged session to its last good chunk, to be encoded again from its
                tokens, and rebuild what else can be. Damaged messages are reported, never changed.
                Messages that are gone for good are a finding "lost-messages", never `repaired`;
                the session goes on with what is left, and later checks do not tell it again.
                Sessions that are open for writing are left alone.
        """
        with self._use():
            return _public(self._store.check(repair=repair))

    def close(self) -> None:
        """Close every session and the store; may be called again."""
        with self._lock:
            self._closed = True
            # All of them, also when one fails.
            with public_errors(), ExitStack() as closing:
                closing.callback(self._store.close)
                for session in list(self._sessions):
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

    @contextmanager
    def _use(self) -> Iterator[None]:
        with self._lock, public_errors():
            if self._closed:
                raise errors.SessionClosed(f"the memory in {self.path} is closed; open it again")
            yield


def _require_name(name: object) -> None:
    if not isinstance(name, str) or not 0 < len(name.encode("utf-8", "replace")) <= 1024:
        raise errors.InvalidArgument(
            f"a session's name must be a str of 1 to 1024 bytes of UTF-8; found {name!r:.100}"
        )
    if any("\ud800" <= char <= "\udfff" for char in name):
        raise errors.InvalidArgument(f"a session's name has a lone surrogate: {name!r:.100}")
