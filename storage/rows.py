"""Rows of session.db to values and back, every column under a checksum."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from .checksums import xxh3_bytes
from .errors import CorruptMetadata, LimitExceeded
from .maps import pack_map, unpack_map
from .types import Turn

MAX_TEXT_BYTES = 256 << 20
MAX_TURN_TOKENS = 1 << 27
MAX_ID_BYTES = 512
MAX_ROLE_BYTES = 64

TEXT_IS_ZSTD = 1
_LEVEL = 3
# What a damaged row can make struct, int or str complain about.
DECODE_ERRORS = (TypeError, ValueError, AttributeError, OverflowError, struct.error)
SCALARS = ("seq", "turn_id", "ts", "role", "n_tok", "tok0", "flags")
SUMS_BYTES = 40
_SCALARS = struct.Struct("<qdqqqII")
_STATE = struct.Struct("<10q8s")


@dataclass(frozen=True)
class State:
    """The one row of `state`: how far truth and derived files have come."""

    epoch: int = 0
    n_turn: int = 0
    n_tok: int = 0
    link: bytes = bytes(8)
    gen: int = 1
    pub_chunk: int = 0
    durable_chunk: int = 0
    tail_serial: int = 0
    revision: int = 0
    commits: int = 0
    clean: int = 1

    def checksum(self, sid: bytes) -> bytes:
        """xxh3 over the session id and all fields."""
        numbers = (
            self.epoch,
            self.n_turn,
            self.n_tok,
            self.gen,
            self.pub_chunk,
            self.durable_chunk,
            self.tail_serial,
            self.revision,
            self.commits,
            self.clean,
        )
        return xxh3_bytes(sid + _STATE.pack(*numbers, self.link))

    def to_row(self, sid: bytes) -> dict[str, Any]:
        """The row's columns but its key."""
        return {**self.__dict__, "sum": self.checksum(sid)}


STATE_COLUMNS = (*State.__dataclass_fields__, "sum")


def decode_state(row: Sequence[Any] | None, sid: bytes, where: str) -> State:
    """Check and decode the state row (columns in table order, without id)."""
    if row is None:
        raise CorruptMetadata(f"{where}: the state row is missing; run check")
    *fields, found = row
    try:
        state = State(*fields)
        good = state.checksum(sid) == found
    except DECODE_ERRORS as error:
        raise CorruptMetadata(f"{where}: the state row is damaged ({error}); run check") from error
    if not good:
        raise CorruptMetadata(f"{where}: the state row fails its checksum; run check")
    return state


def encode_turn(turn: Turn, compressor: zstandard.ZstdCompressor) -> dict[str, Any]:
    """Validate a turn and build its row, but for what depends on its place.

    Raises:
        ValueError: a field of the wrong type, empty tokens, a timestamp that is not finite.
        LimitExceeded: a field above its documented size.
    """
    text = _utf8(turn.text, "text", MAX_TEXT_BYTES)
    check_fields(turn.turn_id, turn.role, turn.timestamp)
    tokens = np.ascontiguousarray(turn.tokens)
    if tokens.dtype != np.uint32 or tokens.ndim != 1 or not len(tokens):
        raise ValueError(
            f"tokens must be a non-empty uint32 [n], got {tokens.dtype} {list(tokens.shape)}"
        )
    if len(tokens) > MAX_TURN_TOKENS:
        raise LimitExceeded(f"turn of {len(tokens)} tokens; the limit is {MAX_TURN_TOKENS}")
    packed = compressor.compress(text)
    smaller = len(packed) < len(text)
    return {
        "turn_id": turn.turn_id,
        # Adding 0.0 folds -0.0, which SQLite does not keep.
        "ts": float(turn.timestamp) + 0.0,
        "role": turn.role,
        "n_tok": len(tokens),
        "flags": TEXT_IS_ZSTD if smaller else 0,
        "meta": pack_map(turn.metadata),
        "text": packed if smaller else text,
        "tok": tokens.astype("<u4", copy=False).tobytes(),
    }


def check_fields(turn_id: str, role: str, timestamp: float) -> None:
    """Require fields that a row can hold; raises as `encode_turn` does."""
    for name, value, limit in (("id", turn_id, MAX_ID_BYTES), ("role", role, MAX_ROLE_BYTES)):
        if not _utf8(value, name, limit):
            raise ValueError(f"{name} must not be empty")
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float):
        raise ValueError(f"timestamp must be a number, got {timestamp!r}")
    if not math.isfinite(timestamp):
        raise ValueError(f"timestamp must be finite, got {timestamp!r}")


def _utf8(value: str, name: str, limit: int) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a str, got {type(value).__name__}")
    try:
        data = value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} has a lone surrogate: {error}") from error
    if len(data) > limit:
        raise LimitExceeded(f"{name} is {len(data)} bytes of UTF-8; the limit is {limit}")
    return data


