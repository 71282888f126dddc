"""Rows of session.db to values and back, every column under a checksum."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from .checksums import xxh3_bytes
from .cipher import Cipher, place_of
from .errors import CorruptMetadata, LimitExceeded
from .maps import pack_map, unpack_map
from .types import Turn

MAX_TEXT_BYTES = 256 << 20
MAX_TURN_TOKENS = 1 << 27
MAX_ID_BYTES = 512
MAX_ROLE_BYTES = 64

TEXT_IS_ZSTD = 1
FORGOTTEN = 2
_LEVEL = 3
# What a damaged row can make struct, int or str complain about.
# Of turns, tokens and chunks in a session.
MAX_COUNT = 1 << 48
DECODE_ERRORS = (TypeError, ValueError, AttributeError, OverflowError, struct.error)
SCALARS = ("seq", "turn_id", "ts", "role", "n_tok", "tok0", "flags")
SALT_BYTES = 16
# Text, tokens, metadata, row, link, the row before it was forgotten, salt, newest time so far.
SUMS_BYTES = 72
# Rows of format 1.0 end with the link, and stay as they are.
_SUMS_BYTES_1 = 40
_SCALARS = struct.Struct("<qdqqqII")
_STATE = struct.Struct("<13qd8s")
_STATE_1 = struct.Struct("<10q8s")
_TIME = struct.Struct("<d")


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
    base_turn: int = 0
    base_chunk: int = 0
    forgotten: int = 0
    newest: float = -math.inf

    def _numbers(self) -> tuple[int, ...]:
        return (
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

    def checksum(self, sid: bytes) -> bytes:
        """xxh3 over the session id and all fields."""
        more = (self.base_turn, self.base_chunk, self.forgotten, self.newest)
        return xxh3_bytes(sid + _STATE.pack(*self._numbers(), *more, self.link))

    def is_possible(self) -> bool:
        """Whether the numbers can be those of a session, whatever wrote them."""
        counts = (*self._numbers(), self.base_turn, self.base_chunk, self.forgotten)
        counts = (*counts[:6], abs(self.tail_serial), *counts[7:])
        return (
            0 <= min(counts) <= max(counts) < MAX_COUNT
            and self.gen >= 1
            and self.durable_chunk <= self.pub_chunk <= self.n_tok
            and self.forgotten <= self.n_turn <= self.n_tok
        )

    def checksum_1(self, sid: bytes) -> bytes:
        """The same in format 1.0, which had ten numbers."""
        return xxh3_bytes(sid + _STATE_1.pack(*self._numbers(), self.link))

    def to_row(self, sid: bytes) -> dict[str, Any]:
        """The row's columns but its key."""
        return {**self.__dict__, "sum": self.checksum(sid)}


_ADDED = ("base_turn", "base_chunk", "forgotten", "newest")
STATE_COLUMNS = (*State.__dataclass_fields__, "sum")
STATE_COLUMNS_1 = tuple(name for name in STATE_COLUMNS if name not in _ADDED)


def decode_state(row: Sequence[Any] | None, sid: bytes, where: str) -> State:
    """Check and decode the state row: `STATE_COLUMNS`, or those of format 1.0."""
    if row is None:
        raise CorruptMetadata(f"{where}: the state row is missing; run check")
    *fields, found = row
    try:
        state = State(*fields)
        old = len(row) == len(STATE_COLUMNS_1)
        good = (state.checksum_1(sid) if old else state.checksum(sid)) == found
    except DECODE_ERRORS as error:
        raise CorruptMetadata(f"{where}: the state row is damaged ({error}); run check") from error
    if not good:
        raise CorruptMetadata(f"{where}: the state row fails its checksum; run check")
    if not state.is_possible():
        raise CorruptMetadata(f"{where}: the state row cannot be: {state}; run check")
    return state


