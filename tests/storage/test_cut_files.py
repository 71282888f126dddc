"""Files that somebody cuts, empties or changes while they are open: told, never a dead process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hsa_memory.storage import CorruptChunk, SessionStore, Store

# Each line of stdout is one answer; the exit code says whether the process lived to the end.
VICTIM = """
import importlib.util, os, sys
from pathlib import Path
from hsa_memory.storage import Store, StoreError

spec = importlib.util.spec_from_file_location("helpers", sys.argv[1])
helpers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(helpers)
root, name, length = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
for as_writer in (False, True):
    store = Store.open(root / str(as_writer))
    with store.session("a", layout=helpers.LAYOUT) as session:
        session.append([helpers.make_turn(i, 40) for i in range(40)])
        helpers.catch_up(session, 50)
    session = store.session("a", layout=helpers.LAYOUT, read_only=not as_writer)
    before = session.landmarks()
    for path in (root / str(as_writer)).rglob(name):
        if "shm" not in path.name or "shm" in name:
            os.truncate(path, length)
    uses = [lambda: int(before.sum()), lambda: int(session.landmarks().sum())]
    uses += [lambda: int(session.gather(range(session.published)).sum()), session.tail]
    uses += [session.turns, session.refresh, session.check, store.check]
    if as_writer:
        uses += [lambda: session.append([helpers.make_turn(40, 40)])]
        uses += [lambda: helpers.catch_up(session), lambda: session.rollback(0)]
        uses += [lambda: helpers.catch_up(session), session.close]
    for use in uses:
        try:
            use()
        except StoreError as error:
            print(type(error).__name__)
    try:
        store.close()
    except StoreError as error:
        print(type(error).__name__)
