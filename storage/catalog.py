"""catalog.db: its users and sessions. Written under locks/catalog.lock, read without."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from .catalog_rows import Held, Row, decode_user, user_columns
from .database import USER_VERSION, Database, create_database
from .errors import CorruptMetadata, DurabilityLost, StoreError, StoreFull
from .names import leave_unsynced, sync_names
from .paths import file_id
from .rows import DECODE_ERRORS
from .tables import catalog_tables, sessions, users
from .types import SessionInfo, User
from .vfs import Vfs

_COLUMNS = ", ".join((*Row._fields, "sum"))
_COLUMNS_1 = "sid, name, created, deleted, sum"
# Text: to compile a select costs as much as the rest of opening a session.
_select_user = f"SELECT {', '.join(users.c.keys())} FROM users"
_user_by_name = sa.text(f"{_select_user} WHERE name = :value")
_user_by_id = sa.text(f"{_select_user} WHERE uid = :value")


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
        self._read: tuple[int, int] | None = None
        self._pid = os.getpid()
        self._mutex = threading.RLock()

    # ---- sessions

    def find(self, name: str, owner: str = "") -> SessionInfo | None:
        """The live session of that name and user, or None."""
        where = "WHERE name = :name" + ("" if self.is_old else " AND owner = :owner")
        rows = self._select(where, name=name, owner=owner)
        live = [self._decode(row) for row in rows if not self.checked(row).deleted]
        return live[0] if live and live[0].user == owner else None

    def sessions(self, owner: str | None = None) -> list[SessionInfo]:
        """All live sessions, oldest first; only those of a user if one is named."""
        where = "" if owner is None or self.is_old else "WHERE owner = :owner"
        rows = self._select(f"{where} ORDER BY created, sid", owner=owner)
        live = [self._decode(row) for row in rows if not self.checked(row).deleted]
        return [info for info in live if owner in (None, info.user)]

    def forks(self, session_id: str) -> list[SessionInfo]:
        """Live sessions that were forked from one, from those, and so on."""
        if self.is_old:
            return []
        found: list[SessionInfo] = []
        for row in self._select("WHERE parent = :parent ORDER BY created, sid", parent=session_id):
            if not self.checked(row).deleted:
                info = self._decode(row)
                found += [info, *self.forks(info.id)]
        return found

    def deleted_ids(self) -> list[str]:
        """Sessions whose deletion was decided and not finished."""
        return [row[0] for row in self._select("") if self.checked(row).deleted]

    def deletion(self, session_id: str) -> int:
        """How a session's deletion was decided: 0 not at all, 1 by itself, 2 with its user."""
        rows = self._select("WHERE sid = :sid", sid=session_id)
        return max((self.checked(row).deleted for row in rows), default=0)

    def has_deletions(self) -> bool:
        """Whether a deletion was decided and not finished; rows are not verified."""
        tables = ["sessions"] if self.is_old else ["sessions", "users"]
        with self.reading() as connection:
            return any(
                connection.execute(sa.text(f"SELECT 1 FROM {x} WHERE deleted LIMIT 1")).first()
                for x in tables
            )

    def add(self, info: SessionInfo) -> None:
        """Insert a session; the caller holds the lock and has made its files."""
        with self.writing() as connection:
            connection.execute(sa.insert(sessions), self.row_of(info))

    def mark_deleted(self, info: SessionInfo) -> None:
        """Decide a deletion: from here on the session does not exist."""
        with self.writing() as connection:
            self._bury(connection, info, 1)

    def mark_user_deleted(self, user: User, infos: Sequence[SessionInfo]) -> None:
        """Decide the deletion of a user and of all her sessions, and destroy her key."""
        gone = replace(user, name=f"deleted {user.id}", key=b"", deleted=True)
        with self.writing() as connection:
            for info in infos:
                self._bury(connection, info, 2)
            connection.execute(sa.delete(users).where(users.c.uid == user.id))
            connection.execute(sa.insert(users), user_columns(gone, self._store_id))

    def _bury(self, connection: sa.Connection, info: SessionInfo, deleted: int) -> None:
        connection.execute(sa.delete(sessions).where(sessions.c.sid == info.id))
        # The name is free at once; the id stands in for it until the files are gone.
        gone = SessionInfo(name=f"deleted {info.id}", id=info.id, created=info.created)
        connection.execute(sa.insert(sessions), self.row_of(gone, deleted=deleted))

    def replace(
        self, infos: Sequence[SessionInfo], gone: SessionInfo | None, held: Mapping[str, Held]
    ) -> None:
        """Insert sessions whose files are there, and decide a deletion, in one transaction."""
        with self.writing() as connection:
            if gone is not None:
                self._bury(connection, gone, 1)
            for info in infos:
                row = self.row_of(info, held=held.get(info.id, (0, 0)))
                connection.execute(sa.insert(sessions), row)

    def restore(self, info: SessionInfo) -> None:
        """Insert a session in place of damaged rows of its id."""
        with self.writing() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.sid == info.id))
            connection.execute(sa.insert(sessions), self.row_of(info))

    def remove(self, session_id: str) -> None:
        """Drop a row once its files are gone."""
        with self.writing() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.sid == session_id))

    def row_of(self, info: SessionInfo, *, deleted: int = 0, held: Held = (0, 0)) -> dict[str, Any]:
        """The row of a session, to be inserted into `sessions`; `deleted` is 2 with its user."""
        row = Row(info.id, info.name, info.created, deleted, info.user, info.parent, *held)
        return self.columns_of(row)

    def columns_of(self, row: Row) -> dict[str, Any]:
        """A row with its checksum."""
        return {**row._asdict(), "sum": row.checksum(self._store_id)}

    # ---- users

    def user(self, name: str) -> User | None:
        """The live user of that name, or None; "" is the store itself, if it has a key."""
        return self._one_user(_user_by_name, name)

    def user_by_id(self, user_id: str) -> User | None:
        """The live user of that id, or None."""
        return self._one_user(_user_by_id, user_id)

    def _one_user(self, statement: sa.TextClause, value: str) -> User | None:
        if self.is_old:
            return None
        with self.reading() as connection:
            row = connection.execute(statement, {"value": value}).one_or_none()
        user = None if row is None else self.decode_user(row)
        return None if user is None or user.deleted else user

    def users(self, *, deleted: bool = False) -> list[User]:
        """All live users, oldest first; or those whose deletion was decided and not finished."""
        if self.is_old:
            return []
        with self.reading() as connection:
            rows = connection.execute(sa.select(users).order_by(users.c.created, users.c.uid)).all()
        found = [self.decode_user(row) for row in rows]
        return [user for user in found if user.deleted == deleted]

    def put_users(self, *put: User) -> None:
        """Insert users, or replace the rows of their ids; the caller holds the lock."""
        with self.writing() as connection:
            for user in put:
                connection.execute(sa.delete(users).where(users.c.uid == user.id))
                connection.execute(sa.insert(users), user_columns(user, self._store_id))

    def remove_user(self, user_id: str) -> None:
        """Drop a user's row once its sessions are gone."""
        with self.writing() as connection:
            connection.execute(sa.delete(users).where(users.c.uid == user_id))

    def decode_user(self, row: Any) -> User:
        """The user of a whole row; raises CorruptMetadata."""
        return decode_user(row, self._store_id, self._path)

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
                self.checked(row)
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
        with staged.writing() as connection:
            staged._fill(connection, rows, known)
        root = os.path.dirname(self._path)
        vfs.ensure_dir(os.path.join(root, "tmp"))
        # Or whoever comes after a kill would build on a name that a power cut takes back.
        leave_unsynced(vfs, root)
        for suffix in ("-wal", "-shm"):
            vfs.unlink(self._path + suffix)
        vfs.rename(staged._path, self._path)
        sync_names(vfs, root)

    def _fill(self, connection: sa.Connection, rows: Sequence[Row], known: list[User]) -> None:
        for row in rows:
            # A damaged index may have let a name in twice.
            insert = sa.insert(sessions).prefix_with("OR IGNORE")
            connection.execute(insert, self.columns_of(row))
        for user in known:
            connection.execute(
                sa.insert(users).prefix_with("OR IGNORE"), user_columns(user, self._store_id)
            )

    def scan(self) -> tuple[list[Any], bool]:
        """All rows that can be read, verified or not, and whether that was the whole table."""
        rows: list[Any] = []
        try:
            statement = self._statement("NOT INDEXED")
            with self.reading() as connection, connection.execute(statement) as result:
                # One by one: what comes before an error is kept.
                for row in result:
                    rows.append(row)
        except StoreError:
            return rows, False
        return rows, True

    def _whole_users(self) -> list[User]:
        rows: Sequence[Any] = []
        with suppress(StoreError), self.reading() as connection:
            rows = connection.execute(sa.text("SELECT * FROM users NOT INDEXED")).all()
        found: list[User] = []
        for row in rows:
            with suppress(CorruptMetadata):
                found.append(self.decode_user(row))
        return found

    def adopt_log(self, vfs: Vfs, lock: Callable[[], AbstractContextManager[None]]) -> None:
        """Copy back the log of somebody who was killed: what lists a session must be on the disk
        before anything is added to the session. What we do not see of it must not come later."""
        wal = vfs.lstat(self._path + "-wal")
        if wal is None or not wal.st_size:
            return
        with lock(), closing(Database(self._path, write=True)) as database:
            vfs.sync_dir(os.path.dirname(self._path))
            with suppress(StoreFull):
                database.take_back()
            database.adopt_log()

    def migrate(self) -> None:
        """Bring a catalog of an older format up to ours, in one transaction; the caller holds the
        lock. Rows that are damaged are for `check` to repair first."""
        if not self.is_old:
            return
        rows = [self.checked(row) for row in self._select("")]
        with self.writing() as connection:
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
            with self.reading() as connection:
                return connection.execute(statement, named).all()

    def checked(self, row: Any) -> Row:
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
            return self.checked(row)
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

    def version(self) -> int:
        """A number that is another one after every change that somebody commits."""
        with self._mutex:
            return self._open_reader().data_version()

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
    def reading(self) -> Iterator[sa.Connection]:
        """A read transaction."""
        with self._mutex, self._open_reader().read() as connection:
            yield connection

    def _open_reader(self) -> Database:
        # The child of a fork inherits a reader it must not touch.
        there = file_id(self._path)
        if self._reader is not None and self._pid == os.getpid() and there != self._read:
            # A repair has put another file in its place.
            self.close()
        if self._reader is None or self._pid != os.getpid():
            self._reader, self._read = self._connect(False), there
            self._pid = os.getpid()
        return self._reader

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A durable transaction; the caller holds the lock."""
        database = self._connect(True)  # for this alone: only who holds the lock checkpoints
        try:
            with database.write() as connection:
                yield connection
            database.checkpoint()
        except DurabilityLost:
            # Others go on from what they see, and it would come back without that.
            with suppress(StoreError):
                database.take_back()
            raise
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
