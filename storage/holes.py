"""Rows of `holes` and `seams`: chunks that are encoded anew in the middle of a generation.

When a message is forgotten, its tokens become blank ones and the chunks they reached are encoded
again, while the chunks after those stay as they are. Until that is done the chunks are a hole that
nobody reads. Afterwards the chain hash no longer leads across: the first chunk behind keeps the
hash it was made with, and that is its seam.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from .errors import CorruptMetadata
from .rows import DECODE_ERRORS, span_sum
from .tables import holes, seams
from .truth import Truth

_select_holes = sa.text("SELECT first, stop, sum FROM holes WHERE gen = :gen ORDER BY first")
_select_seams = sa.text("SELECT chunk, chain, sum FROM seams WHERE gen = :gen")


class Holes(NamedTuple):
    """Holes and seams of a generation as they are once a transaction is committed."""

    holes: list[range]
    seams: dict[int, int]


def merged(spans: Sequence[range]) -> list[range]:
    """The same chunks as ranges that neither overlap nor touch, ascending."""
    found: list[range] = []
    for span in sorted(spans, key=lambda x: x.start):
        if found and span.start <= found[-1].stop:
            found[-1] = range(found[-1].start, max(found[-1].stop, span.stop))
        else:
            found.append(span)
    return found


def within(span: range, bounds: range) -> range:
    """What of a range lies within another; empty ranges are false."""
    return range(max(span.start, bounds.start), min(span.stop, bounds.stop))


def read_holes(truth: Truth, gen: int) -> list[range]:
    """Holes of a generation, ascending.

    Raises:
        CorruptMetadata: a row is not what was written.
    """
    rows = _rows(truth, _select_holes, gen)
    for first, stop, found in rows:
        _require(truth, gen, first, stop, b"", found, "hole")
        if not 0 <= first < stop <= truth.state.pub_chunk:
            raise CorruptMetadata(f"{truth.where}: a hole at chunks {first}..{stop - 1}; run check")
    return [range(first, stop) for first, stop, _ in rows]


def read_seams(truth: Truth, gen: int) -> dict[int, int]:
    """Chain hash before each chunk that has a seam in front; raises as `read_holes`."""
    rows = _rows(truth, _select_seams, gen)
    for chunk, chain, found in rows:
        _require(truth, gen, chunk, chunk, chain, found, "seam")
    return {chunk: int.from_bytes(chain, "little") for chunk, chain, _ in rows}


def _rows(truth: Truth, statement: sa.TextClause, gen: int) -> Sequence[Any]:
    if truth.is_old:
        return []
    with truth.database.read() as connection:
        return connection.execute(statement, {"gen": gen}).all()


def _require(
    truth: Truth, gen: int, first: int, stop: int, chain: bytes, found: bytes, what: str
) -> None:
    try:
        good = span_sum(truth.sid, gen, first, stop, chain) == found
    except DECODE_ERRORS:
        good = False
    if not good:
        raise CorruptMetadata(
            f"{truth.where}: the row of the {what} at chunk {first!r} fails its checksum; run check"
        )


def put_holes(connection: sa.Connection, sid: bytes, gen: int, spans: Sequence[range]) -> None:
    """Replace all holes of a generation."""
    connection.execute(sa.delete(holes).where(holes.c.gen == gen))
    for span in spans:
        own = span_sum(sid, gen, span.start, span.stop, b"")
        row = {"gen": gen, "first": span.start, "stop": span.stop, "sum": own}
        connection.execute(sa.insert(holes), row)


def put_seams(connection: sa.Connection, sid: bytes, gen: int, chains: dict[int, int]) -> None:
    """Replace all seams of a generation."""
    connection.execute(sa.delete(seams).where(seams.c.gen == gen))
    for chunk, value in chains.items():
        chain = value.to_bytes(8, "little")
        own = span_sum(sid, gen, chunk, chunk, chain)
        values = {"gen": gen, "chunk": chunk, "chain": chain, "sum": own}
        connection.execute(sa.insert(seams), values)
