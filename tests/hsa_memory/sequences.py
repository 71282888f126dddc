"""What a sequence of calls should have made of a memory, and how that is compared."""

import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

import hsa_memory
from hsa_memory import MemorySession
from hsa_memory.fork import Fork
from hsa_memory.messages import make_draft, make_turn
from hsa_memory.storage import Turn

KEYS = {None: None, "alice": bytes(range(32))}
USERS = st.sampled_from([*KEYS])
NAMES = st.sampled_from("abc")
PICKS = st.integers(0, 59)
ROLES = ("user", "assistant", "document")
WORDS = ("harbour", "tower", "locker", "Biscuit", "key", "blue", "nobody", "4817")
QUESTION = "Where is the spare key?"


def make_folder() -> Path:
    """A new folder; in memory, where there is much of it: other tests use it at the same time."""
    memory = Path("/dev/shm")
    much = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 29
    return Path(tempfile.mkdtemp(prefix="hsa-memory-test-", dir=memory if much else None))


@dataclass(eq=False)
class Said:
    """A message; forks share it with the session that it was said in."""

    id: str
    role: str
    text: str
    timestamp: float
    metadata: dict
    home: "History"
    expires: float | None = None
    attachment: str | None = None
    forgotten: bool = False

    def fields(self) -> tuple:
        return (self.id, self.role, self.text, self.timestamp, self.metadata)

    def turn(self, tokenizer) -> Turn:
        """What the store is to hold of it."""
        fields = {"timestamp": self.timestamp, "metadata": self.metadata}
        draft = make_draft(self.role, self.text, id=self.id, **fields)
        turn = make_turn(tokenizer, draft._replace(expires=self.expires))
        if not self.forgotten:
            return turn
        blank = np.full(len(turn.tokens), tokenizer.end_id, np.uint32)
        return replace(turn, text="", tokens=blank, metadata={}, expires=None, forgotten=True)


@dataclass(eq=False)
class History:
    """What is known of a session."""

    user: str | None
    name: str
    said: list[Said] = field(default_factory=list)
    parent: "History | None" = None
    ttl: float | None = None


def fields_of(message) -> tuple:
    return (
        message.id,
        message.role,
        message.text,
        message.timestamp,
        dict(message.metadata),
    )


def logits(session: MemorySession) -> torch.Tensor:
    fork = Fork.of_history(session._source)
    prompt = fork.engine.question(QUESTION)
    with torch.inference_mode():
        return fork.forward(torch.tensor([[*fork.padding(), *prompt]]), fork.state).logits


def scores(session: MemorySession) -> dict[str, float]:
    return {hit.id: hit.score for hit in session.search(QUESTION, 99)}


class Known(RuleBasedStateMachine):
    """The sessions of a memory, and what is known of them."""

    clock: list[float]
    checkpoint: Path

    def memory(self, user: str | None) -> hsa_memory.Memory:
        if user not in self.memories:
            self.memories[user] = self.opened(self.root, user)
        return self.memories[user]

    def opened(self, root: Path, user: str | None, **options) -> hsa_memory.Memory:
        return hsa_memory.open(root, user=user, key=KEYS[user], model=self.checkpoint, **options)

    def of(self, user: str | None) -> list[History]:
        return [known for known in self.histories if known.user == user]

    def called(self, user: str | None, name: str) -> History | None:
        return next((known for known in self.of(user) if known.name == name), None)

    def pick(self, number: int) -> History:
        if not self.histories:
            self.open_or_make(user=None, name="a", ttl=None)
        return self.histories[number % len(self.histories)]

    def session(self, known: History) -> MemorySession:
        if known not in self.open:
            self.open[known] = self.memory(known.user).session(known.name, create=False)
        return self.open[known]

    def let_go(self, *all_known: History) -> None:
        for known in all_known:
            if known in self.open:
                self.open.pop(known).close()

    def forks(self, known: History) -> list[History]:
        found = [fork for fork in self.histories if fork.parent is known]
        return found + [deeper for fork in found for deeper in self.forks(fork)]

    def there(self, said: list[Said]) -> list[Said]:
        now = self.clock[0]
        return [x for x in said if not x.forgotten and (x.expires is None or x.expires > now)]

    def waiting(self, known: History) -> list[Said]:
        """What has expired and could not be forgotten by this session, or not yet."""
        over = [x for x in known.said if x not in self.there(known.said)]
        return [x for x in over if not x.forgotten]

    def tidy(self, known: History) -> None:
        """A writer forgets what has expired of its own, if nobody writes to its forks."""
        if any(fork in self.open for fork in self.forks(known)):
            return
        for said in self.waiting(known):
            said.forgotten |= said.home is known

    def use(self, known: History) -> MemorySession:
        session = self.session(known)
        self.tidy(known)
        return session

    def as_map(self, said: Said, ttl: float | None) -> dict:
        return {
            "role": said.role,
            "content": said.text,
            "id": said.id,
            "timestamp": said.timestamp,
            "metadata": said.metadata,
            "attachment": said.attachment,
            "ttl": ttl,
        }

    def found(self, session: MemorySession) -> tuple:
        hits = [(hit.id, hit.score, hit.spans) for hit in session.search(QUESTION, 9)]
        return [fields_of(message) for message in session.messages()], hits

    def as_if_fresh(self, session: MemorySession, said: list[Said]) -> None:
        """The same as of a history that was told anew, blank where it was forgotten."""
        if len(self.there(said)) < sum(not x.forgotten for x in said):
            return
        self.count += 1
        with self.opened(self.folder / f"fresh-{self.count}", None) as memory:
            with memory.session("fresh") as fresh:
                turns = [x.turn(memory.tokenizer) for x in said]
                fresh._store.append(
                    [
                        replace(x, turn_id=f"{x.turn_id}-{i}") if x.forgotten else x
                        for i, x in enumerate(turns)
                    ]
                )
                fresh.catch_up()
                torch.testing.assert_close(logits(session), logits(fresh), rtol=0.02, atol=0.02)
                assert scores(session) == pytest.approx(scores(fresh), abs=0.02)

    def compare(self, session: MemorySession, said: list[Said]) -> None:
        there = self.there(said)
        expected = [x.fields() for x in there]
        assert [fields_of(message) for message in session.messages()] == expected
        assert len(session) == len(there)
        middle = len(there) // 2
        assert [m.id for m in session.messages(-2)] == [x.id for x in there[-2:]]
        assert [m.id for m in session.messages(1, middle)] == [x.id for x in there[1:middle]]
        shown = {x.id: x for x in there}
        for id in {x.id for x in said}:
            message = session.get(id)
            assert (message and fields_of(message)) == (shown[id].fields() if id in shown else None)
            kept = shown[id].attachment if id in shown else None
            assert session.attachment(id) == kept
        hits = {hit.id: fields_of(hit.message) for hit in session.search("the tower", 99)}
        assert hits == {x.id: x.fields() for x in there}

    def leave(self) -> None:
        self.open.clear()
        while self.memories:
            self.memories.popitem()[1].close()
