"""Making stores and sessions: all files of a session are there and synced before it has a name."""

from __future__ import annotations

import os
from typing import Any

import sqlalchemy as sa

from .catalog import create_catalog
from .cipher import PLAIN, Cipher
from .database import Database, create_database
from .errors import StoreError, StorePermission
from .landmarks import create_landmarks
from .layouts import common_fields, describe, layout_key
from .locks import catalog_lock
from .maps import pack_map
from .marker import has_sessions, read_marker, write_marker
from .paths import require_folder
from .rows import State, encode_head, note_sum
from .tables import notes, session_tables, state
from .types import Layout, SessionInfo
from .vfs import Vfs

MAX_NAME_BYTES = 1024
_FOLDERS = ("locks", "s", "tmp", "trash")


def encode_name(name: str) -> bytes:
    """A session's name in UTF-8, once it is one; raises ValueError."""
    if not isinstance(name, str):
        raise ValueError(f"session name must be a str, got {type(name).__name__}")
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"session name has a lone surrogate: {error}") from error
    if not 0 < len(encoded) <= MAX_NAME_BYTES:
        raise ValueError(f"session name is {len(encoded)} bytes; 1 to {MAX_NAME_BYTES} are allowed")
    return encoded


def create_store(vfs: Vfs, root: str) -> None:
    """Make an empty store in a missing or empty directory."""
    if vfs.lstat(root) is None:
        try:
            vfs.make_dir(root, parents=True)
        except FileExistsError:
            pass  # another process may be making the same store; the lock below decides
        except FileNotFoundError as error:  # as in /proc
            raise StorePermission(f"cannot create {root}; choose another place") from error
    require_folder(root)
    _require_free(vfs, root)
    for folder in _FOLDERS:
        vfs.ensure_dir(os.path.join(root, folder))
    with catalog_lock(vfs, root):
        marker = os.path.join(root, "STORE")
        if vfs.lstat(marker) is not None:
            return
        catalog = os.path.join(root, "catalog.db")
        for name in (catalog, catalog + "-wal", catalog + "-shm"):
            vfs.unlink(name)
        create_catalog(vfs, catalog)
        write_marker(vfs, root, os.urandom(16))
        vfs.sync_dir(os.path.dirname(root))


def _require_free(vfs: Vfs, root: str) -> None:
    """Refuse to make a store over somebody's files, or over a store that lost its marker."""
    foreign = [n for n in vfs.list_dir(root) if n not in _FOLDERS and not n.startswith("catalog.")]
    if foreign and "STORE" not in foreign:
        raise StoreError(f"{root} is not a store and not empty (it holds {foreign[0]!r})")
    if has_sessions(vfs, root):
        read_marker(vfs, root)


def _initialise(database: Database, sid: bytes, maps: dict[str, dict[str, Any]]) -> None:
    """Fill the tables of a new session: its first state row and its notes."""
    with database.write() as connection:
        connection.execute(sa.insert(state), {"id": 1, **State().to_row(sid)})
        for key, value in maps.items():
            packed = pack_map(value, key)
            row = {"key": key, "value": packed, "sum": note_sum(sid, key, packed)}
            connection.execute(sa.insert(notes), row)


def write_session(
    vfs: Vfs,
    folder: str,
    store_id: bytes,
    info: SessionInfo,
    layout: Layout,
    cipher: Cipher = PLAIN,
) -> None:
    """Write all files of a new session into a staging directory and sync them."""
    sid = bytes.fromhex(info.id)
    described = describe(layout, cipher)
    vfs.make_dir(folder)
    database = create_database(vfs, os.path.join(folder, "session.db"), session_tables)
    maps = {"identity": identity_of(store_id, info), layout_key(1): described.to_note()}
    _initialise(database, sid, maps)
    database.checkpoint()
    database.close()
    fd = vfs.open(os.path.join(folder, "head.bin"), create=True)
    vfs.write(fd, encode_head(State(), sid), 0)
    vfs.close(fd)
    generation = os.path.join(folder, "g1")
    vfs.make_dir(generation)
    fields = common_fields(store_id, sid, 1, described)
    create_landmarks(vfs, os.path.join(generation, "landmarks.bin"), fields)
    vfs.sync_dir(generation)
    vfs.sync_dir(folder)


def identity_of(store_id: bytes, info: SessionInfo) -> dict[str, Any]:
    """What a session says of itself, from which the catalog can be rebuilt."""
    identity = {"store": store_id.hex(), "sid": info.id, "name": info.name, "created": info.created}
    more = {"user": info.user, "parent": info.parent}
    return {**identity, **{key: value for key, value in more.items() if value}}