def encode_turn(turn: Turn, compressor: zstandard.ZstdCompressor) -> dict[str, Any]:
    """Validate a turn and build its row, but for what depends on its place.

    Raises:
        ValueError: a field of the wrong type, empty tokens, a timestamp that is not finite.
        LimitExceeded: a field above its documented size.
    """
    text = _utf8(turn.text, "text", MAX_TEXT_BYTES)
    check_fields(turn.turn_id, turn.role, turn.timestamp)
    check_expiry(turn.expires)
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
        "flags": (TEXT_IS_ZSTD if smaller else 0) | (FORGOTTEN if turn.forgotten else 0),
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


def check_expiry(expires: float | None) -> None:
    """Require a time that a row of `expiries` can hold, or none."""
    if expires is None:
        return
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise ValueError(f"expires must be a number, got {expires!r}")
    if not math.isfinite(expires):
        raise ValueError(f"expires must be finite, got {expires!r}")


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


def place_turn(row: dict[str, Any], sid: bytes, state: State, cipher: Cipher) -> State:
    """Give a row its place after `state`, seal it with checksums; returns the state after it."""
    row["seq"], row["tok0"] = state.n_turn, state.n_tok
    _seal(row, sid, cipher)
    newest = max(state.newest, row["ts"])
    extra = os.urandom(SALT_BYTES) + _TIME.pack(newest)
    parts, own = _own_sums(row, sid, extra)
    link = xxh3_bytes(state.link + own)
    row["sums"] = parts + own + link + own + extra
    return replace(
        state,
        n_turn=state.n_turn + 1,
        n_tok=state.n_tok + row["n_tok"],
        # One that was forgotten before it came here.
        forgotten=state.forgotten + bool(row["flags"] & FORGOTTEN),
        link=link,
        newest=newest,
    )


def _seal(row: dict[str, Any], sid: bytes, cipher: Cipher) -> None:
    for column in ("text", "tok", "meta"):
        row[column] = cipher.seal(row[column], place_of(sid, row["seq"], column))


def forget_turn(row: dict[str, Any], sid: bytes, old: Sums, cipher: Cipher) -> None:
    """Seal the blank row that takes a turn's place; the links after it stay as they are.

    The hash of the old row goes on being part of them. It tells nothing: the salt in it is gone.
    """
    _seal(row, sid, cipher)
    extra = os.urandom(SALT_BYTES) + _TIME.pack(old.newest)
    parts, own = _own_sums(row, sid, extra)
    row["sums"] = parts + own + old.link + old.linked + extra


def _own_sums(row: dict[str, Any], sid: bytes, extra: bytes) -> tuple[bytes, bytes]:
    parts = xxh3_bytes(row["text"]) + xxh3_bytes(row["tok"]) + xxh3_bytes(row["meta"])
    return parts, _row_sum(sid, [row[name] for name in SCALARS], parts, extra)


def _row_sum(sid: bytes, scalars: Sequence[Any], parts: bytes, extra: bytes) -> bytes:
    seq, turn_id, ts, role, n_tok, tok0, flags = scalars
    known, spoken = turn_id.encode(), role.encode()
    numbers = _SCALARS.pack(seq, ts, n_tok, tok0, flags, len(known), len(spoken))
    return xxh3_bytes(b"".join((sid, numbers, known, spoken, parts, extra)))


class Sums(NamedTuple):
    """What of a row's `sums` outlives a change of the row."""

    link: bytes
    """Of all rows up to this one."""
    linked: bytes
    """Hash of the row that the link was made from."""
    newest: float
    """Latest time of all rows up to this one."""


def check_row(row: Sequence[Any], sid: bytes, where: str) -> Sums:
    """Verify a row's scalars (not its blobs).

    Args:
        row: columns in table order, at least up to `sums`.
    """
    try:
        sums, old = row[7], len(row[7]) == _SUMS_BYTES_1
        good = len(sums) == SUMS_BYTES or old
        good = good and _row_sum(sid, row[:7], sums[:24], sums[48:]) == sums[24:32]
        if good and old:
            return Sums(sums[32:40], sums[24:32], row[2])
        if good and (row[6] & FORGOTTEN or sums[40:48] == sums[24:32]):
            return Sums(sums[32:40], sums[40:48], _TIME.unpack(sums[64:])[0])
    except DECODE_ERRORS as error:
        raise _damaged(where, row, str(error)) from error
    raise _damaged(where, row, "its columns fail their checksum")


