"""User strings are data: none becomes part of a path."""

import os
import stat

import pytest

from hsa_memory.storage import Store, StoreError, StorePermission

HOSTILE = [
    "../x",
    "../../etc/passwd",
    "/absolute",
    "a\0b",
    "n" * 300,
    "名前 🙂",
    "caf\u00e9",
    "cafe\u0301",
    "CON",
    ".",
    " ",
    "%00",
    "deleted",
    "'; DROP TABLE sessions; --",
    "\n",
]


def test_hostile_names_are_plain_names(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        for i, name in enumerate(HOSTILE):
            with store.session(name, layout=kit.layout) as session:
                session.append([kit.turn(i, turn_id=name, role=name[:16])])
        assert [info.name for info in store.list_sessions()] == HOSTILE
        for i, name in enumerate(HOSTILE):
            with store.session(name, layout=kit.layout, create=False) as session:
                assert session.find(name).text == kit.turn(i).text
        assert store.check() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]
    ours = set("0123456789abcdefghijklmnopqrstuvwxyz-._STORE")
    for path in (tmp_path / "store").rglob("*"):
        assert set(path.name) <= ours


@pytest.mark.parametrize("name", ["", "x" * 1025, "\ud800", 7, None, b"x"], ids=ascii)
def test_impossible_names_are_value_errors(tmp_path, kit, name) -> None:
    with Store.open(tmp_path / "store") as store:
        with pytest.raises(ValueError, match="session name"):
            store.session(name, layout=kit.layout)
        with pytest.raises(ValueError, match="session name"):
            store.has_session(name)


def test_everything_is_private_to_its_owner(tmp_path, kit) -> None:
    old = os.umask(0)
    try:
        with Store.open(tmp_path / "store") as store:
            with store.session("alice", layout=kit.layout) as session:
                session.append([kit.turn(i) for i in range(4)])
                kit.catch_up(session)
                for path in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
                    expected = 0o700 if path.is_dir() else 0o600
                    assert stat.S_IMODE(path.stat().st_mode) == expected, path
    finally:
        os.umask(old)


def test_a_store_that_everybody_may_change_is_refused(tmp_path) -> None:
    Store.open(tmp_path / "store").close()
    (tmp_path / "store").chmod(0o777)
    with pytest.raises(StorePermission, match="chmod"):
        Store.open(tmp_path / "store")


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path, open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(i) for i in range(4)])
    kit.catch_up(session)
    folder = session.folder
    session.close()
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    for name in ("g1/kv-0.seg", "g1/landmarks.bin", "head.bin"):
        path = os.path.join(folder, name)
        os.rename(path, path + ".aside")
        os.symlink(victim, path)
        with pytest.raises(StoreError), open_session() as session:
            kit.assert_right(session)
        os.replace(path + ".aside", path)
    assert victim.read_bytes() == b"untouched"
    kit.assert_right(open_session())


def test_a_path_below_a_file_is_a_store_error(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        Store.open(tmp_path / "file" / "store")
    with pytest.raises(StoreError):
        Store.open(tmp_path / "file")
