"""Quotas: never exceeded, by however many writers; nothing is written by what is refused."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsa_memory.storage import DurabilityLost, QuotaExceeded, Store, StoreFull
from hsa_memory.storage.database import Database


def bytes_of(root: Path) -> int:
    found = [path.lstat() for path in (root / "s").rglob("*")]
    return sum(status.st_blocks * 512 for status in found if stat.S_ISREG(status.st_mode))


def limit(root: Path, **quota: int) -> None:
    with Store.open(root) as store:
        store.set_quota("alice", **quota)


def usage(root: Path):
    with Store.open(root) as store:
        (found,) = store.users()
        return found


def test_a_small_quota_is_exact(tmp_path, kit) -> None:
    limit(tmp_path, max_tokens=100)
    with Store.open(tmp_path, user="alice") as store:
        one, two = (store.session(name, layout=kit.layout) for name in ("one", "two"))
        one.append([kit.turn(0, 50)])
        two.append([kit.turn(0, 49)])
        with pytest.raises(QuotaExceeded, match="may have 100 tokens.*99.*2 more"):
            one.append([kit.turn(1, 2)])
        assert one.num_turns == 1
        one.append([kit.turn(2, 1)])
        with pytest.raises(StoreFull, match="Forget messages, delete sessions, or raise the quota"):
            two.append([kit.turn(1, 1)])
        # What is known already takes no room.
        assert [turn.seq for turn in one.append([kit.turn(0, 50)])] == [0]
        kit.catch_up(one)
        kit.assert_right(one)
    assert usage(tmp_path).tokens == 100
    with Store.open(tmp_path) as store:
        assert store.check() == []


def test_what_is_forgotten_deleted_or_allowed_gives_room(tmp_path, kit) -> None:
    limit(tmp_path, max_tokens=60)
    with Store.open(tmp_path, user="alice") as store:
        with store.session("one", layout=kit.layout) as session:
            session.append([kit.turn(i, 10) for i in range(3)])
            session.forget([1], blank=0, reach=4)
            kit.fill(session)
        with store.session("two", layout=kit.layout) as session:
            session.append([kit.turn(i, 10) for i in range(4)])
            with pytest.raises(QuotaExceeded):
                session.append([kit.turn(5, 10)])
            store.delete_session("one")
            session.append([kit.turn(5, 10)])
            limit(tmp_path, max_tokens=70)
            session.append([kit.turn(6, 20)])
            with pytest.raises(QuotaExceeded):
                session.append([kit.turn(7, 1)])
            limit(tmp_path)
            session.append([kit.turn(7, 1000)])
    assert usage(tmp_path).tokens == 1070


def test_a_quota_below_what_is_there_stops_appends_only(tmp_path, kit) -> None:
    with Store.open(tmp_path, user="alice") as store:
        with store.session("one", layout=kit.layout) as session:
            session.append([kit.turn(i, 10) for i in range(3)])
            kit.catch_up(session)
            limit(tmp_path, max_tokens=5)
            with pytest.raises(QuotaExceeded, match="may have 5 tokens"):
                session.append([kit.turn(3, 1)])
            assert session.num_turns == 3
            kit.assert_right(session)
            session.forget([0], blank=0, reach=4)
            kit.fill(session)
        store.delete_session("one")
    assert usage(tmp_path).tokens == 0


def test_what_a_killed_writer_holds_is_given_back(tmp_path, kit) -> None:
    limit(tmp_path, max_tokens=200_000)
    child = os.fork()
    if child == 0:
        store = Store.open(tmp_path, user="alice")
        session = store.session("one", layout=kit.layout)
        session.append([kit.turn(0, 10)])
        os._exit(0)
    os.waitpid(child, 0)
    with Store.open(tmp_path, user="alice") as store:
        with store.session("two", layout=kit.layout) as session:
            session.append([kit.turn(0, 199_990)])
            with pytest.raises(QuotaExceeded):
                session.append([kit.turn(1, 1)])
    assert usage(tmp_path).tokens == 200_000


def append_for_ever(session, kit, root: Path) -> None:
    for count in range(10_000):
        session.append([kit.turn(count, 40, text=os.urandom(500).hex())])
        kit.catch_up(session)
        assert bytes_of(root) <= 1_500_000


def test_bytes_are_those_on_the_disk(tmp_path, kit) -> None:
    limit(tmp_path, max_bytes=1_500_000)
    with Store.open(tmp_path, user="alice") as store:
        session = store.session("one", layout=kit.layout)
        with pytest.raises(QuotaExceeded, match="bytes on disk"):
            append_for_ever(session, kit, tmp_path)
        assert session.num_turns > 100
        kit.assert_right(session)
        session.close()
    assert usage(tmp_path).num_bytes <= 1_500_000


def test_a_repair_waits_for_no_lock_of_its_own(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store", user="alice") as store:
        with store.session("one", layout=kit.layout) as session:
            session.append([kit.turn(i) for i in range(6)])
    # A writer would now note anew what the session holds of the quota.
    limit(tmp_path / "store", max_tokens=1000)
    with Store.open(tmp_path / "store") as store:
        assert store.backup(str(tmp_path / "copy"))[2] == []
        assert store.check(repair=True) == []


def test_a_new_session_needs_room_too(tmp_path, kit) -> None:
    limit(tmp_path, max_bytes=1000)
    with Store.open(tmp_path, user="alice") as store:
        with pytest.raises(QuotaExceeded, match="may have 1,000 bytes on disk"):
            store.session("one", layout=kit.layout)
        assert store.list_sessions() == []
        assert list((tmp_path / "tmp").iterdir()) == []


def test_others_are_not_limited(tmp_path, kit) -> None:
    limit(tmp_path, max_tokens=5)
    for user in (None, "bob"):
        with Store.open(tmp_path, user=user) as store:
            with store.session("one", layout=kit.layout) as session:
                session.append([kit.turn(i) for i in range(5)])


def test_what_comes_in_holds_its_part_as_soon_as_it_is_listed(tmp_path, kit, monkeypatch) -> None:
    def bring_in(store: Store, name: str) -> None:
        with store.staging() as staging:
            with store.make_staged(staging, name, 1000.0, kit.layout) as session:
                session.append([kit.turn(0, 60)])
            store.install(staging, [session.info])

    checkpoint = Database.checkpoint

    def failing(database: Database, **options: bool) -> None:
        if database.path.endswith("catalog.db"):
            raise DurabilityLost("cannot sync catalog.db (injected)")
        checkpoint(database, **options)

    limit(tmp_path, max_tokens=100)
    with Store.open(tmp_path, user="alice") as store:
        with monkeypatch.context() as patch:
            # The commit is there, and what follows it fails.
            patch.setattr(Database, "checkpoint", failing)
            with pytest.raises(DurabilityLost):
                bring_in(store, "one")
        assert [info.name for info in store.list_sessions()] == ["one"]
        with pytest.raises(QuotaExceeded):
            bring_in(store, "two")
    assert usage(tmp_path).tokens == 60


@pytest.mark.parametrize("quota", [{"max_tokens": -1}, {"max_bytes": True}, {"max_tokens": 1.5}])
def test_an_impossible_quota_is_refused(tmp_path, quota) -> None:
    with Store.open(tmp_path) as store, pytest.raises(ValueError, match="max_"):
        store.set_quota("alice", **quota)


WRITER = """
import random, sys, time
sys.path.insert(0, sys.argv[2])
import helpers
from hsa_memory.storage import QuotaExceeded, SessionBusy, Store, database, locks

