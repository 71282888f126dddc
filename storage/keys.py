"""Keys of a store: where its own comes from, and those of the users that it wraps."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from typing import Any

from .errors import KeyMissing, NoCipher, WrongKey

KEY_BYTES = 32
KeySource = bytes | str | Callable[[], bytes | str]
"""32 bytes, "env:NAME" or "keyring:service/name" (hex or base64 there),
or a function that returns any of these."""


def store_key(source: KeySource) -> bytes:
    """The 32 bytes that a source stands for.

    Raises:
        KeyMissing: the variable or the entry is not there, or the keyring cannot be read.
        WrongKey: what is there is no key, or the source is none.
        NoCipher: the package keyring is not installed.
    """
    given = source() if callable(source) else source
    key: object = _decoded(given) if isinstance(given, str) else given
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        found = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        raise WrongKey(f"a store's key must be {KEY_BYTES} bytes; found {found}")
    return key


def _decoded(source: str) -> bytes:
    kind, _, name = source.partition(":")
    service, _, user = name.partition("/")
    if kind == "env" and name and _is_text(name):
        text, place = os.environ.get(name), f"the environment variable {name!r}"
    elif kind == "keyring" and service and user and _is_text(name):
        text, place = _from_keyring(service, user), f"the keyring's {user!r} of {service!r}"
    else:
        # Not shown: it may be the key itself.
        raise WrongKey('a key given as text must be "env:NAME" or "keyring:service/name"')
    if not text:
        raise KeyMissing(f"there is no key in {place}; put 64 hex digits there")
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WrongKey(f"{place} holds neither hex nor base64") from error


def _is_text(name: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in name)


def _from_keyring(service: str, user: str) -> str | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise NoCipher(
            "a key from the keyring needs the package: pip install 'hsa-memory[keyring]'"
        ) from error
    try:
        found: str | None = keyring.get_password(service, user)
    except KeyringError as error:
        raise KeyMissing(
            f"the keyring cannot be read ({type(error).__name__}: {error}); unlock it or set one "
            'up, or give the key as "env:NAME"'
        ) from error
    return found


class Keys:
    """The store's key and what it opens.

    Args:
        store_id: 16 bytes.
        key: 32 bytes.

    Raises:
        NoCipher: the package cryptography is not installed.
    """

    def __init__(self, store_id: bytes, key: bytes) -> None:
        # Here, so that nobody needs the package who has no key.
        from . import aes

        self._aes = aes
        self._store_id = store_id
        self._key = key
        self._opened: dict[tuple[bytes, str], bytes] = {}

    @property
    def secret(self) -> bytes:
        """The store's key."""
        return self._key

    def new_user(self, uid: str) -> bytes:
        """The wrapped key of a new user."""
        return self.wrap(os.urandom(KEY_BYTES), uid)

    def wrap(self, user_key: bytes, uid: str) -> bytes:
        """A user's key as it is stored."""
        return self._aes.wrapped_key(user_key, self._key, self._place(uid))

    def user_key(self, wrapped: bytes, uid: str) -> bytes:
        """A user's key; raises WrongKey if the store's key does not open it."""
        known = self._opened.get((wrapped, uid))
        if known is None:
            known = self._aes.unwrapped_key(wrapped, self._key, self._place(uid))
            self._opened[wrapped, uid] = known
        return known

    def _place(self, uid: str) -> bytes:
        return b"key" + self._store_id + uid.encode()

    def note_of(self, wrapped: bytes, uid: str) -> dict[str, Any]:
        """What a session keeps of its user's key."""
        return {"key": wrapped, "key_id": self._aes.key_id(self.user_key(wrapped, uid))}

    def key_of(self, note: dict[str, Any], wrapped: bytes, uid: str) -> bytes:
        """The key of a session's user, as the catalog has it wrapped or as the session has.

        Args:
            note: the session's `owner`; empty if it cannot be read.
            wrapped: of the catalog; empty if it has none.

        Raises:
            WrongKey: the store's key opens neither, or another key than the session's.
        """
        refused: WrongKey | None = None
        for candidate in (wrapped, note.get("key", b"")):
            if not candidate:
                continue
            try:
                key = self.user_key(candidate, uid)
            except WrongKey as error:
                refused = error
                continue
            if note.get("key_id") in (None, self._aes.key_id(key)):
                return key
        raise refused or WrongKey("the user's key is not the one that the session was made with")

    def cipher(self, user_key: bytes, origin: bytes) -> Any:
        """The `Cipher` of a session."""
        return self._aes.Aes(user_key, origin)
