"""A disk that is really full: typed errors; what is there can be read, deleted and gone on with."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hsa_memory.storage import Store, StoreFull, Vfs
from hsa_memory.storage.reserve import RESERVE_BYTES


def fill(disk: Path) -> None:
    """Take all the space there is, to the last byte."""
    with (disk / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            while True:
                try:
                    if file.write(bytes(size)) < size:
                        break
                except OSError:
                    break


def free(disk: Path) -> None:
    (disk / "ballast").unlink()


@pytest.fixture
def disk(mounted, kit) -> Path:
    """A small disk with a store of three sessions."""
    disk = mounted("size=16m,mode=700")
    with Store.open(disk / "store") as store:
        for name in ("a", "b", "c"):
            with store.session(name, layout=kit.layout) as session:
                session.append([kit.turn(i, 40) for i in range(40)])
                kit.catch_up(session, 50)
    return disk


def read_all(session, kit, turns: int) -> None:
    assert [turn.seq for turn in session.turns()] == list(range(turns))
    kit.assert_right(session)


def append_until_full(session, kit) -> None:
    """With texts that fill whatever is left inside the log."""

    def append() -> None:
        for i in range(session.num_turns, session.num_turns + 100):
            session.append([kit.turn(i, 4000, text=os.urandom(4000).hex())])

    with pytest.raises(StoreFull, match="Free space"):
        append()


def test_an_open_session_is_read_and_goes_on_when_there_is_space(disk, kit) -> None:
    store = Store.open(disk / "store")
    session = store.session("a", layout=None)
    reader = store.session("a", layout=None, read_only=True)
    fill(disk)
    append_until_full(session, kit)
    stored = session.num_turns
    with pytest.raises(StoreFull):
        session.set_meta("large", {"x": os.urandom(60_000)})
    for handle in (session, reader):
        handle.refresh()
        read_all(handle, kit, stored)
    with pytest.raises(StoreFull):
        store.session("new", layout=kit.layout)
    assert [info.name for info in store.list_sessions()] == ["a", "b", "c"]
    free(disk)
    session.append([kit.turn(stored, 40)])
    kit.catch_up(session)
    read_all(session, kit, stored + 1)
    assert store.session("new", layout=kit.layout).num_turns == 0
    store.close()
    with Store.open(disk / "store") as store:
        assert store.check() == []
        read_all(store.session("a", layout=None), kit, stored + 1)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_session_is_opened_and_read_on_a_full_disk(disk, kit, read_only) -> None:
    fill(disk)
    with Store.open(disk / "store", read_only=read_only) as store:
        with store.session("b", layout=None, read_only=True) as session:
            read_all(session, kit, 40)
        assert store.check() == []


@pytest.mark.parametrize("reopened", [False, True])
def test_a_session_is_deleted_on_a_full_disk(disk, kit, reopened) -> None:
    store = Store.open(disk / "store")
    assert (disk / "store" / "reserve.bin").stat().st_blocks * 512 == RESERVE_BYTES
    if reopened:
        store.close()
    fill(disk)
    if reopened:
        store = Store.open(disk / "store")
    store.delete_session("b")
    assert [info.name for info in store.list_sessions()] == ["a", "c"]
    # What that freed is more than the reserve, which is there again.
    assert (disk / "store" / "reserve.bin").stat().st_blocks * 512 == RESERVE_BYTES
    fill(disk)
    store.delete_session("a")
    with store.session("c", layout=None) as session:
        read_all(session, kit, 40)
    assert store.check() == []
    store.close()


def test_turns_are_forgotten_on_a_full_disk(disk, kit) -> None:
    store = Store.open(disk / "store")
    session = store.session("a", layout=None)
    fill(disk)
    append_until_full(session, kit)
    stored = session.num_turns
    done = session.forget([3, 7, stored - 1], blank=0, reach=8)
    assert done.turns == 3
    assert done.log_is_empty
    assert session.find("turn-3") is None
    assert session.find("turn-4") is not None
    free(disk)
    for hole in session.holes:
        session.fill(hole.start, *kit.rows(session, hole.start, hole.stop))
    read_all(session, kit, stored)
    assert store.check() == []
    store.close()


def test_without_its_reserve_a_full_disk_refuses_and_the_store_stays_whole(disk, kit) -> None:
    store = Store.open(disk / "store")
    (disk / "store" / "reserve.bin").unlink()
    fill(disk)
    with pytest.raises(StoreFull):
        store.delete_session("b")
    store.close()
    with Store.open(disk / "store") as store:
        # There is no space for it, and opening does not hang on that.
        assert not (disk / "store" / "reserve.bin").exists()
    free(disk)
    with Store.open(disk / "store") as store:
        assert (disk / "store" / "reserve.bin").exists()
        assert {info.name for info in store.list_sessions()} >= {"a", "c"}
        assert store.check() == []


class FullVfs(Vfs):
    """Has no space from the n-th call of a kind on, until space is freed by removing a file."""

    def __init__(self, freeing: str) -> None:
        self.countdown = -1
        self._freeing = freeing

    def _use(self) -> None:
        self.countdown -= self.countdown >= 0
        if self.countdown == 0:
            self.countdown = 1
            raise StoreFull("no space left (injected)")

    def open(self, path: str, *, write: bool = False, create: bool = False) -> int:
        if create:
            self._use()
        return super().open(path, write=write, create=create)

    def make_dir(self, path: str, *, parents: bool = False) -> None:
        self._use()
        super().make_dir(path, parents=parents)

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        self._use()
        super().write(fd, data, offset)

    def rename(self, old: str, new: str) -> None:
        self._use()
        super().rename(old, new)

    def unlink(self, path: str) -> None:
        super().unlink(path)
        if path.endswith(self._freeing):
            self.countdown = -1


def test_a_deletion_that_finds_the_disk_full_at_any_step_uses_the_reserve(tmp_path, kit) -> None:
    for step in range(1, 20):
        vfs = FullVfs("reserve.bin")
        with Store.open(tmp_path / str(step), vfs=vfs) as store:
            store.session("a", layout=kit.layout).close()
            store.session("b", layout=kit.layout).close()
            for name in ("trash", "locks"):
                vfs.remove_tree(str(tmp_path / str(step) / name))
            vfs.ensure_dir(str(tmp_path / str(step) / "locks"))
            vfs.countdown = step
            store.delete_session("a")
            fired = vfs.countdown < 0
            vfs.countdown = -1
            assert [info.name for info in store.list_sessions()] == ["b"]
            assert store.check() == []
        if not fired:
            break
    assert 3 < step < 19


def test_a_user_is_deleted_on_a_full_disk(disk, kit) -> None:
    with Store.open(disk / "store", user="ann") as store:
        store.session("diary", layout=kit.layout).append([kit.turn(0)])
    with Store.open(disk / "store") as store:
        fill(disk)
        store.delete_user("ann")
        assert store.users() == []
        assert (disk / "store" / "reserve.bin").stat().st_blocks * 512 == RESERVE_BYTES
        assert store.check() == []


def test_an_import_that_was_killed_goes_although_the_disk_is_full(disk, kit) -> None:
    root = disk / "store"
    with Store.open(root) as store:
        ids = {info.name: info.id for info in store.list_sessions()}
    with closing(sqlite3.connect(root / "catalog.db")) as connection, connection:
        connection.execute("DELETE FROM sessions WHERE name = 'b'")
    # Moved to its place and not listed; others left what is large and needs no word elsewhere.
    marks = root / "tmp" / ("0" * 32)
    marks.mkdir()
    (marks / ids["b"]).touch()
    for folder in ("tmp", "trash"):
        (root / folder / ("f" * 32)).mkdir()
        (root / folder / ("f" * 32) / "large").write_bytes(bytes(100_000))
    fill(disk)
    with Store.open(root) as store:
        assert [info.name for info in store.list_sessions()] == ["a", "c"]
        for folder in ("tmp", "trash"):
            assert list((root / folder).iterdir()) == []
        assert not (root / "s" / ids["b"][:2] / ids["b"]).exists()
        assert (root / "reserve.bin").stat().st_size == RESERVE_BYTES
        assert store.check() == []


def test_an_import_that_finds_the_disk_full_is_undone(disk, kit) -> None:
    root = disk / "store"
    with Store.open(root) as store:
        with store.staging() as staging:
            with store.make_staged(staging, "new", 1000.0, kit.layout) as session:
                session.append([kit.turn(0)])
            fill(disk)
            with pytest.raises(StoreFull):
                store.install(staging, [session.info])
        for folder in ("tmp", "trash"):
            assert list((root / folder).iterdir()) == []
        assert not (root / "s" / session.info.id[:2] / session.info.id).exists()
        assert [info.name for info in store.list_sessions()] == ["a", "b", "c"]
