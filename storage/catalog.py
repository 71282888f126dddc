"""catalog.db: its users and sessions. Written under locks/catalog.lock, read without."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa

from .checksums import xxh3_bytes
from .database import USER_VERSION, Database, create_database
from .errors import CorruptMetadata, StoreError
from .rows import DECODE_ERRORS
from .tables import catalog_tables, sessions, users
from .types import SessionInfo, User
from .vfs import Vfs

_NUMBERS = struct.Struct("<dqqqII")
_NUMBERS_1 = struct.Struct("<dq")
_USER = struct.Struct("<dqqqI")


class Row(NamedTuple):
    """A row of `sessions`; one of format 1.0 has its first four columns."""

    sid: str
    name: str
    created: float
    deleted: int
    owner: str = ""
    parent: str = ""
    held_tokens: int = 0
    held_bytes: int = 0

    def checksum(self, store_id: bytes) -> bytes:
        """xxh3 over the store's id and all columns."""
        name, owner = self.name.encode(), self.owner.encode()
        held = (self.held_tokens, self.held_bytes, len(name), len(owner))
        numbers = (self.created, self.deleted, *held)
        parts = (bytes.fromhex(self.sid), _NUMBERS.pack(*numbers), name, owner)
        return xxh3_bytes(b"".join((store_id, *parts, self.parent.encode())))

    def checksum_1(self, store_id: bytes) -> bytes:
        """The same in format 1.0."""
        numbers = _NUMBERS_1.pack(self.created, self.deleted)
        return xxh3_bytes(store_id + bytes.fromhex(self.sid) + numbers + self.name.encode())


_COLUMNS = ", ".join((*Row._fields, "sum"))
_COLUMNS_1 = "sid, name, created, deleted, sum"


