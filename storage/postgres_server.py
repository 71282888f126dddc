"""A PostgreSQL server that holds the truth of a store: its address, and connections to it.

Every transaction says for itself whose rows it means (`SET LOCAL`), so connections belong to no
session: a store keeps a few, and a transaction pooler may stand in between.
"""

from __future__ import annotations

import os
import re
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from .addresses import Address
from .errors import InvalidAddress, StoreError

_MOST_IDLE = 4
_ESCAPE = b"\x01"
_DEFAULTS = {
    "connect_timeout": "10",
    "application_name": "hsa-memory",
    # A host that vanished without a word is noticed within half a minute.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}

# Connections inherited through a fork: closing one would end the parent's, so they are kept.
_abandoned: list[Any] = []
_live: weakref.WeakSet[Server] = weakref.WeakSet()
_links: weakref.WeakSet[Link] = weakref.WeakSet()


class Link:
    """One connection, for one transaction at a time."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        token = _opening.set(connect)
        try:
            self.connection = _engine().connect()
        finally:
            _opening.reset(token)
        self.driver: Any = self.connection.connection.dbapi_connection
        # SQLAlchemy has no more to do with its end.
        self.connection.detach()
        self._pid = os.getpid()
        _links.add(self)
        self.fresh = True

    @property
    def usable(self) -> bool:
        """Whether it can be used for another transaction."""
        idle = self.driver.info.transaction_status.name == "IDLE"
        return not self.driver.closed and idle and not self.connection.closed

    def close(self) -> None:
        """Close it, whatever state it is in; the server then ends what it was doing."""
        # In the child of a fork it is the parent's.
        if os.getpid() == self._pid:
            self.driver.close()


class Server:
    """Connections to one server; shared by everything of one open store, safe between threads.

    Args:
        address: where it is.

    Raises:
        StoreError: psycopg is not installed.
        InvalidAddress: libpq knows no such parameter.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle: deque[Link] = deque()
        # All of them, also what an interrupt has left somewhere.
        self._made: weakref.WeakSet[Link] = weakref.WeakSet()
        self._closed = False
        driver = _driver()
        try:
            driver.conninfo.conninfo_to_dict(address.url)
        except driver.ProgrammingError as error:
            raise InvalidAddress(
                f"database {address.shown} is no URL that PostgreSQL's driver takes: "
                f"{str(error).strip()}"
            ) from error
        _live.add(self)

    def take(self) -> Link:
        """A connection that nobody else has; psycopg's errors pass."""
        while self._idle:
            try:
                link = self._idle.pop()
            except IndexError:
                break
            if link.usable:
                link.fresh = False
                return link
            link.close()
        link = Link(self.connect)
        self._made.add(link)
        return link

    def give_back(self, link: Link) -> None:
        """Keep a connection for the next transaction if it is fit for one."""
        if self._closed or len(self._idle) >= _MOST_IDLE or not link.usable:
            link.close()
        else:
            self._idle.append(link)

    def connect(self) -> Any:
        """A new psycopg connection in autocommit mode, with text as our tables hold it."""
        psycopg = _driver()
        given = psycopg.conninfo.conninfo_to_dict(self.address.url)
        connection = psycopg.connect(
            self.address.url,
            autocommit=True,
            cursor_factory=_kinds().cursor,
            # A prepared statement belongs to a connection, which a pooler may change.
            prepare_threshold=None,
            **{"client_encoding": "utf8"},
            **{key: value for key, value in _DEFAULTS.items() if key not in given},
        )
        kinds = _kinds()
        connection.adapters.register_dumper(str, kinds.writer)
        for name in ("text", "varchar"):
            for reader in kinds.readers:
                connection.adapters.register_loader(name, reader)
        return connection

    def close(self) -> None:
        """Close all connections; may be called again."""
        self._closed = True
        for link in list(self._made):
            link.close()
        self._idle.clear()

    def abandon(self) -> None:
        """Forget connections without closing them (in the child of a fork)."""
        _abandoned.extend(self._idle)
        self._idle = deque()


def _abandon_in_child() -> None:
    # In use by another thread of the parent, perhaps.
    _abandoned.extend(_links)
    for server in list(_live):
        server.abandon()


os.register_at_fork(after_in_child=_abandon_in_child)


@cache
def _driver() -> Any:
    try:
        import psycopg
        import psycopg.conninfo
    except ImportError as error:
        raise StoreError(
            f"a store in PostgreSQL needs psycopg ({error}): pip install 'hsa-memory[postgres]'"
        ) from error
    return psycopg


# How the next connection of the one engine is made.
_opening: ContextVar[Callable[[], Any]] = ContextVar("_opening")


@cache
def _engine() -> sa.Engine:
    """One engine for all connections, so that statements are compiled once per process."""
    engine = sa.create_engine(
        sa.URL.create("postgresql+psycopg"),
        creator=lambda: _opening.get()(),
        poolclass=NullPool,
        hide_parameters=True,
        use_native_hstore=False,
    )
    types: Any = engine.dialect.type_compiler_instance
    # The tables' integers have 64 bits everywhere; PostgreSQL's INTEGER has 32.
    types.visit_integer = types.visit_INTEGER = types.visit_BIGINT
    event.listen(engine, "begin", _begin)
    event.listen(engine, "before_cursor_execute", _spoken, retval=True)
    return engine


def _begin(connection: sa.Connection) -> None:
    # Several statements in one message, which only a cursor that asks for text may send.
    plain = _driver().Cursor(connection.connection.dbapi_connection)
    connection.info["begun"] = plain.execute(connection.info["begin"])


def _spoken(
    _connection: sa.Connection,
    _cursor: Any,
    statement: str,
    values: Any,
    _context: Any,
    _many: bool,
) -> tuple[str, Any]:
    # SQLite's words for what PostgreSQL has none for: to read past a damaged index.
    return statement.replace(" NOT INDEXED", ""), values


def driver_errors() -> tuple[type[Exception], ...]:
    """What psycopg raises, for an `except`."""
    return (_driver().Error,)


def transaction_errors() -> tuple[type[Exception], ...]:
    """What a statement, or the end of a transaction, may raise."""
    return (sa.exc.SQLAlchemyError, *driver_errors())


def is_lost(error: BaseException | None) -> bool:
    """Whether an error of psycopg means that the connection is gone or could not be made."""
    if not isinstance(error, _driver().Error):
        return False
    state = error.sqlstate
    if state is None:
        return isinstance(error, (_driver().OperationalError, _driver().InterfaceError))
    # Connection exceptions; ended by an administrator, a crash or a time limit; too many.
    return state[:2] == "08" or state in ("57P01", "57P02", "57P03", "57P05", "25P03", "53300")


def escape(text: str) -> bytes:
    """UTF-8 without U+0000, which PostgreSQL's text cannot hold; `unescape` brings it back."""
    data = text.encode()
    if b"\0" in data or _ESCAPE in data:
        data = data.replace(_ESCAPE, b"\x01\x01").replace(b"\0", b"\x01\x02")
    return data


def unescape(data: bytes) -> str:
    """Text as it was before `escape`."""
    if _ESCAPE in data:
        data = re.sub(rb"\x01([\x01\x02])", lambda m: b"\x01" if m[1] == b"\x01" else b"\0", data)
    return data.decode()


class _Kinds(NamedTuple):
    """Classes of psycopg's made ours."""

    cursor: type
    writer: type
    readers: tuple[type, type]


@cache
def _kinds() -> _Kinds:
    psycopg = _driver()

    class Cursor(psycopg.Cursor):  # type: ignore[misc, name-defined]
        """Asks for binary results: exact, and as long as they are. As text, bytes are twice that,
        which for the longest turns is more than a message may have."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.format = psycopg.pq.Format.BINARY

    class Writer(psycopg.adapt.Dumper):  # type: ignore[misc, name-defined]
        def dump(self, obj: str) -> bytes:
            return escape(obj)

    class Reader(psycopg.adapt.Loader):  # type: ignore[misc, name-defined]
        def load(self, data: Any) -> str:
            return unescape(bytes(data))

    class BinaryReader(Reader):
        format = psycopg.pq.Format.BINARY

    return _Kinds(Cursor, Writer, (Reader, BinaryReader))
