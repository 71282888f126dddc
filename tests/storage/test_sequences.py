"""Any sequence of operations, against a list in memory."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hsa_memory.storage import Store, TurnConflict


@pytest.fixture
def machine(kit) -> type[RuleBasedStateMachine]:
    class SessionMachine(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            self.folder = Path(tempfile.mkdtemp(prefix="hsa-memory-test-"))
            self.store = Store.open(self.folder / "store")
            self.session = self.store.session("a", layout=kit.layout)
            self.reader = self.store.session("a", layout=kit.layout, read_only=True)
            self.turns: list[tuple[str, str, int]] = []

        @rule(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4), text=st.text(max_size=9))
        def append(self, sizes, text) -> None:
            first = len(self.turns)
            new = [(f"turn-{first + i}", text, size) for i, size in enumerate(sizes)]
            self.session.append(
                [kit.turn(first + i, size, text=text) for i, size in enumerate(sizes)]
            )
            self.turns += new

        @rule(pick=st.integers(0, 1000))
        def append_again(self, pick) -> None:
            if self.turns:
                number = pick % len(self.turns)
                _, text, size = self.turns[number]
                stored = self.session.append([kit.turn(number, size, text=text)])
                assert stored[0].seq == number
                with pytest.raises(TurnConflict):
                    self.session.append([kit.turn(number, size, text=text + "!")])

        @rule(step=st.integers(1, 9))
        def encode(self, step) -> None:
            kit.catch_up(self.session, step)

        @rule(share=st.floats(0, 1))
        def roll_back(self, share) -> None:
            self.session.rollback(int(self.session.published * share))

        @rule()
        def write_without_publishing(self) -> None:
            first = self.session.published
            if self.session.num_tokens // 4 > first:
                garbage = np.full((1, 16), 1, np.uint8), np.full((1, 96), 2, np.uint8)
                self.session.write_chunks(first, *garbage)

        @rule()
        def reopen(self) -> None:
            self.session.close()
            self.session = self.store.session("a", layout=kit.layout)
            assert self.session.recovered == []

        @rule()
        def check(self) -> None:
            assert self.session.check(repair=True) == []

        @rule()
        def follow(self) -> None:
            self.reader.refresh()
            assert self.reader.num_turns == len(self.turns)
            assert self.reader.published == self.session.published
            kit.assert_right(self.reader)

        @invariant()
        def agrees(self) -> None:
            if hasattr(self, "session"):
                found = [(t.turn_id, t.text, len(t.tokens)) for t in self.session.turns()]
                assert found == self.turns
                assert self.session.turn_index().n_tokens.tolist() == [t[2] for t in self.turns]
                kit.assert_right(self.session)

        def teardown(self) -> None:
            if hasattr(self, "store"):
                self.store.close()
                shutil.rmtree(self.folder)

    return SessionMachine


def test_any_sequence_agrees_with_a_list(machine) -> None:
    case = machine.TestCase
    case.settings = settings(
        max_examples=12,
        stateful_step_count=14,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
