"""Any sequence of everything that a memory can be asked to do, against lists of messages.

`HSA_MEMORY_TEST_EXAMPLES=10` tries ten times as many sequences."""

import importlib.util
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import hsa_memory
from hsa_memory import MemorySession

TIMES_AS_MANY = int(os.environ.get("HSA_MEMORY_TEST_EXAMPLES", "1"))


def _load():
    spec = importlib.util.spec_from_file_location(
        "memory_sequences", Path(__file__).parent / "sequences.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


sequences = _load()
KEYS = sequences.KEYS
NAMES = sequences.NAMES
PICKS = sequences.PICKS
QUESTION = sequences.QUESTION
ROLES = sequences.ROLES
USERS = sequences.USERS
WORDS = sequences.WORDS
History = sequences.History
Said = sequences.Said
fields_of = sequences.fields_of


@pytest.fixture
def machine(tiny_checkpoint, monkeypatch) -> type[RuleBasedStateMachine]:
    clock = [0.0]
    for module in ("reading", "moving", "messages"):
        monkeypatch.setattr(f"hsa_memory.{module}.time", lambda: clock[0])

    class MemoryMachine(sequences.Known):
        @initialize(user=USERS, which=st.none() | PICKS)
        def start(self, user, which) -> None:
            clock[0] = 2e9
            self.folder = sequences.make_folder()
            self.root = self.folder / "memory"
            self.histories: list[History] = []
            self.memories: dict[str | None, hsa_memory.Memory] = {}
            self.open: dict[History, MemorySession] = {}
            self.count = 0
            self.open_or_make(user=user, name="a", ttl=None)
            self.add(pick=0, words=[[word] * 4 for word in WORDS], ttl=None, late=False)
            self.add(pick=0, words=[["tower"]], ttl=30, late=False)
            self.fork(pick=0, name="b", which=which)

        # ---- one session

        @rule(user=USERS, name=NAMES, ttl=st.none() | st.integers(0, 50))
        def open_or_make(self, user, name, ttl) -> None:
            known = self.called(user, name)
            if known is None:
                known = History(user, name)
                self.histories.append(known)
            self.let_go(known)
            self.open[known] = self.memory(user).session(name, ttl=ttl)
            known.ttl = known.ttl if ttl is None else ttl

        @rule(
            pick=PICKS,
            words=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), max_size=6),
            ttl=st.none() | st.integers(0, 50),
            late=st.booleans(),
        )
        def add(self, pick, words, ttl, late) -> None:
            known = self.pick(pick)
            session, new = self.use(known), []
            for text in words:
                self.count += 1
                clock[0] += 1
                lives = known.ttl if ttl is None else ttl
                at = clock[0] - 20 * late
                said = Said(
                    id=f"m{self.count}",
                    role=ROLES[self.count % 3],
                    text=f"{' '.join(text)} in {known.name}, number {self.count}.",
                    timestamp=at,
                    metadata={"even": self.count % 2 == 0, "list": [self.count, None]},
                    home=known,
                    expires=None if lives is None else at + lives,
                    attachment=f"beside {self.count}" if self.count % 4 == 0 else None,
                )
                new.append((said, ttl))
            self.tidy(known)
            first = len(known.said)
            result = session.add_messages(self.as_map(said, ttl) for said, ttl in new)
            assert result.seqs == tuple(range(first, first + len(new)))
            assert result.num_added == len(new)
            assert result.diagnostics == ()
            known.said += [said for said, _ in new]

        @rule(pick=PICKS, which=PICKS)
        def add_again(self, pick, which) -> None:
            known = self.pick(pick)
            session = self.use(known)
            if not known.said:
                return
            said = known.said[which % len(known.said)]
            waiting = {x.id for x in self.waiting(known)}
            shown = {x.id: i for i, x in enumerate(known.said) if x in self.there(known.said)}
            if said.id in shown:
                said = known.said[shown[said.id]]
                result = session.add_messages([self.as_map(said, None)])
                assert (result.seq, result.num_added) == (shown[said.id], 0)
                with pytest.raises(hsa_memory.MessageConflict):
                    session.add(said.role, said.text + "!", id=said.id)
            elif said.id in waiting:
                with pytest.raises(hsa_memory.MessageConflict, match="expired"):
                    session.add(said.role, said.text, id=said.id)
            else:
                # Its id is free again.
                new = replace(said, home=known, forgotten=False, expires=None, attachment=None)
                new.timestamp = clock[0]
                new.expires = None if known.ttl is None else clock[0] + known.ttl
                result = session.add_messages([self.as_map(new, None)])
                assert (result.seq, result.num_added) == (len(known.said), 1)
                known.said.append(new)

        @rule(seconds=st.integers(1, 40))
        def wait(self, seconds) -> None:
            clock[0] += seconds

        @rule(pick=PICKS, which=PICKS)
        def forget(self, pick, which) -> None:
            known = self.pick(pick)
            session, there = self.use(known), self.there(known.said)
            if there:
                said = there[which % len(there)]
                self.forgotten(known, [said], lambda: session.forget(said.id, scan=True))

        @rule(pick=PICKS, role=st.sampled_from(ROLES))
        def forget_where(self, pick, role) -> None:
            known = self.pick(pick)
            session = self.use(known)
            over = self.waiting(known)
            wanted = [
                x
                for x in known.said
                if x.role == role
                and x.metadata["even"]
                and (x in self.there(known.said) or x in over)
            ]
            self.forgotten(known, wanted, lambda: session.forget(role=role, where={"even": True}))

        def forgotten(self, known: History, wanted: list[Said], forget) -> None:
            if wanted and any(fork in self.open for fork in self.forks(known)):
                with pytest.raises(hsa_memory.SessionBusy):
                    forget()
                self.let_go(*self.forks(known))
                self.tidy(known)
                wanted = [said for said in wanted if not said.forgotten]
            if any(said.home is not known for said in wanted):
                with pytest.raises(hsa_memory.InvalidArgument, match="belongs to"):
                    forget()
                return
            result = forget()
            assert result.ids == tuple(said.id for said in wanted)
            assert result.diagnostics == result.traces == ()
            for said in wanted:
                said.forgotten = True

        @rule(pick=PICKS)
        def clear(self, pick) -> None:
            known = self.pick(pick)
            session = self.use(known)
            if self.forks(known):
                with pytest.raises(hsa_memory.SessionHasForks):
                    session.clear()
                return
            session.clear()
            self.histories[self.histories.index(known)] = new = History(
                known.user, known.name, ttl=known.ttl
            )
            self.open[new] = self.open.pop(known)

        @rule(pick=PICKS)
        def close(self, pick) -> None:
            self.let_go(self.pick(pick))

        # ---- whole sessions

        @rule(pick=PICKS, name=NAMES, which=st.none() | PICKS)
        def fork(self, pick, name, which) -> None:
            known = self.pick(pick)
            session, there = self.use(known), self.there(known.said)
            message = there[which % len(there)] if there and which is not None else None
            wanted = None if message is None else message.id
            if self.called(known.user, name):
                with pytest.raises(hsa_memory.SessionExists):
                    session.fork(name, message=wanted)
                return
            count = len(known.said) if message is None else known.said.index(message) + 1
            parent = known.said[count - 1].home if count else None
            made = History(known.user, name, known.said[:count], parent, known.ttl)
            self.histories.append(made)
            self.open[made] = session.fork(name, message=wanted)

        @rule(pick=PICKS)
        def delete(self, pick) -> None:
            known = self.pick(pick)
            memory = self.memory(known.user)
            self.let_go(known)
            if self.forks(known):
                with pytest.raises(hsa_memory.SessionHasForks):
                    memory.delete_session(known.name)
            else:
                memory.delete_session(known.name)
                self.histories.remove(known)

        @rule(pick=PICKS, user=USERS, name=NAMES, derived=st.booleans())
        def export_and_import(self, pick, user, name, derived) -> None:
            known = self.pick(pick)
            session = self.use(known)
            self.count += 1
            path = self.folder / f"{self.count}.export"
            session.export(path, derived=derived)
            memory = self.memory(user)
            if self.called(user, name):
                with pytest.raises(hsa_memory.SessionExists):
                    memory.import_file(path, rename={known.name: name})
                return
            memory.import_file(path, rename={known.name: name})
            made = History(user, name, ttl=known.ttl)
            there = self.there(known.said)
            made.said = [replace(x, home=made, forgotten=x not in there) for x in known.said]
            self.histories.append(made)

        @rule(pick=PICKS)
        def reingest(self, pick) -> None:
            known = self.pick(pick)
            session = self.use(known)
            if self.forks(known):
                with pytest.raises(hsa_memory.SessionHasForks):
                    session.reingest()
            elif known.parent:
                with pytest.raises(hsa_memory.StorageError, match="fork"):
                    session.reingest()
                self.open.pop(known)
            else:
                session.reingest()

        @rule(user=USERS)
        def delete_user(self, user) -> None:
            theirs = self.of(user)
            if user is not None and theirs:
                self.let_go(*theirs)
                self.memory(None).delete_user(user)
                self.histories = [known for known in self.histories if known not in theirs]

        # ---- the whole memory

        @rule()
        def reopen(self) -> None:
            """A memory that was opened again finds what the one before found, bit for bit."""
            for known in self.histories:
                len(self.use(known))
            # What waits to be forgotten is, as soon as nobody writes to the forks any more.
            steady = [known for known in self.histories if not self.waiting(known)]
            before = {known: self.found(self.session(known)) for known in steady}
            self.leave()
            for known, found in before.items():
                session = self.use(known)
                assert session.search(QUESTION).stats.prefilled_history == 0
                assert self.found(session) == found

        @rule()
        def back_up(self) -> None:
            self.count += 1
            there = self.folder / f"backup-{self.count}"
            moved = self.memory(None).backup(there)
            assert [x for x in moved.findings if x.kind != "not-checked"] == []
            for user in KEYS:
                with self.opened(there, user) as memory:
                    for known in self.of(user):
                        with memory.session(known.name, read_only=True) as session:
                            self.compare(session, known.said)
            shutil.rmtree(there)

        @rule(user=USERS)
        def check(self, user) -> None:
            found = self.memory(user).check()
            assert [x for x in found if x.kind != "not-checked"] == []

        # ---- reading

        @rule(pick=PICKS, role=st.sampled_from(ROLES), even=st.booleans(), late=st.booleans())
        def search(self, pick, role, even, late) -> None:
            known = self.pick(pick)
            session, there = self.use(known), self.there(known.said)
            since = there[len(there) // 2].timestamp if there and late else None
            options = {"role": role, "where": {"even": even}, "since": since}
            allowed = {
                x.id: x.fields()
                for x in there
                if x.role == role
                and x.metadata["even"] == even
                and (since is None or x.timestamp >= since)
            }
            hits = session.search("Who has the blue key?", 99, **options)
            assert {hit.id: fields_of(hit.message) for hit in hits} == allowed
            answer = session.ask("Who has the blue key?", max_tokens=2, **options)
            assert {x.id for x in answer.citations} <= {*allowed}
            context = session.context("Who has the blue key?", 60, role=role)
            assert {hit.id for hit in context.hits} <= {x.id for x in there if x.role == role}

        @rule(pick=PICKS, which=PICKS)
        def look_back(self, pick, which) -> None:
            known = self.pick(pick)
            session, there = self.use(known), self.there(known.said)
            if not there:
                return
            message = there[which % len(there)]
            stop = known.said.index(message) + 1
            with session.as_of(message=message.id) as view:
                self.compare(view, known.said[:stop])
            later = [i for i, x in enumerate(known.said) if x.timestamp > message.timestamp]
            stop = later[0] if later else len(known.said)
            with session.as_of(message.timestamp) as view:
                self.compare(view, known.said[:stop])
                self.as_if_fresh(view, known.said[:stop])

        @rule(pick=PICKS)
        def read_beside(self, pick) -> None:
            known = self.pick(pick)
            self.use(known)
            with self.opened(self.root, known.user, read_only=True) as memory:
                with memory.session(known.name) as reader:
                    self.compare(reader, known.said)

        @rule(pick=PICKS)
        def compare_with_fresh(self, pick) -> None:
            known = self.pick(pick)
            session = self.use(known)
            self.compare(session, known.said)
            self.as_if_fresh(session, known.said)

        # ---- what holds after each step

        @invariant()
        def agrees(self) -> None:
            if not hasattr(self, "root"):
                return
            for user, memory in self.memories.items():
                names = sorted(info.name for info in memory.sessions())
                assert names == sorted(known.name for known in self.of(user))
            for known, session in self.open.items():
                self.tidy(known)
                there = self.there(known.said)
                assert [fields_of(x) for x in session.messages()] == [x.fields() for x in there]

        def teardown(self) -> None:
            if not hasattr(self, "root"):
                return
            try:
                for known in self.histories:
                    self.compare(self.use(known), known.said)
                for user in KEYS:
                    self.check(user=user)
                self.leave()
                self.check(user="alice")
            finally:
                self.leave()
                shutil.rmtree(self.folder)

    MemoryMachine.clock, MemoryMachine.checkpoint = clock, tiny_checkpoint
    return MemoryMachine


def test_any_sequence_agrees_with_lists(machine) -> None:
    case = machine.TestCase
    case.settings = settings(
        max_examples=6 * TIMES_AS_MANY,
        stateful_step_count=14,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
