"""Damage to any file of a store, and what came of it.

`Campaign` makes a store once, damages one file at a time, and judges every answer by what the
undamaged store said: an answer may be missing with an error that has a type, never wrong.
`test_damage.py` runs a part of it in every build, `scripts/damage.py` as much as is wanted.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hsa_memory.storage import CorruptChunk, SessionMissing, Store, StoreError

Change = Callable[[Path], None]
Answers = dict[str, Any]

TURNS = 10
TOKENS = 16
FORGOTTEN = 2
TRUTH = ("catalog.db", "session.db")
DERIVED = ("kv-0.seg", "kv-1.seg", "kv-2.seg", "landmarks.bin", "tail-0.bin", "tail-1.bin")
KINDS = ("STORE", *TRUTH, "head.bin", *DERIVED)
# As a killed writer leaves them.
LOGS = ("session.db-wal", "session.db-shm", "session.db", "head.bin")
# Nothing of them is ever read.
UNREAD = ("catalog.lock", "reserve.bin")

# What may become of damage; a wrong answer is an AssertionError instead.
TOLD, CHECKED, HARMLESS, HEALED = "told", "told by check", "harmless", "healed"


class Campaign:
    """A store to be damaged.

    Args:
        kit: the helpers of conftest.py.
        folder: an empty folder to work in; much faster in memory.
        killed: leave the store as a killed writer would, with the log of its database.
    """

    def __init__(self, kit: SimpleNamespace, folder: Path, *, killed: bool = False) -> None:
        self._kit = kit
        self._folder = folder
        self._copies = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        """(kind of file, what came of its damage) -> times."""
        self.root = folder / "pristine"
        self._make(killed)
        self.paths = {path.name: path for path in self._own_files()}
        self._saved = {path: path.read_bytes() for path in self._own_files()}
        with Store.open(self.root, read_only=True) as store:
            self.expected = self._answers(store)
        assert self.expected["published"] == TURNS * TOKENS // 4

    def _own_files(self) -> list[Path]:
        with Store.open(self.root, read_only=True) as store:
            others = [info.id for info in store.list_sessions() if info.name != "alice"]
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return [path for path in files if not any(sid in str(path) for sid in others)]

    def _make(self, killed: bool) -> None:
        work = self._folder / "work"
        store = Store.open(work)
        with store.session("bob", layout=self._kit.layout) as other:
            other.append([self._turn(i + 1) for i in range(4)])
            self._kit.catch_up(other)
        session = store.session("alice", layout=self._kit.layout)
        self.stale: dict[str, bytes] = {}
        for i in range(TURNS):
            session.append([self._turn(i)])
            self._kit.catch_up(session)
            if i == TURNS // 2:
                self.stale = self._names(work, session.folder)
        session.set_meta("progress", {"offset": 7})
        session.forget([FORGOTTEN], blank=0, reach=4)
        for hole in session.holes:
            session.fill(hole.start, *self._kit.rows(session, hole.start, hole.stop))
        for _ in range(2):
            session.publish(session.published, self._kit.tail(session.published))
        if killed:
            session.append([self._kit.turn(TURNS, 1)])
            session.set_meta("progress", {"offset": 8})
            shutil.copytree(work, self.root)
        self.foreign = self._names(work, other.folder)
        store.close()
        if not killed:
            work.rename(self.root)

    def _turn(self, number: int) -> Any:
        return self._kit.turn(number, TOKENS)

    @staticmethod
    def _names(root: Path, folder: str) -> dict[str, bytes]:
        files = [*Path(folder).rglob("*"), root / "catalog.db", root / "STORE"]
        return {path.name: path.read_bytes() for path in files if path.is_file()}

    # ---- asking

    def _answers(self, store: Store) -> Answers:
        """Everything that can be asked of the session through a new reader."""
        names = [info.name for info in store.list_sessions()]
        with store.session("alice", layout=self._kit.layout, read_only=True) as session:
            return {"sessions": names, **self._asked(session)}

    def _asked(self, session: Any) -> Answers:
        turns = session.turns()
        index = session.turn_index()
        count = session.published
        # The others are looked up by the check.
        ids = [turns[0].turn_id, turns[-1].turn_id] if turns else []
        return {
            "turns": _told(turns),
            "index": (index.timestamp.tolist(), index.n_tokens.tolist(), index.role_code.tolist()),
            "tokens": session.tokens(0, session.num_tokens).tobytes(),
            "found": [getattr(session.find(x), "seq", None) for x in ids],
            "meta": session.get_meta("progress"),
            "published": count,
            "landmarks": session.landmarks().tobytes(),
            "kv": session.gather(range(count)).tobytes(),
            "tail": session.tail(),
            "findings": [*session.recovered, *session.damaged],
        }

    def _judge(self, found: Answers) -> str:
        """What a reader's answers say of the damage."""
        expected = self.expected
        told = bool(found["findings"])
        kinds = {finding.kind for finding in found["findings"]}
        for name in ("turns", "index", "tokens"):
            assert found[name] == expected[name], name
        count, whole = found["published"], expected["published"]
        for name in ("landmarks", "kv"):
            assert found[name] == expected[name][: len(expected[name]) // whole * count], name
        assert told or count == whole
        if found["tail"] != expected["tail"]:
            assert told
            assert found["tail"] is None
        if found["meta"] != expected["meta"]:
            assert "lost-changes" in kinds
        unknown = [x for x, y in zip(found["found"], expected["found"], strict=True) if x != y]
        # An index of SQLite has no checksum: an id may be unknown, and only a check sees why.
        assert set(unknown) <= {None}
        missing = set(found.get("sessions", expected["sessions"])) ^ set(expected["sessions"])
        return TOLD if told else CHECKED if unknown or missing else HARMLESS

    # ---- damaging

    def before_reading(self, name: str, change: Change) -> str:
        """Damage a file, open a reader, ask everything, then have the store checked."""
        path = self.paths[name]
        change(path)
        try:
            with Store.open(self.root, read_only=True) as store:
                try:
                    outcome = self._judge(self._answers(store))
                except StoreError:
                    outcome = TOLD
                if outcome != TOLD:
                    found = self._check(store, name) != []
                    assert found or outcome == HARMLESS
                    outcome = CHECKED if found else HARMLESS
        except StoreError:
            outcome = TOLD
        finally:
            self._put_back()
        return self._count(f"{name}, unopened", outcome)

    def _check(self, store: Store, name: str) -> list[Any]:
        if name in ("STORE", "catalog.db"):
            return store.check()
        with store.session("alice", layout=None, read_only=True) as session:
            return session.check()

    def _put_back(self) -> None:
        for path in self._folder_files():
            if path not in self._saved:
                path.unlink()
        for path, data in self._saved.items():
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)

    def _folder_files(self) -> Iterator[Path]:
        yield from self.root.glob("catalog.db*")
        yield from self.paths["session.db"].parent.glob("session.db*")

    @contextmanager
    def while_reading(self) -> Iterator[Callable[[str, Change], str]]:
        """A reader that is open, and what asks it again after damage to a file."""
        with Store.open(self.root, read_only=True) as store:
            session = store.session("alice", layout=self._kit.layout, read_only=True)
            self._asked(session)

            def use(name: str, change: Change) -> str:
                change(self.paths[name])
                try:
                    outcome = self._judge(self._asked(session))
                    session.refresh()
                    outcome = max(outcome, self._judge(self._asked(session)), key=len)
                except StoreError:
                    outcome = TOLD
                finally:
                    self._put_back()
                return self._count(f"{name}, reader open", outcome)

            yield use

    @contextmanager
    def _copied(self, name: str) -> Iterator[tuple[Path, Path]]:
        self._copies += 1
        root = self._folder / f"copy-{self._copies}"
        shutil.copytree(self.root, root)
        try:
            yield root, root / self.paths[name].relative_to(self.root)
        finally:
            shutil.rmtree(root)

    def before_writing(self, name: str, change: Change) -> str:
        """Damage a file of a copy, open a writer, go on as the layer above does, look again."""
        with self._copied(name) as (root, path):
            change(path)
            return self._count(f"{name}, unopened, writer", self._go_on(root))

    def while_writing(self, name: str, change: Change) -> str:
        """Damage a file of a copy under an open writer, which goes on; then look again."""
        with self._copied(name) as (root, path):
            try:
                with Store.open(root) as store:
                    with store.session("alice", layout=self._kit.layout) as session:
                        change(path)
                        session.append([self._turn(TURNS + 1)])
                        self._heal(session)
            except StoreError:
                # Its files are as a crash leaves them; what was acknowledged must not be lost.
                return self._count(f"{name}, writer open", max(TOLD, self._go_on(root), key=len))
            return self._count(f"{name}, writer open", self._go_on(root))

    def repaired(self, name: str, change: Change) -> str:
        """Damage a file of a copy, have it repaired, look again."""
        with self._copied(name) as (root, path):
            change(path)
            try:
                with Store.open(root) as store:
                    found = store.check(repair=True)
                    left = store.check()
            except StoreError:
                return self._count(f"{name}, repair", TOLD)
            # What is lost is told once, and the session goes on without it.
            lost = any(finding.kind == "lost-messages" for finding in found)
            outcome = self._go_on(root, lost=lost)
            if outcome == HARMLESS and found:
                outcome = TOLD if lost else CHECKED if left else HEALED
            return self._count(f"{name}, repair", outcome)

    def _go_on(self, root: Path, *, lost: bool = False) -> str:
        try:
            with Store.open(root, create=False) as store:
                if not store.has_session("alice"):
                    assert store.check() != []
                    return CHECKED
                with store.session("alice", layout=self._kit.layout) as session:
                    told = bool(session.recovered)
                    turns = _told(session.turns())
                    kept = len(turns) if lost else len(self.expected["turns"])
                    assert turns[:kept] == self.expected["turns"][:kept]
                    session.append([self._turn(TURNS + 2)])
                    self._heal(session)
                with store.session("alice", layout=self._kit.layout) as session:
                    assert session.recovered == []
                    self._kit.assert_right(session)
                    assert _told(session.turns())[: len(turns)] == turns
                left = store.check()
                return HEALED if told else CHECKED if left else HARMLESS
        except (StoreError, SessionMissing):
            return TOLD

    def _heal(self, session: Any) -> None:
        self._kit.catch_up(session)
        for _ in range(3):
            try:
                self._kit.assert_right(session)
            except CorruptChunk as error:
                session.rollback(min(error.chunk_ids))
                self._kit.catch_up(session)
        self._kit.assert_right(session)

    def _count(self, kind: str, outcome: str) -> str:
        self.counts[kind, outcome] += 1
        return outcome


