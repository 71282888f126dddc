"""What a scenario does to a store, and beside it what must be found there whatever happens."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hsa_memory.storage import SessionStore, Store, StoreError, StoreFull, rebuild_marker

from .helpers import (
    BLANK,
    FIRST,
    LAPSING,
    LAYOUT,
    REACH,
    SECRETS,
    attachment_key,
    attachments_of,
    expected_rows,
    handle_for,
    lapse_of,
    make_turns,
    names_in,
    opened,
    publish_chunks,
    stored_traces,
    tail_of,
    traces_of,
    turns_of,
    user_of,
)

# Session name -> [[number of the turn, its tokens], ...]; see helpers.py.
World = dict[str, list[list[int]]]


@dataclass
class Expected:
    """What must hold of the store at some moment.

    Attributes:
        worlds: the last acknowledged world; and that after the call which has not returned yet.
        durable: chunks of each session that no crash may take back.
        published: chunks of each session that survive the death of the process.
        damaged: the scenario has damaged files itself, so that errors of the store are right
            until `check` has repaired it.
        holes: chunks below the watermark may be waiting to be encoded anew.
        dropped: an fsync has failed and the store was opened again. What it read then may have been
            on no disk, so chunks may be lost, and must be seen to be. Turns may not.
        gone, going: bytes, in hex, that no file may hold any more; and those of a call that has
            not returned yet.
        copied: what a backup may hold of each session: its turns at any moment since it began.
            Empty: there is none.
        backed_up: it is done, and must be there.
        secrets: numbers of the next secret turn and of the next that expires, in any session.
    """

    worlds: list[World] = field(default_factory=lambda: [World()])
    durable: dict[str, int] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    damaged: bool = False
    holes: bool = False
    dropped: bool = False
    gone: list[str] = field(default_factory=list)
    going: list[str] = field(default_factory=list)
    copied: dict[str, list[list[list[int]]]] = field(default_factory=dict)
    backed_up: bool = False
    secrets: list[int] = field(default_factory=lambda: [SECRETS.start, LAPSING.start])


def fill_holes(session: SessionStore) -> None:
    """Write every chunk anew that forgetting made a hole of."""
    filled = bool(session.holes)
    while session.holes:
        first, stop = session.holes[0].start, min(session.holes[0].start + 3, session.holes[0].stop)
        session.fill(first, *expected_rows(session, first, stop))
    if filled:
        session.publish(session.published, tail_of(session.published))


def durable_chunks(session: SessionStore) -> int:
    """Chunks whose files were synced, as the session's state row says."""
    return session._truth.state.durable_chunk


