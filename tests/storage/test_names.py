"""Names of stores and of folders of sessions are on the disk before anything hangs on them."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from hsa_memory.storage import DurabilityLost, Store
from hsa_memory.storage.vfs import Vfs


class Killed(BaseException):
    """What stands for a kill."""


class Watching(Vfs):
    """Remembers which folders were synced; may be killed after a rename, or fail to sync."""

    def __init__(self, *, dies: str = "", fails: dict[str, int] | None = None) -> None:
        self.synced: list[str] = []
        self._dies, self._fails = dies, fails or {}

    def sync_dir(self, path: str) -> None:
        if code := self._fails.get(path):
            raise DurabilityLost("fsync failed") from OSError(code, os.strerror(code))
        super().sync_dir(path)
        self.synced.append(path)

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        if os.path.basename(new) == self._dies:
            raise Killed

    def make_dir(self, path: str, *, parents: bool = False) -> None:
        super().make_dir(path, parents=parents)
        if self._dies and os.path.basename(os.path.dirname(path)) == self._dies:
            raise Killed


def unsynced(root: Path) -> bool:
    return (root / "tmp" / "unsynced").exists()


def test_a_store_that_its_maker_did_not_sync_is_synced_by_the_next(tmp_path) -> None:
    root = tmp_path / "store"
    with pytest.raises(Killed):
        Store.open(root, vfs=Watching(dies="STORE"))
    assert unsynced(root)
    vfs = Watching()
    Store.open(root, vfs=vfs).close()
    assert {str(root), str(tmp_path)} <= {*vfs.synced}
    assert not unsynced(root)
    vfs = Watching()
    Store.open(root, vfs=vfs).close()
    assert str(tmp_path) not in vfs.synced


def test_whoever_waits_while_another_makes_the_store_syncs_it_too(tmp_path) -> None:
    root = tmp_path / "store"
    with pytest.raises(Killed):
        Store.open(root, vfs=Watching(dies="STORE"))

    class Late(Watching):
        """Looked for the store before it was there."""

        looks = 0

        def lstat(self, path: str) -> os.stat_result | None:
            if os.path.basename(path) == "STORE":
                self.looks += 1
                if self.looks == 1:
                    return None
            return super().lstat(path)

    vfs = Late()
    Store.open(root, vfs=vfs).close()
    assert vfs.looks > 1
    assert {str(root), str(tmp_path)} <= {*vfs.synced}
    assert not unsynced(root)


def test_folders_that_are_made_above_a_store_are_synced(tmp_path) -> None:
    vfs = Watching()
    Store.open(tmp_path / "a" / "b" / "store", vfs=vfs).close()
    assert {str(tmp_path / "a" / "b"), str(tmp_path / "a"), str(tmp_path)} <= {*vfs.synced}


@pytest.mark.parametrize("place", ["link", "link/store", "link/a/store"])
def test_a_link_on_the_way_is_followed(tmp_path, kit, place) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    vfs = Watching()
    for _ in range(2):
        with Store.open(tmp_path / place, vfs=vfs) as store:
            store.session("alice", layout=kit.layout).close()
    assert not unsynced(tmp_path / place)
    assert str(tmp_path) in vfs.synced
    with Store.open(tmp_path / place) as store:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "way").symlink_to(tmp_path / "elsewhere")
        store.backup(str(tmp_path / "way" / "copies" / "one"))
    with Store.open(tmp_path / "elsewhere" / "copies" / "one", create=False) as store:
        assert [info.name for info in store.list_sessions()] == ["alice"]


def test_a_folder_above_that_cannot_be_synced_is_left_out(tmp_path) -> None:
    root = tmp_path / "store"
    Store.open(root, vfs=Watching(fails={str(tmp_path): errno.EINVAL})).close()
    assert not unsynced(root)


def test_a_disk_that_fails_is_told_and_asked_again(tmp_path) -> None:
    root = tmp_path / "store"
    for _ in range(2):
        with pytest.raises(DurabilityLost):
            Store.open(root, vfs=Watching(fails={str(tmp_path): errno.EIO}))
        assert unsynced(root)
    Store.open(root).close()
    assert not unsynced(root)


def test_a_folder_of_sessions_that_its_maker_did_not_sync_is_synced_by_the_next(
    tmp_path, kit
) -> None:
    root = tmp_path / "store"
    Store.open(root).close()
    shutil.rmtree(root / "s")
    vfs = Watching(dies="s")
    with Store.open(root, vfs=vfs) as store, pytest.raises(Killed):
        store.session("alice", layout=kit.layout)
    (fan,) = (root / "s").iterdir()
    # Only a name that is on the disk lets another be given below it.
    assert vfs.synced[-1] == str(root)
    for number in range(256):
        (root / "s" / f"{number:02x}").mkdir(exist_ok=True)
    vfs = Watching()
    with Store.open(root, vfs=vfs) as store:
        store.session("alice", layout=kit.layout).close()
    assert str(fan.parent) in vfs.synced
