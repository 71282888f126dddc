"""Attachments: text beside a message that is stored with it and never read by the model."""

from __future__ import annotations

from typing import Any

from hsa_memory.storage import MAX_TEXT_BYTES, CorruptMetadata, SessionStore, Turn

from .errors import InvalidMessage

# Of UTF-8; a note of the store holds 64 KiB.
_PIECE_BYTES = 60_000
_PREFIX = "attachment-"
_MAX_PIECES = -(-MAX_TEXT_BYTES // _PIECE_BYTES)


def attachment_notes(id: str, text: str) -> dict[str, dict[str, Any]]:
    """Return the notes of the store that hold the attachment of a message."""
    data = text.encode()
    pieces = [data[i : i + _PIECE_BYTES] for i in range(0, max(1, len(data)), _PIECE_BYTES)]
    return {_key(id, n): {"pieces": len(pieces), "data": x} for n, x in enumerate(pieces)}


def read_attachment(store: SessionStore, turn: Turn) -> str | None:
    """Return the attachment of a stored message, or None if it has none.

    Raises:
        CorruptMetadata: a piece of it is damaged or missing.
    """
    pieces = [store.get_meta(key, of_turn=turn.seq) for key in attachment_keys(store, turn)]
    if not pieces:
        return None
    if None in pieces:
        raise CorruptMetadata(
            f"a piece of the attachment of message {turn.turn_id!r} is missing; run check"
        )
    try:
        return b"".join(piece["data"] for piece in pieces if piece).decode()
    except UnicodeDecodeError as error:
        raise CorruptMetadata(
            f"the attachment of message {turn.turn_id!r} is no UTF-8 ({error}); run check"
        ) from error


def attachment_keys(store: SessionStore, turn: Turn) -> list[str]:
    """Return the names of the notes that hold the attachment of a stored message."""
    id = turn.turn_id
    first = store.get_meta(_key(id, 0), of_turn=turn.seq)
    return [] if first is None else [_key(id, n) for n in range(first["pieces"])]


def require_piece(value: dict[str, Any]) -> None:
    """Raise InvalidMessage unless a note from elsewhere can be a piece of an attachment."""
    count, data = value.get("pieces"), value.get("data")
    if type(count) is not int or not 0 < count <= _MAX_PIECES or not isinstance(data, bytes):
        raise InvalidMessage("a piece of an attachment does not say of how many it is one")


def is_attachment(key: str) -> bool:
    """Whether a note of that name holds an attachment, or a piece of one."""
    return key.startswith(_PREFIX)


def _key(id: str, number: int) -> str:
    return f"{_PREFIX}{number}-{id}"