def _told(turns: list[Any]) -> list[Any]:
    return [(x.turn_id, x.role, x.text, x.timestamp, x.metadata, x.tokens.tobytes()) for x in turns]


# ---- ways to damage a file


def put(path: Path, data: bytes) -> None:
    """Write a file."""
    path.write_bytes(data)


def flip(offset: int, bit: int) -> Change:
    """One bit."""

    def change(path: Path) -> None:
        with path.open("r+b", buffering=0) as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1 << bit]))

    return change


def cut(length: int) -> Change:
    """The first bytes only; a negative length counts from the end."""
    return lambda path: put(path, path.read_bytes()[:length])


def replaced(data: bytes) -> Change:
    """Another file in its place."""
    return lambda path: put(path, data)


def zeroed(offset: int, length: int = 512) -> Change:
    """Zeros in a part of it."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[offset : offset + length] = bytes(len(data[offset : offset + length]))
        path.write_bytes(data)

    return change


def swapped(first: int, second: int, length: int) -> Change:
    """Two parts of it in each other's place."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        one, other = data[first : first + length], data[second : second + length]
        data[first : first + length], data[second : second + length] = other, one
        path.write_bytes(data)

    return change


def flips(campaign: Campaign, name: str, count: int, draw: random.Random) -> Iterator[Change]:
    """Bits of a file: half of them anywhere, half where something is written."""
    data = campaign.paths[name].read_bytes()
    written = [offset for offset, byte in enumerate(data) if byte] or [0]
    for i in range(count if data else 0):
        offset = draw.choice(written) if i % 2 else draw.randrange(len(data))
        yield flip(offset, draw.randrange(8))


