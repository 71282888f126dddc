"""AES-256-GCM for what tells what was said. Imported only where there is a key.

    store key -> wraps a random key per user -> key per session -> key per writer

A writer is one opening of a session that wrote something. Its key comes from a random salt that is
on disk before the key is used, and its nonces are its number and a counter. So a nonce can come
twice under one key only if 16 random bytes come twice: not after a kill, and not where a store was
copied and both copies go on.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading

import numpy as np
from numpy.typing import NDArray

from .checksums import rows_of
from .cipher import AES, AES_OVERHEAD, Rows, WriterNotes
from .errors import CorruptMetadata, NoCipher, SessionClosed, WrongKey

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError as error:
    raise NoCipher(
        "encryption needs the package cryptography: pip install 'hsa-memory[encryption]'"
    ) from error

KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
_TAG_BYTES = AES_OVERHEAD - NONCE_BYTES
_NONCE = struct.Struct("<IQ")
_MAX_WRITERS = (1 << 32) - 1
_ID = struct.Struct("<q")
_WRAP_VERSION = b"\x01"


def derived_key(key: bytes, purpose: bytes, salt: bytes = b"") -> bytes:
    """A key of 32 bytes for one purpose: HKDF with SHA-256."""
    info = b"hsa-memory " + purpose
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key)


def wrapped_key(key: bytes, by: bytes, place: bytes) -> bytes:
    """A key as it is stored, encrypted by another one and bound to its place."""
    nonce = os.urandom(NONCE_BYTES)
    return _WRAP_VERSION + nonce + AESGCM(derived_key(by, b"wrap")).encrypt(nonce, key, place)


def unwrapped_key(wrapped: bytes, by: bytes, place: bytes) -> bytes:
    """The key again.

    Raises:
        WrongKey: `by` is not what it was wrapped by.
    """
    nonce, sealed = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
    try:
        if wrapped[:1] != _WRAP_VERSION:
            raise ValueError("unknown version")
        return AESGCM(derived_key(by, b"wrap")).decrypt(nonce, sealed, place)
    except (InvalidTag, ValueError) as error:
        raise WrongKey("the key is not the one that the sessions were encrypted with") from error


def key_id(user_key: bytes) -> bytes:
    """8 bytes by which a session knows the key of its user."""
    return derived_key(user_key, b"id")[:8]


class Aes:
    """The `Cipher` of one session.

    Args:
        user_key: 32 bytes.
        origin: id of the session that the key is derived for: its own, 16 bytes.
    """

    name = AES
    overhead = AES_OVERHEAD

    def __init__(self, user_key: bytes, origin: bytes) -> None:
        self._user_key = user_key
        self._origin = origin
        self._key = derived_key(user_key, b"session", origin)
        self._chain_key = derived_key(self._key, b"chain")
        self._notes: WriterNotes
        self._writers: dict[int, AESGCM] = {}
        self._lock = threading.Lock()
        self._number = 0
        self._counter = 0
        self._pid = -1

    def of_session(self, sid: bytes) -> Aes:
        """See `Cipher`."""
        return Aes(self._user_key, sid)

    def attach(self, notes: WriterNotes) -> None:
        """See `Cipher`."""
        self._notes = notes
        self._learn()

    def _learn(self) -> None:
        """Derive the keys of writers that came since."""
        for number, salt in self._notes.salts().items():
            if number not in self._writers:
                self._writers[number] = AESGCM(derived_key(self._key, b"writer", salt))

    def begin(self) -> None:
        """Become a new writer, unless this is one already."""
        if self._number and self._pid == os.getpid():
            return
        salt = os.urandom(SALT_BYTES)
        number = self._notes.add(salt)
        if not 0 < number <= _MAX_WRITERS:
            raise CorruptMetadata(f"writer number {number}; 1 to {_MAX_WRITERS} are possible")
        self._writers[number] = AESGCM(derived_key(self._key, b"writer", salt))
        self._number, self._counter, self._pid = number, 0, os.getpid()

    def _nonces(self, count: int) -> tuple[AESGCM, list[bytes]]:
        """Nonces that nobody else ever has, and the key they are for."""
        with self._lock:
            if not self._number or self._pid != os.getpid():
                # The child of a fork has its parent's number and counter.
                raise SessionClosed("this handle may not seal anything; open the session again")
            first, self._counter = self._counter, self._counter + count
            number = self._number
        return self._writers[number], [_NONCE.pack(number, first + i) for i in range(count)]

    # ---- values

    def seal(self, data: bytes, place: bytes) -> bytes:
        """See `Cipher`."""
        key, (nonce,) = self._nonces(1)
        return nonce + key.encrypt(nonce, data, place)

    def open(self, data: bytes, place: bytes) -> bytes:
        """See `Cipher`."""
        nonce = data[:NONCE_BYTES]
        try:
            key = self._writer_of(nonce)
            if key is None:
                raise ValueError("sealed by no writer of this session")
            return key.decrypt(nonce, data[NONCE_BYTES:], place)
        except (InvalidTag, ValueError, struct.error) as error:
            where = place[len(self._origin) :].decode(errors="replace")
            raise CorruptMetadata(
                f"{where} of session {place[: len(self._origin)].hex()} is not what was encrypted "
                f"there ({str(error) or 'wrong tag'}); restore it from a backup"
            ) from error

    def _writer_of(self, nonce: bytes) -> AESGCM | None:
        number = _NONCE.unpack(nonce)[0]
        if number and number not in self._writers:
            # A reader meets a writer that began after it was opened.
            self._learn()
        return self._writers.get(number)

    # ---- rows

    def seal_rows(self, rows: Rows, kind: bytes, ids: NDArray[np.int64]) -> Rows:
        """See `Cipher`."""
        key, nonces = self._nonces(len(rows))
        place = self._origin + kind
        parts: list[bytes] = []
        for nonce, row, number in zip(nonces, rows_of(rows), ids.tolist(), strict=True):
            parts += (nonce, key.encrypt(nonce, row, place + _ID.pack(number)))
        stored = np.frombuffer(bytearray().join(parts), np.uint8)
        return stored.reshape(len(rows), rows.shape[1] + AES_OVERHEAD)

    def open_rows(self, stored: Rows, kind: bytes, ids: NDArray[np.int64], out: Rows) -> list[int]:
        """See `Cipher`; rows that cannot be opened are zero."""
        bad: list[int] = []
        place, width = self._origin + kind, stored.shape[1]
        flat = memoryview(np.ascontiguousarray(stored).reshape(-1))
        numbers = np.ascontiguousarray(stored[:, :4]).view("<u4")[:, 0].tolist()
        known = self._keys_of(set(numbers))
        rows = zip(numbers, ids.tolist(), rows_of(out), strict=True)
        for start, (number, chunk, row) in zip(
            range(0, len(stored) * width, width), rows, strict=True
        ):
            key, begin = known.get(number), start + NONCE_BYTES
            try:
                if key is None:
                    raise InvalidTag
                sealed = flat[begin : start + width]
                row[:] = key.decrypt(flat[start:begin], sealed, place + _ID.pack(chunk))
            except InvalidTag:
                row[:] = bytes(len(row))
                bad.append(chunk)
        return bad

    def _keys_of(self, found: set[int]) -> dict[int, AESGCM]:
        """Keys of writers by their numbers, as far as there are any."""
        if any(number and number not in self._writers for number in found):
            self._learn()
        return {number: self._writers[number] for number in found if number in self._writers}

    def chain(self, data: bytes) -> int:
        """See `Cipher`: with a key, or else guesses at the tokens could be confirmed."""
        digest = hashlib.blake2b(data, key=self._chain_key, digest_size=8).digest()
        return int.from_bytes(digest, "little")
