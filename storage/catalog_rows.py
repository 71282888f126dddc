"""Rows of catalog.db to values and back, every column under a checksum."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from .checksums import xxh3_bytes
from .errors import CorruptMetadata
from .rows import DECODE_ERRORS
from .types import User

_NUMBERS = struct.Struct("<dqqqII")
_NUMBERS_1 = struct.Struct("<dq")
_USER = struct.Struct("<dqqqI")

Held = tuple[int, int]
"""Tokens and bytes that a session holds of a quota."""


class Row(NamedTuple):
    """A row of `sessions`; one of format 1.0 has its first four columns."""

    sid: str
    name: str
    created: float
    deleted: int
    owner: str = ""
    parent: str = ""
    held_tokens: int = 0
    held_bytes: int = 0

    def checksum(self, store_id: bytes) -> bytes:
        """xxh3 over the store's id and all columns."""
        name, owner = self.name.encode(), self.owner.encode()
        held = (self.held_tokens, self.held_bytes, len(name), len(owner))
        numbers = (self.created, self.deleted, *held)
        parts = (bytes.fromhex(self.sid), _NUMBERS.pack(*numbers), name, owner)
        return xxh3_bytes(b"".join((store_id, *parts, self.parent.encode())))

    def checksum_1(self, store_id: bytes) -> bytes:
        """The same in format 1.0."""
        numbers = _NUMBERS_1.pack(self.created, self.deleted)
        return xxh3_bytes(store_id + bytes.fromhex(self.sid) + numbers + self.name.encode())


def user_columns(user: User, store_id: bytes) -> dict[str, Any]:
    """Columns of a user's row."""
    return {
        "uid": user.id,
        "name": user.name,
        "created": user.created,
        "max_tokens": -1 if user.max_tokens is None else user.max_tokens,
        "max_bytes": -1 if user.max_bytes is None else user.max_bytes,
        "key": user.key,
        "deleted": int(user.deleted),
        "sum": _user_sum(user, store_id),
    }


def _user_sum(user: User, store_id: bytes) -> bytes:
    limits = [-1 if x is None else x for x in (user.max_tokens, user.max_bytes)]
    name = user.name.encode()
    numbers = _USER.pack(user.created, *limits, user.deleted, len(name))
    return xxh3_bytes(b"".join((store_id, b"user", user.id.encode(), numbers, name, user.key)))


def decode_user(row: Any, store_id: bytes, where: str) -> User:
    """The user of a row of `users`; raises CorruptMetadata unless it is whole."""
    try:
        limits = [None if x < 0 else x for x in (row.max_tokens, row.max_bytes)]
        user = User(
            name=row.name,
            id=row.uid,
            created=row.created,
            max_tokens=limits[0],
            max_bytes=limits[1],
            key=row.key,
            deleted=bool(row.deleted),
        )
        good = _user_sum(user, store_id) == row.sum
    except DECODE_ERRORS as error:
        raise CorruptMetadata(f"{where}: user {row.uid!r}: {error}") from error
    if not good:
        raise CorruptMetadata(f"{where}: the row of user {row.uid!r} fails its checksum; run check")
    return user
