"""Where a store may be: network file systems, read-only media, other owners. Clear words."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hsa_memory.storage import (
    Store,
    StorePermission,
    UnsafeFilesystem,
    Vfs,
    mounts,
    rebuild_marker,
)
from hsa_memory.storage.safety import is_remote

NOBODY = 65534


class ElsewhereVfs(Vfs):
    """Says that every path lies on one kind of file system."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def filesystem(self, path: str) -> str:
        return self.kind


REMOTE = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse", "fuse.sshfs", "fuse.glusterfs", "ceph"]
REMOTE += ["lustre", "afs", "gfs2", "ocfs2", "beegfs"]
LOCAL = ["", "ext4", "ext2", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "apfs", "f2fs"]


@pytest.mark.parametrize("kind", REMOTE)
def test_a_network_file_system_is_read_and_not_written(tmp_path, kit, kind) -> None:
    vfs, root = ElsewhereVfs(kind), tmp_path / "store"
    for use in (Store.open, rebuild_marker):
        with pytest.raises(UnsafeFilesystem, match=f"'{kind}'.*allow_network_files=True"):
            use(root, vfs=vfs)
    assert not root.exists()
    with Store.open(root, vfs=vfs, allow_network_files=True) as store:
        store.session("a", layout=kit.layout).append([kit.turn(0)])
    with pytest.raises(UnsafeFilesystem, match="read_only=True"):
        Store.open(root, vfs=vfs)
    with Store.open(root, vfs=vfs, read_only=True) as store:
        assert store.session("a", layout=None).num_turns == 1
        assert store.check() == []
    assert rebuild_marker(root, vfs=vfs, allow_network_files=True) == []


@pytest.mark.parametrize("kind", LOCAL)
def test_a_local_file_system_is_written(tmp_path, kind) -> None:
    assert not is_remote(kind)
    Store.open(tmp_path / "store", vfs=ElsewhereVfs(kind)).close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no table of mounts")
def test_the_kind_of_a_file_system_is_asked_of_the_kernel(tmp_path, monkeypatch) -> None:
    assert Vfs().filesystem("/proc/self/status") == "proc"
    assert Vfs().filesystem(str(tmp_path)) == Vfs().filesystem(str(tmp_path / "not" / "there"))
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "_TABLE", str(table))
    line = "36 35 {} / {} rw,noatime shared:1 - {} server:/export rw\n"
    here = str(tmp_path).replace(" ", "\\040")
    cases = {
        line.format("0:1", "/", "ext4") + line.format(number, "/other", "nfs4"): "nfs4",
        # No mount has the number of the place: the one that is nearest above it counts.
        line.format("0:1", "/", "ext4") + line.format("0:2", here, "cifs"): "cifs",
        line.format("0:1", "/", "ext4") + line.format("0:2", here + "x", "cifs"): "ext4",
        "": "",
    }
    for text, kind in cases.items():
        table.write_text(text)
        assert Vfs().filesystem(str(tmp_path / "store")) == kind
    table.unlink()
    assert Vfs().filesystem(str(tmp_path)) == ""


def test_a_folder_that_everybody_may_change_gets_no_store(tmp_path) -> None:
    root = tmp_path / "open to all"
    root.mkdir()
    root.chmod(0o777)
    for use in (Store.open, rebuild_marker):
        with pytest.raises(StorePermission, match="chmod o-w"):
            use(root)
    assert list(root.iterdir()) == []


AS_SOMEBODY = """
import os, sys
from hsa_memory.storage import Store, StorePermission, rebuild_marker

os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
for read_only in (False, True):
    try:
        with Store.open(sys.argv[2], read_only=read_only) as store:
            if not read_only:
                store.session("a", layout=None)
            print("opened", [info.name for info in store.list_sessions()])
    except StorePermission as error:
        print("refused:", error)
try:
    rebuild_marker(sys.argv[2])
except StorePermission as error:
    print("refused:", error)
"""


def as_user(user: int, root: Path) -> list[str]:
    command = [sys.executable, "-c", AS_SOMEBODY, str(user), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may become another user")
def test_the_store_of_another_user_is_refused(mounted, kit) -> None:
    disk = mounted("size=8m,mode=755")
    with Store.open(disk / "store") as store:
        store.session("a", layout=kit.layout).append([kit.turn(0)])
    said = as_user(NOBODY, disk / "store")
    assert len(said) == 3
    assert all(line.startswith("refused: ") and "Check its owner" in line for line in said)
    # The superuser may do everything, and what it wrote would be closed to the owner.
    for path in [disk / "store", *(disk / "store").rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    with pytest.raises(StorePermission, match=f"belongs to user {NOBODY}.*read_only=True"):
        Store.open(disk / "store")
    with Store.open(disk / "store", read_only=True) as store:
        assert store.session("a", layout=None).num_turns == 1
    assert {path.stat().st_uid for path in (disk / "store").rglob("*")} == {NOBODY}
    owned = as_user(NOBODY, disk / "store")
    assert owned == ["opened ['a']"] * 2


@pytest.mark.parametrize("killed", [False, True])
def test_a_read_only_medium_is_read(tmp_path, mounted, kit, killed) -> None:
    with Store.open(tmp_path / "work") as store:
        session = store.session("a", layout=kit.layout)
        session.append([kit.turn(i) for i in range(9)])
        kit.catch_up(session)
        if killed:
            # With its log, which holds the turns, and without the memory that was shared.
            shutil.copytree(tmp_path / "work", tmp_path / "left")
    disk = mounted("size=8m,mode=700")
    shutil.copytree(tmp_path / ("left" if killed else "work"), disk / "store")
    for path in (disk / "store").rglob("*-shm"):
        path.unlink()
    assert bool(list((disk / "store").rglob("session.db-wal"))) is killed
    before = sorted((disk / "store").rglob("*"))
    mounted("ro", again=True)
    with Store.open(disk / "store", read_only=True) as store:
        session = store.session("a", layout=kit.layout)
        assert [turn.turn_id for turn in session.turns()] == [f"turn-{i}" for i in range(9)]
        kit.assert_right(session)
        assert session.refresh() is False
        assert store.check() == []
    with Store.open(disk / "store") as store:
        for write in (lambda: store.session("a", layout=None), lambda: store.delete_session("a")):
            with pytest.raises(StorePermission, match="Read-only.*read_only=True"):
                write()
        with pytest.raises(StorePermission, match="Read-only"):
            store.check(repair=True)
    with pytest.raises(StorePermission, match="Read-only"):
        Store.open(disk / "another")
    assert sorted((disk / "store").rglob("*")) == before
