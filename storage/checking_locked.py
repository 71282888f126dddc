"""Checking a session whose key is missing: every checksum, for those are of what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from .checksums import xxh3_bytes
from .cipher import Locked
from .derived import Derived
from .errors import CorruptChunk, CorruptMetadata, KeyMissing, StoreError
from .findings import Problem
from .generation import Generation
from .paths import session_folder
from .rows import DECODE_ERRORS, note_sum
from .seals import damaged_seals
from .tables import notes
from .truth import Truth
from .types import Finding, SessionInfo
from .vfs import Vfs

_BATCH = 64
# Chunks from here on would be compared with their tokens.
_NEVER = 1 << 62
_select_blobs = sa.text("SELECT seq, sums, text, tok, meta FROM turns ORDER BY seq")
_CLOSED = (
    "it is encrypted and there is no key: checksums were looked at; whether text, tokens, metadata "
    "and derived files can be opened, and belong together, was not"
)


def check_locked(vfs: Vfs, root: str, store_id: bytes, info: SessionInfo) -> list[Finding]:
    """What is not as it was written in an encrypted session, and that not all was looked at."""
    folder = session_folder(root, info.id)
    sid = bytes.fromhex(info.id)
    problems: list[Problem] = []
    try:
        truth = Truth(vfs, folder, sid, write=False, cipher=Locked())
    except StoreError as error:
        return [Problem(folder, type(error).__name__, str(error)).as_finding(info.name, root)]
    try:
        truth.load()
        truth.open_base(root)
        name = str((truth.note("identity") or {}).get("name", info.name))
        problems += _check_truth(truth)
        problems += _check_derived(vfs, folder, store_id, truth)
    except StoreError as error:
        name = info.name
        problems.append(Problem(truth.where, type(error).__name__, str(error)))
    finally:
        truth.close()
    problems.append(Problem(folder, "not-checked", _CLOSED))
    return [problem.as_finding(name, root) for problem in problems]


def _check_truth(truth: Truth) -> list[Problem]:
    path = truth.where
    problems = [Problem(path, "corrupt-database", text) for text in truth.database.integrity()]
    try:
        truth.light_rows(0, truth.state.n_turn)
        if lost := truth.lost_turns():
            problems.append(Problem(path, "lost-messages", lost))
    except CorruptMetadata as error:
        problems.append(Problem(path, "corrupt-turn", str(error)))
    with truth.database.read() as connection:
        for row in connection.execute(_select_blobs):
            if not _blobs_are_whole(row):
                problems.append(Problem(path, "corrupt-turn", f"turn {row.seq!r} is damaged"))
        for row in connection.execute(sa.select(notes)):
            if not _note_is_whole(truth.sid, row):
                problems.append(Problem(path, "corrupt-note", f"note {row.key!r} is damaged"))
    return problems


def _blobs_are_whole(row: Any) -> bool:
    try:
        found = b"".join(xxh3_bytes(blob) for blob in (row.text, row.tok, row.meta))
        return bool(found == row.sums[:24])
    except DECODE_ERRORS:
        return False


def _note_is_whole(sid: bytes, row: Any) -> bool:
    try:
        return bool(note_sum(sid, row.key, row.value) == row.sum)
    except DECODE_ERRORS:
        return False


def _check_derived(vfs: Vfs, folder: str, store_id: bytes, truth: Truth) -> list[Problem]:
    state = truth.state
    # Chunks that were not synced would be compared with their tokens.
    truth.state = replace(state, durable_chunk=state.pub_chunk)
    derived = Derived(vfs, folder, store_id, truth.sid, truth, write=False)
    try:
        problems = derived.follow()
        generation = derived.generation
        for chunk in _bad_chunks(generation, derived.layout.kv_bytes):
            path = generation.segment_path(chunk)
            problems.append(Problem(path, "corrupt-chunk", f"chunk {chunk}"))
        rows = damaged_seals(truth, state.gen)
        problems += [Problem(truth.where, "corrupt-segment-row", text) for text in rows]
        return problems + _check_tail(generation, truth)
    finally:
        derived.close()


def _bad_chunks(generation: Generation, width: int) -> Sequence[int]:
    bad: list[int] = []
    generation.records.forget(0)
    every = np.arange(generation.count)
    whole = every[~generation.in_holes(every)]
    for first in range(0, len(whole), _BATCH):
        part = whole[first : first + _BATCH]
        try:
            generation.gather(part, np.empty((len(part), width), np.uint8), _NEVER)
        except CorruptChunk as error:
            bad += error.chunk_ids
    return bad


def _check_tail(generation: Generation, truth: Truth) -> list[Problem]:
    state = truth.state
    if state.tail_serial <= 0 or generation.count != state.pub_chunk:
        return []
    chain = generation.records.chain_before(generation.count)
    path = generation.tails.path(state.tail_serial)
    try:
        generation.tails.read(state.tail_serial, generation.count, chain)
    except KeyMissing:
        # Only what passes its checksum is opened.
        return []
    except StoreError as error:
        return [Problem(path, "corrupt-tail", str(error))]
    return []
