"""What the administration of a store does: quotas, deleting users, changing the key."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace

from .creating import encode_name
from .errors import (
    CorruptMetadata,
    KeyMissing,
    NotAllowed,
    StoreError,
    UserMissing,
)
from .keys import Keys, KeySource, store_key
from .owner_notes import put_owner, read_owner
from .paths import session_ids
from .quotas import (
    NOTHING,
    Amount,
    closed_amount,
    count_anew,
    exceeds,
    folder_bytes,
    held_by,
    limits,
    release_idle,
    require_room,
)
from .removing import Removing
from .types import SessionInfo, User


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a user has, and what of it is there."""

    user: User
    num_sessions: int
    tokens: int
    """In all of the user's sessions, without those of forgotten messages."""
    num_bytes: int
    """On disk, of all of the user's sessions."""


class Administration(Removing):
    """The part of `Store` that manages users."""

    def _require_users(self) -> None:
        """Raise NotAllowed if this store knows no users."""

    def users(self) -> list[Usage]:
        """All users with what they have, oldest first.

        A user is there from the first session or quota on.

        Raises:
            NotAllowed: this handle was opened for a user.
        """
        with self._mutex:
            self._require_open()
            self._require_administration()
            return [self._usage(user) for user in self._catalog.users() if user.id]

    def _usage(self, user: User) -> Usage:
        infos = self._catalog.sessions(user.id)
        total = NOTHING
        for info in infos:
            with suppress(StoreError, FileNotFoundError):
                total = total.plus(closed_amount(self._vfs, self.root, info.id))
        return Usage(
            user=user, num_sessions=len(infos), tokens=total.tokens, num_bytes=total.num_bytes
        )

    def set_quota(
        self, name: str, *, max_tokens: int | None = None, max_bytes: int | None = None
    ) -> None:
        """Limit what all sessions of a user may hold together; None takes a limit away.

        Writers that are at work notice at their next append. More than the quota may be there
        already: it stays, and nothing is added until there is room.

        Args:
            max_tokens: tokens, without those of forgotten messages.
            max_bytes: allocated bytes of the sessions' files.

        Raises:
            NotAllowed, ReadOnly, ValueError.
        """
        encode_name(name, "user")
        for what, limit in (("max_tokens", max_tokens), ("max_bytes", max_bytes)):
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
                raise ValueError(f"{what} must be an int or None, got {limit!r}")
            if limit is not None and not 0 <= limit < 1 << 62:
                raise ValueError(f"{what} must be from 0 to 2**62 - 1, got {limit}")
        with self._mutex:
            self._require_open()
            self._require_administration()
            self._require_writable()
            with self._catalog_lock():
                user = self._catalog.user(name) or User(
                    name=name, id=os.urandom(16).hex(), created=time.time()
                )
                # First the sum, then the limit: no append comes in between unseen.
                count_anew(self._vfs, self.root, self._catalog, user.id)
                self._catalog.put_users(replace(user, max_tokens=max_tokens, max_bytes=max_bytes))

    def _require_room(self, info: SessionInfo, staged: str) -> None:
        """Raise QuotaExceeded, and remove the files, if a new session has no room."""
        try:
            self._require_room_for({info.user: Amount(0, folder_bytes(self._vfs, staged))})
        except BaseException:
            self._vfs.remove_tree(staged)
            raise

    def _require_room_for(self, wanted: dict[str, Amount], but: str = "") -> None:
        """Raise QuotaExceeded if users cannot have so much more; one session left out."""
        for uid, need in wanted.items():
            user = self._catalog.user_by_id(uid) if uid else None
            if user is None or limits(user) == (None, None):
                continue
            if exceeds(user, held_by(self._catalog, uid, but=but).plus(need)):
                release_idle(self._vfs, self.root, self._catalog, uid, but=but)
            require_room(user, held_by(self._catalog, uid, but=but), need, need.tokens)

    def delete_user(self, name: str) -> None:
        """Delete a user with all sessions; if they are encrypted, their key is destroyed first.

        A crash on the way is finished by whoever opens the store next.

        Raises:
            UserMissing: there is no such user.
            SessionBusy: somebody writes to one of the sessions; nothing was deleted.
            NotAllowed: this handle was opened for another user.
            ReadOnly.
        """
        encode_name(name, "user")
        with self._mutex:
            self._require_open()
            self._require_users()
            if self.user not in (None, name):
                raise NotAllowed(
                    f"this handle was opened for user {self.user!r}, who may delete nobody else"
                )
            self._require_writable()
            with self._catalog_lock():
                user = self._catalog.user(name)
                if user is None:
                    raise UserMissing(f"there is no user {name!r} in {self.root}")
                infos = [*self._catalog.sessions(user.id), *self._unlisted(user)]
                with self._locked(infos):
                    self._catalog.mark_user_deleted(user, infos)
                    for info in infos:
                        self.finish_deletion(info.id)
                    self._catalog.remove_user(user.id)

    def _unlisted(self, user: User) -> Iterator[SessionInfo]:
        """Sessions of a user that a damaged catalog has lost."""
        listed = {info.id for info in self._catalog.sessions()} | {*self._catalog.deleted_ids()}
        for session_id in session_ids(self._vfs, self.root):
            if session_id not in listed:
                with suppress(StoreError, FileNotFoundError):
                    if read_owner(self._vfs, self.root, session_id).get("uid") == user.id:
                        yield SessionInfo(name="", id=session_id, created=0.0, user=user.id)

    def rotate_key(self, new: KeySource) -> None:
        """Wrap the key of every user by another key of the store; what they encrypted stays.

        This handle uses the new key from here on.

        Raises:
            SessionBusy: somebody writes to an encrypted session; nothing was changed.
            KeyMissing: this handle has no key.
            NotAllowed, ReadOnly, WrongKey.
        """
        secret = store_key(new)
        with self._mutex:
            self._require_open()
            self._require_administration()
            self._require_writable()
            if self._keys is None:
                raise KeyMissing(f"open the store in {self.root} with its key to change it")
            fresh = Keys(self._id, secret)
            with self._catalog_lock():
                users = [user for user in self._catalog.users() if user.key]
                infos = [info for user in users for info in self._catalog.sessions(user.id)]
                with self._locked(infos):
                    self._rotate(users, infos, self._keys, fresh)
            self._keys = fresh

    def _rotate(
        self, users: Sequence[User], infos: Sequence[SessionInfo], old: Keys, fresh: Keys
    ) -> None:
        changed = {
            user.id: replace(user, key=fresh.wrap(old.user_key(user.key, user.id), user.id))
            for user in users
        }
        # Sessions that do not know yet are told when they are opened.
        self._catalog.put_users(*changed.values())
        for info in infos:
            with suppress(CorruptMetadata):
                note = read_owner(self._vfs, self.root, info.id)
                note |= fresh.note_of(changed[info.user].key, info.user)
                put_owner(self._vfs, self.root, info.id, note)

    @contextmanager
    def _locked(self, infos: Sequence[SessionInfo]) -> Iterator[None]:
        """Hold the locks of all these sessions, or raise SessionBusy."""
        with ExitStack() as held:
            for info in infos:
                held.callback(self._lock_session(info).release)
            yield

    def _require_administration(self) -> None:
        self._require_users()
        if self.user is not None:
            raise NotAllowed(
                f"this handle was opened for user {self.user!r}; open the store without a user"
            )
