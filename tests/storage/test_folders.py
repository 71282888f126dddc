"""Folders of a store that somebody removed, and places where none can be made."""

import shutil
import sys

import pytest

from hsa_memory.storage import SessionMissing, Store, StoreError, StorePermission


def test_missing_folders_are_made_anew_or_told(tmp_path, kit) -> None:
    root = tmp_path / "store"
    Store.open(root).close()
    for name in ("locks", "s", "tmp", "trash"):
        shutil.rmtree(root / name)
    with Store.open(root, read_only=True) as store, pytest.raises(SessionMissing):
        store.session("alice", layout=kit.layout)
    assert not (root / "s").exists()
    with Store.open(root) as store:
        session = store.session("alice", layout=kit.layout)
        session.append([kit.turn(0)])
        session.close()
        for name in ("locks", "tmp"):
            shutil.rmtree(root / name)
        store.delete_session("alice")
        store.session("bob", layout=kit.layout).close()
        assert store.check() == []
        shutil.rmtree(root / "s")
        with pytest.raises(StoreError, match="missing"):
            store.session("bob", layout=kit.layout)
        shutil.rmtree(root)
        with pytest.raises(StoreError):
            store.session("carol", layout=kit.layout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_place_that_takes_no_folders_is_told() -> None:
    with pytest.raises(StorePermission, match="cannot create /proc/agent/memory"):
        Store.open("/proc/agent/memory")
