"""What the scenarios begin with; what these functions leave counts as durable."""

from __future__ import annotations

import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

from hsa_memory.storage import Store

from .helpers import LAYOUT
from .play import Play

_GOLDEN = Path(__file__).parents[2] / "golden"
Part = Callable[[Play], None]


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


def lapsing_turns(play: Play) -> None:
    """A session with turns that expire: in a sealed segment, in two of them, at the end."""
    with play.session() as session:
        play.append(session, 9)
        play.append(session, 14, lapsing=True)
        play.append(session, 5)
        play.append(session, 17, lapsing=True)
        play.append(session, 7, 3)
        play.append(session, 6, lapsing=True)
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


def sessions_to_delete(play: Play) -> None:
    """Two sessions, one of them with what nobody is to see again."""
    two_sessions(play)
    with play.session() as session:
        play.append(session, 13, secret=True)
        play.catch_up(session)


def users(play: Play) -> None:
    """The store's own session, a user with two, and one with a key."""
    a_session(play)
    for name in ("ann/diary", "ann/letters", "eve/diary"):
        with play.session(name) as session:
            play.append(session, 9)
            play.append(session, 15, secret=True)
            play.append(session, 6)
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
