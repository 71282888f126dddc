"""What is recorded. A new operation of the store needs a function here, and no more.

A scenario is prepared by a function of beginnings.py and recorded by one of these; both get a
`Play`, whose methods keep what is expected right.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from hsa_memory.storage import Store, rebuild_marker

from .beginnings import (
    Part,
    a_damaged_catalog,
    a_fork,
    a_killed_writer,
    a_secret,
    a_session,
    an_old_store,
    an_older_database,
    damaged_chunks,
    lapsing_turns,
    nothing,
    sessions_to_delete,
    two_sessions,
    users,
)
from .play import Play, durable_chunks


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


@scenario(a_session, long=True)
def roll_backs(play: Play) -> None:
    """Chunks are given up: those that a crash may take back, then some that it may not."""
    with play.session() as session:
        play.append(session, 26)
        play.catch_up(session)
        for count in (durable_chunks(session), durable_chunks(session) - 3):
            play.note(json.dumps({"count": f"roll back to {count}"}))
            play.roll_back(session, count)
            play.note(json.dumps({"count": "write again"}))
            play.catch_up(session, step=1)


@scenario(a_session)
def new_session(play: Play) -> None:
    """More sessions in a store that has one."""
    with Store.open(play.root) as store:
        with play.session("bob", store) as session:
            play.append(session, 9)
            play.catch_up(session)
        with play.session("carol", store):
            pass


@scenario(sessions_to_delete)
def delete(play: Play) -> None:
    """A session goes, its name comes back."""
    with Store.open(play.root) as store:
        play.delete(store, "alice")
        with play.session("alice", store) as session:
            play.append(session, 5)
        play.delete(store, "bob")


@scenario(users)
def delete_user(play: Play) -> None:
    """A user goes with all sessions, and comes back with one."""
    with Store.open(play.root) as store:
        play.delete_user(store, "ann")
        with play.session("ann/diary") as session:
            play.append(session, 5)
            play.catch_up(session)
        with play.session("alice", store) as session:
            play.append(session, 3)


@scenario(users)
def delete_user_with_key(play: Play) -> None:
    """A user goes whose sessions are encrypted, and comes back with another key."""
    with Store.open(play.root) as store:
        play.delete_user(store, "eve")
        with play.session("eve/diary") as session:
            play.append(session, 9)
            play.append(session, 15, secret=True)
            play.catch_up(session)
        play.delete_user(store, "eve")


@scenario(two_sessions)
def back_up(play: Play) -> None:
    """The store is copied while a writer goes on."""
    with Store.open(play.root) as store, play.session("alice", store) as session:

        def go_on() -> None:
            play.append(session, 5)
            play.catch_up(session)

        go_on()
        play.append(session, 2)
        play.back_up(store, go_on)
        go_on()


@scenario(lapsing_turns)
def expire(play: Play) -> None:
    """Turns expire one after the other, and the session goes on."""
    with play.session() as session:
        play.purge(session, 5560)
        play.append(session, 6)
        play.append(session, 4, lapsing=True)
        play.catch_up(session)
        play.fill(session)
        # One that no chunk was made of yet goes with the others.
        play.append(session, 2, lapsing=True)
        play.purge(session, 5999)
        play.append(session, 3)


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


@scenario(two_sessions)
def go_on_here(play: Play) -> None:
    """Calls that change the catalog; whether they succeed or not, the same handle goes on."""
    with Store.open(play.root) as store:
        with play.surviving(store):
            play.replace(store, "alice")
        with play.session("alice", store) as session:
            play.append(session, 6)
        with play.surviving(store):
            play.bring_in(store, "carol", "dave")
        with play.surviving(store):
            play.delete(store, "bob")
        for name in sorted(play.world):
            with play.session(name, store) as session:
                play.append(session, 5)


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
