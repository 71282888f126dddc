"""MemorySession: one stream of messages that can be added to, searched and asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any

from hsa_memory.storage import SessionStore, close_after

from .adding import Meter, add_drafts
from .answering import AnswerStream, Request, answer
from .arguments import require_count, require_id, require_int, require_question, require_temperature
from .attachments import read_attachment
from .boundary import public_errors
from .chunks import ChunkCache
from .context import lay_out
from .encoding import Encoder
from .engine import Engine
from .errors import HSAMemoryError, SessionClosed, SessionReadOnly
from .filters import Metadata, make_filter
from .fork import Source
from .messages import Draft, as_message, make_draft, make_drafts
from .remembering import Remembering
from .searching import search
from .sizes import session_stats
from .types import (
    AddResult,
    Answer,
    ContextResult,
    Message,
    Progress,
    SearchResult,
    SessionStats,
    Stats,
)

Time = float | datetime | str
"""Unix seconds, a datetime, or an ISO 8601 string; without a time zone UTC is meant."""


class MemorySession:
    """One stream of messages; made by `Memory.session`.

    A context manager, safe to share between threads, and the only writer of its session: whoever
    opens it for writing meanwhile gets `SessionBusy`. Everything that `add` has returned for is on
    disk, also after a kill or a power cut.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        store: SessionStore,
        *,
        cache_bytes: int,
        start_over: Callable[[], SessionStore],
    ) -> None:
        self.name = name
        self._engine = engine
        self._cache_bytes = cache_bytes
        self._start_over = start_over
        self._lock = threading.RLock()
        self._closed = False
        self._attach(store)

    def _attach(self, store: SessionStore) -> None:
        self._store = store
        cache = ChunkCache(self._cache_bytes, self._engine.layout.kv_bytes)
        self._encoder = Encoder(self._engine, store, cache)
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

        Raises:
            InvalidMessage: nothing was written.
            MessageConflict: the id is known with another role or text; nothing was written.
            SessionReadOnly, SessionClosed, StorageError.
        """
        draft = make_draft(role, text, id=id, timestamp=timestamp, metadata=metadata)
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
                reads it, and `attachment` returns it.
            batch_size: messages per transaction, fewer when they are long. A batch is stored whole
                or not at all; batches before one that failed stay.
            progress: called after each batch and each piece of encoding.

        Raises:
            InvalidMessage: naming the first message that cannot be stored; nothing was written.
            MessageConflict: of an id with another content or attachment; its batch was not
                written.
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
            return add_drafts(self._source, drafts, batch_size=batch_size, progress=progress)

    def catch_up(self, *, progress: Callable[[Progress], None] | None = None) -> Stats:
        """Encode what is on disk but not in the memory yet: left behind by a kill or a full disk.

        Adding, searching and asking do this by themselves. Raises StorageError if it cannot.
        """
        with self._use():
            meter = Meter(self._encoder, 0, progress)
            self._encoder.catch_up(meter.encoded)
            return meter.stats()

    def clear(self) -> None:
        """Delete every message; the session stays, empty. This is no secure erase.

        Raises:
            SessionReadOnly, SessionClosed: nothing was deleted.
            SessionBusy, StorageError: it failed half way; this handle is closed.
        """
        with self._use():
            self._require_writable()
            self._store.close()
            try:
                self._attach(self._start_over())
            except BaseException:
                self.close()
                raise

    # ---- reading

    def search(
        self,
        query: str,
        k: int = 5,
        *,
        role: str | Collection[str] | None = None,
        since: Time | None = None,
        until: Time | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> SearchResult:
        """Return the messages that the model's retrieval ranks highest for a question.

        Filters hide chunks before the choice: a chunk takes part if one of its messages passes,
        and messages that do not pass are never returned.

        Args:
            query: a question, or any text.
            k: most messages to return.
            role: a role, or several.
            since: keep messages from this time on.
            until: keep messages before this time.
            where: keep messages whose metadata has all of these entries, compared as they come
                back from the store (a tuple as a list).

        Raises:
            InvalidArgument, SessionClosed, StorageError.
        """
        require_question(self._engine, query)
        require_count("k", k)
        filter = make_filter(role, since, until, where)
        with self._use():
            return search(self._source, query, k, filter, self._metadata)

    def ask(
        self,
        question: str,
        *,
        max_tokens: int = 64,
        remember: bool = False,
        temperature: float = 0.0,
        seed: int | None = None,
        role: str | Collection[str] | None = None,
        since: Time | None = None,
        until: Time | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Answer a question with the whole history in reach.

        With a filter the answer is made from allowed messages only: the ones that `search` ranks
        highest, up to 4,096 tokens, are read again by themselves, so that nothing else can
        influence a word of it.

        Args:
            question: text; at most 8,192 tokens.
            max_tokens: most tokens to generate.
            remember: add the question and the answer to the history afterwards (an empty answer
                is not added).
            temperature: 0 takes the most probable token each time.
            seed: of the draws with a temperature above 0; a signed or unsigned 64-bit number.
            role, since, until, where: as in `search`.

        Raises:
            InvalidArgument, SessionReadOnly (with `remember`), SessionClosed, StorageError.
        """
        return self.stream(
            question,
            max_tokens=max_tokens,
            remember=remember,
            temperature=temperature,
            seed=seed,
            role=role,
            since=since,
            until=until,
            where=where,
        ).answer

    def stream(
        self,
        question: str,
        *,
        max_tokens: int = 64,
        remember: bool = False,
        temperature: float = 0.0,
        seed: int | None = None,
        role: str | Collection[str] | None = None,
        since: Time | None = None,
        until: Time | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> AnswerStream:
        """Answer like `ask`, piece by piece: iterate over the result, then take its `answer`."""
        require_question(self._engine, question)
        require_count("max_tokens", max_tokens)
        require_temperature(temperature)
        if seed is not None:
            require_int("seed", seed, least=-(1 << 63), most=(1 << 64) - 1)
        with self._use():
            if remember:
                self._require_writable()
            remembering = Remembering(self.add_messages)
            request = Request(
                question=question,
                max_tokens=max_tokens,
                temperature=temperature,
                seed=seed,
                filter=make_filter(role, since, until, where),
                remember=remembering.remember if remember else None,
            )
            pieces = answer(self._source, self._metadata, request)
            return AnswerStream(remembering.told_after(pieces))

    def _require_writable(self) -> None:
        if not self._store.writable:
            raise SessionReadOnly(f"session {self.name!r} was opened read-only")

    def context(
        self,
        query: str,
        max_tokens: int,
        *,
        k: int = 16,
        role: str | Collection[str] | None = None,
        since: Time | None = None,
        until: Time | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> ContextResult:
        """Lay out the best past messages for the prompt of another language model.

        Args:
            query: what the prompt is about.
            max_tokens: length that is never exceeded, in tokens of this memory's tokenizer.
            k: most messages.
            role, since, until, where: as in `search`.

        Returns:
            Messages oldest first, each with its time (UTC) and role; whole where they fit, cut
            around what was found where they do not.

        Raises:
            InvalidArgument, SessionClosed, StorageError.
        """
        require_count("max_tokens", max_tokens)
        found = self.search(query, k, role=role, since=since, until=until, where=where)
        return lay_out(found, self._engine.tokenizer, max_tokens)

    def messages(self, start: int = 0, stop: int | None = None) -> list[Message]:
        """Return messages by place, as a slice of the history would."""
        require_int("start", start)
        if stop is not None:
            require_int("stop", stop)
        with self._use(refresh=True):
            return [as_message(turn) for turn in self._store.turns(start, stop)]

    def get(self, id: str) -> Message | None:
        """Return the message of that id, or None."""
        require_id(id)
        with self._use(refresh=True):
            turn = self._store.find(id)
            return None if turn is None else as_message(turn)

    def attachment(self, id: str) -> str | None:
        """Return what was attached to the message of that id, or None."""
        require_id(id)
        with self._use(refresh=True):
            return read_attachment(self._store, id)

    def __len__(self) -> int:
        with self._use(refresh=True):
            return self._store.num_turns

    def __bool__(self) -> bool:
        # An empty session is still a session.
        return True

    def stats(self) -> SessionStats:
        """Return the size of the session."""
        with self._use(refresh=True):
            return session_stats(self.name, self._store, self._engine.config.chunk_size)

    # ---- life

    @property
    def read_only(self) -> bool:
        """Whether this handle was opened for reading."""
        return not self._store.writable

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

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
            yield self._store
