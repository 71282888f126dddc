"""What users pass as messages, checked and made into turns of the store."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from time import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hsa_memory.model import ROLES, Tokenizer
from hsa_memory.storage import MAX_TEXT_BYTES, Turn, check_fields, map_as_stored

from .errors import InvalidArgument, InvalidMessage
from .tool_calls import beside_text, calls_of, with_calls
from .types import Message

ALIASES = {"human": "user", "ai": "assistant", "developer": "system", "function": "tool"}
"""Other libraries' words for our roles."""

# Years 1 to 9999: what a datetime can show.
_EARLIEST, _LATEST = -62135596800.0, 253402300800.0
_PIECE_CHARS = 1 << 20
# Attributes of a message that is no map.
_FIELDS = (
    *("role", "type", "content", "text", "id", "timestamp", "created_at", "metadata"),
    *("name", "tool_call_id", "tool_calls", "function_call"),
)


class Draft(NamedTuple):
    """A message that has been checked and not been stored."""

    id: str
    role: str
    text: str
    timestamp: float
    metadata: dict[str, Any]
    attachment: str | None = None
    expires: float | None = None


def make_draft(
    role: object,
    text: object,
    *,
    id: object,
    timestamp: object,
    metadata: object,
    ttl: object = None,
) -> Draft:
    """Check the parts of one message; raises `InvalidMessage` saying what is wrong."""
    if not isinstance(role, str) or ALIASES.get(role, role) not in ROLES:
        known = ", ".join([*ROLES, *ALIASES])
        raise InvalidMessage(f"unknown role {role!r}: expected one of {known}")
    if not isinstance(text, str):
        raise InvalidMessage(f"text must be a str; found {type(text).__name__}")
    if not text.strip():
        raise InvalidMessage("text must hold more than white space")
    _require_text_fits("text", text)
    if id is None:
        id = uuid.uuid4().hex
    if not isinstance(id, str) or not id:
        raise InvalidMessage(f"id must be a str that is not empty; found {id!r}")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, Mapping) or not all(isinstance(key, str) for key in metadata):
        raise InvalidMessage(f"metadata must be a map with str keys; found {metadata!r:.100}")
    moment = time() if timestamp is None else parse_time(timestamp, InvalidMessage)
    role = ALIASES.get(role, role)
    try:
        check_fields(id, role, moment)
        kept = map_as_stored(dict(metadata))
    except ValueError as error:
        raise InvalidMessage(str(error)) from error
    lifetime = parse_ttl(ttl, InvalidMessage)
    expires = None if lifetime is None else moment + lifetime
    return Draft(id, role, text, moment, kept, expires=expires)


def _require_text_fits(name: str, text: str) -> None:
    size = 0
    try:
        # In pieces: a copy of a very long text as bytes is not needed.
        for start in range(0, len(text), _PIECE_CHARS):
            size += len(text[start : start + _PIECE_CHARS].encode())
    except UnicodeEncodeError as error:
        raise InvalidMessage(
            f"{name} has a lone surrogate ({text[start + error.start]!r} at character "
            f"{start + error.start}); decode bytes with errors='replace' instead"
        ) from error
    if size > MAX_TEXT_BYTES:
        raise InvalidMessage(f"{name} is {size} bytes of UTF-8; the limit is {MAX_TEXT_BYTES}")


def make_drafts(messages: Iterable[object]) -> list[Draft]:
    """Check messages shaped as OpenAI or LangChain shape them; see `MemorySession.add_messages`.

    Raises:
        InvalidMessage: naming the first message that cannot be stored.
    """
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable):
        raise InvalidMessage(f"expected several messages; found one {type(messages).__name__}")
    drafts = []
    for number, message in enumerate(messages):
        try:
            drafts.append(_draft_of(message))
        except InvalidMessage as error:
            raise InvalidMessage(f"message {number}: {error}") from error
    return drafts


