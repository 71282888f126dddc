"""Quotas: tokens and bytes that all sessions of a user may take together.

Every session of a user that has a quota holds a part of it, which its row in the catalog tells. Its
writer takes more than it needs at once, so that most appends touch no catalog, and gives back what
is left. What a session takes is never more than what it holds; so the sum of the rows decides, for
all processes, under the catalog's lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import sqlalchemy as sa

from .catalog import Catalog
from .catalog_rows import Row
from .checking import files_below
from .derived import Derived
from .errors import CorruptMetadata, QuotaExceeded, StoreError
from .locks import catalog_lock, try_lock
from .paths import session_folder
from .tables import sessions
from .truth import Truth
from .types import SessionInfo, User
from .vfs import Vfs

# Beyond what an append needs a writer takes 1/16 of what is left, up to these.
_SHARE = 16
_MOST_TOKENS, _MOST_BYTES = 65_536, 4 << 20
# With less than this left it takes what it needs and no more.
_FEW_TOKENS, _FEW_BYTES = 4_096, 1 << 20
# Pages of session.db that one append and a publication touch, and what files grow by at a time.
_PAGES_BYTES = 12 * 8192
_STEP_BYTES = 192 << 10
# Of its own messages: those of the session that a fork began with are counted there.
_own_tokens = sa.text("SELECT coalesce(sum(n_tok), 0) FROM turns WHERE NOT flags & 2")
_all_tokens = sa.text("SELECT n_tok FROM state")


class Amount(NamedTuple):
    """Tokens, and bytes on disk."""

    tokens: int
    num_bytes: int

    def plus(self, other: Amount) -> Amount:
        """The sum of both."""
        return Amount(self.tokens + other.tokens, self.num_bytes + other.num_bytes)

    def within(self, other: Amount) -> bool:
        """Whether neither number is larger than the other's."""
        return self.tokens <= other.tokens and self.num_bytes <= other.num_bytes


NOTHING = Amount(0, 0)


def folder_bytes(vfs: Vfs, folder: str) -> int:
    """Bytes that the files below a folder take on the disk: allocated blocks."""
    found = (vfs.lstat(path) for path in files_below(vfs, folder))
    return sum(status.st_blocks * 512 for status in found if status is not None)


def used_tokens(truth: Truth) -> int:
    """Tokens of a session's own messages without those that were forgotten."""
    with truth.database.read() as connection:
        return int(
            connection.execute(_all_tokens if _is_whole(truth) else _own_tokens).scalar_one()
        )


def _is_whole(truth: Truth) -> bool:
    """Whether every token of the stream counts."""
    return not truth.state.forgotten and not truth.state.base_turn


def closed_amount(vfs: Vfs, root: str, session_id: str) -> Amount:
    """What a session takes that nobody writes to, or as of its last commit."""
    folder = session_folder(root, session_id)
    truth = Truth(vfs, folder, bytes.fromhex(session_id), write=False)
    try:
        truth.load()
        return Amount(used_tokens(truth), folder_bytes(vfs, folder))
    finally:
        truth.close()


