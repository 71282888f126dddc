"""Checking a store: its catalog, every session, and directories that no row names."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from .catalog import Catalog
from .errors import CorruptMetadata, StoreError
from .findings import told
from .paths import session_ids
from .session import SessionStore
from .staging import drop_all_marks
from .types import Finding, SessionInfo
from .vfs import Vfs


class Sessions(Protocol):
    """What checking needs of a store."""

    root: str

    def open_for_check(self, info: SessionInfo, *, repair: bool) -> SessionStore:
        """A session whatever its layout and its head.bin say."""

    def mend_indexes(self, info: SessionInfo) -> list[Finding]:
        """Build the indexes of a session anew if they are damaged."""

    def check_without_key(self, info: SessionInfo) -> list[Finding] | None:
        """What can be found of a session whose key is missing; None if it is not."""

    def identity_of(self, info: SessionInfo) -> SessionInfo | None:
        """What a session says of itself; None if it cannot be read."""

    def adopt_user(self, info: SessionInfo) -> None:
        """Give the user of an unlisted session her row back."""

    def finish_deletion(self, session_id: str) -> None:
        """Remove what is left of a session whose deletion was decided."""


def check_store(
    vfs: Vfs, store: Sessions, catalog: Catalog, scope: str | None, *, repair: bool
) -> list[Finding]:
    """Everything that is wrong with a store; see Store.check.

    Args:
        scope: id of the user whose sessions alone are looked at; None for everything.
    """
    before = _places(vfs, store, catalog)
    if scope is None:
        found = _check_all(vfs, store, catalog, repair=repair)
    else:
        found = _check_user(vfs, store, catalog, scope, repair=repair)
    if found and not repair:
        # Without the catalog's lock sessions come and go meanwhile: that is no damage.
        after = _places(vfs, store, catalog)
        moved = {name for was, now in zip(before, after, strict=True) for name in was ^ now}
        found = [x for x in found if moved.isdisjoint(x.path.split(os.sep))]
    return [told(finding) for finding in found]


def _places(vfs: Vfs, store: Sessions, catalog: Catalog) -> tuple[set[str], set[str], set[str]]:
    """Ids of sessions that are listed, that are being deleted, and that have a directory."""
    listed: set[str] = set()
    deleted: set[str] = set()
    with suppress(StoreError):
        listed = {info.id for info in catalog.sessions()}
        deleted = set(catalog.deleted_ids())
    return listed, deleted, set(session_ids(vfs, store.root))


def _check_user(
    vfs: Vfs, store: Sessions, catalog: Catalog, scope: str, *, repair: bool
) -> list[Finding]:
    found: list[Finding] = []
    if catalog.damaged():
        detail = "it is damaged; have the store checked, and repaired, without a user"
        found.append(Finding(session="", path="catalog.db", kind="corrupt-catalog", detail=detail))
    infos: list[SessionInfo] = []
    with suppress(StoreError):
        infos = catalog.sessions(scope)
    names = _user_names(catalog)
    there = set(session_ids(vfs, store.root))
    for info in infos:
        if info.id not in there:
            found.append(_finding(info, "missing-session", "its directory is gone"))
            continue
        found += _of_user(check_one(store, catalog, info, repair=repair), names, info.user)
    return found


def _user_names(catalog: Catalog) -> dict[str, str]:
    with suppress(StoreError):
        return {user.id: user.name for user in catalog.users()}
    return {}


def _of_user(found: list[Finding], names: dict[str, str], user_id: str) -> list[Finding]:
    return [replace(x, user=x.user or names.get(user_id, user_id)) for x in found]


def _check_all(vfs: Vfs, store: Sessions, catalog: Catalog, *, repair: bool) -> list[Finding]:
    found = _check_catalog(vfs, store, catalog, repair=repair)
    known: dict[str, SessionInfo] = {}
    deleted: set[str] = set()
    # Damaged rows are reported above; what the directories say is checked in any case.
    with suppress(StoreError):
        known = {info.id: info for info in catalog.sessions()}
        deleted = set(catalog.deleted_ids())
    names = _user_names(catalog)
    for session_id in deleted:
        if repair:
            store.finish_deletion(session_id)
        gone = SessionInfo(name="", id=session_id, created=0.0)
        finding = _finding(gone, "unfinished-deletion", "its deletion was interrupted")
        found.append(replace(finding, repaired=repair))
    for session_id in session_ids(vfs, store.root):
        if session_id in deleted:
            continue
        info = known.pop(session_id, None) or SessionInfo(name="", id=session_id, created=0.0)
        found += _of_user(check_one(store, catalog, info, repair=repair), names, info.user)
    for info in known.values():
        gone_too = _finding(info, "missing-session", "its directory is gone")
        found += _of_user([gone_too], names, info.user)
    return found


def _check_catalog(vfs: Vfs, store: Sessions, catalog: Catalog, *, repair: bool) -> list[Finding]:
    complaints = catalog.damaged()
    if not complaints:
        return []
    rows, complete = catalog.scan()
    there = set(session_ids(vfs, store.root))
    # A catalog that cannot be read, and no session: they may lie on a disk that is not mounted.
    repair = repair and bool(complete or rows or there)
    if repair:
        # What it listed cannot be told any more, so whatever is whole is kept.
        drop_all_marks(vfs, store.root)
        # Each session knows its own name, so the rows are written again from those.
        catalog.rebuild(vfs)
    found = [
        Finding(session="", path="catalog.db", kind="corrupt-catalog", detail=text, repaired=repair)
        for text in complaints
    ]
    if repair:
        kept = {row.sid for row in catalog.scan()[0]}
        for row in rows:
            if row.sid not in kept | there:
                info = SessionInfo(name=str(row.name), id=str(row.sid), created=0.0)
                lost = "its row is damaged and its directory is gone: it is no longer listed"
                found.append(_finding(info, "missing-session", lost))
    return found


def check_one(
    store: Sessions, catalog: Catalog, info: SessionInfo, *, repair: bool
) -> list[Finding]:
    """Everything that is wrong with one session, whose row in the catalog may have no name."""
    mended: list[Finding] = []
    try:
        # First, for without its indexes a session may not open.
        if repair:
            mended = store.mend_indexes(info)
        closed = store.check_without_key(info)
        if closed is not None:
            found, identity = mended + closed, store.identity_of(info)
            return _listed(store, catalog, info, found, identity, repair=repair)
        session = store.open_for_check(info, repair=repair)
    except StoreError as error:
        return [*mended, _finding(info, type(error).__name__, str(error))]
    with session:
        found = [*mended, *session.recovered]
        try:
            found += session.check(repair=repair)
        except StoreError as error:
            return [*found, _finding(info, type(error).__name__, str(error))]
        empty = session.num_turns == session.num_shared
        try:
            identity = session.identity()
        except CorruptMetadata as error:
            return [*found, _finding(info, "corrupt-note", str(error))]
    return _listed(store, catalog, info, found, identity, empty=empty, repair=repair)


def _listed(
    store: Sessions,
    catalog: Catalog,
    info: SessionInfo,
    found: list[Finding],
    identity: SessionInfo | None,
    *,
    empty: bool = False,
    repair: bool,
) -> list[Finding]:
    """What was found in a session under its own name, and that it is not listed."""
    if identity is not None:
        found = [replace(finding, session=identity.name) for finding in found]
    if info.name or identity is None:
        return found
    finding = _adopt(store, catalog, identity, empty=empty, repair=repair)
    return _of_user([*found, finding], _user_names(catalog), identity.user)


def _adopt(
    store: Sessions, catalog: Catalog, identity: SessionInfo, *, empty: bool, repair: bool
) -> Finding:
    """A whole session without a row in the catalog: give it its row back, or remove what a crash
    has left of a session that was made again since."""
    detail = f"session {identity.name!r} has no usable row in the catalog"
    finding = _finding(identity, "unlisted-session", detail)
    if not repair:
        return finding
    if catalog.find(identity.name, identity.user) is None:
        store.adopt_user(identity)
        catalog.restore(identity)
    elif empty:
        store.finish_deletion(identity.id)
    else:
        return finding
    return replace(finding, repaired=True)


def _finding(info: SessionInfo, kind: str, detail: str) -> Finding:
    path = os.path.join("s", info.id[:2], info.id)
    return Finding(session=info.name, path=path, kind=kind, detail=detail)