def structural(campaign: Campaign, name: str) -> dict[str, Change]:
    """Everything that may become of a whole file, by name."""
    size = campaign.paths[name].stat().st_size
    found: dict[str, Change] = {f"cut to {n}": cut(n) for n in (0, 1, 55, 4095, 4096, 4097, 4130)}
    found |= {f"cut to {n}": cut(n) for n in (5000, 8191, 8192, 8240, 12_000, size // 2)}
    found |= {"one byte short": cut(-1), "missing": Path.unlink}
    found |= {"longer": lambda path: put(path, path.read_bytes() + b"more" * 3000)}
    found |= {f"zeros at {n}": zeroed(n) for n in range(0, size, max(512, size // 12 // 512 * 512))}
    found |= {"all zeros": zeroed(0, size), "sectors swapped": swapped(4096, 4608, 512)}
    found |= {"blocks swapped": swapped(8192, 8288, 96), "rows swapped": swapped(4096, 4112, 16)}
    found |= {
        "records swapped": swapped(4096, 4160, 64),
        "pages swapped": swapped(8192, 16384, 4096),
    }
    for what, others in (("of another session", campaign.foreign), ("stale", campaign.stale)):
        if name in others:
            found[what] = replaced(others[name])
    return found


def table(counts: Counter[tuple[str, str]]) -> str:
    """The outcomes as lines of text."""
    outcomes = (TOLD, CHECKED, HEALED, HARMLESS)
    kinds = sorted({kind for kind, _ in counts})
    width = max(map(len, kinds))
    lines = [f"{'file':{width}}  {'damaged':>8}" + "".join(f"{x:>15}" for x in outcomes)]
    for kind in kinds:
        row = [counts[kind, outcome] for outcome in outcomes]
        lines.append(f"{kind:{width}}  {sum(row):8}" + "".join(f"{n:15}" for n in row))
    return "\n".join(lines)
