"""Tables of session.db and catalog.db. Only the writer of FORMAT.md may add to them."""

from __future__ import annotations

import sqlalchemy as sa

from .database import Blob

session_tables = sa.MetaData()

turns = sa.Table(
    "turns",
    session_tables,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("turn_id", sa.Text, nullable=False, unique=True),
    sa.Column("ts", sa.Float, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("n_tok", sa.Integer, nullable=False),
    sa.Column("tok0", sa.Integer, nullable=False, unique=True),
    sa.Column("flags", sa.Integer, nullable=False),
    # Small columns first: an index scan then never follows the overflow pages of large ones.
    sa.Column("sums", Blob, nullable=False),
    sa.Column("meta", Blob, nullable=False),
    sa.Column("text", Blob, nullable=False),
    sa.Column("tok", Blob, nullable=False),
)

state = sa.Table(
    "state",
    session_tables,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("n_turn", sa.Integer, nullable=False),
    sa.Column("n_tok", sa.Integer, nullable=False),
    sa.Column("link", Blob, nullable=False),
    sa.Column("gen", sa.Integer, nullable=False),
    sa.Column("pub_chunk", sa.Integer, nullable=False),
    sa.Column("durable_chunk", sa.Integer, nullable=False),
    sa.Column("tail_serial", sa.Integer, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("commits", sa.Integer, nullable=False),
    sa.Column("clean", sa.Integer, nullable=False),
    sa.Column("sum", Blob, nullable=False),
    # Since format 2.0.
    sa.Column("base_turn", sa.Integer, nullable=False),
    sa.Column("base_chunk", sa.Integer, nullable=False),
    sa.Column("forgotten", sa.Integer, nullable=False),
    sa.Column("newest", sa.Float, nullable=False),
)

segments = sa.Table(
    "segments",
    session_tables,
    sa.Column("gen", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sealed", sa.Integer, nullable=False),
    sa.Column("table_sum", Blob, nullable=False),
    sa.Column("landmarks_sum", Blob, nullable=False),
    sa.Column("sum", Blob, nullable=False),
)

# Small msgpack maps by name: identity, generation-<gen>, and the caller's own.
notes = sa.Table(
    "notes",
    session_tables,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", Blob, nullable=False),
    sa.Column("sum", Blob, nullable=False),
)

# Chunks that are being encoded anew after a message was forgotten; nobody reads them.
holes = sa.Table(
    "holes",
    session_tables,
    sa.Column("gen", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("first", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("stop", sa.Integer, nullable=False),
    sa.Column("sum", Blob, nullable=False),
)

# Chain hash before a chunk that was encoded before the chunks in front of it were encoded anew.
seams = sa.Table(
    "seams",
    session_tables,
    sa.Column("gen", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("chunk", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("chain", Blob, nullable=False),
    sa.Column("sum", Blob, nullable=False),
)

# When turns are to be forgotten; those that stay have no row.
expiries = sa.Table(
    "expiries",
    session_tables,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("sum", Blob, nullable=False),
)

catalog_tables = sa.MetaData()

users = sa.Table(
    "users",
    catalog_tables,
    sa.Column("uid", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created", sa.Float, nullable=False),
    # Quotas; negative: none.
    sa.Column("max_tokens", sa.Integer, nullable=False),
    sa.Column("max_bytes", sa.Integer, nullable=False),
    # Wrapped by the store's key; empty: not encrypted.
    sa.Column("key", Blob, nullable=False),
    sa.Column("deleted", sa.Integer, nullable=False),
    sa.Column("sum", Blob, nullable=False),
)

sessions = sa.Table(
    "sessions",
    catalog_tables,
    sa.Column("sid", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("deleted", sa.Integer, nullable=False),
    # Ids; empty: the store's own, and no fork.
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("parent", sa.Text, nullable=False),
    # What its writer may use of its user's quota without asking again.
    sa.Column("held_tokens", sa.Integer, nullable=False),
    sa.Column("held_bytes", sa.Integer, nullable=False),
    sa.Column("sum", Blob, nullable=False),
    sa.UniqueConstraint("owner", "name"),
)
