"""The twin of `Database` for a truth that lies in PostgreSQL: same methods, same SQL."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .database import USER_VERSION, Database, interrupt_behind
from .errors import (
    CorruptMetadata,
    DurabilityLost,
    FencedWriter,
    LimitExceeded,
    SessionClosed,
    StoreError,
    StoreFull,
    StoreLocked,
    StorePermission,
    StoreUnreachable,
)
from .postgres_server import Link, Server, driver_errors, is_lost, transaction_errors

if TYPE_CHECKING:
    from .leases import Lease
    from .vfs import Vfs

_SID = re.compile("[0-9a-f]{32}")
_AGAIN = "Nothing was written; try again."
# No server has answered, or it has turned us away.
_CHECK = "Nothing was written; check the URL, and that the server runs, and try again."
# What the server said, by SQLSTATE or its first two characters: an error of ours and the remedy.
_KINDS: dict[str, tuple[type[StoreError], str]] = {
    "53100": (StoreFull, "Free space on the server and try again."),
    "53": (StoreUnreachable, _AGAIN),
    "40": (StoreLocked, _AGAIN),
    "23505": (StoreLocked, f"Somebody else has just written the same. {_AGAIN}"),
    "55P03": (StoreLocked, f"Another transaction holds the rows. {_AGAIN}"),
    "57014": (StoreLocked, _AGAIN),
    "25006": (StorePermission, "The server takes no writes; is it a standby?"),
    "42501": (StorePermission, "Check what the user may do in the schema."),
    "28": (StorePermission, "Check user and password."),
    "3D000": (StoreUnreachable, "Make the database first."),
    "54": (LimitExceeded, "PostgreSQL does not hold a value of that length."),
}


class PostgresDatabase(Database):
    """The rows of one session, or of the catalog, through the connections of a server.

    Args:
        server: of the store.
        sid: the session's id in hex; empty for the catalog.
        write: whether this is their writer.
        lease: of the session's writer; every write transaction makes sure of it and renews it.

    Raises:
        ValueError: no id of a session.
    """

    def __init__(
        self, server: Server, sid: str, *, write: bool, lease: Lease | None = None
    ) -> None:
        if sid and not _SID.fullmatch(sid):
            # It becomes part of a statement.
            raise ValueError(f"a session's id has 32 hex digits; found {sid!r}")
        self.path = f"{server.address.shown} session {sid}" if sid else server.address.shown
        self._server = server
        self._sid = sid
        self._write = write
        self._lease = lease
        self._open = True
        self.version = USER_VERSION
        # Taken from the server and not given back: in use, or left by an interrupt.
        self._link: Link | None = None
        # A commit of ours may still be under way.
        self._unsettled = False

    def of_session(self, session_id: str) -> Database | None:
        """The rows of another session, for reading."""
        return PostgresDatabase(self._server, session_id, write=False)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A read transaction: every statement sees the same state."""
        begin = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {self._scope}"
        with self._use("read", begin) as link:
            yield link.connection
            self._end(link, commit=True)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """A write transaction, committed at the end of the block.

        Args:
            durable: True waits at commit until the server has the log on its disk. False survives
                the death of this process, and of the server's, but perhaps not of its machine.

        Raises:
            FencedWriter: another writer has taken the session's lease.
            StoreFull, StoreLocked, StoreUnreachable: nothing of the block was written.
            DurabilityLost: the connection was lost at commit; it may or may not be in force.
        """
        if not self._write:
            raise StorePermission(f"{self.path} was opened for reading")
        with self._use("write", self._begin_writing(durable)) as link:
            self._require_lease(link)
            self._unsettled = True
            yield link.connection
            with self.translated("commit"):
                self._end(link, commit=True)
        self._unsettled = False

    def rows(
        self, connection: sa.Connection, statement: sa.TextClause, values: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        """What a statement finds, within a transaction of `read` or `write`."""
        return connection.execute(statement, values).all()

    def change(
        self,
        connection: sa.Connection,
        statement: sa.TextClause,
        values: Sequence[Mapping[str, Any]],
    ) -> int:
        """Run a statement for each of values in a transaction of `write`; how many rows changed."""
        return connection.execute(statement, list(values)).rowcount

    def _begin_writing(self, durable: bool) -> str:
        begin = ["BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", self._scope]
        if durable:
            # A server may be set not to wait for its disk; any stricter setting stays.
            begin.append(
                "SELECT set_config('synchronous_commit', 'on', true) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
        else:
            begin.append("SET LOCAL synchronous_commit = off")
        if self._lease is not None:
            # Who is stopped in mid-transaction must not keep the rows longer than the session.
            patience = int(self._lease.seconds * 1000)
            begin.append(f"SET LOCAL idle_in_transaction_session_timeout = {patience}")
            begin.append(self._lease.renewal)
        return "; ".join(begin)

    @property
    def _scope(self) -> str:
        """Whose rows a transaction means."""
        return (
            f'SET LOCAL search_path = "{self._server.address.schema}"; '
            f"SET LOCAL hsa.sid = '{self._sid}'"
        )

    def _require_lease(self, link: Link) -> None:
        if self._lease is None:
            return
        results = link.connection.info["begun"]
        while results.nextset():
            pass
        if results.rowcount != 1:
            raise FencedWriter(
                f"{self.path}: the lease of this writer is over, another one has the session"
            )

    @contextmanager
    def _use(self, action: str, begin: str) -> Iterator[Link]:  # type: ignore[override]
        if not self._open:
            raise SessionClosed(f"{self.path}: the handle is closed; open the session again")
        self._drop_left_over()
        handled = sys.exc_info()[1]
        try:
            with self.translated(action):
                self._settle()
                link = self._begun(begin)
                yield link
            self._link = None
            self._server.give_back(link)
        except BaseException as error:
            interrupt = interrupt_behind(error, handled)
            if interrupt is None:
                self._roll_back()
                raise
            if interrupt is error:
                raise
            # What SQLAlchemy found odd about the transaction it left tells nobody anything.
            try:
                raise interrupt from None
            finally:
                del interrupt, handled

    def _drop_left_over(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _settle(self) -> None:
        """Wait until a commit that was cut off has happened or not; it holds the lease's row."""
        if not self._unsettled:
            return
        if self._lease is not None:
            link = self._begun(self._begin_writing(True))
            self._end(link, commit=False)
            self._server.give_back(link)
        self._unsettled = False

    def _begun(self, begin: str) -> Link:
        """A connection in a new transaction; one that was idle too long is replaced."""
        while True:
            self._link = link = self._server.take()
            link.connection.info["begin"] = begin
            try:
                link.connection.begin()
                return link
            except transaction_errors() as error:
                link.close()
                if link.fresh or not is_lost(getattr(error, "orig", error)):
                    raise

    def _end(self, link: Link, *, commit: bool) -> None:
        transaction = link.connection.get_transaction()
        if transaction is None:
            raise CorruptMetadata(f"{self.path}: the transaction was left inside its block")
        if commit:
            transaction.commit()
        else:
            transaction.rollback()

    def _roll_back(self) -> None:
        """After an error: the connection is fit for another transaction, or closed."""
        link, self._link = self._link, None
        if link is None:
            return
        try:
            if link.connection.in_transaction():
                self._end(link, commit=False)
            self._server.give_back(link)
            # Whatever the error was about, the server has answered.
            self._unsettled = False
        except transaction_errors():
            link.close()

    def take_back(self) -> None:
        """What was lost with the connection is in force for everybody or for nobody."""

    def checkpoint(self, *, only_if_large: bool = False) -> None:
        """The server does this by itself."""

    def settle_log(self, vfs: Vfs) -> None:
        """The log is the server's."""

    def adopt_log(self) -> None:
        """The server has done this when it was started."""

    def vacuum(self) -> None:
        """The server does this by itself."""

    def wal_bytes(self) -> int:
        """The log is the server's."""
        return 0

    def integrity(self) -> list[str]:
        """Nothing: pages and indexes are the server's (`initdb --data-checksums`, amcheck).

        What a check of ours reads, it finds through the indexes and verifies row by row.
        """
        return []

    def reindex(self) -> None:
        """Nothing: see `integrity`."""

    def look_again(self) -> None:
        """Nothing: a store on a server is of one version, that of its tables."""

    @contextmanager
    def translated(self, action: str) -> Iterator[None]:
        """Map what psycopg and SQLAlchemy raise to the store's errors."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise self._typed(error.orig, action) from error
        except driver_errors() as error:
            raise self._typed(error, action) from error
        except sa.exc.SQLAlchemyError as error:
            # Results of another shape than the statement allows: only damage does that.
            raise CorruptMetadata(f"cannot {action} {self.path}: {error}. Run check.") from error

    def _typed(self, error: BaseException | None, action: str) -> Exception:
        said = " ".join(str(error).split())
        where = f"cannot {action} {self.path}: {said.removesuffix('.')}"
        where += "" if where.endswith("?") else "."
        state = getattr(error, "sqlstate", None)
        if is_lost(error):
            if action == "commit":
                return DurabilityLost(
                    f"{where} The connection was lost at the commit, which may be in force or "
                    "not. Close the session and open it again; what is added again under the same "
                    "id is stored once."
                )
            return StoreUnreachable(f"{where} {_CHECK if state is None else _AGAIN}")
        state = state or ""
        kind, remedy = _KINDS.get(state) or _KINDS.get(state[:2]) or (CorruptMetadata, "Run check.")
        return kind(f"{where} {remedy}")

    def close(self) -> None:
        """Use no connection any more; a second call does nothing."""
        self._open = False
        self._drop_left_over()

    def abandon(self) -> None:
        """Forget the connection without closing it (in the child of a fork)."""
        self._open = False
