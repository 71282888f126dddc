"""LangChain messages as messages of a session and back, without loss.

The session's text is what the model reads and remembers: the text of the content, and a line per
tool call. Everything else lies beside it, as JSON in the metadata:

- "langchain": what `message_to_dict` gives, without the content where the text says the same; or
  `ATTACHED`, where that is longer than `INLINE_CHARS` and so the message's attachment. Any other
  value is ordinary metadata of a message that was added in another way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import CorruptStore, InvalidMessage
from .session import MemorySession
from .tool_calls import calls_of, with_calls
from .types import Message

try:
    from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict
except ImportError as error:
    raise ImportError(
        "hsa_memory.langchain needs langchain-core: pip install 'langchain-core>=1.4,<2'"
    ) from error

KEY = "langchain"
ATTACHED = "attached message"
INLINE_CHARS = 60_000
"""Of ASCII JSON in a message's metadata, which may take 64 KiB."""

EMPTY_TEXT = "(no text)"
"""Stands for a message without text or tool calls: a session stores no blank message."""

_ROLES = {
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "SystemMessageChunk": "system",
    "tool": "tool",
    "ToolMessageChunk": "tool",
    "function": "tool",
    "FunctionMessageChunk": "tool",
    "remove": "system",
}
_CHAT_ROLES = ("system", "user", "assistant", "tool", "document")


def to_session(message: BaseMessage) -> dict[str, Any]:
    """Return a LangChain message as `MemorySession.add_messages` takes it.

    Raises:
        InvalidMessage: it is no LangChain message, or a part of it (a tool's artifact, say) is not
            JSON.
    """
    if not isinstance(message, BaseMessage):
        raise InvalidMessage(f"expected LangChain messages; found {type(message).__name__}")
    data = message_to_dict(message)
    text = visible_text(message)
    if data["data"]["content"] == text:
        del data["data"]["content"]
    packed = _to_json(data, message)
    found: dict[str, Any] = {"role": _role(message), "content": text}
    if len(packed) <= INLINE_CHARS:
        return {**found, "metadata": {KEY: packed}}
    return {**found, "metadata": {KEY: ATTACHED}, "attachment": packed}


def from_session(session: MemorySession) -> Iterator[BaseMessage]:
    """Yield the LangChain messages of a session; plain messages become those of their role.

    Raises:
        CorruptStore: if the attachment of a large message is damaged or missing.
    """
    for message in session.messages():
        packed = message.metadata.get(KEY)
        if packed == ATTACHED:
            packed = session.attachment(message.id)
            if packed is None:
                raise CorruptStore(
                    f"message {message.id!r}: its attachment is missing; messages that were copied "
                    "from another session do not bring it with them"
                )
        yield _unpacked(packed, message.text) or _plain_message(message)


def is_ours(value: Any) -> bool:
    """Return whether a value under `KEY` is what `to_session` put there."""
    return value == ATTACHED or _unpacked(value, "") is not None


def _unpacked(packed: Any, text: str) -> BaseMessage | None:
    try:
        data = json.loads(packed)
        data["data"].setdefault("content", text)
        return messages_from_dict([data])[0]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        # Somebody else's value.
        return None


def visible_text(message: BaseMessage) -> str:
    """Return what the model remembers of a message: its text, and a line per tool call."""
    calls = calls_of({"tool_calls": getattr(message, "tool_calls", None)})
    return with_calls(str(message.text), calls) or EMPTY_TEXT


def _role(message: BaseMessage) -> str:
    role = str(getattr(message, "role", ""))
    if message.type in ("chat", "ChatMessageChunk") and role in _CHAT_ROLES:
        return role
    return _ROLES.get(message.type, "user")


def _to_json(data: Mapping[str, Any], message: BaseMessage) -> str:
    try:
        return json.dumps(data)
    except (TypeError, ValueError) as error:
        raise InvalidMessage(
            f"a {message.type} message cannot be stored: {error}; artifact, additional_kwargs and "
            "response_metadata may hold only what JSON has"
        ) from error


def _plain_message(message: Message) -> BaseMessage:
    kind = {"user": "human", "assistant": "ai", "system": "system"}.get(message.role, "chat")
    data: dict[str, Any] = {"content": message.text, "id": message.id}
    if kind == "chat":
        data["role"] = message.role
    return messages_from_dict([{"type": kind, "data": data}])[0]