class Catalog:
    """The open catalog.

    Args:
        path: catalog.db, which exists.
        store_id: 16 bytes, part of every row's checksum.
        connect: opens the rows, for writing or not, if they are not in that file.
    """

    def __init__(
        self, path: str, store_id: bytes, connect: Callable[[bool], Database] | None = None
    ) -> None:
        self._path = path
        self._connect = connect or (lambda write: Database(path, write=write))
        self._store_id = store_id
        self._reader: Database | None = None
        self._pid = os.getpid()
        self._mutex = threading.RLock()

    # ---- sessions

    def find(self, name: str, owner: str = "") -> SessionInfo | None:
        """The live session of that name and user, or None."""
        where = "WHERE name = :name" + ("" if self.is_old else " AND owner = :owner")
        rows = self._select(where, name=name, owner=owner)
        live = [self._decode(row) for row in rows if not self._checked(row).deleted]
        return live[0] if live and live[0].user == owner else None

    def sessions(self, owner: str | None = None) -> list[SessionInfo]:
        """All live sessions, oldest first; only those of a user if one is named."""
        where = "" if owner is None or self.is_old else "WHERE owner = :owner"
        rows = self._select(f"{where} ORDER BY created, sid", owner=owner)
        live = [self._decode(row) for row in rows if not self._checked(row).deleted]
        return [info for info in live if owner in (None, info.user)]

    def forks(self, session_id: str) -> list[SessionInfo]:
        """Live sessions that were forked from one, from those, and so on."""
        if self.is_old:
            return []
        found: list[SessionInfo] = []
        for row in self._select("WHERE parent = :parent ORDER BY created, sid", parent=session_id):
            if not self._checked(row).deleted:
                info = self._decode(row)
                found += [info, *self.forks(info.id)]
        return found

    def deleted_ids(self) -> list[str]:
        """Sessions whose deletion was decided and not finished."""
        return [row[0] for row in self._select("") if self._checked(row).deleted]

    def add(self, info: SessionInfo) -> None:
        """Insert a session; the caller holds the lock and has made its files."""
        with self._write() as connection:
            connection.execute(sa.insert(sessions), self.row_of(info))

    def mark_deleted(self, info: SessionInfo) -> None:
        """Decide a deletion: from here on the session does not exist."""
        with self._write() as connection:
            self._mark_deleted(connection, info)

    def _mark_deleted(self, connection: sa.Connection, info: SessionInfo) -> None:
        connection.execute(sa.delete(sessions).where(sessions.c.sid == info.id))
        # The name is free at once; the id stands in for it until the files are gone.
        gone = SessionInfo(name=f"deleted {info.id}", id=info.id, created=info.created)
        connection.execute(sa.insert(sessions), self.row_of(gone, deleted=1))

    def replace(self, infos: Sequence[SessionInfo], gone: SessionInfo | None) -> None:
        """Insert sessions whose files are there, and decide a deletion, in one transaction."""
        with self._write() as connection:
            if gone is not None:
                self._mark_deleted(connection, gone)
            for info in infos:
                connection.execute(sa.insert(sessions), self.row_of(info))

    def restore(self, info: SessionInfo) -> None:
        """Insert a session in place of damaged rows of its id."""
        with self._write() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.sid == info.id))
            connection.execute(sa.insert(sessions), self.row_of(info))

    def remove(self, session_id: str) -> None:
        """Drop a row once its files are gone."""
        with self._write() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.sid == session_id))

    def row_of(self, info: SessionInfo, *, deleted: int = 0) -> dict[str, Any]:
        """The row of a session, to be inserted into `sessions`."""
        row = Row(info.id, info.name, info.created, deleted, info.user, info.parent)
        return {**row._asdict(), "sum": row.checksum(self._store_id)}

    # ---- users

    def user(self, name: str) -> User | None:
        """The live user of that name, or None."""
        return next((user for user in self.users() if user.name == name), None)

    def users(self, *, deleted: bool = False) -> list[User]:
        """All live users, oldest first; or those whose deletion was decided and not finished."""
        if self.is_old:
            return []
        with self._read() as connection:
            rows = connection.execute(sa.select(users).order_by(users.c.created, users.c.uid)).all()
        found = [self._decode_user(row) for row in rows]
        return [user for user in found if user.deleted == deleted]

    def put_user(self, user: User) -> None:
        """Insert a user, or replace the row of its id; the caller holds the lock."""
        with self._write() as connection:
            connection.execute(sa.delete(users).where(users.c.uid == user.id))
            connection.execute(sa.insert(users), self._user_row(user))

    def remove_user(self, user_id: str) -> None:
        """Drop a user's row once its sessions are gone."""
        with self._write() as connection:
            connection.execute(sa.delete(users).where(users.c.uid == user_id))

    def _user_row(self, user: User) -> dict[str, Any]:
        return {
            "uid": user.id,
            "name": user.name,
            "created": user.created,
            "max_tokens": -1 if user.max_tokens is None else user.max_tokens,
            "max_bytes": -1 if user.max_bytes is None else user.max_bytes,
            "key": user.key,
            "deleted": int(user.deleted),
            "sum": self._user_sum(user),
        }

    def _user_sum(self, user: User) -> bytes:
        limits = [-1 if x is None else x for x in (user.max_tokens, user.max_bytes)]
        name = user.name.encode()
        numbers = _USER.pack(user.created, *limits, user.deleted, len(name))
        parts = (self._store_id, b"user", user.id.encode(), numbers, name, user.key)
        return xxh3_bytes(b"".join(parts))

    def _decode_user(self, row: Any) -> User:
        try:
            limits = [None if x < 0 else x for x in (row.max_tokens, row.max_bytes)]
            user = User(
                name=row.name,
                id=row.uid,
                created=row.created,
                max_tokens=limits[0],
                max_bytes=limits[1],
                key=row.key,
                deleted=bool(row.deleted),
            )
            good = self._user_sum(user) == row.sum
        except DECODE_ERRORS as error:
            raise CorruptMetadata(f"{self._path}: user {row.uid!r}: {error}") from error
        if not good:
            raise CorruptMetadata(
                f"{self._path}: the row of user {row.uid!r} fails its checksum; run check"
            )
        return user

    # ---- checking

    def damaged(self) -> list[str]:
        """Complaints of SQLite and about rows that fail their checksum."""
        try:
            with self._mutex:
                complaints = self._open_reader().integrity()
            rows = self._select("ORDER BY created, sid")
            self.users()
        except StoreError as error:
            return [str(error)]
        for row in rows:
            try:
                self._checked(row)
            except CorruptMetadata as error:
                complaints.append(str(error))
        return complaints

    def rebuild(self, vfs: Vfs) -> None:
        """Write the catalog anew with the rows that are whole: deletions, users and sessions that
        are not there are in no other place. `restore` adds the rest. The caller holds the lock.
        """
        rows = [checked for row in self.scan()[0] if (checked := self.if_whole(row))]
        known = self._whole_users()
        self.close()
        staged = Catalog(self._path + ".new", self._store_id)
        for suffix in ("-wal", "-shm", ""):
            vfs.unlink(staged._path + suffix)
        create_catalog(vfs, staged._path)
        with staged._write() as connection:
            staged._fill(connection, rows, known)
        for suffix in ("-wal", "-shm"):
            vfs.unlink(self._path + suffix)
        vfs.rename(staged._path, self._path)
        vfs.sync_dir(os.path.dirname(self._path))

    def _fill(self, connection: sa.Connection, rows: Sequence[Row], known: list[User]) -> None:
        for row in rows:
            # A damaged index may have let a name in twice.
            insert = sa.insert(sessions).prefix_with("OR IGNORE")
            values = {**row._asdict(), "sum": row.checksum(self._store_id)}
            connection.execute(insert, values)
        for user in known:
            connection.execute(sa.insert(users).prefix_with("OR IGNORE"), self._user_row(user))

    def scan(self) -> tuple[list[Any], bool]:
        """All rows that can be read, verified or not, and whether that was the whole table."""
        rows: list[Any] = []
        try:
            statement = self._statement("NOT INDEXED")
            with self._read() as connection, connection.execute(statement) as result:
                # One by one: what comes before an error is kept.
                for row in result:
                    rows.append(row)
        except StoreError:
            return rows, False
        return rows, True

    def _whole_users(self) -> list[User]:
        found: list[User] = []
        try:
            with self._read() as connection:
                rows = connection.execute(sa.text("SELECT * FROM users NOT INDEXED")).all()
        except StoreError:
            return found
        for row in rows:
            try:
                found.append(self._decode_user(row))
            except CorruptMetadata:
                continue
        return found

    def migrate(self) -> None:
        """Bring a catalog of an older format up to ours, in one transaction; the caller holds the
        lock. Rows that are damaged are for `check` to repair first."""
        if not self.is_old:
            return
        rows = [self._checked(row) for row in self._select("")]
        with self._write() as connection:
            connection.exec_driver_sql("DROP TABLE sessions")
            catalog_tables.create_all(connection)
            self._fill(connection, rows, [])
            connection.exec_driver_sql(f"PRAGMA user_version={USER_VERSION}")

    # ---- rows

    def _statement(self, where: str) -> sa.TextClause:
        columns = _COLUMNS_1 if self.is_old else _COLUMNS
        return sa.text(f"SELECT {columns} FROM sessions {where}")

    def _select(self, where: str, **values: Any) -> Sequence[Any]:
        with self._mutex:
            statement = self._statement(where)
            named = {name: x for name, x in values.items() if f":{name}" in where}
            with self._read() as connection:
                return connection.execute(statement, named).all()

    def _checked(self, row: Any) -> Row:
        """The row's values, once they agree with their checksum."""
        try:
            values = Row(*row[:-1])
            old = len(row) == 5
            own = values.checksum_1(self._store_id) if old else values.checksum(self._store_id)
            good = own == row[-1]
        except DECODE_ERRORS as error:
            raise CorruptMetadata(f"{self._path}: session {row[0]!r}: {error}") from error
        if not good:
            raise CorruptMetadata(
                f"{self._path}: the row of session {row[0]!r} fails its checksum; "
                "run check with repair to rebuild it from the session"
            )
        return values

    def if_whole(self, row: Any) -> Row | None:
        """The values of a row of `scan`, or None if it is damaged."""
        try:
            return self._checked(row)
        except CorruptMetadata:
            return None

    def _decode(self, row: Any) -> SessionInfo:
        values = Row(*row[:-1])
        return SessionInfo(
            name=values.name,
            id=values.sid,
            created=values.created,
            user=values.owner,
            parent=values.parent,
        )

    # ---- connections

    @property
    def is_old(self) -> bool:
        """Whether it has an older format, as a reader may find it."""
        with self._mutex:
            reader = self._open_reader()
            if reader.version < USER_VERSION:
                # Somebody may have brought it up to our format meanwhile.
                reader.look_again()
            return reader.version < USER_VERSION

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with self._mutex, self._open_reader().read() as connection:
            yield connection

    def _open_reader(self) -> Database:
        # The child of a fork inherits a reader it must not touch.
        if self._reader is None or self._pid != os.getpid():
            self._reader = self._connect(False)
            self._pid = os.getpid()
        return self._reader

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        # Opened for this one change, so that only the holder of the lock ever checkpoints.
        database = self._connect(True)
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
