"""Whose sessions a store's handle sees, and with which key."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from .catalog import Catalog
from .checking_locked import check_locked
from .cipher import PLAIN, Cipher
from .errors import (
    CorruptMetadata,
    KeyMissing,
    NotEncrypted,
    ReadOnly,
    SessionClosed,
    StoreError,
)
from .keys import Keys
from .owner_notes import owner_note, put_owner, read_identity, read_owner
from .paths import session_folder
from .quotas import folder_bytes
from .types import Finding, SessionInfo, User
from .vfs import Vfs


class Keyed:
    """The part of `Store` that knows whose sessions it sees and how they are encrypted."""

    root: str
    read_only: bool
    user: str | None
    """Whose handle this is; None for the store's own sessions and administration."""
    _vfs: Vfs
    _id: bytes
    _keys: Keys | None
    _catalog: Catalog
    _mutex: threading.RLock
    _closed: bool

    # ---- whose sessions

    def _owner(self) -> User | None:
        """The user of this handle, or None before her first session; without a user, the store."""
        if self.user is not None:
            return self._catalog.user(self.user)
        return self._catalog.user("") or User(name="", id="", created=0.0)

    def _find(self, name: str) -> SessionInfo | None:
        owner = self._owner()
        return None if owner is None else self._catalog.find(name, owner.id)

    @contextmanager
    def _unless_gone(self, info: SessionInfo) -> Iterator[None]:
        """Pass over what goes wrong in here if another process has deleted a session meanwhile."""
        try:
            yield
        except (StoreError, FileNotFoundError):
            now = self._catalog.find(info.name, info.user)
            if now is not None and now.id == info.id:
                raise

    def _own_sessions(self) -> list[SessionInfo]:
        owner = self._owner()
        return [] if owner is None else self._catalog.sessions(owner.id)

    def _scope(self) -> str | None:
        """Id of the user whose sessions may be looked at; None for all, "-" for none."""
        if self.user is None:
            return None
        owner = self._owner()
        return "-" if owner is None else owner.id

    def session_bytes(self) -> int:
        """Bytes on disk of the sessions that `list_sessions` names."""
        with self._mutex:
            self._require_open()
            return sum(self._bytes_of(info) for info in self._own_sessions())

    def hidden_bytes(self) -> int:
        """Bytes on disk of all other sessions."""
        with self._mutex:
            self._require_open()
            own = {info.id for info in self._own_sessions()}
            return sum(self._bytes_of(x) for x in self._catalog.sessions() if x.id not in own)

    def _bytes_of(self, info: SessionInfo) -> int:
        try:
            return folder_bytes(self._vfs, session_folder(self.root, info.id))
        except FileNotFoundError:
            # Deleted meanwhile.
            return 0

    def every_session(self) -> list[SessionInfo]:
        """All sessions, whoever they belong to, oldest first; for administration."""
        with self._mutex:
            self._require_open()
            return self._catalog.sessions(None if self.user is None else self._scope())

    # ---- keys

    def _require_fitting_key(self) -> None:
        """Raise WrongKey or NotEncrypted if the key is not that of the user of this handle."""
        owner = self._owner()
        if self._keys is None or owner is None:
            return
        if owner.key:
            self._keys.user_key(owner.key, owner.id)
        elif self.user is not None and self._has_plain_session(owner):
            raise self._not_encrypted(owner)

    def _has_plain_session(self, owner: User) -> bool:
        """Whether the user's sessions were made without a key, and not only her row was lost."""
        known = self._catalog.sessions(owner.id)
        return bool(known) and not read_owner(self._vfs, self.root, known[0].id).get("key")

    def _not_encrypted(self, owner: User) -> NotEncrypted:
        whose = f"of user {owner.name!r} " if owner.name else ""
        return NotEncrypted(
            f"the sessions {whose}in {self.root} are not encrypted; open the store without a key. "
            "Encryption is decided with the first session"
        )

    def _user_to_own(self) -> User:
        """The user that a new session is made for; the caller holds the catalog's lock."""
        known = self._owner()
        user = known or User(name=self.user or "", id=os.urandom(16).hex(), created=time.time())
        if user.key:
            if self._keys is None:
                raise KeyMissing(
                    f"the sessions in {self.root} are encrypted; open the store with its key"
                )
            self._keys.user_key(user.key, user.id)
            return user
        if self._keys is not None:
            if self._has_plain_session(user):
                raise self._not_encrypted(user)
            created = user.created or time.time()
            user = replace(user, key=self._keys.new_user(user.id), created=created)
        elif known is not None:
            return user
        self._catalog.put_users(user)
        return user

    def _new_cipher(self, user: User, info: SessionInfo) -> tuple[Cipher, dict[str, Any] | None]:
        """The cipher of a new session, and what it keeps of its user."""
        if not user.key or self._keys is None:
            return PLAIN, owner_note(user) if user.name else None
        cipher: Cipher = self._keys.cipher(
            self._keys.user_key(user.key, user.id), bytes.fromhex(info.id)
        )
        return cipher, owner_note(user) | self._keys.note_of(user.key, user.id)

    def _cipher_of(self, info: SessionInfo, *, write: bool) -> Cipher:
        """How a session is stored.

        Raises:
            KeyMissing, WrongKey: it is encrypted, and there is no key, or another one.
            NotEncrypted: it is not, and there is a key.
        """
        user = self._catalog.user_by_id(info.user)
        wrapped = b"" if user is None else user.key
        if self._keys is None:
            if wrapped:
                raise KeyMissing(f"session {info.name!r} is encrypted; open the store with its key")
            return PLAIN
        note = {}
        with suppress(CorruptMetadata):
            # Damaged: the catalog knows the key too.
            note = read_owner(self._vfs, self.root, info.id)
        if not wrapped and not note.get("key"):
            raise self._not_encrypted(user or User(name="", id="", created=0.0))
        key = self._keys.key_of(note, wrapped, info.user)
        if write and wrapped and note.get("key", wrapped) != wrapped:
            # The key was changed, and a crash came before all sessions knew.
            fresh = note | self._keys.note_of(wrapped, info.user)
            put_owner(self._vfs, self.root, info.id, fresh)
        cipher: Cipher = self._keys.cipher(key, bytes.fromhex(info.id))
        return cipher

    def cipher_for_check(self, info: SessionInfo, *, write: bool) -> Cipher:
        """How a session is stored, listed or not; for `check`."""
        if self._keys is None:
            return PLAIN
        if not info.name:
            with suppress(CorruptMetadata):
                note = read_owner(self._vfs, self.root, info.id)
                info = replace(info, user=str(note.get("uid", "")))
        try:
            return self._cipher_of(info, write=write)
        except NotEncrypted:
            return PLAIN

    def check_without_key(self, info: SessionInfo) -> list[Finding] | None:
        """What a check finds of a session whose key is missing; None if it is not."""
        if self._keys is not None:
            return None
        user = self._catalog.user_by_id(info.user) if info.name else None
        if user is None or not user.key:
            with suppress(CorruptMetadata):
                if not read_owner(self._vfs, self.root, info.id).get("key"):
                    return None
        return check_locked(self._vfs, self.root, self._id, info)

    def identity_of(self, info: SessionInfo) -> SessionInfo | None:
        """What a session says of itself; None if it cannot be read."""
        with suppress(CorruptMetadata):
            return read_identity(self._vfs, self.root, info.id)
        return None

    def adopt_user(self, info: SessionInfo) -> None:
        """Give the user of a session without a row in the catalog hers back."""
        note = read_owner(self._vfs, self.root, info.id)
        uid = str(note.get("uid", ""))
        if not note or self._catalog.user_by_id(uid) is not None:
            return
        name = str(note["name"])
        if self._catalog.user(name) is not None:
            # Somebody of that name came after the row was lost.
            name = f"{name} ({uid})"
        key, created = bytes(note.get("key", b"")), float(note["created"])
        self._catalog.put_users(User(name=name, id=uid, created=created, key=key))

    def _require_open(self) -> None:
        if self._closed:
            raise SessionClosed(f"the store in {self.root} is closed; open it again")

    def _require_writable(self) -> None:
        if self.read_only:
            raise ReadOnly(f"the store in {self.root} was opened read-only")
