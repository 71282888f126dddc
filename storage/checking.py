"""Reading a whole session and saying what is not as it was written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from .derived import Derived
from .errors import CorruptChunk, CorruptMetadata, StoreError
from .findings import Problem
from .rows import MAX_COUNT
from .seals import damaged_seals
from .truth import Truth
from .vfs import Vfs

_TURNS = 256
_select_numbers = sa.text("SELECT seq FROM turns ORDER BY seq")


def session_stats(vfs: Vfs, folder: str, truth: Truth, derived: Derived) -> dict[str, Any]:
    """Counts and allocated bytes of one session."""
    sizes = {"truth": 0, "kv": 0, "landmarks": 0, "tail": 0, "other": 0}
    for path in files_below(vfs, folder):
        status = vfs.lstat(path)
        if status is not None:
            sizes[_kind(os.path.basename(path))] += status.st_blocks * 512
    total = sum(sizes.values())
    state = truth.state
    return {
        "turns": state.n_turn,
        "tokens": state.n_tok,
        "chunks": derived.published,
        "bytes": sizes,
        "total_bytes": total,
        "bytes_per_token": total / state.n_tok if state.n_tok else 0.0,
    }


def _kind(name: str) -> str:
    if name.startswith("session.db") or name == "head.bin":
        return "truth"
    for start, kind in (("kv-", "kv"), ("landmarks.", "landmarks"), ("tail-", "tail")):
        if name.startswith(start):
            return kind
    return "other"


def files_below(vfs: Vfs, folder: str) -> list[str]:
    """Paths of all files in a directory and those below it."""
    found = []
    for name in vfs.list_dir(folder):
        path = os.path.join(folder, name)
        status = vfs.lstat(path)
        if status is None:
            continue
        if not os.path.isdir(path):
            found.append(path)
            continue
        with suppress(FileNotFoundError):  # removed meanwhile
            found += files_below(vfs, path)
    return found


def check_session(
    vfs: Vfs, folder: str, truth: Truth, derived: Derived, repair: bool
) -> list[Problem]:
    """Everything that is wrong with one session; see SessionStore.check."""
    problems = _check_truth(truth)
    problems += _check_head(folder, truth, repair)
    problems += _check_derived(truth, derived, repair)
    problems += _check_tail(truth, derived, repair)
    return problems


def _check_truth(truth: Truth) -> list[Problem]:
    path = truth.where
    problems = [
        Problem(path, "corrupt-database", complaint) for complaint in truth.database.integrity()
    ]
    try:
        truth.light_rows(0, truth.state.n_turn)
    except CorruptMetadata as error:
        problems.append(Problem(path, "corrupt-turn", str(error)))
    try:
        # Not as many as the state row tells of: that may be any number.
        there = _turns_there(truth)
    except CorruptMetadata:
        there = []
    for first in range(0, len(there), _TURNS):
        problems += _check_turns(truth, there[first : first + _TURNS])
    try:
        for key in truth.note_keys():
            truth.note(key)
    except CorruptMetadata as error:
        problems.append(Problem(path, "corrupt-note", str(error)))
    return problems


def _turns_there(truth: Truth) -> Sequence[int]:
    """Numbers of the turns that have a row, ascending."""
    with truth.database.read() as connection:
        own = list(connection.execute(_select_numbers).scalars())
    # What a fork shares with another session is not in its own table.
    return [*range(truth.state.base_turn), *(seq for seq in own if isinstance(seq, int))]


def _check_turns(truth: Truth, seqs: Sequence[int]) -> list[Problem]:
    try:
        if seqs[-1] >= MAX_COUNT:
            # More than SQLite can be asked for.
            raise CorruptMetadata(f"{truth.where}: a row says that it is turn {seqs[-1]}")
        for turn in truth.turns(seqs[0], seqs[-1] + 1):
            # The unique index must lead back to the row, or a turn could be stored twice.
            found = truth.find(turn.turn_id)
            if found is None or found.seq != turn.seq:
                raise CorruptMetadata(f"turn {turn.seq} is not found by its id {turn.turn_id!r}")
    except CorruptMetadata as error:
        if len(seqs) == 1:
            return [Problem(truth.where, "corrupt-turn", str(error))]
        middle = len(seqs) // 2
        return _check_turns(truth, seqs[:middle]) + _check_turns(truth, seqs[middle:])
    return []


def _check_head(folder: str, truth: Truth, repair: bool) -> list[Problem]:
    path = os.path.join(folder, "head.bin")
    if not truth.keeps_head:
        truth.load()
        return []
    # In this order, or else what a writer adds in between would seem lost.
    truth.head = truth.read_head()
    truth.load()
    problems = []
    if truth.head is None:
        problems.append(
            Problem(path, "corrupt-head", "it is missing or fails its checksum", repair)
        )
    try:
        if lost := truth.lost_turns():
            # Nothing brings them back: the repair only lets the session go on without them.
            problems.append(Problem(truth.where, "lost-messages", lost))
    except CorruptMetadata as error:
        problems.append(Problem(path, "corrupt-head", str(error), repair))
    # Unsynced changes that are lost were told when the session was opened.
    if repair and (problems or truth.lost_commits()):
        truth.write_head()
    return problems


def _check_derived(truth: Truth, derived: Derived, repair: bool) -> list[Problem]:
    published = derived.published
    derived.reopen()
    problems = derived.follow(thorough=True)
    state, generation = truth.state, derived.generation
    bad: list[int] = []
    # Damaged turns are reported by themselves; chunks that lost their tokens cannot be judged.
    with suppress(CorruptMetadata, CorruptChunk):
        bad = generation.damaged(derived.published)
        bad = sorted({*bad, *_broken_chain(truth, derived)})
    for chunk in bad:
        path = generation.segment_path(chunk)
        problems.append(Problem(path, "corrupt-chunk", f"chunk {chunk}"))
    problems += [
        Problem(truth.where, "corrupt-segment-row", complaint)
        for complaint in damaged_seals(truth, state.gen)
    ]
    if repair and (bad or len(problems)):
        derived.roll_back(min([published, derived.published, *bad[:1]]))
    return [replace(problem, repaired=repair) for problem in problems]


def _broken_chain(truth: Truth, derived: Derived) -> list[int]:
    """First chunk whose chain hash does not follow from all tokens before it."""
    layout, records = derived.layout, derived.generation.records
    size = layout.chunk_size
    batch = 1024
    for first in range(0, derived.published, batch):
        stop = min(first + batch, derived.published)
        tokens, _ = truth.stream.tokens_with_ends(first * size, stop * size, size, layout.lookahead)
        for chunk, hidden in enumerate(derived.generation.in_holes(np.arange(first, stop)), first):
            expected = records.chain_of(chunk, tokens[chunk - first])
            if not hidden and expected != records.rows["chain"][chunk]:
                return [chunk]
    return []


def _check_tail(truth: Truth, derived: Derived, repair: bool) -> list[Problem]:
    state, generation = truth.state, derived.generation
    if state.tail_serial <= 0 or derived.published != state.pub_chunk:
        return []
    try:
        chain = generation.records.chain_before(derived.published)
        generation.tails.read(state.tail_serial, derived.published, chain)
    except StoreError as error:
        if repair:
            truth.commit_state(replace(state, tail_serial=-state.tail_serial))
        return [
            Problem(generation.tails.path(state.tail_serial), "corrupt-tail", str(error), repair)
        ]
    return []