print("lived")
"""


@pytest.mark.parametrize("length", [0, 5000])
@pytest.mark.parametrize("name", ["landmarks.bin", "kv-0.seg", "session.db*", "head.bin"])
def test_a_file_cut_while_it_is_open_does_not_kill_the_process(tmp_path, name, length) -> None:
    done = cut_in_use(tmp_path, name, length)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("lived\n")


def cut_in_use(folder: Path, name: str, length: int) -> subprocess.CompletedProcess[str]:
    helpers = Path(__file__).parent / "conftest.py"
    command = [sys.executable, "-c", VICTIM, str(helpers), str(folder), name, str(length)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_dies_with_the_shared_memory_of_sqlite_loses_nothing(tmp_path, kit) -> None:
    """SQLite maps that file; readers beside a writer cannot be had without."""
    cut_in_use(tmp_path, "session.db-shm", 0)
    with Store.open(tmp_path / "False") as store, store.session("a", layout=kit.layout) as session:
        assert session.num_turns == 40
        assert session.recovered == []
        kit.assert_right(session)
        assert session.check() == []


@pytest.mark.parametrize("many", [False, True])
def test_a_landmark_that_changes_after_the_opening_is_told(
    tmp_path, kit, monkeypatch, many
) -> None:
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", 16)
    with Store.open(tmp_path / "store") as store:
        with store.session("a", layout=kit.layout) as session:
            session.append([kit.turn(i) for i in range(30)])
            kit.catch_up(session)
        reader = store.session("a", layout=kit.layout, read_only=True)
        session = store.session("a", layout=kit.layout)
        expected = kit.rows(session, 0, 45)[0]
        np.testing.assert_array_equal(reader.landmarks(), expected)
        np.testing.assert_array_equal(session.landmarks(), expected)
        np.testing.assert_array_equal(reader.landmarks(3, 20), expected[3:20])
        np.testing.assert_array_equal(reader.landmarks(40), expected[40:])
        assert reader.landmarks(7, 3).shape == (0, 16)
        # In a sealed segment, and in the one that is still being filled.
        damaged = [5, 6, 40] if many else [44]
        with (Path(session.folder) / "g1" / "landmarks.bin").open("r+b") as file:
            for chunk in damaged:
                file.seek(4096 + 16 * chunk + 15)
                file.write(bytes([expected[chunk, 15] ^ 4]))
        for handle in (reader, session):
            with pytest.raises(CorruptChunk, match="roll back") as caught:
                handle.landmarks()
            assert caught.value.chunk_ids == damaged
            np.testing.assert_array_equal(handle.landmarks(7, 40), expected[7:40])
        session.rollback(damaged[0])
        kit.catch_up(session)
        kit.assert_right(session)
        reader.refresh()
        kit.assert_right(reader)


def test_descriptors_do_not_outlive_their_owner(tmp_path, kit, open_files_below) -> None:
    store = Store.open(tmp_path / "store")
    with store.session("a", layout=kit.layout) as session:
        session.append([kit.turn(i) for i in range(4)])
        kit.catch_up(session)
    before = open_files_below(tmp_path)
    for _ in range(5):
        session = store.session("a", layout=kit.layout)
        session.append([kit.turn(session.num_turns)])
        kit.catch_up(session)
        assert open_files_below(tmp_path) > before
        session._derived.settle()
        generation = session._derived.generation
        # An interrupt strikes after the files were taken out of their places, before they are
        # closed.
        generation.own.segments.popitem()
        generation.own._landmarks = None
        session._truth._head_file._file = None
        session.close()
        del session, generation
        assert open_files_below(tmp_path) <= before
    store.close()


CAP = 16
WIDTH = 16


def cut_landmarks(session: SessionStore, rows: int) -> None:
    """Leave so many landmarks and half of another; with -1, a part of the header."""
    length = 2000 if rows < 0 else 4096 + rows * WIDTH + WIDTH // 2
    os.truncate(Path(session.folder) / "g1" / "landmarks.bin", length)


@pytest.mark.parametrize("rows", [0, 1, CAP, 2 * CAP - 1, 2 * CAP, 3 * CAP + 5])
def test_landmarks_cut_below_what_a_reader_follows_are_told(
    tmp_path, kit, monkeypatch, rows
) -> None:
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", CAP)
    size = kit.layout.chunk_size
    with Store.open(tmp_path / "store") as store:
        session = store.session("a", layout=kit.layout)
        session.append([kit.turn(i, num_tokens=size) for i in range(2 * CAP)])
        kit.catch_up(session)
        reader = store.session("a", layout=kit.layout, read_only=True)
        assert len(reader.landmarks()) == 2 * CAP
        session.append([kit.turn(i, num_tokens=size) for i in range(2 * CAP, 5 * CAP)])
        kit.catch_up(session)
        cut_landmarks(session, rows)
        assert reader.refresh()
        # What it took in before the cut, and what is whole behind that.
        assert reader.published == max(2 * CAP, rows)
        assert {finding.kind for finding in reader.damaged} == {"short-file"}
        lost = list(range(rows, 2 * CAP))
        if lost:
            with pytest.raises(CorruptChunk) as caught:
                reader.landmarks()
            assert caught.value.chunk_ids == lost
        else:
            right = kit.rows(reader, 0, reader.published)[0]
            np.testing.assert_array_equal(reader.landmarks(), right)
        with pytest.raises(CorruptChunk) as caught:
            session.landmarks()
        session.rollback(min(caught.value.chunk_ids))
        kit.catch_up(session)
        reader.refresh()
        for handle in (session, reader):
            assert handle.published == 5 * CAP
            kit.assert_right(handle)


@pytest.mark.parametrize("rows", [-1, 0, 1, CAP - 1, CAP, CAP + 2])
def test_landmarks_cut_below_the_first_seal_are_told(tmp_path, kit, monkeypatch, rows) -> None:
    """A fork that begins in the middle of a segment: no seal is that of its first one."""
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", CAP)
    size = kit.layout.chunk_size
    with Store.open(tmp_path / "store") as store:
        main = store.session("main", layout=kit.layout)
        main.append([kit.turn(i, num_tokens=size) for i in range(CAP + 3)])
        kit.catch_up(main)
        store.fork(main, "branch", CAP + 3)
        with store.session("branch", layout=kit.layout) as branch:
            branch.append([kit.turn(i, num_tokens=size) for i in range(CAP + 3, 5 * CAP)])
            kit.catch_up(branch)
        for cut in ([main], [branch], [main, branch]):
            for session in cut:
                cut_landmarks(session, rows)
            for read_only in (True, False):
                with store.session("branch", layout=kit.layout, read_only=read_only) as fork:
                    right = kit.rows(fork, 0, fork.published)[0]
                    np.testing.assert_array_equal(fork.landmarks(), right)
                    assert fork.published < 5 * CAP
                    assert fork.damaged if read_only else fork.recovered
            with store.session("branch", layout=kit.layout) as fork:
                kit.catch_up(fork)
                kit.assert_right(fork)
