"""What is recorded. A new operation of the store needs a function here, and no more.

A scenario is prepared by one function and recorded by the next; both get a `Play`, whose methods
keep what is expected right. What the preparation leaves counts as durable.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hsa_memory.storage import Store, rebuild_marker

from .helpers import LAYOUT
from .play import Play

_GOLDEN = Path(__file__).parents[2] / "golden"
Part = Callable[[Play], None]


@dataclass(frozen=True)
class Scenario:
    """One recorded run.

    Attributes:
        prepare: makes the store that the run begins with.
        run: the calls during which the crash comes.
    """

    name: str
    prepare: Part
    run: Part


SCENARIOS: dict[str, Scenario] = {}
# Recorded to be counted, not to be cut into crash states.
LONG: dict[str, Scenario] = {}


def scenario(prepare: Part, *, long: bool = False) -> Callable[[Part], Part]:
    """Register a function as the scenario of its name."""

    def register(run: Part) -> Part:
        name = run.__name__.replace("_", "-")
        (LONG if long else SCENARIOS)[name] = Scenario(name, prepare, run)
        return run

    return register


# ---- to begin with


def nothing(play: Play) -> None:
    """No store yet."""


def a_session(play: Play) -> None:
    """One session, in the middle of its second segment."""
    with play.session() as session:
        play.append(session, 36, 7)
        play.catch_up(session)


def a_secret(play: Play) -> None:
    """A session with turns to be forgotten: in a sealed segment, in two of them, at the end."""
    with play.session() as session:
        play.append(session, 9)
        play.append(session, 14, secret=True)
        play.append(session, 5)
        play.append(session, 17, secret=True)
        play.append(session, 20, 4)
        play.catch_up(session)


def a_fork(play: Play) -> None:
    """A fork whose first own chunk begins with tokens of a secret that it shares."""
    with Store.open(play.root) as store, play.session("alice", store) as session:
        play.append(session, 9)
        play.append(session, 14, secret=True)
        play.catch_up(session)
        play.fork(store, session, "branch", 2)
        with play.session("branch", store) as branch:
            play.append(branch, 11)
            play.catch_up(branch)


def an_old_store(play: Play) -> None:
    """A store of format 1.0, with the one session that is made of these tests' turns."""
    with tarfile.open(_GOLDEN / "v1.0.tar.xz") as archive:
        archive.extractall(play.root.parent)
    catalog = sqlite3.connect(play.root / "catalog.db")
    with catalog:
        other = catalog.execute("SELECT sid FROM sessions WHERE name = 'talk'").fetchone()[0]
        catalog.execute("DELETE FROM sessions WHERE sid = ?", [other])
    catalog.close()
    shutil.rmtree(play.root / "s" / other[:2])
    with Store.open(play.root, read_only=True) as store:
        with store.session("raw", layout=LAYOUT, read_only=True) as session:
            turns = session.turns()
            play.expected.worlds = [
                {"raw": [[int(turn.turn_id[5:]), len(turn.tokens)] for turn in turns]}
            ]
            play.expected.durable = {"raw": session.published}
            play.expected.published = {"raw": session.published}


def two_sessions(play: Play) -> None:
    """Two sessions."""
    a_session(play)
    with play.session("bob") as session:
        play.append(session, 9)
        play.catch_up(session)


def a_killed_writer(play: Play) -> None:
    """A session whose writer died with a log that nobody has copied back."""
    a_session(play)
    session = Store.open(play.root).session("alice", layout=None)
    play.append(session, 14)
    play.catch_up(session)
    play.append(session, 3)
    held = play.root.parent / "held"
    shutil.copytree(play.root, held)
    # What a close adds is not to be seen.
    session.close()
    shutil.rmtree(play.root)
    held.rename(play.root)


def an_older_database(play: Play) -> None:
    """session.db from before the last turns, beside the chunks that were made of them."""
    a_session(play)
    (folder,) = (play.root / "s").glob("*/*")
    kept = {name: (folder / name).read_bytes() for name in ("session.db", "head.bin")}
    older = Play(play.root.parent, play.expected)
    with older.session() as session:
        # Other turns than those to come at the same places.
        older.world["alice"].append([99, 0])
        older.append(session, 23, 40)
        older.catch_up(session)
    for name, data in kept.items():
        (folder / name).write_bytes(data)


def flip(path: Path, place: int) -> None:
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def damaged_chunks(play: Play) -> None:
    """A session with a bad block, a bad landmark, a bad tail and a bad head.bin."""
    two_sessions(play)
    with play.session() as session:
        folder, layout = Path(session.folder), session.layout
        geometry = session._derived._geometry
    generation = folder / "g1"

    def change() -> None:
        flip(generation / "kv-0.seg", geometry.block_offset(5))
        flip(generation / "landmarks.bin", 4096 + 6 * layout.landmark_bytes)
        for tail in generation.glob("tail-*"):
            flip(tail, 4100)
        flip(folder / "head.bin", 20)

    play.damage(change)


