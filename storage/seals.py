"""Rows of `segments`: one per full segment, with the digests that replace row-by-row checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from .records import Seal
from .rows import DECODE_ERRORS, segment_sum
from .tables import segments
from .truth import Truth

_select = sa.text(
    "SELECT gen, n, sealed, table_sum, landmarks_sum, sum FROM segments WHERE gen = :gen"
)


def read_seals(truth: Truth, gen: int) -> dict[int, Seal]:
    """Seals of a generation by segment number; a damaged row is left out.

    Without its seal a segment is verified row by row, so a lost row costs time and no safety.
    """
    with truth.database.read() as connection:
        rows = connection.execute(_select, {"gen": gen}).all()
    found = {}
    for row in rows:
        if _row_is_whole(truth.sid, row):
            found[row.n] = Seal(row.table_sum, row.landmarks_sum)
    return found


def damaged_seals(truth: Truth, gen: int) -> list[str]:
    """Complaints about rows that fail their checksum."""
    with truth.database.read() as connection:
        rows = connection.execute(_select, {"gen": gen}).all()
    return [f"segment row {row.n!r}" for row in rows if not _row_is_whole(truth.sid, row)]


def _row_is_whole(sid: bytes, row: Sequence[Any]) -> bool:
    gen, n, sealed, table_sum, landmarks_sum, found = row
    try:
        return bool(segment_sum(sid, gen, n, sealed, table_sum, landmarks_sum) == found)
    except DECODE_ERRORS:
        return False


def put_seals(connection: sa.Connection, sid: bytes, gen: int, seals: dict[int, Seal]) -> None:
    """Add the rows of newly full segments."""
    for n, seal in seals.items():
        row = {"gen": gen, "n": n, "sealed": 1, **seal.__dict__}
        row["sum"] = segment_sum(sid, gen, n, 1, seal.table_sum, seal.landmarks_sum)
        connection.execute(sa.delete(segments).where(segments.c.gen == gen, segments.c.n == n))
        connection.execute(sa.insert(segments), row)


def drop_seals(connection: sa.Connection, gen: int, first: int, stop: int = 1 << 62) -> None:
    """Remove the rows of segments first..stop-1, by default of all from `first` on."""
    of_these = (segments.c.gen == gen, segments.c.n >= first, segments.c.n < stop)
    connection.execute(sa.delete(segments).where(*of_these))
