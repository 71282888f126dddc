"""Indexes of session.db: derived from its rows, so they can be built anew."""

from __future__ import annotations

import sqlalchemy as sa

from .errors import CorruptMetadata
from .findings import Problem
from .rows import DECODE_ERRORS, note_sum
from .truth import Truth
from .vfs import Vfs

# Past the index, which may be what is damaged.
_select_notes = sa.text("SELECT key, value, sum FROM notes NOT INDEXED")


def mend_indexes(vfs: Vfs, root: str, folder: str, sid: bytes) -> list[Problem]:
    """Build indexes anew that do not agree with their rows; the caller holds the session's lock.

    Only if every row is as it was written: an index may be the last to know the id of a row that
    is damaged.

    Returns:
        What was wrong and now is right.
    """
    try:
        truth = Truth(vfs, folder, sid, write=True)
    except CorruptMetadata:
        return []
    try:
        truth.load()
        truth.open_base(root)
        complaints = truth.database.integrity()
        if not complaints:
            return []
        _require_whole(truth)
        truth.database.reindex()
        left = truth.database.integrity()
    except CorruptMetadata:
        return []
    finally:
        truth.close()
    return [Problem(truth.where, "corrupt-index", x, True) for x in complaints if x not in left]


def _require_whole(truth: Truth) -> None:
    truth.light_rows(0, truth.load().n_turn)
    with truth.database.read() as connection:
        rows = connection.execute(_select_notes).all()
    for key, value, found in rows:
        try:
            good = note_sum(truth.sid, key, value) == found
        except DECODE_ERRORS:
            good = False
        if not good:
            raise CorruptMetadata(f"{truth.where}: note {key!r} is damaged")