class Play:
    """Calls of the store that keep `expected` right.

    Args:
        arena: a directory that everything happens below; the store is `arena`/store.
        note: called with a line of JSON whenever `expected` has changed.
    """

    def __init__(self, arena: Path, expected: Expected | None = None) -> None:
        self.root = arena / "store"
        self.expected = deepcopy(expected or Expected())
        self.note: Callable[[str], object] = lambda line: None
        # Called when the store is full, to make space.
        self.heal: Callable[[], object] | None = None

    @property
    def world(self) -> World:
        """The last acknowledged world."""
        return self.expected.worlds[0]

    def say(self) -> None:
        """Note what is expected now."""
        self.note(json.dumps(asdict(self.expected)))

    @contextmanager
    def becoming(self, after: World) -> Iterator[None]:
        """A call that changes the world: it happens whole, or not at all."""
        self.expected.worlds = [self.world, after]
        self.say()
        yield
        self.expected.worlds = [after]
        self.say()

    # ---- calls

    @contextmanager
    def session(self, name: str = "alice", store: Store | None = None) -> Iterator[SessionStore]:
        """An open session; made if it is new. After it is closed, all of it is durable."""
        if store is None:
            with Store.open(self.root, **handle_for(name)) as own:
                with self.session(name, own) as session:
                    yield session
            return
        with self.becoming({name: [], **self.world}):
            session = store.session(name, layout=LAYOUT)
        with session:
            # Whoever opens a session sees what a crash has left of it.
            self._shown(session)
            yield session
        # On a full disk a session closes without syncing, and leaves its log.
        if not os.path.exists(os.path.join(session.folder, "session.db-wal")):
            self.expected.durable[name] = durable_chunks(session)
            self.say()

    def append(
        self,
        session: SessionStore,
        *sizes: int,
        secret: bool = False,
        lapsing: bool = False,
    ) -> None:
        """Append turns of so many tokens in one call."""
        name = session.info.name
        known = self.world[name]
        first = max((n for n, _ in known if n < SECRETS.start), default=0) + 1
        first = max(first, FIRST)
        if secret or lapsing:
            first = self.expected.secrets[lapsing]
            self.expected.secrets[lapsing] += len(sizes)
        added = [[first + i, size] for i, size in enumerate(sizes)]
        turns, meta = make_turns(added), attachments_of(added)
        durable = durable_chunks(session)
        with self.becoming({**self.world, name: known + added}):
            try:
                session.append(turns, meta=meta)
            except StoreFull:
                if self.heal is None:
                    raise
                assert [turn.seq for turn in session.turns()] == list(range(len(known)))
                self.heal()
                session.append(turns, meta=meta)
            self.expected.durable[name] = durable
            if name in self.expected.copied and not self.expected.backed_up:
                self.expected.copied[name].append(known + added)

    def forget(self, session: SessionStore, *seqs: int, forks: Sequence[str] = ()) -> None:
        """Forget turns, which become holes; `fill` encodes the chunks anew.

        Args:
            forks: names of sessions that share the turns.
        """
        name = session.info.name
        keys = [attachment_key(self.world[name][seq][0]) for seq in seqs]
        self.expected.holes = True
        self.expected.going = [trace.hex() for seq in seqs for trace in traces_of(session, seq)]
        after = deepcopy(self.world)
        for known in (after[changed] for changed in (name, *forks)):
            for seq in seqs:
                known[seq][0] = -1 - known[seq][0]
        with self.becoming(after):
            session.forget(list(seqs), blank=BLANK, reach=REACH, keys=keys)
            self.expected.durable[name] = session.published
            self.expected.gone += self.expected.going
            self.expected.going = []

    def purge(self, session: SessionStore, now: float) -> None:
        """Forget what has expired, as the memory does with each call."""
        numbers = {seq: number for seq, (number, _) in enumerate(self.world[session.info.name])}
        wanted = [seq for seq, n in numbers.items() if (lapse_of(n) or now + 1) <= now]
        assert session.expired(now) == wanted
        assert wanted
        self.forget(session, *wanted)

    def fill(self, session: SessionStore) -> None:
        """Encode the chunks of forgotten turns anew."""
        fill_holes(session)

    def catch_up(self, session: SessionStore, step: int = 3) -> None:
        """Write and publish every chunk whose tokens are there."""
        for _ in publish_chunks(session, step):
            self._shown(session)

    def _shown(self, session: SessionStore) -> None:
        self.expected.published[session.info.name] = session.published
        self.say()

    def roll_back(self, session: SessionStore, count: int) -> None:
        """Lower the watermark."""
        self._forget_chunks(session.info.name, count)
        session.rollback(count)

    def _forget_chunks(self, name: str, count: int) -> None:
        for known in (self.expected.durable, self.expected.published):
            known[name] = min(count, known.get(name, 0))
        self.say()

    def fork(self, store: Store, session: SessionStore, name: str, num_turns: int) -> None:
        """Fork a session after some of its turns."""
        shared = deepcopy(self.world[session.info.name][:num_turns])
        with self.becoming({**self.world, name: shared}):
            store.fork(session, name, num_turns)

    def bring_in(self, store: Store, *names: str) -> None:
        """Make sessions beside the others, as an import does, and list them together."""
        added = [[FIRST + i, size] for i, size in enumerate((5, 9, 4))]
        with self.becoming({**self.world, **{name: deepcopy(added) for name in names}}):
            with store.staging() as staging:
                infos = []
                for name in names:
                    with store.make_staged(staging, name, 1000.0, LAYOUT) as session:
                        session.append(make_turns(added), meta=attachments_of(added))
                        for _ in publish_chunks(session, 3):
                            pass
                        infos.append(session.info)
                store.install(staging, infos)

    def rebuild(self, store: Store, name: str) -> None:
        """Make the derived state of a session anew, as a re-ingest does."""
        with store.rebuilding(name) as session:
            session.begin(LAYOUT)
            for _ in publish_chunks(session, 3):
                pass
            store.switch(session)

    def replace(self, store: Store, name: str) -> None:
        """Put a session into the place of another, with its turns, as a re-ingest does."""
        turns = self.world[name]
        with store.rebuilding(name) as old:
            with store.staging(old.next_place) as staging:
                with store.staged_successor(staging, old, LAYOUT) as session:
                    session.append(make_turns(turns), meta=attachments_of(turns))
                    for _ in publish_chunks(session, 3):
                        pass
                old.close_files()
                # Its own crash may take more of them back than that of the old one.
                self._forget_chunks(name, 0)
                store.install(staging, [session.info], gone=old.info)

    @contextmanager
    def surviving(self, store: Store) -> Iterator[None]:
        """A call that may fail, after which the same handle goes on with what is there."""
        try:
            yield
        except StoreError:
            # SQLite does not always say that the disk is full.
            if self.heal is not None:
                self.heal()
            self._take_in(store)

    def delete(self, store: Store, name: str) -> None:
        """Delete a session."""
        self._delete(store, lambda: store.delete_session(name), name)

    def delete_user(self, store: Store, user: str) -> None:
        """Delete a user with all sessions."""
        self._delete(
            store,
            lambda: store.delete_user(user),
            *(name for name in self.world if user_of(name) == user),
        )

    def _delete(self, store: Store, call: Callable[[], object], *names: str) -> None:
        secret = [name for name in names if any(n in SECRETS for n, _ in self.world[name])]
        traces = [trace for name in secret for trace in stored_traces(store, name)]
        self.expected.going = [trace.hex() for trace in traces]
        for name in names:
            self._forget_chunks(name, 0)
        with self.becoming({key: x for key, x in self.world.items() if key not in names}):
            call()
            self.expected.gone += self.expected.going
            self.expected.going = []

    def back_up(self, store: Store, during: Callable[[], object]) -> None:
        """Copy the store beside itself; `during` is called after each of its sessions."""
        self.expected.copied = {name: [deepcopy(turns)] for name, turns in self.world.items()}
        self.say()
        store.backup(str(self.root.parent / "backup"), lambda *_: during())
        self.expected.backed_up = True
        self.say()

    def damage(self, change: Callable[[], Any]) -> None:
        """Change files behind the store's back."""
        self.expected.damaged = True
        for name in self.world:
            self._forget_chunks(name, 0)
        change()

    def repair(self, store: Store) -> None:
        """Check and repair; what was damaged must be good from here on."""
        left = [finding for finding in store.check(repair=True) if not finding.repaired]
        if left:
            raise StoreError(f"not repaired: {left}")
        self.expected.damaged = False
        self.say()

    def go_on(self, *, dropped: bool) -> None:
        """Open every session after a fault, take in what is there, and append to it.

        Args:
            dropped: whether the fault was a failed fsync.
        """
        if self.expected.damaged:
            rebuild_marker(self.root)
        store = Store.open(self.root)
        if self.expected.damaged:
            self.repair(store)
        wanted = self.expected.worlds[-1]
        self.expected.dropped = dropped
        self._take_in(store)
        for name in wanted or ["alice"]:
            own = Store.open(self.root, **handle_for(name))
            with self.becoming({name: [], **self.world}):
                session = own.session(name, layout=LAYOUT)
            self.append(session, 5)
            fill_holes(session)
            self.catch_up(session)
            self.append(session, 6, 2)

    def _take_in(self, store: Store) -> None:
        """What is there must be the last world or the one after it, and is the world from here."""
        found = {name: self._found(store, name) for name in sorted(names_in(store))}
        assert found in self.expected.worlds, f"{found} is none of {self.expected.worlds}"
        self.expected.worlds = [found]
        self.say()

    def _found(self, store: Store, name: str) -> list[list[int]]:
        with opened(store, name, read_only=True) as session:
            return turns_of(session)
