"""SQLite through SQLAlchemy Core: one connection, explicit transactions, typed errors."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from .errors import (
    CorruptMetadata,
    SessionClosed,
    StoreError,
    StoreFull,
)
from .header import VERSION_MAJOR, VERSION_MINOR, require_version
from .log_files import settle_log
from .mounts import is_full
from .sqlite_engine import connect_with
from .sqlite_errors import typed_error
from .vfs import Vfs

_log = logging.getLogger(__name__)
APPLICATION_ID = 0x48534131
USER_VERSION = VERSION_MAJOR << 8 | VERSION_MINOR
_BUSY_SECONDS = 5.0
# Beyond this the log is copied back into the database after a commit.
_WAL_BYTES = 4 << 20

# The driver cannot always decode a message of SQLite that quotes damaged bytes of the schema.
_SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)

# A connection inherited through a fork must never be closed by the child: SQLite would act on
# locks that belong to the parent. It is kept reachable here instead.
_abandoned: list[Any] = []
_live: weakref.WeakSet[Database] = weakref.WeakSet()


class Blob(sa.LargeBinary):
    """Bytes as the driver gives them; a damaged value of another type reaches our checks."""

    def result_processor(self, dialect: Any, coltype: Any) -> None:
        return None

    def bind_processor(self, dialect: Any) -> None:
        return None


class Database:
    """One connection to one SQLite file.

    Args:
        path: the file; it must exist.
        write: whether this is the file's writer. Readers open with `mode=ro`.

    Raises:
        CorruptMetadata, FormatTooNew, FormatTooOld: not a database of ours.
    """

    def __init__(self, path: str, *, write: bool) -> None:
        self.path = path
        self._write = write
        self._wal_limit = _WAL_BYTES
        self._must_empty = False
        self._open = True
        self._connect_anew()
        _live.add(self)
        try:
            self._require_ours()
        except BaseException:
            self.close()
            raise

    def _connect_anew(self) -> None:
        with self.translated("open"):
            self._connection = connect_with(self._connect)
        self._durable = True
        self._interrupted = False

    def _connect(self) -> sqlite3.Connection:
        mode = "rw" if self._write else "ro"
        if frozen := not self._write and self._is_frozen():
            mode = "ro&vfs=unix-none" if self.wal_bytes() else "ro&immutable=1"
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(os.path.abspath(self.path)))}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_BUSY_SECONDS,
        )
        try:
            if frozen:
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._configure(connection)
        except BaseException:
            connection.close()
            raise
        self._driver = connection
        return connection

    def _configure(self, connection: sqlite3.Connection) -> None:
        for pragma in ("mmap_size=0", "foreign_keys=ON", "synchronous=FULL", "fullfsync=ON"):
            connection.execute(f"PRAGMA {pragma}")
        if self._write:
            for pragma in (
                "secure_delete=ON",
                "wal_autocheckpoint=0",
                "checkpoint_fullfsync=ON",
                f"journal_size_limit={_WAL_BYTES}",
            ):
                connection.execute(f"PRAGMA {pragma}")

    def _is_frozen(self) -> bool:
        # On a read-only medium SQLite keeps its index of the log for itself; a full disk has no
        # room for it, and what was closed well can be read without.
        if os.path.exists(self.path + "-shm"):
            return False
        folder = os.path.dirname(os.path.abspath(self.path))
        return not os.access(folder, os.W_OK) or (is_full(self.path) and not self.wal_bytes())

    def look_again(self) -> None:
        """Read the file's version again: its writer may have brought it up to ours."""
        with self._use("read"):
            self._require_ours()

    def _require_ours(self) -> None:
        with self.translated("read"):
            found = self._driver.execute("PRAGMA application_id").fetchone()[0]
            version = self._driver.execute("PRAGMA user_version").fetchone()[0]
        if found != APPLICATION_ID:
            raise CorruptMetadata(
                f"{self.path}: application id {found:#x}, expected {APPLICATION_ID:#x}; run check"
            )
        require_version(version >> 8, self.path)
        self.version: int = version
        """As `USER_VERSION`, of the file as it was opened."""

    def of_session(self, session_id: str) -> Database | None:
        """The rows of another session for reading, if they are in the same place; here they are
        not."""
        return None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A read transaction: every statement sees the same state."""
        with self._use("read"):
            self._connection.info["begin"] = "BEGIN"
            with self._connection.begin():
                yield self._connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """A write transaction, committed at the end of the block.

        Args:
            durable: True forces the log to the disk at commit. False survives the death of
                the process but not of the machine, until the next durable commit; enough
                for what can be recomputed.

        Raises:
            StoreFull: no space; nothing of the block was written.
            DurabilityLost: the commit may or may not be on disk.
        """
        with self._use("write"):
            if durable != self._durable:
                self._driver.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            self._connection.info["begin"] = "BEGIN IMMEDIATE"
            with self._connection.begin():
                yield self._connection

    def take_back(self) -> None:
        """Write over what a commit that raised DurabilityLost has left in the log.

        Nobody who has the file open sees that; whoever opens it after all of them would.
        """
        # Empty by now: somebody else has done it, and whoever finds a commit here waits in turn.
        if not self.wal_bytes():
            return
        with self.write():
            # Not `version`: what is in force may be another by now.
            found = self._driver.execute("PRAGMA user_version").fetchone()[0]
            self._driver.execute(f"PRAGMA user_version={found}")

    def rows(
        self, connection: sa.Connection, statement: sa.TextClause, values: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        """What a statement finds, within a transaction of `read` or `write`."""
        # Past SQLAlchemy, and `change` too: of an append's own time it would take half.
        return self._driver.execute(statement.text, values).fetchall()

    def change(
        self,
        connection: sa.Connection,
        statement: sa.TextClause,
        values: Sequence[Mapping[str, Any]],
    ) -> int:
        """Run a statement for each of values in a transaction of `write`; how many rows changed."""
        return self._driver.executemany(statement.text, values).rowcount

    def data_version(self) -> int:
        """A number that changes when another connection commits."""
        with self._use("read"):
            return int(self._driver.execute("PRAGMA data_version").fetchone()[0])

    def checkpoint(self, *, only_if_large: bool = False) -> None:
        """Copy the log into the database and empty it; a reader may hold that up.

        With `only_if_large` a short log stays as it is, and a long one keeps its length: to write
        over a file costs half of what it costs to make it longer.
        """
        if only_if_large and self.wal_bytes() <= self._wal_limit:
            return
        mode = "PASSIVE" if only_if_large and not self._must_empty else "TRUNCATE"
        with self._use("write"):
            # Readers are not waited for: what they keep back goes with the next try.
            self._driver.execute("PRAGMA busy_timeout=0")
            done = self._driver.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            self._driver.execute(f"PRAGMA busy_timeout={int(_BUSY_SECONDS * 1000)}")
        busy, frames, copied = done
        # The next commit begins the log anew and cuts it to journal_size_limit.
        copied_all = not busy and frames == copied
        self._wal_limit = _WAL_BYTES if copied_all else self.wal_bytes() + _WAL_BYTES
        # Who asked for an empty log did not get it yet: it may hold what is to be forgotten.
        self._must_empty = mode == "TRUNCATE" and not copied_all

    def adopt_log(self) -> None:
        """Copy back the log that an earlier writer has left, before anything is added to it.

        If an fsync of it has failed, part of it is read from memory and on no disk, and no later
        fsync would write it: what came behind would be lost with it. A copy is written and synced.
        And what a crash kept from being emptied may hold what was forgotten.
        """
        if not self.wal_bytes():
            return
        try:
            self.checkpoint()
        except StoreFull as error:
            _log.warning("%s: its log stays as it is: %s", self.path, error)

    def settle_log(self, vfs: Vfs) -> None:
        """See log_files.py."""
        settle_log(vfs, self.path)

    def wal_bytes(self) -> int:
        """Length of the log file."""
        try:
            return os.stat(self.path + "-wal").st_size
        except FileNotFoundError:
            return 0

    def integrity(self) -> list[str]:
        """What SQLite's own full check complains about; empty if nothing."""
        with self._use("read"):
            try:
                rows = self._driver.execute("PRAGMA integrity_check(20)").fetchall()
            except _SQLITE_ERRORS as error:
                return [str(error)]
        return [] if rows == [("ok",)] else [str(row[0]) for row in rows]

    def reindex(self) -> None:
        """Build every index anew from its table, all or none."""
        with self._use("write"):
            self._driver.execute("REINDEX")

    def vacuum(self) -> None:
        """Write the file anew, without what SQLite has left of rows in pages that it split."""
        with self._use("write"):
            self._driver.execute("VACUUM")

    @contextmanager
    def _use(self, action: str) -> Iterator[None]:
        """Whatever touches the connection; such blocks never nest. A KeyboardInterrupt may leave it
        in any state, so the next use begins with another one."""
        if not self._open:
            raise SessionClosed(f"{self.path}: the handle is closed; open the session again")
        if self._interrupted:
            self._disconnect()
            self._connect_anew()
        handled = sys.exc_info()[1]
        # Until the end of the block: an interrupt may leave it without any word of it here.
        self._interrupted = True
        try:
            with self.translated(action):
                yield
        except BaseException as error:
            interrupt = interrupt_behind(error, handled)
            self._interrupted = interrupt is not None
            if interrupt is None or interrupt is error:
                raise
            # What SQLAlchemy found odd about the transaction it left tells nobody anything.
            try:
                raise interrupt from None
            finally:
                # Or else this frame and the error would keep each other, and all they hold, alive.
                del interrupt, handled
        self._interrupted = False

    def _disconnect(self) -> None:
        try:
            # A cursor that somebody still has would keep a transaction open beyond the close.
            self._driver.rollback()
            self._connection.close()
        except sqlite3.ProgrammingError:
            # SQLAlchemy has closed it: after an interrupt, or at the end of its own objects.
            pass
        except (sa.exc.SQLAlchemyError, *_SQLITE_ERRORS, LookupError):
            # SQLAlchemy may have given up an interrupted connection, and fail to open another.
            if not self._interrupted:
                raise
        finally:
            self._driver.close()

    @contextmanager
    def translated(self, action: str) -> Iterator[None]:
        """Map what SQLite and SQLAlchemy raise to the store's errors."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise typed_error(self.path, error.orig, action) from error
        except _SQLITE_ERRORS as error:
            raise typed_error(self.path, error, action) from error
        except sa.exc.SQLAlchemyError as error:
            # Results of another shape than the statement allows: only damage does that.
            raise CorruptMetadata(f"cannot {action} {self.path}: {error}. Run check.") from error

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if not self._open:
            return
        self._disconnect()
        # Last: who is interrupted before this may call it again.
        self._open = False
        _live.discard(self)

    def abandon(self) -> None:
        """Forget the connection without closing it (in the child of a fork)."""
        if self._open:
            self._open = False
            _abandoned.append((self._connection, self._driver))


def interrupt_behind(
    error: BaseException | None, handled: BaseException | None
) -> BaseException | None:
    """The KeyboardInterrupt that an error came from; `handled` was there before and is none."""
    while error is not None and error is not handled and isinstance(error, Exception):
        error = error.__context__
    return None if error is handled else error


def _abandon_in_child() -> None:
    for database in list(_live):
        database.abandon()


os.register_at_fork(after_in_child=_abandon_in_child)


def create_database(vfs: Vfs, path: str, metadata: sa.MetaData) -> Database:
    """Create an empty database of ours with mode 0600 and the given tables; open for writing."""
    vfs.close(vfs.open(path, create=True))
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in (
            "page_size=8192",
            "journal_mode=WAL",
            f"application_id={APPLICATION_ID}",
            f"user_version={USER_VERSION}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        # No error tells that this failed, and a journal of the other kind is not as durable.
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            raise StoreError(f"cannot make {path}: the disk is full or fails; try again")
    except sqlite3.OperationalError as error:
        kind = StoreFull if is_full(path) or "is full" in str(error) else StoreError
        raise kind(f"cannot create {path}: {error}. Free space and try again.") from error
    finally:
        connection.close()
    database = Database(path, write=True)
    with database.write() as writing:
        metadata.create_all(writing)
    return database
