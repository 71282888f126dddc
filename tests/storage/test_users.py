"""Users: one sees nothing of another, and a deleted one leaves nothing."""

import os
from pathlib import Path

import pytest

from hsa_memory.storage import (
    KeyMissing,
    NotAllowed,
    SessionBusy,
    SessionHasForks,
    SessionMissing,
    Store,
    UserMissing,
    Vfs,
)

KEY = bytes(range(32))


def add(store: Store, kit, name: str, text: str, turns: int = 12) -> None:
    with store.session(name, layout=kit.layout) as session:
        session.append([kit.turn(i, text=f"{text} {i}") for i in range(turns)])
        kit.catch_up(session)


@pytest.fixture
def root(tmp_path: Path, kit) -> Path:
    for user in ("alice", "bob", None):
        with Store.open(tmp_path / "store", user=user) as store:
            add(store, kit, "diary", f"secret of {user}")
    with Store.open(tmp_path / "store", user="bob") as store:
        add(store, kit, "plans", "bob has plans")
    return tmp_path / "store"


def test_users_see_their_own_sessions_only(root, kit) -> None:
    for user, names in (("alice", ["diary"]), ("bob", ["diary", "plans"]), (None, ["diary"])):
        with Store.open(root, user=user) as store:
            assert [info.name for info in store.list_sessions()] == names
            with store.session("diary", layout=kit.layout) as session:
                assert session.turns(0, 1)[0].text == f"secret of {user} 0"
                kit.assert_right(session)


def test_a_session_of_somebody_else_is_missing(root, kit) -> None:
    with Store.open(root, user="alice") as store:
        assert not store.has_session("plans")
        for attempt in (
            lambda: store.session("plans", layout=kit.layout, create=False),
            lambda: store.delete_session("plans"),
        ):
            with pytest.raises(SessionMissing) as hint:
                attempt()
            with pytest.raises(SessionMissing) as nothing:
                store.delete_session("never was there")
            assert str(hint.value) == str(nothing.value).replace("never was there", "plans")
        # The name is free for her.
        add(store, kit, "plans", "alice has plans")
    with Store.open(root, user="bob") as store:
        with store.session("plans", layout=kit.layout) as session:
            assert session.turns(0, 1)[0].text == "bob has plans 0"


def test_what_forks_of_a_user_need_cannot_be_deleted(root, kit) -> None:
    with Store.open(root, user="bob") as store:
        with store.session("plans", layout=kit.layout) as session:
            store.fork(session, "branch", 8)
        with pytest.raises(SessionHasForks, match="'branch'"):
            store.delete_session("plans")
        with pytest.raises(SessionHasForks), store.rebuilding("plans"):
            pytest.fail("chunks that a fork reads were about to be made anew")
        with store.session("branch", layout=kit.layout) as branch:
            kit.assert_right(branch)
    # Hers has that name too, and no fork.
    with Store.open(root, user="alice") as store:
        add(store, kit, "plans", "alice has plans")
        store.delete_session("plans")


def test_a_user_that_is_not_there_sees_nothing(root, kit) -> None:
    with Store.open(root, user="carol") as store:
        assert (store.list_sessions(), store.check(), store.session_bytes()) == ([], [], 0)
        with pytest.raises(SessionMissing):
            store.session("diary", layout=kit.layout, create=False)
    with Store.open(root) as store:
        assert {usage.user.name for usage in store.users()} == {"alice", "bob"}


def test_users_may_not_administer(root) -> None:
    with Store.open(root, user="alice") as store:
        for attempt in (
            store.users,
            lambda: store.set_quota("alice", max_tokens=1),
            lambda: store.delete_user("bob"),
            lambda: store.delete_user("nobody"),
            lambda: store.rotate_key(KEY),
        ):
            with pytest.raises(NotAllowed, match="opened for user 'alice'"):
                attempt()


def test_check_says_whose_and_a_user_is_told_of_hers_only(root, kit) -> None:
    with Store.open(root, user="bob") as store:
        ids = {info.name: info.id for info in store.list_sessions()}
    for session_id in ids.values():
        tail = next((root / "s" / session_id[:2] / session_id / "g1").glob("kv-0.seg"))
        data = bytearray(tail.read_bytes())
        data[4096] ^= 1
        tail.write_bytes(data)
    with Store.open(root) as store:
        found = store.check()
    assert {(x.user, x.session) for x in found} == {("bob", "diary"), ("bob", "plans")}
    with Store.open(root, user="alice") as store:
        assert store.check() == []
    with Store.open(root, user="bob") as store:
        assert {(x.user, x.session) for x in store.check(repair=True)} == {
            ("bob", "diary"),
            ("bob", "plans"),
        }
        assert store.check() == []


