"""The truth of a session as an export has it: a stream of small maps, each behind its length.

First one that says which session it is, then its turns in order, then the caller's notes. Tokens
are not in it: they follow from text and tokenizer.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import msgpack

from .errors import CorruptMetadata
from .maps import MAX_MAP_BYTES, pack_map, unpack_map
from .rows import MAX_TEXT_BYTES, MAX_TURN_TOKENS

_LENGTH = struct.Struct("<I")
_MAX_RECORD = MAX_TEXT_BYTES + 4 * MAX_MAP_BYTES
_MAX_FIELDS = 16


@dataclass(frozen=True, kw_only=True)
class TurnRecord:
    """A turn without its tokens."""

    id: str
    role: str
    text: str
    timestamp: float
    num_tokens: int
    """Of the tokenizer that the session had."""
    metadata: dict[str, Any] = field(default_factory=dict)
    expires: float | None = None
    forgotten: bool = False
    """Only its place is left: no text, no metadata."""


@dataclass(frozen=True, kw_only=True)
class NoteRecord:
    """A note of the caller's."""

    key: str
    value: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SessionRecord:
    """What an export says of a session before its turns."""

    name: str
    created: float
    """Unix seconds."""
    num_turns: int
    num_tokens: int
    num_notes: int
    num_chunks: int
    """Chunks whose derived state is in the export; 0: it has the truth only."""
    token_sum: bytes
    """sha256 of the token ids as u32, little-endian."""
    layout: dict[str, Any]
    """Of the derived state; empty without one."""


Record = SessionRecord | TurnRecord | NoteRecord


def pack_record(record: Record) -> bytes:
    """A record with its length in front."""
    if isinstance(record, TurnRecord):
        fields: dict[str, Any] = {
            "turn": record.id,
            "role": record.role,
            "text": record.text,
            "time": record.timestamp,
            "tokens": record.num_tokens,
            "metadata": pack_map(record.metadata),
        }
        if record.expires is not None:
            fields["expires"] = record.expires
        if record.forgotten:
            fields["forgotten"] = True
    elif isinstance(record, NoteRecord):
        fields = {"note": record.key, "value": pack_map(record.value)}
    else:
        fields = {
            "session": record.name,
            "created": record.created,
            "turns": record.num_turns,
            "tokens": record.num_tokens,
            "notes": record.num_notes,
            "chunks": record.num_chunks,
            "token_sum": record.token_sum,
            "layout": pack_map(record.layout),
        }
    body = bytes(msgpack.packb(fields))
    return _LENGTH.pack(len(body)) + body


def read_records(pieces: Iterable[bytes]) -> Iterator[Record]:
    """The records of a stream that comes in pieces.

    Raises:
        CorruptMetadata: it is not such a stream.
    """
    held = bytearray()
    for piece in pieces:
        held += piece
        start = 0
        while (stop := _end_of_record(held, start)) <= len(held):
            yield _decoded(bytes(held[start + _LENGTH.size : stop]))
            start = stop
        del held[:start]
    if held:
        _refuse("it ends in the middle of a record")


def _end_of_record(held: bytearray, start: int) -> int:
    if start + _LENGTH.size > len(held):
        return len(held) + 1
    (length,) = _LENGTH.unpack_from(held, start)
    if length > _MAX_RECORD:
        _refuse(f"a record of {length} bytes")
    return start + _LENGTH.size + int(length)


def _no_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"msgpack extension type {code}")


def _decoded(body: bytes) -> Record:
    try:
        # Flat: what claims to be a list would be made as long as it claims before it is read.
        fields = msgpack.unpackb(
            body,
            raw=False,
            strict_map_key=True,
            ext_hook=_no_extension,
            max_array_len=0,
            max_map_len=_MAX_FIELDS,
        )
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        _refuse(f"a record is no map ({error})")
    if not isinstance(fields, dict):
        _refuse(f"a record is no map, but {type(fields).__name__}")
    take = _Fields(fields)
    if "turn" in fields:
        return TurnRecord(
            id=take.text("turn"),
            role=take.text("role"),
            text=take.text("text"),
            timestamp=take.number("time"),
            num_tokens=take.count("tokens", 1, MAX_TURN_TOKENS),
            metadata=take.map("metadata"),
            expires=take.number("expires") if "expires" in fields else None,
            forgotten="forgotten" in fields,
        )
    if "note" in fields:
        return NoteRecord(key=take.text("note"), value=take.map("value"))
    return SessionRecord(
        name=take.text("session"),
        created=take.number("created"),
        num_turns=take.count("turns"),
        num_tokens=take.count("tokens"),
        num_notes=take.count("notes"),
        num_chunks=take.count("chunks"),
        token_sum=take.bytes("token_sum"),
        layout=take.map("layout"),
    )


class _Fields:
    """The fields of a record, each of the type that it must have."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def _one(self, name: str, *types: type) -> Any:
        value = self._fields.get(name)
        if type(value) not in types:
            _refuse(f"a record's {name!r} is {type(value).__name__}")
        return value

    def text(self, name: str) -> str:
        return str(self._one(name, str))

    def bytes(self, name: str) -> bytes:
        return bytes(self._one(name, bytes))

    def number(self, name: str) -> float:
        value = float(self._one(name, float, int))
        if not math.isfinite(value):
            _refuse(f"a record's {name!r} is {value}")
        return value

    def count(self, name: str, least: int = 0, most: int = 1 << 62) -> int:
        value = int(self._one(name, int))
        if not least <= value <= most:
            _refuse(f"a record's {name!r} is {value}")
        return value

    def map(self, name: str) -> dict[str, Any]:
        return unpack_map(self._one(name, bytes), f"a record's {name!r}")


def _refuse(why: str) -> NoReturn:
    raise CorruptMetadata(f"a stream of turns is not one: {why}")
