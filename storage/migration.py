"""Sessions and catalogs of older formats: read as they are, brought up to ours by a writer."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from .database import USER_VERSION, Database
from .maps import pack_map
from .rows import STATE_COLUMNS, STATE_COLUMNS_1, State, decode_state, note_sum
from .tables import notes, session_tables, state

OLD_TURNS = "turns-1"
"""Key of the note that says how many turns were written in format 1.0."""
_FORMAT_2 = 2 << 8
_select_state = sa.text(f"SELECT {', '.join(STATE_COLUMNS)} FROM state WHERE id = 1")
_select_state_1 = sa.text(f"SELECT {', '.join(STATE_COLUMNS_1)} FROM state WHERE id = 1")
_select_newest = sa.text("SELECT max(ts) FROM turns")
# A column that is added to rows needs a value for them; the state row is written anew at once.
_STATE_2 = ("base_turn INTEGER", "base_chunk INTEGER", "forgotten INTEGER", "newest FLOAT")


def read_state(database: Database, sid: bytes, where: str) -> State:
    """The state row, of whatever format the session has."""
    if database.version < _FORMAT_2:
        # Somebody may have brought it up to our format meanwhile.
        database.look_again()
    with database.read() as connection:
        return state_in(connection, database, sid, where)


def state_in(connection: sa.Connection, database: Database, sid: bytes, where: str) -> State:
    """The state row as an open transaction sees it."""
    statement = _select_state if database.version >= _FORMAT_2 else _select_state_1
    return decode_state(connection.execute(statement).one_or_none(), sid, where)


def migrate_session(database: Database, sid: bytes, where: str) -> None:
    """Bring session.db up to our format, in one transaction; the caller holds the session's lock.

    Rows of turns and all derived files are good as they are.
    """
    if database.version >= _FORMAT_2:
        return
    old = read_state(database, sid, where)
    with database.write() as connection:
        for column in _STATE_2:
            connection.exec_driver_sql(f"ALTER TABLE state ADD COLUMN {column} NOT NULL DEFAULT 0")
        session_tables.create_all(connection)
        newest = connection.execute(_select_newest).scalar_one()
        new = _with_newest(old, newest)
        connection.execute(sa.update(state).where(state.c.id == 1), new.to_row(sid))
        if old.n_turn:
            packed = pack_map({"turns": old.n_turn})
            own = note_sum(sid, OLD_TURNS, packed)
            connection.execute(sa.insert(notes), {"key": OLD_TURNS, "value": packed, "sum": own})
        connection.exec_driver_sql(f"PRAGMA user_version={USER_VERSION}")
    database.look_again()


def _with_newest(old: State, newest: Any) -> State:
    return old if newest is None else State(**{**old.__dict__, "newest": float(newest)})