def test_a_damaged_catalog_is_rebuilt_with_its_users(root, kit) -> None:
    for user in ("dora", "alice"):
        with Store.open(root, user=user, key=KEY if user == "dora" else None) as store:
            add(store, kit, "more", f"more of {user}")
    catalog = root / "catalog.db"
    catalog.write_bytes(b"nothing of a database" * 400)
    with Store.open(root) as store:
        assert any(x.kind == "corrupt-catalog" for x in store.check(repair=True))
        usages = {x.user.name: x for x in store.users()}
        assert {name: x.num_sessions for name, x in usages.items()} == {
            "alice": 2,
            "bob": 2,
            "dora": 1,
        }
    with Store.open(root, user="dora") as store, pytest.raises(KeyMissing):
        store.session("more", layout=kit.layout)
    with Store.open(root, user="dora", key=KEY) as store:
        with store.session("more", layout=kit.layout) as session:
            assert session.turns(0, 1)[0].text == "more of dora 0"
            kit.assert_right(session)
        assert store.check() == []


def files_with(root: Path, *needles: bytes) -> list[str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return [str(path) for path in files if any(x in path.read_bytes() for x in needles)]


def test_a_deleted_user_leaves_nothing(root, kit) -> None:
    with Store.open(root, user="dora", key=KEY) as store:
        add(store, kit, "more", "more of dora")
        wrapped = store._owner().key
        folder = Path(root, "s", store.list_sessions()[0].id[:2], store.list_sessions()[0].id)
    assert {Path(x).name for x in files_with(root, wrapped)} == {"catalog.db", "session.db"}
    # What another name still leads to shows what the disk holds.
    os.link(folder / "session.db", root.parent / "kept.db")
    with Store.open(root, user="dora") as store:
        store.delete_user("dora")
        assert store.list_sessions() == []
    assert files_with(root.parent, wrapped, b"more of dora") == []
    assert not folder.exists()
    with Store.open(root) as store:
        assert {x.user.name for x in store.users()} == {"alice", "bob"}
        assert store.check() == []
        with pytest.raises(UserMissing, match="no user 'dora'"):
            store.delete_user("dora")
        store.delete_user("bob")
        assert files_with(root, b"secret of bob", b"bob has plans") == []
    with Store.open(root, user="bob") as store:
        assert store.list_sessions() == []
        add(store, kit, "diary", "another bob")


def test_a_user_with_a_busy_session_is_not_deleted(root, kit) -> None:
    with Store.open(root, user="bob") as store:
        with store.session("plans", layout=kit.layout):
            with Store.open(root) as admin, pytest.raises(SessionBusy, match="'plans'"):
                admin.delete_user("bob")
        assert [info.name for info in store.list_sessions()] == ["diary", "plans"]
        assert store.check() == []


class Stops(Vfs):
    """Fails at the n-th change of a file or a directory, as a crash would end things there."""

    def __init__(self, left: int) -> None:
        self.left = left

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise InterruptedError("crash")

    def rename(self, old: str, new: str) -> None:
        self._count()
        super().rename(old, new)

    def write(self, fd: int, data, offset: int) -> None:
        self._count()
        super().write(fd, data, offset)

    def sync(self, fd: int, *, data_only: bool = False) -> None:
        self._count()
        super().sync(fd, data_only=data_only)

    def unlink(self, path: str) -> None:
        self._count()
        super().unlink(path)


def test_a_deletion_is_finished_by_the_next_opening(tmp_path, kit) -> None:
    for steps in range(100):
        root = tmp_path / f"store-{steps}"
        with Store.open(root, user="dora", key=KEY) as store:
            add(store, kit, "one", "canary", 2)
            add(store, kit, "two", "canary", 2)
            wrapped = store._owner().key
        done = False
        with Store.open(root, vfs=Stops(steps)) as store:
            try:
                store.delete_user("dora")
                done = True
            except InterruptedError:
                # From the first moment on nobody can read anything.
                assert wrapped not in (root / "catalog.db").read_bytes()
        with Store.open(root) as store:
            assert store.users() == []
            assert not store._catalog.has_deletions()
        assert files_with(root, wrapped) == []
        assert [x for x in (root / "s").rglob("*") if x.is_file()] == []
        if done:
            return
    raise AssertionError("the deletion never came to its end")


def test_forks_keep_the_session_of_a_user(root, kit) -> None:
    with Store.open(root, user="alice") as store:
        with store.session("diary", layout=kit.layout) as session:
            store.fork(session, "branch", 6)
        with pytest.raises(SessionHasForks, match="'branch'"):
            store.delete_session("diary")
        with pytest.raises(SessionHasForks, match="'branch'"), store.rebuilding("diary"):
            pass
    # Another's session of the same name has none.
    with Store.open(root, user="bob") as store:
        store.delete_session("diary")
    with Store.open(root, user="alice") as store:
        assert store.session("branch", layout=kit.layout).num_turns == 6
        store.delete_session("branch")
        store.delete_session("diary")
        assert store.list_sessions() == []