def _draft_of(message: object) -> Draft:
    if isinstance(message, Message):
        fields: Mapping[str, Any] = vars(message)
    elif isinstance(message, Mapping):
        fields = message
    else:
        fields = {name: getattr(message, name) for name in _FIELDS if hasattr(message, name)}
    text = _text_of(fields["content"] if "content" in fields else fields.get("text"))
    calls = calls_of(fields)
    if calls and (text is None or isinstance(text, str)):
        text = with_calls(text or "", calls)
    moment, metadata = fields.get("timestamp"), fields.get("metadata")
    if metadata is None or isinstance(metadata, Mapping):
        metadata = {**beside_text(fields, calls), **(metadata or {})}
    draft = make_draft(
        fields["role"] if "role" in fields else fields.get("type"),
        text,
        id=fields.get("id"),
        timestamp=fields.get("created_at") if moment is None else moment,
        metadata=metadata,
        ttl=fields.get("ttl"),
    )
    return draft._replace(attachment=_attachment_of(fields))


def _attachment_of(fields: Mapping[str, Any]) -> str | None:
    text = fields.get("attachment")
    if text is not None:
        if not isinstance(text, str):
            raise InvalidMessage(f"attachment must be a str; found {type(text).__name__}")
        _require_text_fits("attachment", text)
    return text


def _text_of(content: object) -> object:
    """Join the text parts of a content list; leave everything else as it is."""
    if not isinstance(content, list | tuple):
        return content
    texts = []
    for part in content:
        text = part.get("text") if isinstance(part, Mapping) else part
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
        if kind not in ("text", "input_text", "output_text") or not isinstance(text, str):
            raise InvalidMessage(f"only text parts can be remembered; found a part {part!r:.100}")
        texts.append(text)
    return "\n".join(texts)


def parse_time(value: object, error: type[InvalidMessage] | type[InvalidArgument]) -> float:
    """Return unix seconds of a number, datetime or ISO 8601 string (without zone: UTC)."""
    moment = value
    if isinstance(moment, str):
        try:
            # Python 3.10 does not read the Z.
            moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
        except ValueError as cause:
            raise error(f"timestamp {value!r} is not an ISO 8601 date and time") from cause
    if isinstance(moment, datetime):
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        moment = (zoned - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds()
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        kind = type(value).__name__
        raise error(f"timestamp must be seconds, datetime or ISO string; found {value!r} ({kind})")
    if not _EARLIEST <= moment < _LATEST:
        raise error(f"timestamp must lie in the years 1 to 9999; found {value!r:.50}")
    return float(moment)


def parse_ttl(value: object, error: type[InvalidMessage] | type[InvalidArgument]) -> float | None:
    """Return the seconds of a number or timedelta, or None."""
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise error(f"ttl must be seconds or a timedelta; found {value!r:.50}")
    if not 0 <= seconds <= _LATEST:
        raise error(f"ttl must be from 0 to {_LATEST:.0f} seconds; found {value!r:.50}")
    return float(seconds)


def make_turn(tokenizer: Tokenizer, draft: Draft) -> Turn:
    """Tokenise a draft."""
    parts = [np.array([tokenizer.role_id(draft.role)], np.uint32)]
    parts += [np.array(tokenizer.encode(piece), np.uint32) for piece in _pieces(draft.text)]
    parts.append(np.array([tokenizer.end_id], np.uint32))
    tokens: NDArray[np.uint32] = np.concatenate(parts)
    return Turn(
        turn_id=draft.id,
        role=draft.role,
        text=draft.text,
        tokens=tokens,
        timestamp=draft.timestamp,
        metadata=draft.metadata,
        expires=draft.expires,
    )


def _pieces(text: str) -> Iterator[str]:
    """Cut a very long text at spaces: lists of its token ids would take 20 times its memory."""
    start = 0
    while len(text) - start > _PIECE_CHARS:
        cut = text.rfind(" ", start + 1, start + _PIECE_CHARS)
        stop = cut if cut > 0 else start + _PIECE_CHARS
        yield text[start:stop]
        start = stop
    yield text[start:]


def as_message(turn: Turn) -> Message:
    """A stored turn as the API shows it."""
    return Message(
        id=turn.turn_id,
        seq=turn.seq,
        role=turn.role,
        text=turn.text,
        timestamp=turn.timestamp,
        metadata=turn.metadata,
    )