def a_damaged_catalog(play: Play) -> None:
    """Two sessions, a catalog with a bad row and no STORE."""
    two_sessions(play)

    def change() -> None:
        catalog = play.root / "catalog.db"
        flip(catalog, catalog.read_bytes().rindex(b"alice"))
        (play.root / "STORE").unlink()

    play.damage(change)


# ---- recorded


@scenario(nothing)
def create(play: Play) -> None:
    """A store is made, and its first session."""
    with play.session() as session:
        play.append(session, 6, 5)
        play.catch_up(session)


@scenario(a_session)
def append(play: Play) -> None:
    """Turns one by one and together, with and without their chunks."""
    with play.session() as session:
        play.append(session, 6)
        play.catch_up(session)
        play.append(session, 9, 3)
        play.append(session, 1)
        play.catch_up(session, step=1)
        play.roll_back(session, session.published - 2)
        play.catch_up(session)
        play.append(session, 13)
        # A new segment, whose first chunks no sync has followed.
        play.catch_up(session, step=1)
        play.append(session, 2)


@scenario(a_session)
def seal(play: Play) -> None:
    """Segments fill, and new ones begin."""
    with play.session() as session:
        for size in (20, 33, 50):
            play.append(session, size)
            play.catch_up(session, step=5)


@scenario(a_session, long=True)
def many_turns(play: Play) -> None:
    """Many turns one by one."""
    with play.session() as session:
        for _ in range(60):
            play.note(json.dumps({"count": "append"}))
            play.append(session, 5)
            play.note(json.dumps({"count": "publish"}))
            play.catch_up(session)
        play.note(json.dumps({"count": "append"}))


@scenario(a_session)
def new_session(play: Play) -> None:
    """More sessions in a store that has one."""
    with Store.open(play.root) as store:
        with play.session("bob", store) as session:
            play.append(session, 9)
            play.catch_up(session)
        with play.session("carol", store):
            pass


@scenario(two_sessions)
def delete(play: Play) -> None:
    """A session goes, its name comes back."""
    with Store.open(play.root) as store:
        play.delete(store, "alice")
        with play.session("alice", store) as session:
            play.append(session, 5)
        play.delete(store, "bob")


@scenario(a_killed_writer)
def recover(play: Play) -> None:
    """A writer goes on where another one was killed."""
    with play.session() as session:
        play.append(session, 6)
        play.catch_up(session)
        play.append(session, 2)


@scenario(an_older_database)
def go_back(play: Play) -> None:
    """A session goes on with other turns over the chunks of turns that it does not know."""
    with play.session() as session:
        play.append(session, 24)
        play.catch_up(session)
        play.append(session, 30)
        play.catch_up(session)


@scenario(a_secret)
def forget(play: Play) -> None:
    """Turns are forgotten, and the session goes on before and after the chunks are encoded anew."""
    with play.session() as session:
        play.forget(session, 1)
        play.append(session, 6)
        play.catch_up(session)
        play.fill(session)
        play.append(session, 3)
        play.forget(session, 3, 4)
        play.fill(session)


@scenario(a_session)
def fork(play: Play) -> None:
    """A session is forked, and both go on."""
    with Store.open(play.root) as store, play.session("alice", store) as session:
        play.fork(store, session, "branch", 1)
        with play.session("branch", store) as branch:
            play.append(branch, 11)
            play.catch_up(branch)
        play.append(session, 5)
        play.catch_up(session)
        play.fork(store, session, "twig", 3)


@scenario(a_fork)
def forget_shared(play: Play) -> None:
    """A turn is forgotten that a fork shares."""
    with Store.open(play.root) as store:
        with play.session("alice", store) as session:
            play.forget(session, 1, forks=["branch"])
            play.append(session, 3)
            play.fill(session)
        with play.session("branch", store) as branch:
            play.fill(branch)


@scenario(a_session)
def bring_in(play: Play) -> None:
    """Two sessions come in together, and go on."""
    with Store.open(play.root) as store:
        play.bring_in(store, "carol", "dave")
        with play.session("carol", store) as session:
            play.append(session, 6)
            play.catch_up(session)


@scenario(a_session)
def rebuild(play: Play) -> None:
    """A session's derived state is made anew, and it goes on."""
    with Store.open(play.root) as store:
        play.rebuild(store, "alice")
        with play.session("alice", store) as session:
            play.append(session, 6)
            play.catch_up(session)


@scenario(an_old_store)
def migrate(play: Play) -> None:
    """Catalog and session of format 1.0 are brought up to ours."""
    with play.session("raw") as session:
        play.append(session, 6)
        play.catch_up(session)


@scenario(damaged_chunks)
def repair(play: Play) -> None:
    """A repair of derived files and what depends on them, then the chunks anew."""
    with Store.open(play.root) as store:
        play.repair(store)
        with play.session("alice", store) as session:
            play.catch_up(session)


@scenario(a_damaged_catalog)
def repair_catalog(play: Play) -> None:
    """A repair of what says which sessions there are."""
    rebuild_marker(play.root)
    with Store.open(play.root) as store:
        play.repair(store)
    assert os.path.exists(play.root / "STORE")
