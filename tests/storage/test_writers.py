"""One writer per session, across handles, threads, forks and processes; readers are free."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading

import pytest

from hsa_memory.storage import (
    Erased,
    FencedWriter,
    ModelMismatch,
    SessionBusy,
    SessionClosed,
    SessionMissing,
    Store,
    Vfs,
    locks,
    removing,
)
from hsa_memory.storage.locks import FileLock, try_lock

HOLDER = """
import sys
from hsa_memory.storage import Store
session = Store.open(sys.argv[1]).session("alice", layout=None)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_handle_is_refused_until_the_first_closes(open_session) -> None:
    first = open_session()
    with pytest.raises(SessionBusy, match="read_only=True"):
        open_session()
    assert open_session(read_only=True).num_turns == 0
    assert open_session("bob").num_turns == 0
    first.close()
    open_session()


def test_who_looks_into_a_session_for_a_moment_keeps_nobody_out(open_session, monkeypatch) -> None:
    # As a user's other sessions do, when her quota is used up, to count what all of them take.
    monkeypatch.setattr(removing, "_MOMENT_SECONDS", 60.0)
    with open_session() as session:
        path = os.path.join(os.path.dirname(session.folder), "..", "..", "locks")
    lock = try_lock(Vfs(), os.path.join(path, f"s-{session.info.id}.lock"))
    assert lock is not None
    look = threading.Timer(0.05, lock.release)
    look.start()
    assert open_session().num_turns == 0
    look.join()


def test_a_check_that_repairs_waits_for_no_writer(tmp_path, open_session, monkeypatch) -> None:
    # It holds the catalog's lock, and of a hundred writers each would keep everybody else waiting.
    waits = []

    def recorded(vfs: Vfs, path: str, seconds: float) -> FileLock | None:
        waits.append(seconds)
        return try_lock(vfs, path)

    with open_session(), open_session("bob"), Store.open(tmp_path / "store") as other:
        monkeypatch.setattr(removing, "lock_within", recorded)
        found = other.check(repair=True)
    assert [finding.kind for finding in found] == ["SessionBusy", "SessionBusy"]
    assert waits == [0.0, 0.0]


def test_a_writer_of_the_same_handle_is_not_waited_for(tmp_path, kit, monkeypatch) -> None:
    waits = []
    monkeypatch.setattr(locks.time, "sleep", waits.append)
    with Store.open(tmp_path) as store:
        first = store.session("alice", layout=kit.layout)
        with pytest.raises(SessionBusy):
            store.session("alice", layout=None)
        assert waits == []
        first.close()
        store.session("alice", layout=None)


def test_a_thread_is_refused_too(open_session) -> None:
    held = open_session()
    seen = []

    def attempt() -> None:
        try:
            open_session()
        except SessionBusy as error:
            seen.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(seen) == 1
    held.close()


def test_a_failed_open_frees_the_session(open_session, kit) -> None:
    open_session().close()
    with pytest.raises(ModelMismatch):
        open_session(layout=dataclasses.replace(kit.layout, fingerprint="other"))
    open_session()


def test_a_process_is_refused_and_a_killed_one_frees_the_session(
    tmp_path, open_session, start_process
) -> None:
    open_session().close()
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "store")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    holder = start_process(command, text=True, **pipes)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(SessionBusy):
        open_session()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    open_session()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_neither_uses_nor_keeps_the_session(tmp_path, open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(0)])
    store = Store.open(tmp_path / "store")
    assert store.has_session("alice")
    to_child, from_parent = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            session.turns()
        except SessionClosed:
            session.close()
            status = 0 if store.has_session("alice") else 2
        os.close(from_parent)
        os.read(to_child, 1)
        os._exit(status)
    os.close(to_child)
    session.append([kit.turn(1)])
    session.close()
    # The child is alive and has inherited the descriptor of the lock, but not the lock.
    open_session().append([kit.turn(2)])
    os.close(from_parent)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_writer_that_lost_its_lock_writes_nothing(open_session, kit) -> None:
    stale = open_session()
    stale.append([kit.turn(0)])
    # As if the lock had been lost: on a shared disk, or by a removed lock file.
    stale._lock_file.release()
    fresh = open_session()
    fresh.append([kit.turn(1)])
    with pytest.raises(FencedWriter):
        stale.append([kit.turn(2)])
    with pytest.raises(FencedWriter):
        stale.set_meta("a", {})
    assert [turn.turn_id for turn in fresh.turns()] == ["turn-0", "turn-1"]
    assert fresh.check() == []


