"""MemorySession: one stream of messages that can be added to, searched and asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol

from hsa_memory.storage import SessionStore, SessionView, StoreError, close_after

from . import clock
from .adding import Meter, add_drafts, require_free
from .arguments import require_count, require_id, require_ids
from .boundary import public_errors
from .encoding import Encoder
from .engine import Engine
from .errors import HSAMemoryError, InvalidArgument, SessionClosed, SessionReadOnly
from .filters import Metadata, make_filter
from .forgetting import chosen, forget, read_ttl, write_ttl
from .fork import Source
from .messages import Draft, make_draft, make_drafts, parse_time
from .moving_session import MovingHome, MovingSession
from .reading import Time
from .types import AddResult, ForgetResult, Progress, Stats


class Home(MovingHome, Protocol):
    """What a session needs of the memory it belongs to."""

    def start_over(self, name: str, old: SessionStore) -> SessionStore:
        """Delete a session and open a new one of its name, in the precision of the old."""

    def fork(self, store: SessionStore, name: str, num_turns: int) -> MemorySession:
        """Make a fork and open it."""


class MemorySession(MovingSession):
    """One stream of messages; made by `Memory.session`.

    A context manager, safe to share between threads, and the only writer of its session: whoever
    opens it for writing meanwhile gets `SessionBusy`. Everything that `add` has returned for is on
    disk, also after a kill or a power cut.
    """

    _home: Home

    def __init__(
        self,
        name: str,
        engine: Engine,
        store: SessionStore,
        *,
        cache_bytes: int,
        device_cache_bytes: int,
        home: Home,
        lock: threading.RLock | None = None,
    ) -> None:
        self.name = name
        self._engine = engine
        self._cache_bytes = cache_bytes
        self._device_cache_bytes = device_cache_bytes
        self._home = home
        # A view of the past reads through the handle it was made of, and shares its lock.
        self._lock = lock or threading.RLock()
        self._closed = False
        self._attach(store)

    def _attach(self, store: SessionStore) -> None:
        self._store = store
        self._ttl = read_ttl(store)
        tiers = self._engine.tiers(
            store.layout.kv_bytes, self._cache_bytes, self._device_cache_bytes
        )
        self._encoder = Encoder(self._engine, store, tiers)
        self._metadata = Metadata(store)
        self._source = Source(self._engine, store, self._encoder, self._lock)

    # ---- writing

    def add(
        self,
        role: str,
        text: str,
        *,
        id: str | None = None,
        timestamp: Time | None = None,
        metadata: Mapping[str, Any] | None = None,
        ttl: float | timedelta | None = None,
    ) -> AddResult:
        """Add one message; when this returns it is on disk.

        If it cannot be encoded too, on a full disk say, `diagnostics` of the result tell.

        Args:
            role: system, user, assistant, tool or document (human, ai, developer and function are
                taken for user, assistant, system and tool).
            text: at least one character that is not white space; at most 256 MiB of UTF-8.
            id: unique in the session; adding the same message under the same id again changes
                nothing. Default: a new random one.
            timestamp: default now; UTC if it has no zone.
            metadata: str keys, values that msgpack knows, 64 KiB packed.
            ttl: seconds or a timedelta after the timestamp from which on the message is hidden from
                everything, and forgotten by the next call of a writer. Default: the session's.

        Raises:
            InvalidMessage: nothing was written.
            MessageConflict: the id is known with another role or text, or is that of a message that
                has expired and could not be forgotten yet; nothing was written.
            SessionReadOnly, SessionClosed, StorageError.
        """
        draft = make_draft(role, text, id=id, timestamp=timestamp, metadata=metadata, ttl=ttl)
        return self._add([draft], 1)

    def add_messages(
        self,
        messages: Iterable[object],
        *,
        batch_size: int = 256,
        progress: Callable[[Progress], None] | None = None,
    ) -> AddResult:
        """Add many messages in order.

        Args:
            messages: maps with `role` (or `type`), `content` (or `text`; a str or a list of text
                parts) and, where known, `id`, `timestamp` (or `created_at`) and `metadata`; or
                objects with such attributes, for example LangChain messages or `Message`s.
                `tool_calls` become lines of the text, name(argument=value, ...); their ids and
                names, and a message's `name` and `tool_call_id`, are kept in the metadata. A map's
                `attachment`, a str of up to 256 MiB, is stored beside the message: the model never
                reads it, and `attachment` returns it. Its `ttl` is as in `add`.
            batch_size: messages per transaction, fewer when they are long. A batch is stored whole
                or not at all; batches before one that failed stay.
            progress: called after each batch and each piece of encoding.

        Raises:
            InvalidMessage: naming the first message that cannot be stored; nothing was written.
            MessageConflict: of an id with another content or attachment; its batch was not
                written. Of an id as in `add` that has expired; nothing was written.
            SessionReadOnly, SessionClosed, StorageError.
        """
        require_count("batch_size", batch_size)
        return self._add(make_drafts(messages), batch_size, progress)

    def _add(
        self,
        drafts: list[Draft],
        batch_size: int,
        progress: Callable[[Progress], None] | None = None,
    ) -> AddResult:
        with self._use():
            drafts = [self._with_expiry(draft) for draft in drafts]
            if not self.read_only and (expired := self._expired()):
                require_free(self._store, expired, drafts)
            return add_drafts(self._source, drafts, batch_size=batch_size, progress=progress)

    def _with_expiry(self, draft: Draft) -> Draft:
        if self._ttl is None or draft.expires is not None:
            return draft
        return draft._replace(expires=draft.timestamp + self._ttl)

    def catch_up(self, *, progress: Callable[[Progress], None] | None = None) -> Stats:
        """Encode what is on disk but not in the memory yet: left behind by a kill or a full disk.

        Adding, searching and asking do this by themselves. Raises StorageError if it cannot.
        """
        with self._use():
            meter = Meter(self._encoder, 0, progress)
            self._encoder.catch_up(meter.encoded)
            return meter.stats()

    def clear(self) -> None:
        """Delete every message; the session stays, empty, with its ttl. This is no secure erase.

        A crash on the way may leave no session of the name, or one without the ttl, which whoever
        opens it next says again.

        Raises:
            SessionReadOnly, SessionClosed: nothing was deleted.
            SessionHasForks: they still read it; nothing was deleted.
            SessionBusy, StorageError: it failed half way; this handle is closed.
        """
        with self._use():
            self._require_writable()
            self._home.require_no_forks(self.name)
            self._store.close()
            try:
                store, lifetime = self._home.start_over(self.name, self._store), self._ttl
                self._attach(store)
                write_ttl(store, lifetime)
                self._ttl = lifetime
            except BaseException:
                self.close()
                raise

    def forget(
        self,
        ids: str | Collection[str] | None = None,
        *,
        role: str | Collection[str] | None = None,
        since: Time | None = None,
        until: Time | None = None,
        where: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        scan: bool = False,
    ) -> ForgetResult:
        """Remove messages from the history and from the disk, for good.

        When this returns nothing can find or read them, and none of the session's files holds their
        text, tokens, metadata, attachment or id, or a landmark, keys or values that depend on them:
        the chunks concerned are wiped and encoded again as if each message had been as many blank
        tokens. What is left of one is that there was a message of that role, time and length. The
        cost depends on the messages; of the history only the database is read once. Copies made of
        the folder, and blocks that a disk or file system has replaced, are out of reach.

        Args:
            ids: messages by id; with conditions, those of them that meet all. None: all that do.
            role, since, until, where: as in `search`; at least one if `ids` is None.
            dry_run: change nothing and return what would be removed.
            scan: search every file of the session for what was removed and return the places; takes
                as long as reading the session's files.

        Raises:
            InvalidArgument: an id that no message has, or nothing to choose messages by.
            SessionBusy: a fork of this session is open for writing; nothing was removed.
            SessionReadOnly, SessionClosed, StorageError.
        """
        named = require_ids(ids)
        filter = make_filter(role, since, until, where)
        if named is None and filter.is_open:
            raise InvalidArgument(
                "forget needs ids or a condition; to remove every message use clear()"
            )
        with self._use():
            self._require_writable()
            seqs = chosen(self._source, self._metadata, named, filter)
            return forget(self._source, seqs, dry_run=dry_run, scan=scan)

    # ---- the past

    def as_of(self, point: Time | None = None, *, message: str | None = None) -> MemorySession:
        """Return the session as it was: a read-only view that shares everything with this handle.

        Costs the same for any length of the history. What was forgotten since is not in it. It
        ends when this handle is closed.

        Args:
            point: a time; the view ends before the first message that is later.
            message: id of a message; the view ends with it.

        Raises:
            InvalidArgument: neither or both, or no message has that id.
            SessionClosed, StorageError.
        """
        with self._use(refresh=True):
            view = SessionView(self._store, self._turns_until(point, message))
            return MemorySession(
                self.name,
                self._engine,
                view,
                cache_bytes=self._cache_bytes,
                device_cache_bytes=self._device_cache_bytes,
                home=self._home,
                lock=self._lock,
            )

    def fork(
        self, name: str, point: Time | None = None, *, message: str | None = None
    ) -> MemorySession:
        """Make another session that begins with this one's history, and open it.

        Nothing is copied: the fork reads what it shares from this session's files, and costs the
        same for any length of the history. What either adds later is its own, and lives as long as
        this session's ttl says. Messages that they share are forgotten from here, in all forks at
        once. This session cannot be deleted before its forks.

        Args:
            name: of the new session.
            point, message: where it leaves this one, as in `as_of`. Default: at the end.

        Raises:
            SessionExists: there is a session of that name.
            InvalidArgument, SessionReadOnly, SessionClosed, StorageError.
        """
        with self._use(refresh=True):
            turns = self._store.num_turns
            if point is not None or message is not None:
                turns = self._turns_until(point, message)
            return self._home.fork(self._store, name, turns)

    def _turns_until(self, point: Time | None, message: str | None) -> int:
        if (point is None) == (message is None):
            raise InvalidArgument("name a time or the id of a message, not both and not neither")
        if message is None:
            return self._store.num_turns_until(parse_time(point, InvalidArgument))
        require_id(message)
        turn = self._store.find(message)
        if turn is None or turn.seq in self._expired():
            raise InvalidArgument(f"there is no message with the id {message!r}")
        return turn.seq + 1

    def _forget_expired(self) -> None:
        if self.read_only or not clock.is_steady():
            return
        own = [seq for seq in self._expired() if seq >= self._store.num_shared]
        if own:
            # They stay hidden, and the next call tries again.
            with suppress(StoreError):
                forget(self._source, sorted(own), dry_run=False, scan=False)

    # ---- life

    @property
    def read_only(self) -> bool:
        """Whether this handle was opened for reading."""
        return not self._store.writable

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _require_writable(self) -> None:
        if not self._store.writable:
            raise SessionReadOnly(f"session {self.name!r} was opened read-only")

    def close(self) -> None:
        """Close all files and let others write; may be called again."""
        with self._lock:
            try:
                self._closed = True
                with public_errors():
                    self._store.close()
            finally:
                # Again, in case it was interrupted: who sees `closed` may open the session anew.
                self._store.close()
                self._encoder.release()

    def __enter__(self) -> MemorySession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        close_after(error, self.close, HSAMemoryError)

    @contextmanager
    def _use(self, *, refresh: bool = False) -> Iterator[SessionStore]:
        """Hold the lock on an open session; a reader may ask to see what the writer added."""
        with self._lock, public_errors():
            if self._closed:
                raise SessionClosed(f"session {self.name!r} is closed; open it again")
            # A writer only has something to catch up with after an interrupt.
            if refresh or not self.read_only:
                self._store.refresh()
            self._forget_expired()
            yield self._store