def decode_tokens(row: Sequence[Any], sid: bytes, where: str, cipher: Cipher) -> NDArray[np.uint32]:
    """The verified token ids of a checked row, whose last column they are."""
    blob = row[-1]
    if not isinstance(blob, bytes) or xxh3_bytes(blob) != row[7][8:16]:
        raise _damaged(where, row, "its tokens fail their checksum")
    blob = cipher.open(blob, place_of(sid, row[0], "tok"))
    if len(blob) != 4 * row[4]:
        raise _damaged(where, row, f"{len(blob)} bytes of tokens for {row[4]} tokens")
    return np.frombuffer(blob, dtype="<u4").astype(np.uint32, copy=False)


def decode_turn(row: Sequence[Any], sid: bytes, where: str, cipher: Cipher) -> Turn:
    """Verify every column of a row and build its turn."""
    check_row(row, sid, where)
    tokens = decode_tokens(row, sid, where, cipher)
    seq, turn_id, ts, role, _, tok0, flags, sums, meta, text, _ = row
    if not isinstance(text, bytes) or xxh3_bytes(text) != sums[:8]:
        raise _damaged(where, row, "its text fails its checksum")
    if not isinstance(meta, bytes) or xxh3_bytes(meta) != sums[16:24]:
        raise _damaged(where, row, "its metadata fails its checksum")
    text = cipher.open(text, place_of(sid, seq, "text"))
    meta = cipher.open(meta, place_of(sid, seq, "meta"))
    try:
        if flags & TEXT_IS_ZSTD:
            # What the frame says is allocated before it is looked at.
            if (claimed := zstandard.frame_content_size(text)) > MAX_TEXT_BYTES:
                raise _damaged(where, row, f"its text says it has {claimed} bytes")
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
        forgotten=bool(flags & FORGOTTEN),
    )


def _damaged(where: str, row: Sequence[Any], why: str) -> CorruptMetadata:
    return CorruptMetadata(
        f"{where}: turn {row[0]!r} (id {row[1]!r}) is damaged: {why}. "
        "Restore it from a backup; other turns stay readable."
    )


def note_sum(sid: bytes, key: str, value: bytes) -> bytes:
    """Checksum of a row of `notes`."""
    return xxh3_bytes(sid + key.encode() + b"\0" + value)


_EXPIRY = struct.Struct("<qd")


def expiry_row(sid: bytes, seq: int, at: float) -> dict[str, Any]:
    """Row of `expiries` that has a turn forgotten from a time on."""
    return {"seq": seq, "at": at, "sum": expiry_sum(sid, seq, at)}


def expiry_sum(sid: bytes, seq: int, at: float) -> bytes:
    """Checksum of a row of `expiries`."""
    return xxh3_bytes(sid + _EXPIRY.pack(seq, at))


_SPAN = struct.Struct("<qqq")


def span_sum(sid: bytes, gen: int, first: int, stop: int, chain: bytes) -> bytes:
    """Checksum of a row of `holes`, or with a chain hash of a row of `seams`."""
    return xxh3_bytes(sid + _SPAN.pack(gen, first, stop) + chain)


_SEGMENT = struct.Struct("<qqq8s8s")


def segment_sum(
    sid: bytes, gen: int, n: int, sealed: int, table_sum: bytes, landmarks_sum: bytes
) -> bytes:
    """Checksum of a row of `segments`."""
    return xxh3_bytes(sid + _SEGMENT.pack(gen, n, sealed, table_sum, landmarks_sum))


_OBJECT = struct.Struct("<qqqqI")


def object_sum(
    sid: bytes, key: str, gen: int, kind: str, numbers: tuple[int, int, int], digests: bytes
) -> bytes:
    """Checksum of a row of `objects`."""
    named = key.encode()
    packed = _OBJECT.pack(gen, *numbers, len(named))
    return xxh3_bytes(b"".join((sid, packed, named, kind.encode(), b"\0", digests)))


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
