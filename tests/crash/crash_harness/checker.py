"""What must hold of a store after a crash, at whatever moment it came."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import numpy as np

from hsa_memory.storage import (
    CorruptChunk,
    SessionMissing,
    SessionStore,
    Store,
    StoreError,
    rebuild_marker,
)

from .helpers import (
    LAYOUT,
    Wrong,
    attachment_of,
    expected_rows,
    make_turn,
    must,
    publish_chunks,
    tail_of,
    turns_of,
)
from .play import Expected, World

# A crash damages nothing that was written by the rules, so a check may not find any of it.
_DAMAGED_TRUTH = {
    "corrupt-catalog", "corrupt-database", "corrupt-note", "corrupt-store", "corrupt-turn",
    "lost-messages", "missing-session",
}  # fmt: skip


def check_state(root: Path, expected: Expected, *, killed: bool, rng: random.Random) -> set[str]:
    """Open a store that a crash has left, look at all of it, repair it and go on with it.

    Args:
        expected: what is known about the moment of the crash.
        killed: only the process died: then nothing published may be lost, or need recovery.
        rng: what is done in which order.

    Returns:
        What the opening found, as kinds of findings.

    Raises:
        Wrong, StoreError: not as promised.
    """
    kinds: set[str] = set()
    if expected.damaged:
        look_at_damage(root, expected)
        mend(root, damaged=True)
    elif rng.random() < 0.25:
        with suppress(SessionMissing):  # no store yet
            look(root, expected, killed=killed, read_only=True)
    kinds |= look(root, expected, killed=killed)
    if rng.random() < 0.5:
        kinds |= mend(root)
        go_on(root, expected)
    else:
        go_on(root, expected)
        kinds |= mend(root)
    return kinds


def look(root: Path, expected: Expected, *, killed: bool, read_only: bool = False) -> set[str]:
    """Everything that can be read is one of the expected worlds; kinds of what was recovered."""
    kinds: set[str] = set()
    with Store.open(root, read_only=read_only) as store:
        names = {info.name for info in store.list_sessions()}
        worlds = [world for world in expected.worlds if set(world) == names]
        must(worlds, f"sessions {sorted(names)}; expected {expected.worlds}")
        found: World = {}
        for name in sorted(names):
            options = {"create": False, "read_only": read_only}
            with store.session(name, layout=LAYOUT, **options) as session:
                found[name] = turns_of(session)
                recovered = session.damaged if read_only else session.recovered
                kinds |= {finding.kind for finding in recovered}
                must(not (killed and recovered), f"a kill needs recovery: {recovered}")
                least = expected.published if killed else expected.durable
                must(
                    session.published >= least.get(name, 0),
                    f"{session.published} chunks of {name!r} of {least[name]}: {recovered}"
                    if name in least
                    else "",
                )
                look_at_chunks(session)
        must(found in worlds, f"turns {found}; expected {worlds}")
    return kinds


def look_at_chunks(session: SessionStore) -> None:
    """Nothing wrong is handed out, and nothing that is published fails its checksum."""
    count = session.published
    landmarks, kv = expected_rows(session, 0, count)
    must(np.array_equal(session.landmarks(), landmarks), "SILENT: a wrong landmark")
    try:
        found = session.gather(np.arange(count))
    except CorruptChunk as error:
        raise Wrong(f"published K/V is bad, and the opening did not see it: {error}") from error
    must(np.array_equal(found, kv), "SILENT: wrong K/V")
    must(session.tail() in (None, tail_of(count)), "SILENT: a wrong tail")


def look_at_damage(root: Path, expected: Expected) -> None:
    """Of a damaged store everything is right or a typed error."""
    with suppress(StoreError), Store.open(root, create=False) as store:
        for info in store.list_sessions():
            with suppress(StoreError), store.session(info.name, layout=None) as session:
                must(turns_of(session) == expected.worlds[0].get(info.name), "wrong turns")
                count = session.published
                landmarks, kv = expected_rows(session, 0, count)
                must(np.array_equal(session.landmarks(), landmarks), "SILENT: a wrong landmark")
                for chunk in range(count):
                    with suppress(CorruptChunk):
                        must(np.array_equal(session.gather([chunk])[0], kv[chunk]), "SILENT: K/V")


def mend(root: Path, *, damaged: bool = False) -> set[str]:
    """A check with repair, after which a check finds nothing; kinds of what it found."""
    if damaged:
        rebuild_marker(root)
    with Store.open(root) as store:
        findings = store.check(repair=True)
        truth = [finding for finding in findings if finding.kind in _DAMAGED_TRUTH]
        must(damaged or not truth, f"a check finds {truth}")
        left = store.check()
        must(not left, f"left after a repair of {findings}: {left}")
    return {finding.kind for finding in findings}


def go_on(root: Path, expected: Expected) -> None:
    """Do again what had not returned, as its caller would, and then something new."""
    world = expected.worlds[-1]
    with Store.open(root) as store:
        for info in store.list_sessions():
            if info.name not in world:
                store.delete_session(info.name)
        for name, known in (world or {"alice": []}).items():
            with store.session(name, layout=LAYOUT) as session:
                for number, size in [*known, [900, 5]]:
                    meta = dict([attachment_of(number)])
                    session.append([make_turn(number, size)], meta=meta)
                must(turns_of(session) == [*known, [900, 5]], f"after going on: {session.turns()}")
                for _ in publish_chunks(session, 50):
                    pass
                must(session.published == session.num_tokens // 4, "chunks are missing")
                look_at_chunks(session)
