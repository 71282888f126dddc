"""catalog.db: which sessions there are. Written under locks/catalog.lock, read without."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from .checksums import xxh3_bytes
from .database import Database, create_database
from .errors import CorruptMetadata, StoreError
from .rows import DECODE_ERRORS
from .tables import catalog_tables, sessions
from .types import SessionInfo
from .vfs import Vfs

_NUMBERS = struct.Struct("<dq")
_select_all = sa.select(sessions).order_by(sessions.c.created, sessions.c.sid)
# Past every index: the damage may be there.
_scan_all = sa.text("SELECT sid, name, created, deleted, sum FROM sessions NOT INDEXED")
_select_name = sa.text("SELECT sid, name, created, deleted, sum FROM sessions WHERE name = :wanted")


class Catalog:
    """The open catalog.

    Args:
        path: catalog.db, which exists.
        store_id: 16 bytes, part of every row's checksum.
    """

    def __init__(self, path: str, store_id: bytes) -> None:
        self._path = path
        self._store_id = store_id
        self._reader: Database | None = None
        self._pid = os.getpid()
        self._mutex = threading.RLock()

    def find(self, name: str) -> SessionInfo | None:
        """The live session of that name, or None."""
        with self._read() as connection:
            row = connection.execute(_select_name, {"wanted": name}).one_or_none()
        if row is None or self._is_deleted(row):
            return None
        return self._decode(row)

    def sessions(self) -> list[SessionInfo]:
        """All live sessions, oldest first."""
        with self._read() as connection:
            rows = connection.execute(_select_all).all()
        return [self._decode(row) for row in rows if not self._is_deleted(row)]

    def deleted_ids(self) -> list[str]:
        """Sessions whose deletion was decided and not finished."""
        with self._read() as connection:
            rows = connection.execute(_select_all).all()
        return [row.sid for row in rows if self._is_deleted(row)]

    def damaged(self) -> list[str]:
        """Complaints of SQLite and about rows that fail their checksum."""
        try:
            with self._mutex:
                complaints = self._open_reader().integrity()
            with self._read() as connection:
                rows = connection.execute(_select_all).all()
        except StoreError as error:
            return [str(error)]
        for row in rows:
            try:
                self._is_deleted(row)
            except CorruptMetadata as error:
                complaints.append(str(error))
        return complaints

    def rebuild(self, vfs: Vfs) -> None:
        """Write the catalog anew with the rows that are whole: deletions and sessions that are
        not there are in no other place. `restore` adds the rest. The caller holds the lock.
        """
        rows = [row for row in self.scan()[0] if self._is_whole(row)]
        self.close()
        staged = Catalog(self._path + ".new", self._store_id)
        for suffix in ("-wal", "-shm", ""):
            vfs.unlink(staged._path + suffix)
        create_catalog(vfs, staged._path)
        with staged._write() as connection:
            for row in rows:
                # A damaged index may have let a name in twice.
                insert = sa.insert(sessions).prefix_with("OR IGNORE")
                connection.execute(insert, self._row(self._decode(row), deleted=row.deleted))
        for suffix in ("-wal", "-shm"):
            vfs.unlink(self._path + suffix)
        vfs.rename(staged._path, self._path)
        vfs.sync_dir(os.path.dirname(self._path))

    def scan(self) -> tuple[list[Any], bool]:
        """All rows that can be read, verified or not, and whether that was the whole table."""
        rows: list[Any] = []
        try:
            with self._read() as connection, connection.execute(_scan_all) as result:
                # One by one: what comes before an error is kept.
                for row in result:
                    rows.append(row)
        except StoreError:
            return rows, False
        return rows, True

    def add(self, info: SessionInfo) -> None:
        """Insert a session; the caller holds the lock and has made its files."""
        with self._write() as connection:
            connection.execute(sa.insert(sessions), self._row(info, deleted=0))

    def mark_deleted(self, info: SessionInfo) -> None:
        """Decide a deletion: from here on the session does not exist."""
        with self._write() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.sid == info.id))
            # The name is free at once; the id stands in for it until the files are gone.
            gone = SessionInfo(name=f"deleted {info.id}", id=info.id, created=info.created)
            connection.execute(sa.insert(sessions), self._row(gone, deleted=1))

    def restore(self, info: SessionInfo) -> None:
        """Insert a session in place of damaged rows of its id."""
        with self._write() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.sid == info.id))
            connection.execute(sa.insert(sessions), self._row(info, deleted=0))

    def remove(self, session_id: str) -> None:
        """Drop a row once its files are gone."""
        with self._write() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.sid == session_id))

    def _row(self, info: SessionInfo, *, deleted: int) -> dict[str, Any]:
        return {
            "sid": info.id,
            "name": info.name,
            "created": info.created,
            "deleted": deleted,
            "sum": self._sum(info.id, info.name, info.created, deleted),
        }

    def _sum(self, sid: str, name: str, created: float, deleted: int) -> bytes:
        numbers = _NUMBERS.pack(created, deleted)
        return xxh3_bytes(self._store_id + bytes.fromhex(sid) + numbers + name.encode())

    def _is_whole(self, row: Any) -> bool:
        try:
            self._is_deleted(row)
        except CorruptMetadata:
            return False
        return True

    def _is_deleted(self, row: Any) -> bool:
        try:
            good = self._sum(row.sid, row.name, row.created, row.deleted) == row.sum
        except DECODE_ERRORS as error:
            raise CorruptMetadata(f"{self._path}: session {row.sid!r}: {error}") from error
        if not good:
            raise CorruptMetadata(
                f"{self._path}: the row of session {row.sid!r} fails its checksum; "
                "run check with repair to rebuild it from the session"
            )
        return bool(row.deleted)

    def _decode(self, row: Any) -> SessionInfo:
        return SessionInfo(name=row.name, id=row.sid, created=row.created)

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with self._mutex, self._open_reader().read() as connection:
            yield connection

    def _open_reader(self) -> Database:
        # The child of a fork inherits a reader it must not touch.
        if self._reader is None or self._pid != os.getpid():
            self._reader = Database(self._path, write=False)
            self._pid = os.getpid()
        return self._reader

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        # Opened for this one change, so that only the holder of the lock ever checkpoints.
        database = Database(self._path, write=True)
        try:
            with database.write() as connection:
                yield connection
            database.checkpoint()
        finally:
            database.close()

    def close(self) -> None:
        """Close the reading connection."""
        with self._mutex:
            if self._reader is not None:
                self._reader.close()
                self._reader = None


def create_catalog(vfs: Vfs, path: str) -> None:
    """Write an empty catalog."""
    create_database(vfs, path, catalog_tables).close()
