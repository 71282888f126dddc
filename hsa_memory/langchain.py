"""LangChain: a session as a retriever and as a chat history. Needs langchain-core."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from .errors import InvalidMessage
from .langchain_messages import KEY, from_session, is_ours, to_session
from .session import MemorySession
from .types import Hit

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.documents import Document
    from langchain_core.messages import BaseMessage
    from langchain_core.retrievers import BaseRetriever
    from pydantic import ConfigDict, Field
except ImportError as error:
    raise ImportError(
        "hsa_memory.langchain needs langchain-core: pip install 'langchain-core>=1.4,<2'"
    ) from error

__all__ = ["HSAChatMessageHistory", "HSARetriever"]


class HSARetriever(BaseRetriever):
    """Finds past messages with the model's own retrieval.

    Each document holds a whole message: its id, its text, and in the metadata `score` (in [0, 1]),
    `chunk_ids`, `spans`, `session_id`, `turn` (place in the session, from 0), `timestamp` (Unix
    seconds), `role`, and what the message's own metadata holds under other names.

    `k` may also be given per call: `retriever.invoke("...", k=3)`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    session: MemorySession
    """Where to look; it stays open and belongs to the caller."""
    k: int = Field(default=5, ge=1)
    """Documents to return at most."""
    role: str | Sequence[str] | None = None
    """Only messages of this role or these roles."""
    since: Any = None
    """Only messages from this time on: Unix seconds, datetime or ISO 8601."""
    until: Any = None
    """Only messages before this time."""
    where: dict[str, Any] | None = None
    """Only messages whose metadata has these values."""

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
    ) -> list[Document]:
        return self._documents(query, k)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
    ) -> list[Document]:
        return await asyncio.to_thread(self._documents, query, k)

    def _documents(self, query: str, k: int | None) -> list[Document]:
        found = self.session.search(
            query,
            self.k if k is None else k,
            role=self.role,
            since=self.since,
            until=self.until,
            where=self.where,
        )
        return [_document(hit, self.session.name) for hit in found]


def _document(hit: Hit, session: str) -> Document:
    return Document(
        id=hit.id,
        page_content=hit.text,
        metadata={
            **{
                key: value
                for key, value in hit.metadata.items()
                if key != KEY or not is_ours(value)
            },
            "score": hit.score,
            "chunk_ids": list(hit.chunk_ids),
            "spans": [list(span) for span in hit.spans],
            "session_id": session,
            "turn": hit.seq,
            "timestamp": hit.timestamp,
            "role": hit.role,
        },
    )


class HSAChatMessageHistory(BaseChatMessageHistory):
    """A session as a LangChain chat history; every message type comes back as it went in.

    What the model remembers of a message is its text and its tool calls. All else (content blocks,
    ids, usage, artifacts, ...) is kept beside the text, of any size, as JSON, where neither search
    nor answers see it: in artifacts and additional fields tuples come back as lists and models as
    maps. What is not JSON at all raises
    `InvalidMessage`, and then nothing of that call is stored.

    Args:
        session: where the messages are; it stays open and belongs to the caller. Messages that were
            added to it in other ways appear as human, AI, system or chat messages.
    """

    def __init__(self, session: MemorySession, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.session = session

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """All messages, oldest first."""
        return list(from_session(self.session))

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages in one transaction (for each million characters of text); durable on return.

        A message that cannot be stored raises `InvalidMessage` before anything is written.
        """
        if not isinstance(messages, Iterable):
            raise InvalidMessage(f"expected several messages; found {type(messages).__name__}")
        rows = [to_session(message) for message in messages]
        if rows:
            self.session.add_messages(rows, batch_size=len(rows))

    def clear(self) -> None:
        """Delete every message of the session."""
        self.session.clear()

    async def aget_messages(self) -> list[BaseMessage]:
        """Like `messages`, in a thread."""
        return await asyncio.to_thread(lambda: self.messages)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Like `add_messages`, in a thread."""
        await asyncio.to_thread(self.add_messages, messages)

    async def aclear(self) -> None:
        """Like `clear`, in a thread."""
        await asyncio.to_thread(self.clear)
