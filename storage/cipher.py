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

Rows = NDArray[np.uint8]


class Cipher(Protocol):
    """How a session's bytes are stored."""

    name: str
    """Part of the generation's description; empty for bytes stored as they are."""
    overhead: int
    """Bytes by which a stored row is longer than the row."""

    def of_session(self, sid: bytes) -> Cipher:
        """The cipher of another session of the same user."""

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


PLAIN = Plain()


def place_of(sid: bytes, *parts: object) -> bytes:
    """Where a value lies, as a value is bound to it."""
    return sid + "/".join(map(str, parts)).encode()
