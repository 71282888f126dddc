"""What a sequence of operations should have made of a store, and how that is compared."""

import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from hsa_memory.storage import (
    ArchiveReader,
    CorruptChunk,
    Erased,
    Layout,
    QuotaExceeded,
    SessionImport,
    Store,
    Turn,
    TurnRecord,
)

USERS = (None, "alice", "dora")
KEYS = {"dora": bytes(range(32))}
NAMES = st.sampled_from("abc")
PICKS = st.integers(0, 59)
REACH = 4


def make_folder() -> Path:
    """A new folder; in memory, where there is much of it: other tests use it at the same time."""
    memory = Path("/dev/shm")
    much = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 29
    return Path(tempfile.mkdtemp(prefix="hsa-memory-test-", dir=memory if much else None))


@dataclass(eq=False)
class Said:
    """A turn; forks share it with the session that it was said in."""

    id: str
    text: str
    at: float
    home: "Session"
    expires: float | None = None
    forgotten: bool = False

    def turn(self, text: str | None = None) -> Turn:
        text = self.text if text is None else text
        return Turn(
            turn_id=self.id,
            role="user",
            text=text,
            tokens=np.frombuffer(text.encode(), np.uint8).astype(np.uint32),
            timestamp=self.at,
            expires=self.expires,
        )


@dataclass(eq=False)
class Session:
    """What is known of a session."""

    user: str | None
    name: str
    turns: list[Said] = field(default_factory=list)
    parent: "Session | None" = None
    shaken: bool = False
    """Whether chunks that it shares were rolled back where they belong."""

    @property
    def own(self) -> list[Said]:
        return [said for said in self.turns if said.home is self and not said.forgotten]

    def lines(self, count: int | None = None) -> list[tuple]:
        return [
            (None, "", len(said.text), said.at)
            if said.forgotten
            else (said.id, said.text, len(said.text), said.at)
            for said in self.turns[:count]
        ]

    def expiries(self, count: int | None = None) -> dict[int, float]:
        found = enumerate(self.turns[:count])
        return {i: s.expires for i, s in found if s.expires is not None and not s.forgotten}


def lines_of(session) -> list[tuple]:
    return [
        (None if turn.forgotten else turn.turn_id, turn.text, len(turn.tokens), turn.timestamp)
        for turn in session.turns()
    ]


class Known(RuleBasedStateMachine):
    """The sessions of a store, and what is known of them."""

    kit: SimpleNamespace
    layouts: tuple[Layout, ...]

    def store(self, user: str | None) -> Store:
        if user not in self.stores:
            self.stores[user] = Store.open(self.root, user=user, key=KEYS.get(user))
        return self.stores[user]

    def of(self, user: str | None) -> list[Session]:
        return [known for known in self.sessions if known.user == user]

    def called(self, user: str | None, name: str) -> Session | None:
        return next((known for known in self.of(user) if known.name == name), None)

    def pick(self, number: int) -> Session:
        if not self.sessions:
            self.make(None, "a")
        return self.sessions[number % len(self.sessions)]

    def writer(self, known: Session):
        if known not in self.open:
            store = self.store(known.user)
            self.open[known] = store.session(known.name, layout=self.layouts, create=False)
        return self.open[known]

    def make(self, user: str | None, name: str) -> None:
        if self.is_over(user):
            with pytest.raises(QuotaExceeded):
                self.store(user).session(name, layout=self.layouts)
            return
        known = Session(user, name)
        self.open[known] = self.store(user).session(name, layout=self.layouts)
        self.sessions.append(known)

    def let_go(self, known: Session) -> None:
        if known in self.open:
            self.open.pop(known).close()

    def forks(self, known: Session) -> list[Session]:
        found = [fork for fork in self.sessions if fork.parent is known]
        return found + [deeper for fork in found for deeper in self.forks(fork)]

    def tokens_of(self, user: str) -> int:
        return sum(len(said.text) for known in self.of(user) for said in known.own)

    def is_over(self, user: str | None) -> bool:
        """Whether there is more than the user's quota: then there is no room for a session."""
        limit = self.quotas.get(user)
        return limit is not None and self.tokens_of(user) > limit

    def new(self, known: Session, size: int, expires: float | None) -> Said:
        self.said += 1
        self.now += 1
        text = f"{self.said} said in {known.name} ".ljust(size, ".")[: max(size, 8)]
        return Said(f"turn-{self.said}", text, self.now, known, expires)

    def put(self, known: Session, new: list[Said]) -> None:
        session, size = self.writer(known), sum(len(said.text) for said in new)
        limit = self.quotas.get(known.user)
        if limit is not None and self.tokens_of(known.user) + size > limit:
            with pytest.raises(QuotaExceeded):
                session.append([said.turn() for said in new])
            return
        stored = session.append([said.turn() for said in new])
        assert [turn.seq for turn in stored] == [len(known.turns) + i for i in range(len(new))]
        known.turns += new

    def gone(self, known: Session) -> None:
        self.sessions.remove(known)
        if known in self.readers:
            store, reader = self.readers.pop(known)
            with pytest.raises(Erased):
                reader.refresh()
            store.close()

    def take_in(self, store: Store, path: str, name: str) -> None:
        with ArchiveReader(store.vfs, path) as archive, store.staging() as staging:
            coming = SessionImport(archive, 0)
            layout = coming.layout_of(self.layouts)
            with store.make_staged(staging, name, coming.about.created, layout) as staged:
                for record in coming.records():
                    assert isinstance(record, TurnRecord)
                    text = "\0" * record.num_tokens if record.forgotten else record.text
                    said = Said(record.id, text, record.timestamp, None, record.expires)
                    turn = replace(said.turn(), forgotten=record.forgotten)
                    staged.append([replace(turn, text="") if record.forgotten else turn])
                coming.put_derived(staged)
            store.install(staging, [staged.info])

    def leave(self) -> None:
        for store, _ in self.readers.values():
            store.close()
        for store in self.stores.values():
            store.close()
        for kept in (self.readers, self.stores, self.open):
            kept.clear()

    def compare(self, session, known: Session, count: int | None = None) -> None:
        assert lines_of(session) == known.lines(count)
        blank = [0 if x.forgotten else len(x.tokens) for x in session.turns()]
        nonzero = [np.count_nonzero(x.tokens) for x in session.turns()]
        assert nonzero == blank
        assert session.num_forgotten == blank.count(0)
        assert session.turn_index().forgotten.tolist() == [x == 0 for x in blank]
        if count is None:
            assert session.expiries() == known.expiries()
        assert session.expired(self.now) == [
            i for i, at in known.expiries(count).items() if at <= self.now
        ]
        holes = {chunk for hole in session.holes for chunk in hole}
        whole = [chunk for chunk in range(session.published) if chunk not in holes]
        landmarks, kv = self.kit.rows(session, 0, session.published)
        # An import may come without a tail.
        assert session.tail() in (None, b"", self.kit.tail(session.published))
        try:
            assert session.landmarks()[whole].tobytes() == landmarks[whole].tobytes()
            assert session.gather(whole).tobytes() == kv[whole].tobytes()
        except CorruptChunk as error:
            # What it shared was rolled back: it is told, never wrong, and healed by a writer.
            assert known.shaken
            if session.writable:
                session.rollback(min(error.chunk_ids))
                for fork in self.forks(known):
                    fork.shaken = True