def place_turn(row: dict[str, Any], sid: bytes, state: State) -> State:
    """Give a row its place after `state`, seal it with checksums; returns the state after it."""
    row["seq"], row["tok0"] = state.n_turn, state.n_tok
    parts = xxh3_bytes(row["text"]) + xxh3_bytes(row["tok"]) + xxh3_bytes(row["meta"])
    own = _row_sum(sid, [row[name] for name in SCALARS], parts)
    link = xxh3_bytes(state.link + own)
    row["sums"] = parts + own + link
    return State(
        **{
            **state.__dict__,
            "n_turn": state.n_turn + 1,
            "n_tok": state.n_tok + row["n_tok"],
            "link": link,
        }
    )


def _row_sum(sid: bytes, scalars: Sequence[Any], parts: bytes) -> bytes:
    seq, turn_id, ts, role, n_tok, tok0, flags = scalars
    known, spoken = turn_id.encode(), role.encode()
    numbers = _SCALARS.pack(seq, ts, n_tok, tok0, flags, len(known), len(spoken))
    return xxh3_bytes(b"".join((sid, numbers, known, spoken, parts)))


def check_row(row: Sequence[Any], sid: bytes, where: str) -> bytes:
    """Verify a row's scalars (not its blobs); returns its link.

    Args:
        row: columns in table order, at least up to `sums`.
    """
    try:
        sums = row[7]
        good = len(sums) == SUMS_BYTES and _row_sum(sid, row[:7], sums[:24]) == sums[24:32]
    except DECODE_ERRORS as error:
        raise _damaged(where, row, str(error)) from error
    if not good:
        raise _damaged(where, row, "its columns fail their checksum")
    return bytes(sums[32:])


def decode_tokens(row: Sequence[Any], where: str) -> NDArray[np.uint32]:
    """The verified token ids of a checked row, whose last column they are."""
    blob = row[-1]
    if not isinstance(blob, bytes) or xxh3_bytes(blob) != row[7][8:16]:
        raise _damaged(where, row, "its tokens fail their checksum")
    if len(blob) != 4 * row[4]:
        raise _damaged(where, row, f"{len(blob)} bytes of tokens for {row[4]} tokens")
    return np.frombuffer(blob, dtype="<u4").astype(np.uint32, copy=False)


def decode_turn(row: Sequence[Any], sid: bytes, where: str) -> Turn:
    """Verify every column of a row and build its turn."""
    check_row(row, sid, where)
    tokens = decode_tokens(row, where)
    seq, turn_id, ts, role, _, tok0, flags, sums, meta, text, _ = row
    if not isinstance(text, bytes) or xxh3_bytes(text) != sums[:8]:
        raise _damaged(where, row, "its text fails its checksum")
    if not isinstance(meta, bytes) or xxh3_bytes(meta) != sums[16:24]:
        raise _damaged(where, row, "its metadata fails its checksum")
    try:
        if flags & TEXT_IS_ZSTD:
            text = zstandard.ZstdDecompressor().decompress(text, max_output_size=MAX_TEXT_BYTES)
        decoded = text.decode()
    except (zstandard.ZstdError, UnicodeDecodeError) as error:
        raise _damaged(where, row, str(error)) from error
    return Turn(
        turn_id=turn_id,
        role=role,
        text=decoded,
        tokens=tokens,
        timestamp=ts,
        metadata=unpack_map(meta, where),
        seq=seq,
        token_start=tok0,
    )


def _damaged(where: str, row: Sequence[Any], why: str) -> CorruptMetadata:
    return CorruptMetadata(
        f"{where}: turn {row[0]!r} (id {row[1]!r}) is damaged: {why}. "
        "Restore it from a backup; other turns stay readable."
    )


def note_sum(sid: bytes, key: str, value: bytes) -> bytes:
    """Checksum of a row of `notes`."""
    return xxh3_bytes(sid + key.encode() + b"\0" + value)


_SEGMENT = struct.Struct("<qqq8s8s")


def segment_sum(
    sid: bytes, gen: int, n: int, sealed: int, table_sum: bytes, landmarks_sum: bytes
) -> bytes:
    """Checksum of a row of `segments`."""
    return xxh3_bytes(sid + _SEGMENT.pack(gen, n, sealed, table_sum, landmarks_sum))


_HEAD = struct.Struct("<10sHIqqq8sQ")
HEAD_BYTES = _HEAD.size
_HEAD_MAGIC = b"\x89HSAHD\r\n\x1a\n"
_HEAD_VERSION = 1 << 8


class Head(NamedTuple):
    """What head.bin saw committed last."""

    commits: int
    n_turn: int
    link: bytes


def encode_head(state: State, sid: bytes) -> bytes:
    """The fixed 56 bytes of head.bin: the newest commit, kept apart from SQLite."""
    numbers = (state.commits, state.n_turn, state.n_tok)
    body = _HEAD.pack(_HEAD_MAGIC, _HEAD_VERSION, 0, *numbers, state.link, 0)[:-8]
    return body + xxh3_bytes(sid + body)


def decode_head(data: bytes, sid: bytes) -> Head | None:
    """The content of head.bin, or None if it is damaged."""
    if len(data) != HEAD_BYTES or xxh3_bytes(sid + data[:-8]) != data[-8:]:
        return None
    found, version, _, commits, n_turn, _, link, _ = _HEAD.unpack(data)
    return Head(commits, n_turn, link) if (found, version) == (_HEAD_MAGIC, _HEAD_VERSION) else None
