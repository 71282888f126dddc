"""The part of `Memory` that manages users."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsa_memory.storage import KeySource, Store

from . import errors
from .arguments import require_int, require_name
from .boundary import public_errors
from .transfers import Transfers
from .types import UserInfo


class Users(Transfers):
    """Base of `Memory`: who its users are, and what they may have."""

    path: Path
    _store: Store
    _lock: threading.RLock
    _closed: bool

    @property
    def user(self) -> str | None:
        """Whose sessions these are; None for the memory's own, and administration."""
        return self._store.user

    def users(self) -> list[UserInfo]:
        """Return all users, oldest first; a user is there from the first session or quota on.

        Raises:
            NotAllowed: this memory was opened for a user.
        """
        with self._use():
            found = self._store.users()
        return [
            UserInfo(
                name=x.user.name,
                created=x.user.created,
                num_sessions=x.num_sessions,
                num_tokens=x.tokens,
                bytes_on_disk=x.num_bytes,
                max_tokens=x.user.max_tokens,
                max_bytes=x.user.max_bytes,
                encrypted=bool(x.user.key),
            )
            for x in found
        ]

    def set_quota(
        self, name: str, *, max_tokens: int | None = None, max_bytes: int | None = None
    ) -> None:
        """Limit what all sessions of a user may hold together.

        An `add` beyond it raises `QuotaExceeded` and writes nothing; reading, forgetting and
        deleting go on. Whoever writes at the moment notices with the next message.

        Args:
            name: the user.
            max_tokens: tokens, without those of forgotten messages; None: no limit.
            max_bytes: bytes on disk; None: no limit. Writers take room ahead, so that up to a
                sixteenth of what is left may be theirs until they close.

        Raises:
            NotAllowed: this memory was opened for a user.
            InvalidArgument, SessionReadOnly, StorageError.
        """
        require_name(name, "user")
        for what, limit in (("max_tokens", max_tokens), ("max_bytes", max_bytes)):
            if limit is not None:
                require_int(what, limit, least=0, most=(1 << 62) - 1)
        with self._use():
            self._store.set_quota(name, max_tokens=max_tokens, max_bytes=max_bytes)

    def delete_user(self, name: str) -> None:
        """Delete a user with all sessions. If they are encrypted, the key is destroyed first.

        A crash on the way is finished by the next opening. A memory opened for a user may delete
        that user only.

        Raises:
            UserNotFound, NotAllowed, SessionReadOnly.
            SessionBusy: a session of the user is open for writing, also here; nothing was deleted.
        """
        require_name(name, "user")
        with self._use():
            self._store.delete_user(name)

    def rotate_key(self, new: KeySource) -> None:
        """Protect the keys of all users by another key, as of `open`; sessions stay as they are.

        Raises:
            SessionBusy: an encrypted session is open for writing; nothing was changed.
            KeyMissing: this memory was opened without a key.
            NotAllowed, WrongKey, SessionReadOnly, StorageError.
        """
        with self._use():
            self._store.rotate_key(new)

    @contextmanager
    def _use(self) -> Iterator[None]:
        with self._lock, public_errors():
            if self._closed:
                raise errors.SessionClosed(f"the memory in {self.path} is closed; open it again")
            yield