# On a busy machine the others may take long.
locks._WAIT_SECONDS = database._BUSY_SECONDS = 300.0
random.seed(sys.argv[3])
store = Store.open(sys.argv[1], user="alice")
session = None
try:
    while session is None:
        try:
            session = store.session(sys.argv[3], layout=helpers.LAYOUT)
        except SessionBusy:
            # One of the others found no room, and looks whether anybody writes to this one.
            time.sleep(0.01)
    for i in range(100_000):
        session.append([helpers.make_turn(i, random.randint(1, 60))])
        if random.random() < 0.05:
            helpers.catch_up(session, step=1000)
except QuotaExceeded:
    # The others may have been faster.
    if session is not None and session.num_turns:
        session.append([helpers.make_turn(0, 1, role="user", text="message 0 ")])
    print("full", session.num_tokens if session is not None else 0)
if session is not None and sys.argv[3] != "4":
    session.close()
"""


@contextmanager
def stopped(processes: Iterable[subprocess.Popen[str]]) -> Iterator[None]:
    """Have processes stand still, so that all their files can be looked at as of one moment."""
    alive = [process.pid for process in processes if process.poll() is None]
    for pid in alive:
        os.kill(pid, signal.SIGSTOP)
    for pid in alive:
        # It stands still, or it has ended.
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    try:
        yield
    finally:
        for pid in alive:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("quota", [{"max_tokens": 9_000}, {"max_bytes": 3_000_000}])
def test_four_processes_never_go_beyond_a_quota(tmp_path, quota, start_process) -> None:
    limit(tmp_path / "store", **quota)
    (tmp_path / "helpers.py").write_text(
        (Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    command = [sys.executable, "-c", WRITER, str(tmp_path / "store"), str(tmp_path)]
    writers = [
        start_process([*command, str(i)], stdout=subprocess.PIPE, text=True) for i in range(1, 5)
    ]
    while any(writer.poll() is None for writer in writers):
        if "max_bytes" in quota:
            with stopped(writers):
                assert bytes_of(tmp_path / "store") <= quota["max_bytes"]
        time.sleep(0.2)
    said = [writer.communicate()[0] for writer in writers]
    assert all(words.startswith("full") for words in said), said
    found = usage(tmp_path / "store")
    if "max_tokens" in quota:
        total = sum(int(words.split()[1]) for words in said)
        assert found.tokens == total <= quota["max_tokens"]
        # Nobody was refused while there was much room: three others hold, of what they do not need,
        # a sixteenth each at most.
        assert total > quota["max_tokens"] * 0.6
    else:
        assert found.num_bytes <= quota["max_bytes"]