class Budget:
    """What the writer of one session may still use of its user's quota.

    Args:
        info: the session; it belongs to a user.
    """

    def __init__(self, vfs: Vfs, root: str, catalog: Catalog, info: SessionInfo) -> None:
        self._vfs = vfs
        self._root = root
        self._catalog = catalog
        self._info = info
        self._seen = -1
        self._user: User | None = None
        self._held = NOTHING
        # As of the last look at the disk, and what was added since, at most.
        self._measured = 0
        self._added = 0

    def _limited(self) -> User | None:
        """The user, if there is a quota; the catalog is read again only after a change."""
        version = self._catalog.version()
        if version != self._seen:
            user = self._catalog.user_by_id(self._info.user)
            if user is None or self._user is None or limits(user) != limits(self._user):
                self._held = NOTHING
            self._seen, self._user = version, user
        user = self._user
        return None if user is None or limits(user) == (None, None) else user

    def is_limited(self) -> bool:
        """Whether there is a quota."""
        return self._limited() is not None

    def admit(
        self, truth: Truth, files: Callable[[], Derived], tokens: int, num_bytes: int
    ) -> None:
        """Require room for an append, inside its transaction.

        Raises:
            QuotaExceeded: there is none.
        """
        user = self._limited()
        if user is None:
            return
        derived = files()
        per_token = self._chunk_bytes(derived) / derived.layout.chunk_size
        # Once in the log and once in its place; files of chunks grow by 1/16 more.
        own = 2 * num_bytes + int(tokens * per_token) + _PAGES_BYTES + min(16 * tokens, 4 << 20)
        used = truth.state.n_tok if _is_whole(truth) else self._counted(truth)
        expected = self._measured + self._added + own + _STEP_BYTES
        need = Amount(used + tokens, expected if user.max_bytes is not None else 0)
        if not need.within(self._held):
            self._measured, self._added = self._bytes(derived, truth), 0
            expected = self._measured + own + _STEP_BYTES
            need = Amount(need.tokens, expected if user.max_bytes is not None else 0)
            self._reserve(user, need, tokens)
        self._added += own

    def _counted(self, truth: Truth) -> int:
        # The session's own connection is in the middle of the append.
        return closed_amount(self._vfs, self._root, self._info.id).tokens

    def _chunk_bytes(self, derived: Derived) -> int:
        layout = derived.layout
        return (layout.kv_bytes + layout.landmark_bytes + 256) * 17 // 16

    def _bytes(self, derived: Derived, truth: Truth) -> int:
        """Bytes on disk, and what chunks will take that wait to be encoded."""
        waiting = derived.layout.num_chunks(truth.state.n_tok) - derived.published
        folder = session_folder(self._root, self._info.id)
        return folder_bytes(self._vfs, folder) + max(0, waiting) * self._chunk_bytes(derived)

    def _reserve(self, user: User, need: Amount, tokens: int) -> None:
        with catalog_lock(self._vfs, self._root):
            others = held_by(self._catalog, user.id, but=self._info.id)
            if exceeds(user, others.plus(need)):
                release_idle(self._vfs, self._root, self._catalog, user.id, but=self._info.id)
                others = held_by(self._catalog, user.id, but=self._info.id)
            require_room(user, others, need, tokens)
            more = Amount(
                _block(user.max_tokens, others.tokens + need.tokens, _FEW_TOKENS, _MOST_TOKENS),
                _block(user.max_bytes, others.num_bytes + need.num_bytes, _FEW_BYTES, _MOST_BYTES),
            )
            self._hold(need.plus(more))

    def _hold(self, held: Amount) -> None:
        put_held(self._catalog, {self._info.id: held})
        self._held = held

    def settle(self, truth: Truth, files: Callable[[], Derived]) -> None:
        """Hold what the session takes now and no more: when it is opened, after a kill say, and
        when it is closed."""
        user = self._limited()
        if user is None:
            return
        used = used_tokens(truth)
        num_bytes = 0 if user.max_bytes is None else self._bytes(files(), truth)
        self._measured, self._added = num_bytes, 0
        actual = Amount(used, num_bytes)
        if actual != held_of(self._catalog, self._info.id):
            with catalog_lock(self._vfs, self._root):
                self._hold(actual)
        self._held = actual