def test_of_two_idle_writers_the_first_to_write_wins(open_session, kit) -> None:
    stale = open_session()
    stale._lock_file.release()
    fresh = open_session()
    stale.append([kit.turn(0)])
    with pytest.raises(FencedWriter):
        fresh.append([kit.turn(1)])
    assert stale.num_turns == 1


def test_threads_may_share_a_session(open_session, kit) -> None:
    session = open_session()

    def work(worker: int) -> None:
        for i in range(8):
            session.append([kit.turn(worker * 100 + i)])
            assert session.turns()[-1].seq >= i

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.num_turns == 32
    assert session.check() == []


FOLLOWER = """
import sys
import numpy as np
from hsa_memory.storage import Store
seen = []
with Store.open(sys.argv[1], read_only=True) as store:
    with store.session("alice", layout=None, read_only=True) as session:
        print("following", flush=True)
        while session.num_turns < 40:
            session.refresh()
            seen.append(session.published)
            if session.published:
                session.gather(np.arange(session.published))
            assert len(session.landmarks()) == session.published
        assert session.recovered == []
assert seen == sorted(seen)
"""


def test_a_reading_process_never_sees_the_watermark_go_back(
    tmp_path, open_session, kit, start_process
) -> None:
    writer = open_session()
    command = [sys.executable, "-c", FOLLOWER, str(tmp_path / "store")]
    reader = start_process(command, stdout=subprocess.PIPE, text=True)
    assert reader.stdout.readline() == "following\n"
    for i in range(40):
        writer.append([kit.turn(i)])
        kit.catch_up(writer)
    assert reader.wait() == 0


def test_a_deleted_session_is_gone_for_its_readers(tmp_path, open_session, kit) -> None:
    writer = open_session()
    writer.append([kit.turn(0)])
    reader = open_session(read_only=True)
    with Store.open(tmp_path / "store") as store:
        with pytest.raises(SessionBusy):
            store.delete_session("alice")
        writer.close()
        store.delete_session("alice")
        assert store.list_sessions() == []
        with pytest.raises(SessionMissing):
            store.delete_session("alice")
    with pytest.raises(Erased):
        reader.refresh()
    assert list((tmp_path / "store" / "trash").iterdir()) == []
    assert not list((tmp_path / "store" / "s").glob("*/*"))
    assert open_session().num_turns == 0


def test_an_interrupted_deletion_is_finished_at_open(tmp_path, open_session, kit) -> None:
    with open_session() as session:
        session.append([kit.turn(0)])
    store = Store.open(tmp_path / "store")
    info = store.list_sessions()[0]
    store._catalog.mark_deleted(info)
    (tmp_path / "store" / "s" / info.id[:2] / info.id).rename(
        tmp_path / "store" / "trash" / info.id
    )
    store.close()
    with Store.open(tmp_path / "store") as store:
        assert not store.has_session("alice")
        assert store._catalog.deleted_ids() == []
        assert store.check() == []
    assert list((tmp_path / "store" / "trash").iterdir()) == []


def test_stores_may_be_made_at_the_same_time(tmp_path, kit) -> None:
    opened, failures = [], []

    def attempt(i: int) -> None:
        try:
            store = Store.open(tmp_path / "store")
            opened.append(store)
            store.session(f"s{i}", layout=kit.layout).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=attempt, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(opened[0].list_sessions()) == 6
    for store in opened:
        store.close()


def test_a_lock_whose_making_was_interrupted_goes_without_a_word() -> None:
    # As an interrupt in its first line leaves it; an error in __del__ fails the test.
    lock = FileLock.__new__(FileLock)
    lock.release()
    del lock
