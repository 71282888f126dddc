"""What must hold of a store after a crash, at whatever moment it came."""

from __future__ import annotations

import random
from collections.abc import Callable
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
    BLANK,
    KEY,
    REACH,
    Wrong,
    attachment_key,
    attachments_of,
    expected_rows,
    make_turns,
    must,
    names_in,
    opened,
    publish_chunks,
    tail_of,
    turns_of,
    user_of,
    whole_chunks,
)
from .play import Expected, World, fill_holes

# A crash damages nothing that was written by the rules, so a check may not find any of it.
_DAMAGED_TRUTH = {
    "corrupt-catalog", "corrupt-database", "corrupt-note", "corrupt-store", "corrupt-turn",
    "lost-messages", "missing-session",
}  # fmt: skip
_NEW = [900, 5]


def check_state(
    root: Path, expected: Expected, *, killed: bool, rng: random.Random, thorough: bool = True
) -> set[str]:
    """Open a store that a crash has left, look at all of it, repair it and go on with it.

    Args:
        expected: what is known about the moment of the crash.
        killed: only the process died: then nothing published may be lost, or need recovery.
        rng: what is done in which order.
        thorough: do everything to every state; else only some of it, by chance.

    Returns:
        What was found and recovered, as kinds of findings.

    Raises:
        Wrong, StoreError: not as promised.
    """
    kinds: set[str] = set()
    steps: list[Callable[[Store], set[str]]]
    must_be_gone(root, expected.gone)
    if expected.copied:
        look_at_backup(root, expected)
    if expected.damaged:
        look_at_damage(root, expected)
        rebuild_marker(root)
    elif rng.random() < 0.1:
        with suppress(SessionMissing), Store.open(root, read_only=True) as store:
            kinds |= look(store, expected, killed=killed)
    steps = [mend, lambda store: go_on(store, expected)]
    rng.shuffle(steps)
    with Store.open(root) as store:
        if expected.damaged:
            kinds |= mend(store, damaged=True)
        kinds |= look(store, expected, killed=killed)
        for step in steps if thorough or expected.going or expected.gone else steps[:1]:
            kinds |= step(store)
    # A call that was killed before it began is not done again by whoever did not know of it.
    must_be_gone(root, [*expected.gone, *([] if told(root, expected.going) else expected.going)])
    if expected.copied:
        back_up_again(root)
    return kinds


def told(root: Path, traces: list[str]) -> bool:
    """Whether a turn that is there says one of these bytes, given in hex."""
    with Store.open(root, read_only=True) as store:
        for name in names_in(store) if traces else ():
            with opened(store, name) as session:
                texts = [turn.text.encode() for turn in session.turns()]
            if any(bytes.fromhex(trace) in text for trace in traces for text in texts):
                return True
    return False


def look(store: Store, expected: Expected, *, killed: bool) -> set[str]:
    """Everything that can be read is one of the expected worlds; kinds of what was recovered."""
    kinds: set[str] = set()
    names = names_in(store)
    worlds = [world for world in expected.worlds if set(world) == names]
    must(worlds, f"sessions {sorted(names)}; expected {expected.worlds}")
    users = {usage.user.name for usage in store.users()}
    owners = {user_of(name) for world in expected.worlds for name in world}
    must(users <= owners, f"users {users}; expected some of {owners}")
    least = expected.published if killed else expected.durable
    found: World = {}
    for name in sorted(names):
        with opened(store, name, create=False) as session:
            found[name] = turns_of(session)
            recovered = session.recovered if session.writable else session.damaged
            kinds |= {finding.kind for finding in recovered}
            must(not (killed and recovered), f"a kill needs recovery: {recovered}")
            count, wanted = session.published, least.get(name, 0)
            must(
                count >= wanted or expected.dropped,
                f"{count} of {wanted} chunks of {name!r}: {recovered}",
            )
            must(expected.holes or not session.holes, f"holes of {name!r}: {session.holes}")
            if expected.dropped:
                encode_again(session)
            look_at_chunks(session)
    must(found in worlds, f"turns {found}; expected {worlds}")
    return kinds


def look_at_chunks(session: SessionStore) -> None:
    """Nothing wrong is handed out, and nothing that is published fails its checksum."""
    count, whole = session.published, whole_chunks(session)
    landmarks, kv = expected_rows(session, 0, count)
    must(np.array_equal(session.landmarks()[whole], landmarks[whole]), "SILENT: a wrong landmark")
    try:
        found = session.gather(whole)
    except CorruptChunk as error:
        raise Wrong(f"bad K/V that the opening did not see: {error}") from error
    must(np.array_equal(found, kv[whole]), "SILENT: wrong K/V")
    must(session.tail() in (None, tail_of(count)), "SILENT: a wrong tail")


def encode_again(session: SessionStore) -> None:
    """Do what the memory does where a chunk that it asks for is bad."""
    if not session.writable:
        return
    try:
        session.gather(whole_chunks(session))
    except CorruptChunk as error:
        session.rollback(error.chunk_ids[0])


