"""AES: a value and a row open where they were sealed, and nowhere else."""

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from hsa_memory.storage import (
    CorruptMetadata,
)
from hsa_memory.storage.aes import Aes, derived_key

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
OVERHEAD = 28


class Notes:
    """Salts in memory."""

    def __init__(self) -> None:
        self.known: dict[int, bytes] = {}

    def salts(self) -> dict[int, bytes]:
        return dict(self.known)

    def add(self, salt: bytes) -> int:
        self.known[len(self.known) + 1] = salt
        return len(self.known)


def writer(notes: Notes, key: bytes = KEY, origin: bytes = bytes(16)) -> Aes:
    cipher = Aes(key, origin)
    cipher.attach(notes)
    cipher.begin()
    return cipher


@given(st.binary(max_size=300), st.binary(min_size=16, max_size=40), st.data())
def test_a_value_opens_in_its_place_only(value, place, data) -> None:
    notes = Notes()
    cipher, later = writer(notes), writer(notes)
    stored = cipher.seal(value, place)
    assert len(stored) == len(value) + OVERHEAD
    assert later.open(stored, place) == value
    flipped = bytearray(stored)
    flipped[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for wrong, where in ((bytes(flipped), place), (stored, place + b"x"), (stored[:-1], place)):
        with pytest.raises(CorruptMetadata):
            cipher.open(wrong, where)
    for stranger in (writer(notes, OTHER), writer(notes, KEY, b"\1" * 16), writer(Notes())):
        with pytest.raises(CorruptMetadata):
            stranger.open(stored, place)


@given(st.integers(1, 40), st.integers(1, 64), st.integers(0, 2**40), st.data())
def test_rows_open_in_their_places_only(count, width, first, data) -> None:
    rng = np.random.default_rng(count * 1000 + width)
    rows = rng.integers(0, 256, (count, width), np.uint8)
    ids = np.arange(first, first + count)
    cipher = writer(Notes())
    stored = cipher.seal_rows(rows, b"kv", ids)
    out = np.empty_like(rows)
    assert cipher.open_rows(stored, b"kv", ids, out) == []
    np.testing.assert_array_equal(out, rows)
    bad = sorted(data.draw(st.sets(st.integers(0, count - 1))))
    broken = stored.copy()
    for i in bad:
        broken[i, data.draw(st.integers(0, width + OVERHEAD - 1))] ^= 1
    assert cipher.open_rows(broken, b"kv", ids, out) == [first + i for i in bad]
    assert not out[bad].any()
    assert cipher.open_rows(stored, b"kv", ids + 1, out) == (ids + 1).tolist()
    assert cipher.open_rows(stored, b"landmark", ids, out) == ids.tolist()


def test_subkeys_are_those_of_the_standard() -> None:
    """HKDF with SHA-256 as RFC 5869 has it, computed by hand."""
    import hashlib
    import hmac

    secret, salt = b"k" * 32, b"s" * 16
    drawn = hmac.new(salt, secret, hashlib.sha256).digest()
    expected = hmac.new(drawn, b"hsa-memory writer\x01", hashlib.sha256).digest()
    assert derived_key(secret, b"writer", salt) == expected
    # And what is sealed is AES-256-GCM with the nonce in front.
    notes = Notes()
    cipher = writer(notes)
    stored = cipher.seal(b"text", b"place")
    session = derived_key(KEY, b"session", bytes(16))
    own = AESGCM(derived_key(session, b"writer", notes.known[1]))
    assert own.decrypt(stored[:12], stored[12:], b"place") == b"text"
    with pytest.raises(InvalidTag):
        own.decrypt(stored[:12], stored[12:], b"other")
