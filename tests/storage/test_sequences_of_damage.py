"""Any sequence of everything that may happen to a store, crashes and damage too, against a map."""

import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hsa_memory.storage import CorruptChunk, SessionBusy, SessionMissing, Store, StoreError

NAMES = st.sampled_from(["a", "b"])
DERIVED = ("kv-*.seg", "landmarks.bin", "tail-*.bin", "head.bin")


@pytest.fixture
def machine(kit, monkeypatch) -> type[RuleBasedStateMachine]:
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", 16)

    class StoreMachine(RuleBasedStateMachine):
        """The oracle: name -> its turns as (id, text, size), None for one that was forgotten."""

        @initialize()
        def start(self) -> None:
            self.folder = Path(tempfile.mkdtemp(prefix="hsa-memory-test-"))
            self.store = Store.open(self.folder / "store")
            self.expected: dict[str, list[tuple[str, str, int] | None]] = {}
            self.open: dict[str, object] = {}
            self.copies = 0

        def session(self, name):
            if name not in self.open:
                self.open[name] = self.store.session(name, layout=kit.layout)
                self.expected.setdefault(name, [])
            return self.open[name]

        @rule(name=NAMES, sizes=st.lists(st.integers(1, 12), min_size=1, max_size=5))
        def append(self, name, sizes) -> None:
            session, turns = self.session(name), self.expected.setdefault(name, [])
            first = len(turns)
            session.append([kit.turn(first + i, size) for i, size in enumerate(sizes)])
            for i, size in enumerate(sizes):
                turns.append((f"turn-{first + i}", kit.turn(first + i).text, size))

        @rule(name=NAMES)
        def encode(self, name) -> None:
            session = self.session(name)
            kit.fill(session)
            kit.catch_up(session)

        @rule(name=NAMES, share=st.floats(0, 1))
        def roll_back(self, name, share) -> None:
            session = self.session(name)
            session.rollback(int(session.published * share))

        @rule(name=NAMES, pick=st.integers(0, 99))
        def forget(self, name, pick) -> None:
            session, turns = self.session(name), self.expected[name]
            if turns:
                number = pick % len(turns)
                done = session.forget([number], blank=0, reach=4)
                assert done.turns == (turns[number] is not None)
                turns[number] = None
                assert session.find(f"turn-{number}") is None

        @rule(name=NAMES)
        def close(self, name) -> None:
            if name in self.open:
                self.open.pop(name).close()

        @rule()
        def crash(self) -> None:
            """The files as they are now, in a process that knows nothing of this one."""
            self.copies += 1
            copy = self.folder / f"copy-{self.copies}"
            shutil.copytree(self.store.root, copy)
            self.store.close()
            self.open.clear()
            self.store = Store.open(copy)

        @rule(name=NAMES)
        def a_second_writer_is_refused(self, name) -> None:
            self.session(name)
            with Store.open(self.store.root) as other, pytest.raises(SessionBusy):
                other.session(name, layout=kit.layout)

        @rule(name=NAMES)
        def read_beside(self, name) -> None:
            if name in self.expected:
                with Store.open(self.store.root, read_only=True) as other:
                    self.compare(other.session(name, layout=None), name)

        @rule(name=NAMES)
        def delete(self, name) -> None:
            self.close(name)
            if self.expected.pop(name, None) is None:
                with pytest.raises(SessionMissing):
                    self.store.delete_session(name)
            else:
                self.store.delete_session(name)

        @rule(repair=st.booleans())
        def check(self, repair) -> None:
            for name in list(self.open):
                self.close(name)
            assert self.store.check(repair=repair) == []

        @rule(name=NAMES, kind=st.sampled_from(DERIVED), seed=st.integers(0, 2**20))
        def damage(self, name, kind, seed) -> None:
            """Something that can be made again is damaged while nobody has it open."""
            if name not in self.expected:
                return
            folder = Path(self.session(name).folder)
            self.close(name)
            files = sorted(folder.rglob(kind))
            if not files:
                return
            draw = random.Random(seed)
            path = draw.choice(files)
            data = bytearray(path.read_bytes())
            if draw.random() < 0.2:
                data = data[: draw.randrange(len(data))]
            else:
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            path.write_bytes(data)
            if draw.random() < 0.5:
                self.store.check(repair=True)
            session = self.session(name)
            try:
                self.compare(session, name)
            except CorruptChunk as error:
                session.rollback(min(error.chunk_ids))
            kit.fill(session)
            kit.catch_up(session)
            session.check(repair=True)
            kit.catch_up(session)

        def compare(self, session, name) -> None:
            found = [
                None if turn.forgotten else (turn.turn_id, turn.text, len(turn.tokens))
                for turn in session.turns()
            ]
            assert found == self.expected[name]
            holes = {chunk for hole in session.holes for chunk in hole}
            whole = [chunk for chunk in range(session.published) if chunk not in holes]
            landmarks, kv = kit.rows(session, 0, session.published)
            assert session.landmarks()[whole].tobytes() == landmarks[whole].tobytes()
            assert session.gather(whole).tobytes() == kv[whole].tobytes()

        @invariant()
        def agrees(self) -> None:
            if hasattr(self, "store"):
                names = {info.name for info in self.store.list_sessions()}
                assert names == set(self.expected)
                for name, session in self.open.items():
                    self.compare(session, name)

        def teardown(self) -> None:
            if hasattr(self, "store"):
                try:
                    self.store.close()
                except StoreError as error:
                    raise AssertionError("closing failed") from error
                shutil.rmtree(self.folder)

    return StoreMachine


def test_any_sequence_agrees_with_a_map(machine) -> None:
    case = machine.TestCase
    case.settings = settings(
        max_examples=15,
        stateful_step_count=16,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
