"""STORE: the header page that makes a directory a store and says which one it is."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from .catalog import Catalog
from .errors import CorruptMetadata, SessionMissing, StoreError
from .findings import told
from .header import HEADER_BYTES, decode_header, encode_header
from .locks import catalog_lock
from .names import leave_unsynced, sync_names
from .paths import require_folder, session_folder, session_ids
from .safety import require_safe
from .truth import Truth
from .types import Finding
from .vfs import Vfs

NAME = "STORE"
_REMEDY = "run `hsa-memory check --repair` to have it written again from what the sessions say"


def read_marker(vfs: Vfs, root: str, *, is_cache: bool = False) -> bytes:
    """The store's id.

    Args:
        is_cache: whether the folder is to be the cache of a store on servers, or a store.

    Raises:
        StoreError: it is the other one of the two.
        SessionMissing: there is no store.
        CorruptMetadata: STORE is damaged, or missing where there are sessions.
        FormatTooNew, FormatTooOld.
    """
    path = os.path.join(root, NAME)
    try:
        fd = vfs.open(path)
    except FileNotFoundError as error:
        if has_sessions(vfs, root):
            raise CorruptMetadata(
                f"{path} is missing, but there are sessions; {_REMEDY}"
            ) from error
        raise SessionMissing(
            f"there is no store in {root}; check the path, or make one by opening it for writing "
            "with create=True"
        ) from error
    try:
        fields = decode_header("store", vfs.read(fd, HEADER_BYTES + 1, 0), path)
        store_id = bytes.fromhex(fields["store"])
    except (CorruptMetadata, KeyError, TypeError, ValueError) as error:
        raise CorruptMetadata(f"{path} is damaged ({error}); {_REMEDY}") from error
    finally:
        vfs.close(fd)
    home = fields.get("home")
    if bool(home) != is_cache:
        other = (
            f"the cache of a store in {home}; open it with that database"
            if home
            else "a store of its own; choose another folder for a cache"
        )
        raise StoreError(f"{root} is {other}")
    if len(store_id) != 16:
        raise CorruptMetadata(f"{path} has an id of {len(store_id)} bytes, expected 16; {_REMEDY}")
    return store_id


def write_marker(vfs: Vfs, root: str, store_id: bytes, home: str = "") -> None:
    """Put STORE in its place, whole or not at all, and see to it that its name and that of the
    store are on the disk; the caller holds the catalog's lock.

    Args:
        home: where the truth is, if not in this folder.
    """
    fields = {"store": store_id.hex(), **({"home": home} if home else {})}
    staged = os.path.join(root, "tmp", NAME)
    vfs.ensure_dir(os.path.dirname(staged))
    vfs.unlink(staged)
    fd = vfs.open(staged, create=True)
    try:
        vfs.write(fd, encode_header("store", fields), 0)
        vfs.sync(fd)
    finally:
        vfs.close(fd)
    leave_unsynced(vfs, root)
    vfs.rename(staged, os.path.join(root, NAME))
    sync_names(vfs, root)


def rebuild_marker(
    path: str | os.PathLike[str], *, allow_network_files: bool = False, vfs: Vfs | None = None
) -> list[Finding]:
    """Write a damaged or missing STORE again; returns what was found, nothing if it is good.

    Every session names its store, in session.db and in the headers of its derived files. A store
    that has no sessions and lists none gets a new id: nothing else depends on it.

    Raises:
        SessionMissing: there is no store.
        NotAFolder, StorePermission, UnsafeFilesystem: as `Store.open`.
        CorruptMetadata: there are sessions, here or in the catalog, and none can say which store
            it is in; nothing was changed.
    """
    vfs = vfs or Vfs()
    root = os.path.abspath(os.fspath(path))
    require_folder(root)
    require_safe(vfs, root, read_only=False, allow_network_files=allow_network_files)
    with suppress(CorruptMetadata):
        read_marker(vfs, root)
        return []
    with catalog_lock(vfs, root):
        try:
            read_marker(vfs, root)
            return []
        except CorruptMetadata as error:
            complaint = str(error)
        write_marker(vfs, root, _find_id(vfs, root))
    found = Finding(session="", path=NAME, kind="corrupt-store", detail=complaint, repaired=True)
    return [told(found)]


def _find_id(vfs: Vfs, root: str) -> bytes:
    """The id that the sessions name; a new one only where nothing can depend on the old one."""
    listed = _listed_sessions(root)
    votes = dict(_stores_named(vfs, root))
    # A session that was copied here from elsewhere does not stand for those of the catalog.
    counted = Counter(store for sid, store in votes.items() if not listed or sid in listed)
    if counted:
        return counted.most_common(1)[0][0]
    there = set(session_ids(vfs, root))
    gone = [name for sid, name in (listed or {}).items() if sid not in there]
    if listed is None or gone or there:
        lost = (
            f"sessions {', '.join(map(repr, gone[:5]))} are listed and not there; " if gone else ""
        )
        raise CorruptMetadata(
            f"{os.path.join(root, NAME)} is damaged, and no session can say which store it is "
            f"in; {lost}nothing was repaired: mount the disk that is missing, or restore a backup"
        )
    return os.urandom(16)


def _listed_sessions(root: str) -> dict[str, str] | None:
    """Names of the catalog's rows by id; None if the catalog cannot be read."""
    path = os.path.join(root, "catalog.db")
    if not os.path.lexists(path):
        return {}
    # The id only matters to checksums, which are not looked at here.
    catalog = Catalog(path, bytes(16))
    try:
        rows, complete = catalog.scan()
    finally:
        catalog.close()
    return {str(row.sid): str(row.name) for row in rows if not row.deleted} if complete else None


def has_sessions(vfs: Vfs, root: str) -> bool:
    """Whether there is a directory of a session."""
    return next(session_ids(vfs, root), None) is not None


def _stores_named(vfs: Vfs, root: str) -> Iterator[tuple[str, bytes]]:
    """(session's id, the store's id as it has it) of each session that can be read."""
    for session_id in session_ids(vfs, root):
        folder = session_folder(root, session_id)
        for named in (_by_identity(vfs, folder, session_id), _by_landmarks(vfs, folder)):
            if named.get("sid") == session_id:
                with suppress(KeyError, TypeError, ValueError):
                    yield session_id, bytes.fromhex(named["store"])
                    break


def _by_identity(vfs: Vfs, folder: str, session_id: str) -> dict[str, str]:
    with suppress(StoreError, FileNotFoundError):
        truth = Truth(vfs, folder, bytes.fromhex(session_id), write=False)
        try:
            return truth.note("identity") or {}
        finally:
            truth.close()
    return {}


def _by_landmarks(vfs: Vfs, folder: str) -> dict[str, str]:
    for name in vfs.list_dir(folder):
        path = os.path.join(folder, name, "landmarks.bin")
        with suppress(StoreError, FileNotFoundError):
            fd = vfs.open(path)
            try:
                return decode_header("landmarks", vfs.read(fd, HEADER_BYTES, 0), path)
            finally:
                vfs.close(fd)
    return {}
