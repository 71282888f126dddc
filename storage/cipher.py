"""What stands between a session's bytes and its files: nothing, or encryption.

Everything that tells what was said passes through here: text, tokens, metadata and notes of the
caller as single values, K/V, landmarks and tail as rows. Checksums are made of what is stored, so a
store can be checked without a key.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .checksums import xxh3
from .errors import KeyMissing

Rows = NDArray[np.uint8]
AES = "aes-256-gcm"
# Nonce and tag.
AES_OVERHEAD = 28


class WriterNotes(Protocol):
    """What a session keeps of its writers: a random salt each, by number from 1."""

    def salts(self) -> dict[int, bytes]:
        """All of them as they are on disk now; may be called inside a transaction."""

    def add(self, salt: bytes) -> int:
        """Keep the salt of a new writer; it is durable when its number is returned."""


class Cipher(Protocol):
    """How a session's bytes are stored."""

    name: str
    """Part of the generation's description; empty for bytes stored as they are."""
    overhead: int
    """Bytes by which a stored row is longer than the row."""

    def of_session(self, sid: bytes) -> Cipher:
        """The cipher of another session of the same user."""

    def attach(self, notes: WriterNotes) -> None:
        """Take the notes of the session; before the first use."""

    def begin(self) -> None:
        """Make ready to seal; outside of any transaction."""

    def seal(self, data: bytes, place: bytes) -> bytes:
        """The value as it is stored; it can be opened in the same place only."""

    def open(self, data: bytes, place: bytes) -> bytes:
        """The value again.

        Raises:
            CorruptMetadata: it was not sealed with this key, in this place.
        """

    def seal_rows(self, rows: Rows, kind: bytes, ids: NDArray[np.int64]) -> Rows:
        """Rows [n, w] of chunks `ids` [n] as they are stored: [n, w + overhead]."""

    def open_rows(self, stored: Rows, kind: bytes, ids: NDArray[np.int64], out: Rows) -> list[int]:
        """Fill out [n, w] with the rows again; returns the ids of those that cannot be opened."""

    def chain(self, data: bytes) -> int:
        """Hash of 64 bits of a chunk's tokens and what came before them."""


class Plain:
    """Bytes stored as they are."""

    name = ""
    overhead = 0

    def of_session(self, sid: bytes) -> Plain:
        """See `Cipher`."""
        return self

    def attach(self, notes: WriterNotes) -> None:
        """See `Cipher`."""

    def begin(self) -> None:
        """See `Cipher`."""

    def seal(self, data: bytes, place: bytes) -> bytes:
        """See `Cipher`."""
        return data

    def open(self, data: bytes, place: bytes) -> bytes:
        """See `Cipher`."""
        return data

    def seal_rows(self, rows: Rows, kind: bytes, ids: NDArray[np.int64]) -> Rows:
        """See `Cipher`."""
        return rows

    def open_rows(self, stored: Rows, kind: bytes, ids: NDArray[np.int64], out: Rows) -> list[int]:
        """See `Cipher`."""
        if stored is not out:
            out[:] = stored
        return []

    def chain(self, data: bytes) -> int:
        """See `Cipher`."""
        return xxh3(data)


class Locked(Plain):
    """Encrypted bytes without the key: checksums can be looked at, and nothing else."""

    name = AES
    overhead = AES_OVERHEAD

    def begin(self) -> None:
        """Raises KeyMissing."""
        raise _missing()

    def seal(self, data: bytes, place: bytes) -> bytes:
        """Raises KeyMissing."""
        raise _missing()

    def open(self, data: bytes, place: bytes) -> bytes:
        """Raises KeyMissing."""
        raise _missing()

    def seal_rows(self, rows: Rows, kind: bytes, ids: NDArray[np.int64]) -> Rows:
        """Raises KeyMissing."""
        raise _missing()

    def open_rows(self, stored: Rows, kind: bytes, ids: NDArray[np.int64], out: Rows) -> list[int]:
        """Leaves out as it is: the rows stay closed."""
        return []

    def chain(self, data: bytes) -> int:
        """Raises KeyMissing."""
        raise _missing()


def _missing() -> KeyMissing:
    return KeyMissing("the session is encrypted; open the store with its key")


PLAIN = Plain()


def place_of(sid: bytes, *parts: object) -> bytes:
    """Where a value lies, as a value is bound to it."""
    return sid + "/".join(map(str, parts)).encode()
