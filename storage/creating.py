"""Making stores and sessions: all files of a session are there and synced before it has a name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa

from .catalog import create_catalog
from .cipher import PLAIN, Cipher, place_of
from .database import create_database
from .errors import StoreError, StorePermission
from .holes import put_seams
from .landmarks import create_landmarks
from .layouts import Description, common_fields, describe, layout_key
from .locks import catalog_lock
from .maps import pack_map
from .marker import NAME as MARKER
from .marker import has_sessions, read_marker, write_marker
from .names import are_unsynced, sync_names
from .paths import generation_folder, require_folder
from .reserve import NAME as RESERVE
from .rows import State, encode_head, note_sum
from .tables import notes, session_tables, state
from .truth import CALLERS
from .types import Layout, SessionInfo
from .vfs import Vfs
from .writers import FirstWriter

MAX_NAME_BYTES = 1024
_FOLDERS = ("locks", "s", "tmp", "trash")


def encode_name(name: str, what: str = "session") -> bytes:
    """A name in UTF-8, once it is one of a session or user; raises ValueError."""
    if not isinstance(name, str):
        raise ValueError(f"{what} name must be a str, got {type(name).__name__}")
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} name has a lone surrogate: {error}") from error
    if not 0 < len(encoded) <= MAX_NAME_BYTES:
        raise ValueError(f"{what} name is {len(encoded)} bytes; 1 to {MAX_NAME_BYTES} are allowed")
    return encoded


def prepare_store(vfs: Vfs, root: str, *, create: bool) -> None:
    """Make sure that what is written to a store from now on has a name on the disk.

    Args:
        create: make an empty store in a missing or empty directory.
    """
    if create and vfs.lstat(os.path.join(root, MARKER)) is None:
        _create_store(vfs, root)
    # Also where another process made it while this one waited.
    if are_unsynced(vfs, root):
        with catalog_lock(vfs, root):
            sync_names(vfs, root)


def _create_store(vfs: Vfs, root: str) -> None:
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
        if vfs.lstat(os.path.join(root, MARKER)) is not None:
            return
        catalog = os.path.join(root, "catalog.db")
        for name in (catalog, catalog + "-wal", catalog + "-shm"):
            vfs.unlink(name)
        create_catalog(vfs, catalog)
        write_marker(vfs, root, os.urandom(16))


def _require_free(vfs: Vfs, root: str) -> None:
    """Refuse to make a store over somebody's files, or over a store that lost its marker."""
    ours = (*_FOLDERS, RESERVE)
    foreign = [n for n in vfs.list_dir(root) if n not in ours and not n.startswith("catalog.")]
    if foreign and MARKER not in foreign:
        raise StoreError(f"{root} is not a store and not empty (it holds {foreign[0]!r})")
    if has_sessions(vfs, root):
        read_marker(vfs, root)


def fill_tables(
    connection: sa.Connection, store_id: bytes, info: SessionInfo, start: Start
) -> None:
    """Fill the tables of a new session: its first state row, its notes and seams."""
    sid, gen = bytes.fromhex(info.id), start.state.gen
    connection.execute(sa.insert(state), {"id": 1, **start.state.to_row(sid)})
    put_seams(connection, sid, gen, start.seams)
    maps = {"identity": identity_of(store_id, info), layout_key(gen): start.described.to_note()}
    if start.owner is not None:
        maps["owner"] = start.owner
    cipher = start.cipher.of_session(sid)
    if start.maps:
        writer = FirstWriter()
        cipher.attach(writer)
        cipher.begin()
        maps |= writer.notes | {CALLERS + key: value for key, value in start.maps.items()}
    for key, value in maps.items():
        packed = pack_map(value, key)
        if key.startswith(CALLERS):
            packed = cipher.seal(packed, place_of(sid, "note", key))
        row = {"key": key, "value": packed, "sum": note_sum(sid, key, packed)}
        connection.execute(sa.insert(notes), row)


class Start(NamedTuple):
    """What a session begins with."""

    state: State
    described: Description
    seams: dict[int, int]
    owner: dict[str, Any] | None = None
    """What it keeps of its user; None for the store's own, not encrypted."""
    maps: Mapping[str, dict[str, Any]] = MappingProxyType({})
    """The caller's."""
    cipher: Cipher = PLAIN
    """How it is stored, as of any session of its user."""


def new_start(layout: Layout, cipher: Cipher = PLAIN, owner: dict[str, Any] | None = None) -> Start:
    """What a session without turns begins with."""
    return Start(State(), describe(layout, cipher), {}, owner, cipher=cipher)


def write_files(vfs: Vfs, folder: str, store_id: bytes, info: SessionInfo, start: Start) -> None:
    """Write all files of a session that begins so into a staging directory and sync them."""
    sid, gen, described = bytes.fromhex(info.id), start.state.gen, start.described
    vfs.make_dir(folder)
    database = create_database(vfs, os.path.join(folder, "session.db"), session_tables)
    with database.write() as connection:
        fill_tables(connection, store_id, info, start)
    database.checkpoint()
    database.close()
    fd = vfs.open(os.path.join(folder, "head.bin"), create=True)
    vfs.write(fd, encode_head(start.state, sid), 0)
    vfs.close(fd)
    generation = generation_folder(folder, gen)
    vfs.make_dir(generation)
    fields = common_fields(store_id, sid, gen, described)
    path = os.path.join(generation, "landmarks.bin")
    create_landmarks(vfs, path, fields, first=start.state.base_chunk * described.landmark_width)
    vfs.sync_dir(generation)
    vfs.sync_dir(folder)


def identity_of(store_id: bytes, info: SessionInfo) -> dict[str, Any]:
    """What a session says of itself, from which the catalog can be rebuilt."""
    identity = {"store": store_id.hex(), "sid": info.id, "name": info.name, "created": info.created}
    more = {"user": info.user, "parent": info.parent}
    return {**identity, **{key: value for key, value in more.items() if value}}


def identity_from(note: dict[str, Any]) -> SessionInfo:
    """The same read back; raises KeyError or ValueError if it is none."""
    return SessionInfo(
        name=str(note["name"]),
        id=str(note["sid"]),
        created=float(note["created"]),
        user=str(note.get("user", "")),
        parent=str(note.get("parent", "")),
    )