def look_at_damage(root: Path, expected: Expected) -> None:
    """Of a damaged store everything is right or a typed error."""
    with suppress(StoreError), Store.open(root, create=False) as store:
        for info in store.list_sessions():
            with suppress(StoreError), store.session(info.name, layout=None) as session:
                must(turns_of(session) == expected.worlds[0].get(info.name), "wrong turns")
                landmarks, kv = expected_rows(session, 0, session.published)
                must(np.array_equal(session.landmarks(), landmarks), "SILENT: a wrong landmark")
                for chunk in range(session.published):
                    with suppress(CorruptChunk):
                        must(np.array_equal(session.gather([chunk])[0], kv[chunk]), "SILENT: K/V")


def mend(store: Store, *, damaged: bool = False, keyed: bool = False) -> set[str]:
    """A check with repair, after which a check finds nothing; kinds of what it found."""
    if not keyed and any(usage.user.name == "eve" for usage in store.users()):
        with Store.open(store.root, key=KEY) as administration:
            return mend(administration, damaged=damaged, keyed=True)
    findings = store.check(repair=True)
    truth = [finding for finding in findings if finding.kind in _DAMAGED_TRUTH]
    must(damaged or not truth, f"a check finds {truth}")
    # A repair that found nothing has changed nothing: it was the check already.
    left = findings and store.check()
    must(not left, f"left after a repair of {findings}: {left}")
    return {finding.kind for finding in findings}


def go_on(store: Store, expected: Expected) -> set[str]:
    """Do again what had not returned, as its caller would, and then something new."""
    world = expected.worlds[-1]
    for name in sorted(names_in(store) - set(world)):
        user = user_of(name)
        if user is None:
            store.delete_session(name)
        elif name in names_in(store):
            store.delete_user(user)
    # In this order: what a fork shares is forgotten where it comes from, "alice".
    for name, known in sorted((world or {"alice": []}).items()):
        with opened(store, name) as session:
            finish(session, known)
            must(turns_of(session) == [*known, _NEW], f"after going on: {turns_of(session)}")
            fill_holes(session)
            for _ in publish_chunks(session, 50):
                pass
            must(whole_chunks(session) == list(range(session.num_tokens // 4)), "chunks missing")
            look_at_chunks(session)
    return set()


def finish(session: SessionStore, known: list[list[int]]) -> None:
    """Append what is missing, and forget what is to be forgotten."""
    # The last ones that are there are sent again too: they must not be stored twice.
    first = max(0, min(session.num_turns, len(known)) - 2)
    there = [[number, size] for number, size in known[first:] if number >= 0]
    new = [*there, _NEW]
    session.append(make_turns(new), meta=attachments_of(new))
    for seq, (number, _) in enumerate(known):
        if number < 0 and seq >= session.num_shared:
            keys = [attachment_key(-1 - number)]
            session.forget([seq], blank=BLANK, reach=REACH, keys=keys)


def must_be_gone(root: Path, traces: list[str]) -> None:
    """No file of the store holds any of these bytes, given in hex."""
    if not traces:
        return
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for trace in traces:
                must(bytes.fromhex(trace) not in data, f"{bytes.fromhex(trace)!r} is in {path}")


def backup_of(root: Path) -> Path:
    """Where scenarios copy a store to."""
    return root.parent / "backup"


def look_at_backup(root: Path, expected: Expected) -> None:
    """A backup is whole, or it is not there; what is on its way is right, or a typed error."""
    folder, partial = backup_of(root), backup_of(root).with_suffix(".partial")
    there = folder.exists() and any(folder.iterdir())
    must(there or not expected.backed_up, "the backup is gone")
    if there:
        with Store.open(folder, create=False, read_only=True) as store:
            must(names_in(store) == set(expected.copied), f"sessions {names_in(store)} in a backup")
            look_at_copies(store, expected)
        with Store.open(folder, create=False) as store:
            findings = store.check()
            must(not findings, f"a check of a backup finds {findings}")
            look_at_copies(store, expected)
    with suppress(StoreError), Store.open(partial, create=False, read_only=True) as store:
        for name in names_in(store):
            with suppress(StoreError), opened(store, name) as session:
                must(turns_of(session) in expected.copied[name], "other turns in half a backup")


def look_at_copies(store: Store, expected: Expected) -> None:
    """Every session of a backup is as it was at some moment since the backup began."""
    for name in names_in(store):
        with opened(store, name) as session:
            found, wanted = turns_of(session), expected.copied[name]
            must(found in wanted, f"turns {found} in a backup; expected one of {wanted}")
            must(not session.damaged, f"a backup with {session.damaged}")
            look_at_chunks(session)


def back_up_again(root: Path) -> None:
    """Copy the store, unless it has been, over whatever an earlier backup has left."""
    folder = backup_of(root)
    if folder.exists() and any(folder.iterdir()):
        return
    with Store.open(root) as store:
        _, _, findings = store.backup(str(folder))
        must(not findings, f"a backup finds {findings}")
        worlds = []
        for of in (store.root, folder):
            with Store.open(of, read_only=True) as one:
                worlds.append({})
                for name in names_in(one):
                    with opened(one, name) as session:
                        worlds[-1][name] = turns_of(session)
        must(worlds[0] == worlds[1], f"a backup of {worlds[0]} holds {worlds[1]}")
