"""Values that go into the store and come out of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the derived files of a session hold; part of every file's header."""

    fingerprint: str
    """Hex sha256 of weights, config and tokenizer."""
    chunk_size: int
    """Tokens per chunk."""
    dtype: str
    """Name of the number format; a description, the store only moves bytes."""
    kv_bytes: int
    """Bytes of one chunk's K, then V."""
    landmark_bytes: int
    """Bytes of one landmark row."""
    lookahead: int = 0
    """Tokens after a chunk that it depends on as well."""

    def __post_init__(self) -> None:
        for name in ("fingerprint", "dtype"):
            value = getattr(self, name)
            if not isinstance(value, str) or not 0 < len(value) <= 256:
                raise ValueError(f"{name} must be a string of 1 to 256 characters, got {value!r}")
        limits = {
            "chunk_size": (1, 65_535),
            "kv_bytes": (1, 1 << 26),
            "landmark_bytes": (1, 1 << 20),
            "lookahead": (0, self.chunk_size),
        }
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"{name} must be an int from {least} to {most}, got {value!r}")

    def to_map(self) -> dict[str, Any]:
        """The fields as a map, for a header; stores without a lookahead say nothing of it."""
        fields = dataclasses.asdict(self)
        return fields if self.lookahead else {k: v for k, v in fields.items() if k != "lookahead"}

    def num_chunks(self, num_tokens: int) -> int:
        """Chunks that so many tokens are enough for."""
        return max(0, num_tokens - self.lookahead) // self.chunk_size

    def first_chunk(self, token: int) -> int:
        """The first chunk that depends on a token."""
        return self.num_chunks(token)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One message of a session, as it is appended and as it is read back."""

    turn_id: str
    """Unique within the session; appending it again returns the stored turn."""
    role: str
    """Who spoke."""
    text: str
    """The message as the user gave it."""
    tokens: NDArray[np.uint32]
    """The whole message in the token stream, role and end tokens included; shape [n]."""
    timestamp: float
    """Unix seconds."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Map with string keys, at most 64 KiB as msgpack."""
    seq: int = -1
    """Place in the session, from 0; -1 before it is stored."""
    token_start: int = -1
    """Stream position of the first token; -1 before it is stored."""
    expires: float | None = None
    """Unix seconds from which on it is to be forgotten; None keeps it."""
    forgotten: bool = False
    """Whether only its place is left: blank tokens, no text, no metadata, a meaningless id."""


@dataclass(frozen=True, kw_only=True)
class TurnIndex:
    """Every turn's numbers as arrays of one length, for masks."""

    seq: NDArray[np.int64]
    token_start: NDArray[np.int64]
    n_tokens: NDArray[np.int64]
    timestamp: NDArray[np.float64]
    role_code: NDArray[np.int32]
    """Index into `roles`."""
    roles: tuple[str, ...]
    forgotten: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.seq)


@dataclass(frozen=True, kw_only=True)
class SessionInfo:
    """A row of the catalog."""

    name: str
    id: str
    """Random hex; the only thing of the session that appears in a path."""
    created: float
    """Unix seconds."""
    user: str = ""
    """Id of the user it belongs to; empty for the store's own sessions."""
    parent: str = ""
    """Id of the session that it was forked from; empty for one that was not."""


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody whose sessions are hidden from everybody else; a row of the catalog."""

    name: str
    id: str
    """Random hex; the only thing of the user that appears in a session's files."""
    created: float
    """Unix seconds."""
    max_tokens: int | None = None
    """Most tokens in all of the user's sessions; None: no limit."""
    max_bytes: int | None = None
    """Most bytes on disk of all of the user's sessions; None: no limit."""
    key: bytes = b""
    """Key of the user's sessions, wrapped by the store's key; empty: they are not encrypted."""
    deleted: bool = False
    """Whether the deletion was decided and is not finished."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that `check` or a recovery at open found."""

    session: str
    """Session name; empty for the store itself."""
    path: str
    """File, relative to the store's root."""
    kind: str
    """Short name, for example "corrupt-chunk"."""
    detail: str
    repaired: bool = False
    user: str = ""
    """Name of the user whose session it is; empty for the store's own."""
