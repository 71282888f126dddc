"""Pieces: the objects that hold a session's chunks and tail, and the rows that name them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .postgres_tables import objects
from .rows import DECODE_ERRORS, object_sum
from .truth import Truth

_select = sa.text(
    "SELECT key, gen, kind, first, stop, bytes, digest, table_sum, landmarks_sum, sum FROM objects "
    "ORDER BY gen, kind, first, stop"
)
CHUNKS, TAIL = "chunks", "tail"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One object of a session."""

    gen: int
    kind: str
    """CHUNKS: chunks first..stop-1, all of one segment. TAIL: the tail of serial `first` for `stop`
    chunks."""
    first: int
    stop: int
    num_bytes: int
    digest: bytes
    """sha256 of the object."""
    table_sum: bytes = b""
    """xxh3 of the chunks' records."""
    landmarks_sum: bytes = b""
    """xxh3 of their landmark rows."""

    @property
    def key(self) -> str:
        """The object's key below the session's."""
        return f"g{self.gen}/{self.kind}-{self.first}-{self.stop}-{self.digest.hex()}"

    def to_row(self, sid: bytes) -> dict[str, Any]:
        """Columns of `objects`."""
        numbers = (self.first, self.stop, self.num_bytes)
        digests = self.digest + self.table_sum + self.landmarks_sum
        return {
            "key": self.key,
            "gen": self.gen,
            "kind": self.kind,
            "first": self.first,
            "stop": self.stop,
            "bytes": self.num_bytes,
            "digest": self.digest,
            "table_sum": self.table_sum,
            "landmarks_sum": self.landmarks_sum,
            "sum": object_sum(sid, self.key, self.gen, self.kind, numbers, digests),
        }


def read_pieces(connection: sa.Connection, sid: bytes) -> tuple[list[Piece], list[str]]:
    """The pieces of a session, and the keys of rows that are not as they were written.

    Without its row an object is nobody's, and its chunks are encoded again.
    """
    found, damaged = [], []
    for row in connection.execute(_select).all():
        piece = _decoded(row, sid)
        if piece is None:
            damaged.append(str(row.key))
        else:
            found.append(piece)
    return found, damaged


def _decoded(row: Any, sid: bytes) -> Piece | None:
    try:
        piece = Piece(
            gen=row.gen,
            kind=row.kind,
            first=row.first,
            stop=row.stop,
            num_bytes=row.bytes,
            digest=row.digest,
            table_sum=row.table_sum,
            landmarks_sum=row.landmarks_sum,
        )
        return piece if {**row._mapping} == piece.to_row(sid) else None
    except DECODE_ERRORS:
        return None


def put_pieces(
    connection: sa.Connection, sid: bytes, new: Iterable[Piece], gone: Iterable[str]
) -> None:
    """Name new pieces, and no more those of the keys `gone`."""
    for key in gone:
        connection.execute(sa.delete(objects).where(objects.c.key == key))
    for piece in new:
        connection.execute(sa.delete(objects).where(objects.c.key == piece.key))
        connection.execute(sa.insert(objects), piece.to_row(sid))


def drop_pieces(connection: sa.Connection, gen: int, chunks: range) -> None:
    """Name no piece any more that holds one of the chunks, nor a tail."""
    of_these = (objects.c.first < chunks.stop, objects.c.stop > chunks.start)
    void = sa.or_(objects.c.kind == TAIL, sa.and_(*of_these))
    connection.execute(sa.delete(objects).where(objects.c.gen == gen, void))


def pieces_of(truth: Truth) -> tuple[list[Piece], list[str]]:
    """See `read_pieces`; in a transaction of its own."""
    with truth.database.read() as connection:
        return read_pieces(connection, truth.sid)
