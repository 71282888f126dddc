"""A store copied into another folder while its writers go on.

Databases are copied by SQLite itself, each from one snapshot; derived files up to the watermark of
that snapshot, which nobody writes to any more. Copies and no hard links: forgetting overwrites
chunks where they are, and would reach into a backup that shares them, or be undone by its repair.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from typing import NamedTuple

from .catalog import Catalog
from .database import Database
from .errors import CorruptMetadata, NotAFolder, StoreError, StoreLocked, StorePermission
from .header import HEADER_BYTES
from .layouts import Description, read_layout
from .locks import try_lock
from .marker import NAME as MARKER
from .migration import state_in
from .names import leave_unsynced, sync_names
from .paths import generation_folder, require_folder, session_folder, session_ids
from .reserve import NAME as RESERVE
from .rows import State, encode_head
from .truth import Truth
from .types import SessionInfo
from .vfs import Vfs

_FOLDERS = ("locks", "s", "tmp", "trash")
_DATABASE = ("catalog.db", "catalog.db-wal", "catalog.db-shm", "catalog.db-journal")
_KNOWN = {*_FOLDERS, MARKER, RESERVE, *_DATABASE}
_PIECE = 1 << 20
_HOLE = 64 << 10
_TRIES = 20
_TAIL_TRIES = 200


class Copied(NamedTuple):
    """A session of a backup."""

    name: str
    turns: int
    tokens: int


class StoreCopy:
    """A backup on its way, under another name until `finish`.

    Args:
        root: of the store that is copied.
        folder: where the copy is to be; missing or empty.

    Raises:
        StoreError: there is something in the folder.
        StoreLocked: another backup to that folder is on its way.
    """

    def __init__(self, vfs: Vfs, root: str, store_id: bytes, folder: str) -> None:
        self._vfs = vfs
        self._root = root
        self._store_id = store_id
        self._folder = os.path.abspath(folder)
        require_folder(self._folder)
        if os.path.commonpath([os.path.abspath(root), self._folder]) == os.path.abspath(root):
            raise NotAFolder(f"{self._folder} is inside of the store that is to be copied")
        if vfs.lstat(self._folder) is not None and vfs.list_dir(self._folder):
            raise StoreError(f"{self._folder} is not empty; name a new folder for a backup")
        self.staged = f"{self._folder}.partial"
        self._prepare()
        self.num_bytes = 0
        # Revision and generation of each session as it was copied.
        self._copied_at: dict[str, tuple[int, int]] = {}

    def _prepare(self) -> None:
        """Make the staging folder, or take over one that a killed backup left."""
        vfs = self._vfs
        if vfs.lstat(self.staged) is None:
            try:
                vfs.make_dir(self.staged, parents=True)
            except FileNotFoundError as error:  # as in /proc
                raise StorePermission(
                    f"cannot create {self.staged}; choose another place"
                ) from error
        names = vfs.list_dir(self.staged)
        if foreign := [name for name in names if name not in _KNOWN]:
            raise StoreError(f"{self.staged} is in the way, and holds {foreign[0]!r}; remove it")
        vfs.ensure_dir(os.path.join(self.staged, "locks"))
        lock = try_lock(vfs, os.path.join(self.staged, "locks", "backup.lock"))
        if lock is None:
            raise StoreLocked(f"another backup to {self._folder} is on its way")
        self._lock = lock
        # First: without it what is left is no store, whatever happens next.
        vfs.unlink(os.path.join(self.staged, MARKER))
        for name in names:
            if name != "locks":
                vfs.remove_tree(os.path.join(self.staged, name))
        for name in _FOLDERS:
            vfs.ensure_dir(os.path.join(self.staged, name))

    def copy(self, on_session: Callable[[str, int, int], None]) -> None:
        """Copy everything and force it to the disk.

        Args:
            on_session: called with each session's name, the bytes copied, and all bytes that are
                to be copied as far as that is known.
        """
        path = os.path.join(self.staged, "catalog.db")
        self._copy_catalog(path)
        catalog = Catalog(path, self._store_id)
        with closing(catalog):
            for session_id in catalog.deleted_ids():
                catalog.remove(session_id)
            listed = catalog.sessions()
            total = sum(self._size(info) for info in listed)
            for info in listed:
                if not self._copy_session(info):
                    # Deleted since the catalog was copied.
                    catalog.remove(info.id)
                on_session(info.name, self.num_bytes, max(total, self.num_bytes))
            self._copy_changed_families(listed)
        for name in ("s", "tmp", "trash"):
            self._vfs.sync_dir(os.path.join(self.staged, name))
        # Last: from here on it is a store.
        self._copy_file(os.path.join(self._root, MARKER), os.path.join(self.staged, MARKER))
        self._vfs.sync_dir(self.staged)

    def _copy_changed_families(self, listed: list[SessionInfo]) -> None:
        """Copy sessions that share turns again, until nothing was forgotten between two of them."""
        parents = {info.parent for info in listed if info.parent}
        shared = [info for info in listed if info.parent or info.id in parents]
        for _ in range(_TRIES):
            now = {info.id: self._revision(info) for info in shared}
            if all(self._copied_at.get(sid) == found for sid, found in now.items()):
                return
            for info in shared:
                self._copy_session(info)
        raise StoreError("sessions that share messages keep changing; try again")

    def _revision(self, info: SessionInfo) -> tuple[int, int] | None:
        """What grows when chunks of a session change; None if it is gone."""
        folder = session_folder(self._root, info.id)
        if self._vfs.lstat(folder) is None:
            return None
        truth = Truth(self._vfs, folder, bytes.fromhex(info.id), write=False)
        with closing(truth):
            state = truth.load()
        return state.revision, state.gen

    def _size(self, info: SessionInfo) -> int:
        found = 0
        for folder, _, names in os.walk(session_folder(self._root, info.id)):
            for name in names:
                status = self._vfs.lstat(os.path.join(folder, name))
                found += 0 if status is None else status.st_blocks * 512
        return found

    def sizes(self, infos: Iterable[SessionInfo]) -> list[Copied]:
        """What the sessions of the copy hold; nothing of one that cannot be read."""
        found = []
        for info in infos:
            state = State()
            with suppress(CorruptMetadata, FileNotFoundError):
                folder = session_folder(self.staged, info.id)
                # Counts are not encrypted.
                truth = Truth(self._vfs, folder, bytes.fromhex(info.id), write=False)
                with closing(truth):
                    state = truth.load()
            found.append(Copied(info.name, state.n_turn, state.n_tok))
        return found

    def finish(self) -> None:
        """Give the copy its name."""
        for session_id in session_ids(self._vfs, self.staged):
            # Its verification was a writer, and writers leave this file to itself.
            self._sync_file(os.path.join(session_folder(self.staged, session_id), "head.bin"))
        self._vfs.unlink(os.path.join(self.staged, "locks", "backup.lock"))
        leave_unsynced(self._vfs, self.staged)
        self._vfs.rename(self.staged, self._folder)
        sync_names(self._vfs, self._folder)

    def close(self) -> None:
        """Free the lock; what is not finished stays for the next backup to clear away."""
        self._lock.release()

    # ---- databases

    def _copy_catalog(self, target: str) -> None:
        source = Database(os.path.join(self._root, "catalog.db"), write=False)
        with closing(source), source.read() as connection:
            self._copy_database(connection.connection.driver_connection, target)

    def _copy_database(self, source: object, target: str) -> None:
        """Copy what an open read transaction sees."""
        self._vfs.close(self._vfs.open(target, create=True))
        assert isinstance(source, sqlite3.Connection)
        with closing(sqlite3.connect(target)) as connection:
            # At once: in steps it would start anew whenever its writer commits.
            source.backup(connection)
        self.num_bytes += os.stat(target).st_size

    # ---- sessions

    def _copy_session(self, info: SessionInfo) -> bool:
        """Copy a session as it is at one moment; False if it is not there any more."""
        source = session_folder(self._root, info.id)
        target = session_folder(self.staged, info.id)
        self._vfs.ensure_dir(os.path.dirname(target))
        before = self.num_bytes
        for _ in range(_TRIES):
            self._vfs.remove_tree(target)
            self._vfs.make_dir(target)
            self.num_bytes = before
            try:
                if self._copied(info, source, target):
                    break
            except (CorruptMetadata, FileNotFoundError):
                if self._vfs.lstat(os.path.join(source, "session.db")) is not None:
                    raise
                self._vfs.remove_tree(target)
                return False
        self._vfs.sync_dir(target)
        self._vfs.sync_dir(os.path.dirname(target))
        return True

    def _copied(self, info: SessionInfo, source: str, target: str) -> bool:
        """Copy a session; False if what was copied was changed in the middle of it."""
        sid = bytes.fromhex(info.id)
        truth = Truth(self._vfs, source, sid, write=False)
        with closing(truth):
            described = read_layout(truth, truth.load().gen)
            if truth.is_old:
                truth.database.look_again()
            state = self._copy_snapshot(truth, source, target)
            self._copy_chunks(source, target, state, described)
            self._put(os.path.join(target, "head.bin"), encode_head(state, sid))
            now = truth.read_state()
        self._copied_at[info.id] = state.revision, state.gen
        return (now.revision, now.gen) == (state.revision, state.gen)

    def _copy_snapshot(self, truth: Truth, source: str, target: str) -> State:
        """Copy tail and database as they belong together; returns the state in them."""
        live = Truth(self._vfs, source, truth.sid, write=False)
        with closing(live):
            for left in reversed(range(_TAIL_TRIES)):
                with truth.database.read() as connection:
                    state = state_in(connection, truth.database, truth.sid, truth.where)
                    self._vfs.remove_tree(generation_folder(target, state.gen))
                    self._copy_tail(source, target, state)
                    # The writer fills the other slot next, and then this one.
                    if live.read_state().tail_serial == state.tail_serial or not left:
                        driver = connection.connection.driver_connection
                        self._copy_database(driver, os.path.join(target, "session.db"))
                        break
        return state

    def _copy_tail(self, source: str, target: str, state: State) -> None:
        generation = generation_folder(target, state.gen)
        self._vfs.make_dir(generation)
        if state.tail_serial > 0:
            name = f"tail-{state.tail_serial % 2}.bin"
            path = os.path.join(generation_folder(source, state.gen), name)
            if self._vfs.lstat(path) is not None:
                self._copy_file(path, os.path.join(generation, name))

    def _copy_chunks(self, source: str, target: str, state: State, described: Description) -> None:
        geometry, count = described.geometry, state.pub_chunk
        old, new = generation_folder(source, state.gen), generation_folder(target, state.gen)
        rows = HEADER_BYTES + count * described.layout.landmark_bytes
        # Encrypted rows are longer; what stands above the watermark does no harm.
        limit = None if described.cipher else rows
        self._copy_if_there(old, new, "landmarks.bin", limit)
        for n in range(-(-count // geometry.cap)):
            last = min(count, (n + 1) * geometry.cap) - 1
            limit = geometry.block_offset(last) + geometry.stride
            self._copy_if_there(old, new, f"kv-{n}.seg", limit)
        self._vfs.sync_dir(new)

    def _copy_if_there(self, old: str, new: str, name: str, limit: int | None) -> None:
        # What is missing, the copy lacks as well: its verification tells.
        if self._vfs.lstat(os.path.join(old, name)) is not None:
            self._copy_file(os.path.join(old, name), os.path.join(new, name), limit)

    # ---- files

    def _put(self, path: str, data: bytes) -> None:
        fd = self._vfs.open(path, create=True)
        try:
            self._vfs.write(fd, data, 0)
            self._vfs.sync(fd)
        finally:
            self._vfs.close(fd)

    def _sync_file(self, path: str) -> None:
        fd = self._vfs.open(path, write=True)
        try:
            self._vfs.sync(fd)
        finally:
            self._vfs.close(fd)

    def _copy_file(self, source: str, target: str, limit: int | None = None) -> None:
        """Copy the first `limit` bytes, holes as holes, and force them to the disk."""
        reading = self._vfs.open(source)
        try:
            writing = self._vfs.open(target, create=True)
            try:
                size = self._vfs.size(reading)
                length = size if limit is None else min(size, limit)
                self._copy_bytes(reading, writing, length)
                self._vfs.extend(writing, length)
                self._vfs.sync(writing)
            finally:
                self._vfs.close(writing)
        finally:
            self._vfs.close(reading)
        self.num_bytes += length

    def _copy_bytes(self, reading: int, writing: int, length: int) -> None:
        for start in range(0, length, _PIECE):
            piece = self._vfs.read(reading, min(_PIECE, length - start), start)
            if any(piece[:_HOLE]) and any(piece[-_HOLE:]):
                self._vfs.write(writing, piece, start)
                continue
            for first in range(0, len(piece), _HOLE):
                part = piece[first : first + _HOLE]
                if part.count(0) < len(part):
                    self._vfs.write(writing, part, start + first)
