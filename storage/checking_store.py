"""Checking a store: its catalog, every session, and directories that no row names."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from .catalog import Catalog
from .errors import StoreError
from .paths import session_ids
from .session import SessionStore
from .types import Finding, SessionInfo
from .vfs import Vfs


class Sessions(Protocol):
    """What checking needs of a store."""

    root: str

    def open_for_check(self, info: SessionInfo, *, repair: bool) -> SessionStore:
        """A session whatever its layout and its head.bin say."""


def check_store(vfs: Vfs, store: Sessions, catalog: Catalog, *, repair: bool) -> list[Finding]:
    """Everything that is wrong with a store; see Store.check."""
    complaints = catalog.damaged()
    found = [
        Finding(session="", path="catalog.db", kind="corrupt-catalog", detail=text, repaired=repair)
        for text in complaints
    ]
    if complaints and repair:
        # Each session knows its own name, so the rows are written again from those.
        catalog.rebuild(vfs)
    known: dict[str, SessionInfo] = {}
    # Damaged rows are reported above; what the directories say is checked in any case.
    with suppress(StoreError):
        known = {info.id: info for info in catalog.sessions()}
    for session_id in session_ids(vfs, store.root):
        info = known.pop(session_id, None) or SessionInfo(name="", id=session_id, created=0.0)
        found += _check_one(store, catalog, info, repair=repair)
    for info in known.values():
        found.append(_finding(info, "missing-session", "its directory is gone"))
    return found


def _check_one(
    store: Sessions, catalog: Catalog, info: SessionInfo, *, repair: bool
) -> list[Finding]:
    try:
        session = store.open_for_check(info, repair=repair)
    except StoreError as error:
        return [_finding(info, type(error).__name__, str(error))]
    with session:
        found = session.recovered + session.check(repair=repair)
        identity = session.identity()
    found = [replace(finding, session=identity.name) for finding in found]
    if info.name:
        return found
    return [*found, _adopt(catalog, identity, repair=repair)]


def _adopt(catalog: Catalog, identity: SessionInfo, *, repair: bool) -> Finding:
    """A whole session without a row in the catalog: give it its row back."""
    detail = f"session {identity.name!r} has no usable row in the catalog"
    finding = _finding(identity, "unlisted-session", detail)
    if repair and catalog.find(identity.name) is None:
        catalog.restore(identity)
        finding = replace(finding, repaired=True)
    return finding


def _finding(info: SessionInfo, kind: str, detail: str) -> Finding:
    path = os.path.join("s", info.id[:2], info.id)
    return Finding(session=info.name, path=path, kind=kind, detail=detail)
