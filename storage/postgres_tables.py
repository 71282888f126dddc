"""Tables of a store in PostgreSQL: those of session.db and catalog.db, for all sessions at once.

The rows of all sessions lie in tables all_turns, all_state and so on, which begin with the
session's id. The views turns, state and so on show the rows of one session, named by the setting
`hsa.sid`, and take writes for it; so the store's SQL is the same as for SQLite.
"""

from __future__ import annotations

import os
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from .database import USER_VERSION, Blob
from .errors import CorruptMetadata, FormatTooOld, SessionMissing, StoreError
from .header import require_version
from .postgres import PostgresDatabase
from .postgres_server import Server
from .tables import catalog_tables, session_tables

remote_tables = sa.MetaData()

# Which objects hold the derived bytes of a session; a row is written once its object is verified.
objects = sa.Table(
    "objects",
    remote_tables,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("gen", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("first", sa.Integer, nullable=False),
    sa.Column("stop", sa.Integer, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("digest", Blob, nullable=False),
    sa.Column("table_sum", Blob, nullable=False),
    sa.Column("landmarks_sum", Blob, nullable=False),
    sa.Column("sum", Blob, nullable=False),
)

_BASE = "all_"
_SID = "current_setting('hsa.sid')"
_STORE = """
CREATE TABLE store (
    id INTEGER PRIMARY KEY CHECK (id = 1), store TEXT NOT NULL, version INTEGER NOT NULL
)"""
_LEASES = """
CREATE TABLE leases (
    sid TEXT COLLATE "C" PRIMARY KEY, owner TEXT NOT NULL, holder TEXT NOT NULL,
    epoch BIGINT NOT NULL, expires TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50)"""
_SCOPED = (session_tables, remote_tables)


def scoped_tables() -> list[sa.Table]:
    """The tables of which every session has rows of its own."""
    return [table for metadata in _SCOPED for table in metadata.sorted_tables]


def open_tables(server: Server, *, create: bool) -> bytes:
    """The id of the store in the server's schema; its tables are made if there are none.

    Raises:
        SessionMissing: there is no store and none may be made.
        CorruptMetadata, FormatTooNew, FormatTooOld, StorePermission, StoreUnreachable, StoreError.
    """
    database = PostgresDatabase(server, "", write=create)
    try:
        with database.read() as connection:
            there = _has_tables(connection, server.address.schema)
        if not there:
            if not create:
                raise SessionMissing(
                    f"there is no store in {database.path}; check the address, or make one by "
                    "opening it for writing with create=True"
                )
            with database.write() as connection:
                _create(connection, server.address.schema, database.path)
        with database.read() as connection:
            rows = connection.exec_driver_sql("SELECT store, version FROM store").all()
    finally:
        database.close()
    return _decode(rows, database.path)


def _has_tables(connection: sa.Connection, schema: str) -> bool:
    found = connection.exec_driver_sql(
        f"SELECT 1 FROM pg_tables WHERE schemaname = '{schema}' AND tablename = 'store'"
    )
    return found.one_or_none() is not None


def _decode(rows: Any, where: str) -> bytes:
    if len(rows) != 1:
        raise CorruptMetadata(f"{where}: the table store has {len(rows)} rows, expected 1")
    store, version = rows[0]
    require_version(version >> 8, where)
    if version < USER_VERSION:
        # No release has made such tables.
        raise FormatTooOld(
            f"{where}: its tables are of format {version >> 8}.{version & 255}, this version reads "
            f"{USER_VERSION >> 8}.{USER_VERSION & 255} on servers"
        )
    try:
        store_id = bytes.fromhex(store)
    except ValueError as error:
        raise CorruptMetadata(f"{where}: {store!r} is no id of a store") from error
    if len(store_id) != 16:
        raise CorruptMetadata(f"{where}: an id of {len(store_id)} bytes, expected 16")
    return store_id


def _create(connection: sa.Connection, schema: str, where: str) -> None:
    # Whoever comes second waits here, and finds the tables.
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock(hashtext('hsa {schema}'))")
    if _has_tables(connection, schema):
        return
    encoding = connection.exec_driver_sql("SELECT current_setting('server_encoding')").scalar()
    if encoding != "UTF8":
        raise StoreError(f"{where}: the database's encoding is {encoding}; make one with UTF8")
    connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    connection.exec_driver_sql(_STORE)
    connection.exec_driver_sql(_LEASES)
    for table in scoped_tables():
        for statement in _scoped_ddl(table):
            connection.exec_driver_sql(statement)
    for table in catalog_tables.sorted_tables:
        connection.exec_driver_sql(_ddl(table))
    insert = sa.text("INSERT INTO store (id, store, version) VALUES (1, :store, :version)")
    connection.execute(insert, {"store": os.urandom(16).hex(), "version": USER_VERSION})


def _ddl(table: sa.Table) -> str:
    """CREATE TABLE in PostgreSQL's words: whole numbers of 64 bits, text compared byte by byte."""
    copy = sa.Table(table.name, sa.MetaData(), *(_column(column) for column in table.columns))
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint):
            copy.append_constraint(sa.UniqueConstraint(*(c.name for c in constraint.columns)))
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return str(CreateTable(copy).compile(dialect=dialect))


def _column(column: sa.Column[Any]) -> sa.Column[Any]:
    kind: sa.types.TypeEngine[Any] = column.type
    if isinstance(kind, sa.Integer):
        kind = sa.BigInteger()
    elif isinstance(kind, sa.Float):
        kind = postgresql.DOUBLE_PRECISION()
    elif isinstance(kind, sa.LargeBinary):
        kind = postgresql.BYTEA()
    elif isinstance(kind, sa.Text):
        kind = sa.Text(collation="C")
    return sa.Column(
        column.name, kind, primary_key=column.primary_key, autoincrement=False, nullable=False
    )


def _scoped_ddl(table: sa.Table) -> list[str]:
    """A table of all sessions' rows, and the view of one session's."""
    base = f"{_BASE}{table.name}"
    sid = sa.Column(
        "sid",
        sa.Text(collation="C"),
        # Not a session's id: nothing was set. Then nothing is written.
        sa.CheckConstraint("length(sid) = 32"),
        primary_key=True,
        server_default=sa.text(_SID),
    )
    copy = sa.Table(base, sa.MetaData(), sid, *(_column(column) for column in table.columns))
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint):
            copy.append_constraint(
                sa.UniqueConstraint("sid", *(c.name for c in constraint.columns))
            )
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    columns = ", ".join(column.name for column in table.columns)
    return [
        str(CreateTable(copy).compile(dialect=dialect)),
        f"CREATE VIEW {table.name} AS SELECT {columns} FROM {base} WHERE sid = {_SID}",
    ]


def delete_rows(connection: sa.Connection, sid: str) -> None:
    """Remove all rows of a session, in a transaction of any scope."""
    for table in scoped_tables():
        connection.execute(
            sa.text(f"DELETE FROM {_BASE}{table.name} WHERE sid = :sid"), {"sid": sid}
        )
    leases = "DELETE FROM leases WHERE sid IN (:sid, 'b-' || :sid)"
    connection.execute(sa.text(leases), {"sid": sid})
