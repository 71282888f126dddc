"""Any sequence of everything that users may do to a store, against maps of lists.

`HSA_MEMORY_TEST_EXAMPLES=10` tries ten times as many sequences."""

import importlib.util
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hsa_memory.storage import (
    ArchiveWriter,
    ExportChoice,
    QuotaExceeded,
    SessionBusy,
    SessionExists,
    SessionExport,
    SessionHasForks,
    SessionView,
    SharedTurn,
    Store,
    StoreError,
    TurnConflict,
    UserMissing,
)

TIMES_AS_MANY = int(os.environ.get("HSA_MEMORY_TEST_EXAMPLES", "1"))


def _load():
    spec = importlib.util.spec_from_file_location(
        "storage_sequences", Path(__file__).parent / "sequences.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


sequences = _load()
KEYS = sequences.KEYS
NAMES = sequences.NAMES
PICKS = sequences.PICKS
REACH = sequences.REACH
USERS = sequences.USERS
Said = sequences.Said
Session = sequences.Session


@pytest.fixture
def machine(kit, monkeypatch) -> type[RuleBasedStateMachine]:
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", 16)
    other = replace(kit.layout, fingerprint="cd" * 32, chunk_size=5, kv_bytes=128, lookahead=2)

    class StoreMachine(sequences.Known):
        @initialize(user=st.sampled_from(USERS), share=st.floats(0, 1))
        def start(self, user, share) -> None:
            self.folder = sequences.make_folder()
            self.root = self.folder / "store"
            self.sessions: list[Session] = []
            self.quotas: dict[str, int] = {}
            self.stores: dict[str | None, Store] = {}
            self.open: dict[Session, object] = {}
            self.readers: dict[Session, tuple[Store, object]] = {}
            self.said = self.files = 0
            self.now = 1000.0
            self.store(None)
            self.make(user, "a")
            self.append(pick=0, sizes=[20] * 5, lives=None)
            self.append(pick=0, sizes=[9], lives=9)
            self.encode(pick=0, step=3)
            self.fork(pick=0, name="b", share=share)

        # ---- one session

        @rule(user=st.sampled_from(USERS), name=NAMES)
        def open_or_make(self, user, name) -> None:
            known = self.called(user, name)
            if known is None:
                self.make(user, name)
            else:
                self.writer(known)

        @rule(
            pick=PICKS,
            sizes=st.lists(st.integers(8, 40), min_size=1, max_size=5),
            lives=st.none() | st.integers(0, 9),
        )
        def append(self, pick, sizes, lives) -> None:
            known = self.pick(pick)
            expires = None if lives is None else self.now + lives
            self.put(known, [self.new(known, size, expires) for size in sizes])

        @rule(pick=PICKS, which=PICKS)
        def append_again(self, pick, which) -> None:
            known = self.pick(pick)
            if not known.turns:
                return
            number = which % len(known.turns)
            said, session = known.turns[number], self.writer(known)
            there = {other.id: i for i, other in enumerate(known.turns) if not other.forgotten}
            if said.id not in there:
                # Its id is free again.
                self.put(known, [Said(said.id, said.text + "?", said.at, known)])
                return
            known_as = known.turns[there[said.id]]
            assert session.append([known_as.turn()])[0].seq == there[said.id]
            with pytest.raises(TurnConflict):
                session.append([known_as.turn(known_as.text + "!")])

        @rule(pick=PICKS, step=st.integers(1, 9))
        def encode(self, pick, step) -> None:
            session = self.writer(self.pick(pick))
            if session.own_holes:
                kit.fill(session)
            kit.catch_up(session, step)

        @rule(pick=PICKS, share=st.floats(0, 1))
        def roll_back(self, pick, share) -> None:
            known = self.pick(pick)
            session = self.writer(known)
            session.rollback(int(session.published * share))
            for fork in self.forks(known):
                fork.shaken = True

        @rule(pick=PICKS)
        def close(self, pick) -> None:
            self.let_go(self.pick(pick))

        @rule(pick=PICKS, numbers=st.lists(PICKS, min_size=1, max_size=3))
        def forget(self, pick, numbers) -> None:
            known = self.pick(pick)
            if known.turns:
                self.forget_in(known, [number % len(known.turns) for number in numbers])

        @rule(pick=PICKS)
        def forget_expired(self, pick) -> None:
            known = self.pick(pick)
            over = {i for i, at in known.expiries().items() if at <= self.now}
            found = self.writer(known).expired(self.now)
            assert found == sorted(over)
            own = [i for i in found if known.turns[i].home is known]
            assert own == [i for i in found if i >= self.writer(known).num_shared]
            if own:
                self.forget_in(known, own)

        def forget_in(self, known: Session, numbers: list[int]) -> None:
            session, forks = self.writer(known), self.forks(known)
            if any(fork in self.open for fork in forks):
                with pytest.raises(SessionBusy):
                    session.forget(numbers, blank=0, reach=REACH)
                for fork in forks:
                    self.let_go(fork)
            if any(known.turns[i].home is not known for i in numbers):
                with pytest.raises(SharedTurn):
                    session.forget(numbers, blank=0, reach=REACH)
                return
            gone = {i for i in numbers if not known.turns[i].forgotten}
            done = session.forget(numbers, blank=0, reach=REACH, scan=True)
            assert done.turns == len(gone)
            for i in gone:
                known.turns[i].forgotten = True
            for i in gone:
                there = {said.id for said in known.turns if not said.forgotten}
                assert (session.find(known.turns[i].id) is not None) == (known.turns[i].id in there)

        # ---- whole sessions

        @rule(pick=PICKS, name=NAMES, share=st.floats(0, 1))
        def fork(self, pick, name, share) -> None:
            known = self.pick(pick)
            session, count = self.writer(known), round(len(known.turns) * share)
            if self.called(known.user, name):
                with pytest.raises(SessionExists):
                    self.store(known.user).fork(session, name, count)
                return
            if self.is_over(known.user):
                with pytest.raises(QuotaExceeded):
                    self.store(known.user).fork(session, name, count)
                return
            self.store(known.user).fork(session, name, count)
            parent = known.turns[count - 1].home if count else None
            made = Session(known.user, name, known.turns[:count], parent, known.shaken)
            self.sessions.append(made)

        @rule(pick=PICKS)
        def delete(self, pick) -> None:
            known = self.pick(pick)
            store = self.store(known.user)
            if known in self.open:
                with pytest.raises(SessionBusy):
                    store.delete_session(known.name)
            self.let_go(known)
            if self.forks(known):
                with pytest.raises(SessionHasForks):
                    store.delete_session(known.name)
                return
            store.delete_session(known.name)
            self.gone(known)

        @rule(pick=PICKS, user=st.sampled_from(USERS), name=NAMES, derived=st.booleans())
        def export_and_import(self, pick, user, name, derived) -> None:
            known = self.pick(pick)
            session, store = self.writer(known), self.store(user)
            self.files += 1
            path = str(self.folder / f"{self.files}.export")
            choice = ExportChoice(derived=derived, hidden=session.expired(self.now))
            writer = ArchiveWriter(store.vfs, path)
            about = SessionExport(session, writer, 0, choice, lambda _: None).write()
            writer.finish({"sessions": 1})
            assert (about.name, about.num_turns) == (known.name, len(known.turns))
            made = Session(user, name)
            for i, said in enumerate(known.turns):
                copy = replace(said, home=made, forgotten=said.forgotten or i in choice.hidden)
                made.turns.append(copy)
            size = sum(len(said.text) for said in made.own)
            limit = self.quotas.get(user)
            expected = None
            if self.called(user, name):
                expected = SessionExists
            if limit is not None and self.tokens_of(user) + size > limit:
                expected = (SessionExists, QuotaExceeded) if expected else QuotaExceeded
            if expected:
                with pytest.raises(expected):
                    self.take_in(store, path, name)
            else:
                self.take_in(store, path, name)
                self.sessions.append(made)

        @rule(pick=PICKS)
        def encode_anew(self, pick) -> None:
            known = self.pick(pick)
            self.let_go(known)
            store = self.store(known.user)
            if self.forks(known) or known.parent:
                with pytest.raises(StoreError):
                    self.rebuild(store, known)
            else:
                self.rebuild(store, known)

        def rebuild(self, store: Store, known: Session) -> None:
            with store.rebuilding(known.name) as session:
                used = session.layout.fingerprint
                session.begin(next(x for x in self.layouts if x.fingerprint != used))
                kit.catch_up(session, 3)
                store.switch(session)

        # ---- the whole store

        @rule(user=st.sampled_from(USERS[1:]), tokens=st.none() | st.integers(0, 400))
        def set_quota(self, user, tokens) -> None:
            self.store(None).set_quota(user, max_tokens=tokens)
            self.quotas[user] = tokens
            found = {usage.user.name: usage for usage in self.store(None).users()}
            assert found[user].user.max_tokens == tokens
            assert found[user].tokens == self.tokens_of(user)
            assert found[user].num_sessions == len(self.of(user))

        @rule(user=st.sampled_from(USERS[1:]))
        def delete_user(self, user) -> None:
            theirs = self.of(user)
            for known in theirs:
                self.let_go(known)
            if user in {usage.user.name for usage in self.store(None).users()}:
                self.store(None).delete_user(user)
            else:
                assert theirs == []
                with pytest.raises(UserMissing):
                    self.store(None).delete_user(user)
            for known in theirs:
                self.gone(known)
            self.quotas.pop(user, None)

        @rule(copying=st.booleans())
        def move(self, copying) -> None:
            """Into a copy as a crash leaves it, or into a backup; readers stay where they are."""
            self.files += 1
            there = self.folder / f"copy-{self.files}"
            if copying:
                copied, _, found = self.store(None).backup(str(there))
                assert sorted(x.name for x in copied) == sorted(x.name for x in self.sessions)
                # Of chunks that a fork shares and that were rolled back, a backup has none.
                lost = {known.name for known in self.sessions if known.shaken}
                assert [x for x in found if x.kind != "not-checked" and x.session not in lost] == []
            else:
                shutil.copytree(self.root, there)
            self.leave()
            self.root = there

        @rule(user=st.sampled_from(USERS))
        def open_anew(self, user) -> None:
            for known in self.of(user):
                self.open.pop(known, None)
            if user in self.stores:
                self.stores.pop(user).close()

        @rule(user=st.sampled_from(USERS), repair=st.booleans())
        def check(self, user, repair) -> None:
            # A repair leaves sessions that have a writer alone, and says so.
            for known in list(self.sessions) if repair else []:
                self.let_go(known)
            found = self.store(user).check(repair=repair)
            lost = {known.name for known in self.sessions if known.shaken}
            assert [x for x in found if x.kind != "not-checked" and x.session not in lost] == []

        @rule(pick=PICKS)
        def follow(self, pick) -> None:
            known = self.pick(pick)
            if known not in self.readers:
                store = Store.open(
                    self.root, user=known.user, key=KEYS.get(known.user), read_only=True
                )
                self.readers[known] = (store, store.session(known.name, layout=self.layouts))
            reader = self.readers[known][1]
            reader.refresh()
            self.compare(reader, known)

        @rule(pick=PICKS, share=st.floats(0, 1))
        def look_back(self, pick, share) -> None:
            known = self.pick(pick)
            count = round(len(known.turns) * share)
            self.compare(SessionView(self.writer(known), count), known, count)

        # ---- what holds after each step

        @invariant()
        def agrees(self) -> None:
            if not hasattr(self, "root"):
                return
            for user, store in self.stores.items():
                names = [info.name for info in store.list_sessions()]
                assert sorted(names) == sorted(known.name for known in self.of(user))
                assert all(store.has_session(name) == (name in names) for name in "abc")
            for known, session in list(self.open.items()):
                self.compare(session, known)

        def teardown(self) -> None:
            if not hasattr(self, "root"):
                return
            try:
                for known in self.sessions:
                    self.let_go(known)
                for user in USERS:
                    self.check(user=user, repair=False)
                for known in self.sessions:
                    session = self.writer(known)
                    kit.fill(session)
                    kit.catch_up(session)
                    self.compare(session, known)
            finally:
                with suppress(StoreError):
                    self.leave()
                shutil.rmtree(self.folder)

    StoreMachine.kit, StoreMachine.layouts = kit, (kit.layout, other)
    return StoreMachine


def test_any_sequence_agrees_with_maps(machine) -> None:
    case = machine.TestCase
    case.settings = settings(
        max_examples=12 * TIMES_AS_MANY,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