def _block(limit: int | None, taken: int, few: int, most: int) -> int:
    left = 0 if limit is None else limit - taken
    return 0 if left < few else min(most, left // _SHARE)


def limits(user: User) -> tuple[int | None, int | None]:
    """Most tokens and bytes of a user."""
    return user.max_tokens, user.max_bytes


def exceeds(user: User, amount: Amount) -> bool:
    """Whether that is more than the user's quota."""
    pairs = zip(amount, limits(user), strict=True)
    return any(limit is not None and value > limit for value, limit in pairs)


def require_room(user: User, others: Amount, need: Amount, tokens: int) -> None:
    """Raise QuotaExceeded if what others hold and what a session needs is beyond the quota.

    Args:
        tokens: how many of the needed are new.
    """
    held = others.plus(need)
    if user.max_tokens is not None and held.tokens > user.max_tokens:
        raise _exceeded(user, held.tokens - tokens, tokens, user.max_tokens, "tokens")
    if user.max_bytes is not None and held.num_bytes > user.max_bytes:
        # What the session needs is mostly there already.
        raise _exceeded(user, others.num_bytes, need.num_bytes, user.max_bytes, "bytes on disk")


def _exceeded(user: User, used: int, more: int, limit: int, what: str) -> QuotaExceeded:
    return QuotaExceeded(
        f"user {user.name!r} may have {limit:,} {what}; the sessions hold {used:,}, and this one "
        f"would need {more:,} more. Forget messages, delete sessions, or raise the quota; nothing "
        "was stored"
    )


# ---- rows of the catalog


def _rows(catalog: Catalog, user_id: str) -> list[Row]:
    columns = [sessions.c[name] for name in (*Row._fields, "sum")]
    live = sa.select(*columns).where(sessions.c.owner == user_id, sessions.c.deleted == 0)
    with catalog.reading() as connection:
        rows = connection.execute(live).all()
    return [catalog.checked(tuple(row)) for row in rows]


def held_by(catalog: Catalog, user_id: str, *, but: str = "") -> Amount:
    """What the sessions of a user hold together, one of them left out."""
    total = NOTHING
    for row in _rows(catalog, user_id):
        if row.sid != but:
            total = total.plus(Amount(row.held_tokens, row.held_bytes))
    return total


def held_of(catalog: Catalog, session_id: str) -> Amount | None:
    """What a session holds, or None if it is not listed."""
    columns = [sessions.c[name] for name in (*Row._fields, "sum")]
    with catalog.reading() as connection:
        rows = connection.execute(sa.select(*columns).where(sessions.c.sid == session_id)).all()
    found = [catalog.checked(tuple(row)) for row in rows]
    return Amount(found[0].held_tokens, found[0].held_bytes) if found else None


def put_held(catalog: Catalog, held: dict[str, Amount]) -> None:
    """Note what sessions hold, in one transaction; the caller has the catalog's lock."""
    columns = [sessions.c[name] for name in (*Row._fields, "sum")]
    with catalog.writing() as connection:
        for session_id, amount in held.items():
            which = sessions.c.sid == session_id
            row = connection.execute(sa.select(*columns).where(which)).one_or_none()
            if row is not None:
                values = catalog.checked(tuple(row))._replace(
                    held_tokens=amount.tokens, held_bytes=amount.num_bytes
                )
                connection.execute(sa.update(sessions).where(which), catalog.columns_of(values))


def release_idle(vfs: Vfs, root: str, catalog: Catalog, user_id: str, *, but: str = "") -> None:
    """Correct what sessions hold that nobody writes to: their writers may have been killed.

    The caller has the catalog's lock.
    """
    found: dict[str, Amount] = {}
    for row in _rows(catalog, user_id):
        lock = None
        if row.sid != but:
            lock = try_lock(vfs, os.path.join(root, "locks", f"s-{row.sid}.lock"))
        if lock is None:
            continue
        try:
            # A damaged session keeps what it holds.
            with suppress(StoreError, FileNotFoundError):
                actual = closed_amount(vfs, root, row.sid)
                if actual != (row.held_tokens, row.held_bytes):
                    found[row.sid] = actual
        finally:
            lock.release()
    if found:
        put_held(catalog, found)


def count_anew(vfs: Vfs, root: str, catalog: Catalog, user_id: str) -> None:
    """Have every session of a user hold at least what it takes; for a new quota."""
    found: dict[str, Amount] = {}
    for row in _rows(catalog, user_id):
        with suppress(CorruptMetadata, FileNotFoundError):
            actual = closed_amount(vfs, root, row.sid)
            # A writer may be using what it holds.
            found[row.sid] = Amount(
                max(actual.tokens, row.held_tokens), max(actual.num_bytes, row.held_bytes)
            )
    put_held(catalog, found)
