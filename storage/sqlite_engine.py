"""The one engine of SQLAlchemy for all SQLite files of a process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache

import sqlalchemy as sa

# Imported here, or else the first connection does it: it belongs to the imports.
import sqlalchemy.dialects.sqlite  # noqa: F401
from sqlalchemy import event
from sqlalchemy.pool import NullPool

# Which file the next connection of the one engine goes to.
_opening: ContextVar[Callable[[], sqlite3.Connection]] = ContextVar("_opening")


@cache
def _engine() -> sa.Engine:
    """One engine for all files, so that statements are compiled once per process."""
    engine = sa.create_engine(
        # Not a string: parsing one compiles a large regular expression first.
        sa.URL.create("sqlite"),
        creator=lambda: _opening.get()(),
        poolclass=NullPool,
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.info["begin"])


def connect_with(creator: Callable[[], sqlite3.Connection]) -> sa.Connection:
    """A connection to the file that `creator` opens."""
    token = _opening.set(creator)
    try:
        return _engine().connect()
    finally:
        _opening.reset(token)
