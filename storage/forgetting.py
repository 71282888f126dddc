"""Forgetting turns: what they said goes, their place in the stream stays.

One durable transaction blanks the rows and makes holes of all chunks that the tokens reached; from
then on nothing can retrieve them. Then the holes are wiped, and the log of the database is emptied:
it holds old pages. A crash in between is finished by the next writer.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa

from .derived import Derived
from .errors import CorruptChunk, StoreFull
from .holes import Holes
from .maps import pack_map
from .reserve import Reserve
from .rows import FORGOTTEN, SCALARS, check_row, forget_turn
from .scanning import MIN_NEEDLE_BYTES, Scan, may_hold, spread
from .tables import expiries, notes, turns
from .truth import CALLERS, Truth
from .types import Turn

_log = logging.getLogger(__name__)
Needles = dict[str, list[bytes]]
# The note of a database whose pages may hold what was forgotten.
OLD_PAGES = "old-pages"
_BATCH = 500
_TEXT_PIECE = 64
_TOKENS_PIECE = 32
_select_stored = sa.text("SELECT text, tok, meta FROM turns WHERE seq = :seq")
_select_value = sa.text("SELECT value FROM notes WHERE key = :key")
_select_row = sa.text(f"SELECT {', '.join(SCALARS)}, sums FROM turns WHERE seq = :seq")


@dataclass(frozen=True)
class Forgotten:
    """What was removed from a session."""

    turns: int
    tokens: int
    chunks: list[range]
    """Chunks whose landmark and K/V were wiped and wait to be encoded anew."""
    scan: Scan | None
    """What a search for the removed bytes found, if it was asked for."""
    log_is_empty: bool
    """False: a reader keeps the database's log, which still holds the text, from being emptied; it
    is emptied once that reader has gone on."""


def forget_turns(
    truth: Truth,
    derived: Derived,
    seqs: Sequence[int],
    *,
    blank: int,
    reach: int,
    keys: Sequence[str],
    reserve: Reserve,
    fence: Callable[[sa.Connection], None],
    look: Callable[[Needles], Scan] | None = None,
) -> Forgotten:
    """See SessionStore.forget.

    Args:
        fence: called in the transaction; raises if it must not be committed.
    """
    wanted = [turn for seq in sorted(set(seqs)) for turn in truth.turns(seq, seq + 1)]
    gone = [turn for turn in wanted if not turn.forgotten]
    if not gone:
        return Forgotten(0, 0, [], None, truth.empty_log())
    _look_at([span for turn in gone if (span := _reached(turn, derived, reach))], derived)
    spans = [span for turn in gone if (span := _reached(turn, derived, reach))]
    # Chunks that were not synced could not tell their tokens from others beside a hole.
    derived.generation.sync()
    names = [CALLERS + key for key in keys]
    pieces = _pieces_of_rows(truth, gone, names)
    needles: Needles = {}
    if look:
        needles = {**_row_needles(truth, gone, names), **_chunk_needles(derived, gone)}
    state = truth.state
    new = replace(
        state,
        revision=state.revision + 1,
        forgotten=state.forgotten + len(gone),
        durable_chunk=state.pub_chunk,
        # Negative: the serial is used up, and its tail is wiped with the holes.
        tail_serial=-abs(state.tail_serial),
    )

    def commit() -> Holes:
        with truth.writing(new, durable=True) as connection:
            fence(connection)
            for turn in gone:
                _blank(truth, connection, turn, blank)
            for first in range(0, len(names), _BATCH):
                batch = names[first : first + _BATCH]
                connection.execute(sa.delete(notes).where(notes.c.key.in_(batch)))
            numbers = [turn.seq for turn in gone]
            for first in range(0, len(numbers), _BATCH):
                seqs = numbers[first : first + _BATCH]
                connection.execute(sa.delete(expiries).where(expiries.c.seq.in_(seqs)))
            truth.put_note(connection, OLD_PAGES, {})
            return derived.open_holes(connection, spans)

    made = reserve.used_by(commit)
    truth.forgot()
    derived.take_holes(made)
    derived.generation.tails.wipe()
    tokens = sum(len(turn.tokens) for turn in gone)
    log_is_empty = reserve.used_by(truth.empty_log)
    if log_is_empty:
        log_is_empty = clean_pages(truth, vacuum=may_hold(truth.where, pieces))
    scan = look(needles) if look else None
    return Forgotten(len(gone), tokens, made.holes, scan, log_is_empty)


def _chunk_needles(derived: Derived, gone: list[Turn]) -> Needles:
    """What must be in no file of chunks any more, as it lies there now."""
    # Those behind, which only heard of it, may be like chunks elsewhere; so may one that has but
    # the role of a message in it, between others that are blank.
    size, held = derived.layout.chunk_size, Counter[int]()
    for turn in gone:
        start, stop = turn.token_start, turn.token_start + len(turn.tokens)
        for chunk in _reached(turn, derived, 0):
            held[chunk] += max(0, min(stop, (chunk + 1) * size) - max(start, chunk * size))
    chunks = sorted(chunk for chunk, tokens in held.items() if 4 * tokens >= MIN_NEEDLE_BYTES)
    landmarks, blocks = derived.generation.stored(chunks)
    # Holes that an earlier forgetting has left are zeros, and zeros are everywhere.
    return {
        "landmark": spread([row for row in landmarks if any(row)]),
        "kv": spread([row for row in blocks if any(row)]),
    }


def _row_needles(truth: Truth, gone: list[Turn], keys: Sequence[str]) -> Needles:
    """What must be in no database any more."""
    texts, tokens, values = [], [], []
    with truth.database.read() as connection:
        for turn in gone:
            texts += list(connection.execute(_select_stored, {"seq": turn.seq}).one())
            texts += _cut(turn.text.encode(), _TEXT_PIECE)
            tokens += _cut(turn.tokens.astype("<u4", copy=False).tobytes(), 4 * _TOKENS_PIECE)
        for key in keys:
            for value in connection.execute(_select_value, {"key": key}).scalars():
                values += _cut(value, _TEXT_PIECE)
    return {"text": spread(texts), "tokens": spread(tokens), "attachment": spread(values)}


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def _pieces_of_rows(truth: Truth, gone: list[Turn], keys: Sequence[str]) -> list[bytes]:
    """All that the database holds of turns and notes, in pieces: of a row that was moved within a
    page a part may be left."""
    found: list[bytes] = []
    with truth.database.read() as connection:
        for turn in gone:
            found += [turn.turn_id.encode(), turn.text.encode()]
            found += connection.execute(_select_stored, {"seq": turn.seq}).one()
        for key in keys:
            found += connection.execute(_select_value, {"key": key}).scalars()
    pieces = (piece for value in found for piece in _cut(value, _TEXT_PIECE))
    return [piece for piece in pieces if len(piece) >= MIN_NEEDLE_BYTES]


def _look_at(spans: Sequence[range], derived: Derived) -> None:
    """Read the records in and around holes to be, while their seals cover them; the watermark goes
    down to one that is damaged."""
    records = derived.generation.records
    for span in filter(None, spans):
        try:
            records.need(span.start, span.stop)
            for chunk in (span.start, min(span.stop, derived.published)):
                records.chain_before(chunk)
        except CorruptChunk as error:
            derived.roll_back(min(error.chunk_ids))


def has_old_pages(truth: Truth) -> bool:
    """Whether nobody has yet seen to the pages of a database since something was forgotten."""
    return truth.state.forgotten > 0 and truth.note(OLD_PAGES) is not None


def clean_pages(truth: Truth, *, vacuum: bool = True) -> bool:
    """See that no page of the database holds old rows, which SQLite leaves behind in pages that it
    splits; whether its log is empty then. On a full disk the next writer tries again.

    Args:
        vacuum: write the database anew; False if somebody has looked and found nothing.
    """
    try:
        if vacuum:
            truth.database.vacuum()
        with truth.writing(truth.state) as connection:
            connection.execute(sa.delete(notes).where(notes.c.key == OLD_PAGES))
    except StoreFull as error:
        _log.warning("%s may hold what was forgotten until there is room: %s", truth.where, error)
        truth.empty_log()
        return False
    return truth.empty_log()


def _reached(turn: Turn, derived: Derived, reach: int) -> range:
    """Published chunks that a turn's tokens have a part in."""
    size = derived.layout.chunk_size
    stop = -(-(turn.token_start + len(turn.tokens) + reach) // size)
    return range(derived.layout.first_chunk(turn.token_start), min(stop, derived.published))


def _blank(truth: Truth, connection: sa.Connection, turn: Turn, blank: int) -> None:
    old = connection.execute(_select_row, {"seq": turn.seq}).one()
    row = {
        "seq": turn.seq,
        # Whoever adds it again gets a new message; a name of ours cannot be one of theirs.
        "turn_id": f"forgotten-{os.urandom(16).hex()}",
        "ts": turn.timestamp,
        "role": turn.role,
        "n_tok": len(turn.tokens),
        "tok0": turn.token_start,
        "flags": FORGOTTEN,
        "meta": pack_map({}),
        "text": b"",
        "tok": np.full(len(turn.tokens), blank, "<u4").tobytes(),
    }
    forget_turn(row, truth.sid, check_row(old, truth.sid, truth.where), truth.cipher)
    connection.execute(sa.update(turns).where(turns.c.seq == turn.seq), row)


def token_spans(truth: Truth, seqs: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Stream positions (start, stop) of turns by their numbers."""
    ends = {seq: (truth.tokens_upto(seq), truth.tokens_upto(seq + 1)) for seq in seqs}
    return ends


def turns_seen(truth: Truth, session_id: str) -> int:
    """How many turns of a session a fork of it, or of a fork of it, reads."""
    seen = 1 << 62
    while truth.base is not None and truth.sid.hex() != session_id:
        seen = min(seen, truth.base.turns)
        truth = truth.base.truth
    return seen


def touch_chunks(
    truth: Truth, derived: Derived, spans: Sequence[tuple[int, int]], reach: int
) -> None:
    """See SessionStore.touch."""
    if not spans:
        return
    layout, own = derived.layout, derived.generation.own.first
    chunks = [
        range(
            max(own, layout.first_chunk(a)),
            min(-(-(b + reach) // layout.chunk_size), derived.published),
        )
        for a, b in spans
    ]
    _look_at(chunks, derived)
    chunks = [range(span.start, min(span.stop, derived.published)) for span in chunks]
    derived.generation.sync()
    state = truth.state
    new = replace(
        state,
        revision=state.revision + 1,
        durable_chunk=state.pub_chunk,
        tail_serial=-abs(state.tail_serial),
    )
    with truth.writing(new, durable=True) as connection:
        made = derived.open_holes(connection, [span for span in chunks if span])
    truth.forgot()
    derived.take_holes(made)
    derived.generation.tails.wipe()
