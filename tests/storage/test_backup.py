"""A copy of a whole store while its writers go on: it opens by itself, or there is none."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from hsa_memory.storage import (
    CorruptMetadata,
    NotAFolder,
    SessionMissing,
    Store,
    StoreError,
    StoreLocked,
)

NAMES = ("alice", "bob")


@pytest.fixture
def root(tmp_path, kit) -> Path:
    with Store.open(tmp_path / "store") as store:
        for name in NAMES:
            with store.session(name, layout=kit.layout) as session:
                session.append([kit.turn(i) for i in range(20)])
                session.set_meta("colour", {"name": "green"})
                kit.catch_up(session)
    return tmp_path / "store"


def assert_whole(folder: Path, kit, *, turns: int = 20) -> None:
    with Store.open(folder, create=False) as store:
        assert store.check() == []
        assert [info.name for info in store.list_sessions()] == list(NAMES)
        for name in NAMES:
            with store.session(name, layout=kit.layout) as session:
                assert session.num_turns >= turns
                assert [turn.text for turn in session.turns()] == [
                    kit.turn(i).text for i in range(session.num_turns)
                ]
                assert session.get_meta("colour") == {"name": "green"}
                assert session.published == session.num_tokens // 4
                assert session.tail() == kit.tail(session.published)
                assert session.recovered == []
                kit.assert_right(session)


def test_a_backup_is_a_store_of_its_own(root, tmp_path, kit) -> None:
    told = []
    with Store.open(root) as store:
        copied, num_bytes, found = store.backup(
            str(tmp_path / "copy"), lambda *args: told.append(args)
        )
    assert ([session.name for session in copied], found) == (list(NAMES), [])
    assert [name for name, _, _ in told] == list(NAMES)
    assert told[-1][1] <= told[-1][2]
    assert num_bytes > 10_000
    for path in root.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    assert_whole(tmp_path / "copy", kit)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "store"]


def test_a_reader_can_make_a_backup(root, tmp_path, kit) -> None:
    with Store.open(root, read_only=True) as store:
        store.backup(str(tmp_path / "copy"))
    assert_whole(tmp_path / "copy", kit)


def test_an_empty_store_can_be_copied(tmp_path) -> None:
    with Store.open(tmp_path / "store") as store:
        assert store.backup(str(tmp_path / "copy"))[0] == []
    with Store.open(tmp_path / "copy", create=False) as store:
        assert store.list_sessions() == []


def test_writers_go_on_meanwhile(root, tmp_path, kit) -> None:
    stop = threading.Event()

    def write(name: str) -> None:
        with Store.open(root) as store, store.session(name, layout=kit.layout) as session:
            while not stop.is_set():
                number = session.num_turns
                session.append([kit.turn(number)])
                kit.catch_up(session)
                if number % 7 == 0:
                    session.rollback(session.published // 2)
                    kit.catch_up(session)

    writers = [threading.Thread(target=write, args=[name]) for name in NAMES]
    for writer in writers:
        writer.start()
    try:
        with Store.open(root, read_only=True) as store:
            for number in range(8):
                copied, _, found = store.backup(str(tmp_path / f"copy-{number}"))
                assert ([session.name for session in copied], found) == (list(NAMES), [])
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    for number in range(8):
        with Store.open(tmp_path / f"copy-{number}") as store:
            for name in NAMES:
                with store.session(name, layout=kit.layout) as session:
                    turns = session.num_turns
                    assert turns >= 20
                    assert session.turns()[-1].text == kit.turn(turns - 1).text
                    assert session.recovered == []
                    kit.assert_right(session)


def test_forgetting_does_not_reach_into_a_backup_nor_back(root, tmp_path, kit) -> None:
    with Store.open(root) as store:
        store.backup(str(tmp_path / "copy"))
        with store.session("alice", layout=kit.layout) as session:
            session.forget([3], blank=0, reach=4)
            kit.fill(session)
    assert_whole(tmp_path / "copy", kit)
    with Store.open(root) as store, store.session("alice", layout=kit.layout) as session:
        assert session.turns()[3].forgotten
        kit.assert_right(session)


def test_a_hole_that_is_not_filled_comes_along(root, tmp_path, kit) -> None:
    with Store.open(root) as store, store.session("alice", layout=kit.layout) as session:
        session.forget([3], blank=0, reach=4)
        holes = session.holes
        assert holes
        store.backup(str(tmp_path / "copy"))
    with Store.open(tmp_path / "copy") as store:
        with store.session("alice", layout=kit.layout) as session:
            assert session.holes == holes
            kit.fill(session)
            kit.assert_right(session)
        assert store.check() == []


def test_forks_come_with_what_they_share(root, tmp_path, kit) -> None:
    with Store.open(root) as store:
        with store.session("alice", layout=kit.layout) as session:
            store.fork(session, "branch", 12)
        with store.session("branch", layout=kit.layout) as session:
            session.append([kit.turn(100)])
            kit.catch_up(session)
        store.backup(str(tmp_path / "copy"))
    with Store.open(tmp_path / "copy") as store:
        assert store.check() == []
        with store.session("branch", layout=kit.layout) as session:
            assert [turn.turn_id for turn in session.turns()] == [
                *(f"turn-{i}" for i in range(12)),
                "turn-100",
            ]
            kit.assert_right(session)


def test_damage_is_told_and_repaired_in_the_copy(root, tmp_path, kit) -> None:
    (path, *_) = sorted(root.glob("s/*/*/g1/kv-0.seg"))
    data = bytearray(path.read_bytes())
    data[4096 + 64 * 4096 + 96 * 5] ^= 1  # a byte of chunk 5
    path.write_bytes(data)
    with Store.open(root, read_only=True) as store:
        _, _, found = store.backup(str(tmp_path / "copy"))
    assert [(x.kind, x.repaired) for x in found] == [("corrupt-chunk", True)]
    assert path.read_bytes() == data
    with Store.open(tmp_path / "copy") as store:
        assert store.check() == []
        for name in NAMES:
            with store.session(name, layout=kit.layout) as session:
                kit.catch_up(session)
                kit.assert_right(session)


def test_a_folder_that_is_in_use_is_refused(root, tmp_path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("keep me")
    (tmp_path / "file").write_text("a file")
    with Store.open(root) as store:
        with pytest.raises(StoreError, match="not empty"):
            store.backup(str(tmp_path / "full"))
        with pytest.raises(StoreError, match="not empty"):
            store.backup(str(root.parent))
        for inside in (root, root / "copy", root / "s" / "copy"):
            with pytest.raises(NotAFolder, match="inside"):
                store.backup(str(inside))
        with pytest.raises(NotAFolder):
            store.backup(str(tmp_path / "file" / "copy"))
    assert (tmp_path / "full" / "mine").read_text() == "keep me"


def test_what_is_not_ours_is_not_cleared_away(root, tmp_path) -> None:
    (tmp_path / "copy.partial").mkdir()
    (tmp_path / "copy.partial" / "thesis.txt").write_text("keep me")
    with Store.open(root) as store, pytest.raises(StoreError, match="thesis"):
        store.backup(str(tmp_path / "copy"))
    assert (tmp_path / "copy.partial" / "thesis.txt").read_text() == "keep me"


@pytest.mark.parametrize("name", ["catalog.db", "catalog.db-journal", "catalog.db-wal"])
def test_what_a_killed_backup_leaves_is_not_in_the_way(root, kit, tmp_path, name) -> None:
    (tmp_path / "copy.partial").mkdir()
    (tmp_path / "copy.partial" / name).write_bytes(b"half of it")
    with Store.open(root) as store:
        store.backup(str(tmp_path / "copy"))
    assert_whole(tmp_path / "copy", kit)


def test_two_backups_to_one_folder_do_not_meet(root, tmp_path) -> None:
    with Store.open(root) as store:

        def again(*_: object) -> None:
            with pytest.raises(StoreLocked):
                store.backup(str(tmp_path / "copy"))

        store.backup(str(tmp_path / "copy"), again)


@pytest.mark.slow
def test_a_kill_at_any_change_leaves_no_half_backup(root, tmp_path, kit, deaths) -> None:
    copy = tmp_path / "copy"

    def work(vfs) -> None:
        with Store.open(root, vfs=vfs) as store:
            store.backup(str(copy))

    whole = 0
    for _ in deaths(work, step=3):
        assert not copy.exists() or copy.is_dir()
        if copy.exists():
            assert_whole(copy, kit)
            os.rename(copy, tmp_path / f"old-{whole}")
            whole += 1
        partial = tmp_path / "copy.partial"
        if partial.exists() and not (partial / "STORE").exists():
            with pytest.raises((SessionMissing, CorruptMetadata)):
                Store.open(partial, create=False)
        elif partial.exists():
            # All is there, and perhaps not verified yet.
            with Store.open(partial) as store:
                assert [info.name for info in store.list_sessions()] == list(NAMES)
                for name in NAMES:
                    with store.session(name, layout=kit.layout) as session:
                        assert session.num_turns == 20
                        assert np.all(session.turns()[19].tokens == kit.turn(19).tokens)
                        kit.assert_right(session)
    assert_whole(copy, kit)
    assert not (tmp_path / "copy.partial").exists()
