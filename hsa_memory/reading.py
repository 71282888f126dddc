"""The reading half of a session: search, answers, messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from time import time
from typing import Any

import numpy as np

from hsa_memory.storage import SessionStore

from .answering import AnswerStream, Request, answer
from .arguments import require_count, require_id, require_int, require_question, require_temperature
from .attachments import read_attachment
from .context import lay_out
from .engine import Engine
from .filters import Metadata, make_filter
from .fork import Source
from .messages import as_message
from .remembering import Remembering
from .searching import search
from .sizes import session_stats
from .types import AddResult, Answer, ContextResult, Message, SearchResult, SessionStats

Time = float | datetime | str
"""Unix seconds, a datetime, or an ISO 8601 string; without a time zone UTC is meant."""


class SessionReader(ABC):
    """What can be read of a session."""

    name: str
    _engine: Engine
    _store: SessionStore
    _metadata: Metadata
    _source: Source

    @contextmanager
    @abstractmethod
    def _use(self, *, refresh: bool = False) -> Iterator[SessionStore]:
        """Hold the lock on an open session; a reader may ask to see what the writer added."""
        yield self._store

    @abstractmethod
    def add_messages(self, messages: Iterable[object]) -> AddResult:
        """Add messages; `remember` needs it."""

    @abstractmethod
    def _require_writable(self) -> None:
        """Raise SessionReadOnly if this handle was opened for reading."""

    def _expired(self) -> frozenset[int]:
        """Numbers of messages whose time is over, and which are still there."""
        return frozenset(self._store.expired(time()))

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
            filter = replace(filter, hidden=self._expired())
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
        influence a word of it. Where more are allowed, the ranking decides which; the rank of a
        chunk may depend on what stands beside it.

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
        filter = make_filter(role, since, until, where)
        with self._use():
            if remember:
                self._require_writable()
            remembering = Remembering(self.add_messages)
            request = Request(
                question=question,
                max_tokens=max_tokens,
                temperature=temperature,
                seed=seed,
                filter=replace(filter, hidden=self._expired()),
                remember=remembering.remember if remember else None,
            )
            pieces = answer(self._source, self._metadata, request)
            return AnswerStream(remembering.told_after(pieces))

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
        """Return messages by place, as a slice of the history would; what was forgotten or has
        expired has no place in it."""
        require_int("start", start)
        if stop is not None:
            require_int("stop", stop)
        with self._use(refresh=True):
            hidden = self._expired()
            # Beside a reader messages may be forgotten at any moment.
            if not hidden and not self._store.num_forgotten:
                turns = self._store.turns(start, stop)
                return [as_message(turn) for turn in turns if not turn.forgotten]
            there = ~self._store.turn_index().forgotten
            there[list(hidden)] = False
            wanted = np.flatnonzero(there)[start:stop].tolist()
            if not wanted:
                return []
            kept = set(wanted)
            turns = self._store.turns(wanted[0], wanted[-1] + 1)
            return [as_message(x) for x in turns if x.seq in kept and not x.forgotten]

    def get(self, id: str) -> Message | None:
        """Return the message of that id, or None."""
        require_id(id)
        with self._use(refresh=True):
            turn = self._store.find(id)
            gone = turn is None or turn.seq in self._expired()
            return None if gone or turn is None else as_message(turn)

    def attachment(self, id: str) -> str | None:
        """Return what was attached to the message of that id, or None."""
        require_id(id)
        with self._use(refresh=True):
            turn = self._store.find(id)
            gone = turn is None or turn.seq in self._expired()
            return None if gone or turn is None else read_attachment(self._store, turn)

    def __len__(self) -> int:
        with self._use(refresh=True):
            return self._store.num_turns - self._store.num_forgotten - len(self._expired())

    def __bool__(self) -> bool:
        # An empty session is still a session.
        return True

    def stats(self) -> SessionStats:
        """Return the size of the session."""
        with self._use(refresh=True):
            return session_stats(self.name, self._store, self._engine.config.chunk_size)
