"""Sessions that another process makes or deletes at this very moment."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsa_memory.storage import SessionMissing, Store, checking_store, scanning


@pytest.fixture
def stores(tmp_path: Path, kit) -> Iterator[tuple[Store, Store]]:
    """One memory, open twice, with a session "alice"."""
    with Store.open(tmp_path / "store") as ours, Store.open(tmp_path / "store") as theirs:
        with ours.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(i) for i in range(10)])
            kit.catch_up(session)
        yield ours, theirs


def once(monkeypatch, owner: object, name: str, then: Callable[[], None]) -> None:
    """The next time something is called, something else happens when it returns."""
    original, left = getattr(owner, name), [then]

    def called(*args: object, **options: object) -> object:
        result = original(*args, **options)
        if left:
            left.pop()()
        return result

    monkeypatch.setattr(owner, name, called)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_session_that_is_deleted_while_it_is_opened_is_missing(
    stores, monkeypatch, read_only
) -> None:
    ours, theirs = stores
    once(monkeypatch, ours, "_find", lambda: theirs.delete_session("alice"))
    with pytest.raises(SessionMissing):
        ours.session("alice", layout=None, create=False, read_only=read_only)


def test_a_session_that_is_made_anew_while_it_is_opened_is_the_new_one(
    stores, monkeypatch, kit
) -> None:
    ours, theirs = stores

    def make_anew() -> None:
        theirs.delete_session("alice")
        with theirs.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(3)])

    once(monkeypatch, ours, "_find", make_anew)
    with ours.session("alice", layout=kit.layout, create=False) as session:
        assert [turn.turn_id for turn in session.turns()] == ["turn-3"]


def test_a_session_that_is_deleted_is_not_encoded_anew(stores, monkeypatch) -> None:
    ours, theirs = stores
    once(monkeypatch, ours, "_find", lambda: theirs.delete_session("alice"))
    with pytest.raises(SessionMissing), ours.rebuilding("alice"):
        pass


@pytest.mark.parametrize("user", [None, "carol"])
def test_sessions_that_come_and_go_are_no_damage(tmp_path, stores, monkeypatch, kit, user) -> None:
    with (
        Store.open(tmp_path / "store", user=user) as ours,
        Store.open(tmp_path / "store", user=user) as theirs,
    ):
        for name in ("bob", "dave"):
            ours.session(name, layout=kit.layout).close()

        def change() -> None:
            theirs.delete_session("bob")
            for i in range(8):
                theirs.session(f"new {i}", layout=kit.layout).close()

        once(monkeypatch, checking_store, "_user_names", change)
        assert ours.check() == []
        shutil.rmtree(next((tmp_path / "store" / "s").glob(f"*/{ours.list_sessions()[0].id}")))
        assert [found.kind for found in ours.check()] == ["missing-session"]


def test_a_search_for_traces_passes_over_what_is_removed_meanwhile(
    tmp_path, stores, monkeypatch, kit
) -> None:
    ours, _ = stores
    staged = tmp_path / "store" / "tmp" / ("ab" * 16) / "s"
    staged.mkdir(parents=True)
    for name in ("session.db", "session.db-shm", "session.db-wal", "kv-0.seg"):
        (staged / name).write_bytes(b"of an import")
    listed: list[str] = []

    def files_below(vfs: object, folder: str) -> list[str]:
        found = below(vfs, folder)
        listed.extend(found)
        if Path(folder).name == "tmp":
            shutil.rmtree(staged)
        return found

    below = scanning.files_below
    monkeypatch.setattr(scanning, "files_below", files_below)
    with ours.session("alice", layout=kit.layout) as session:
        done = session.forget([3], blank=0, reach=6, scan=True)
    assert str(staged / "session.db") in listed
    assert done.scan.traces == []


def test_a_fork_whose_making_was_killed_is_not_left_without_its_parent(
    tmp_path, kit, deaths
) -> None:
    with Store.open(tmp_path / "first") as store, store.session("main", layout=kit.layout) as main:
        main.append([kit.turn(i) for i in range(10)])
        kit.catch_up(main)
    # So that every run makes the same changes, whatever id it draws.
    for number in range(256):
        (tmp_path / "first" / "s" / f"{number:02x}").mkdir(exist_ok=True)
    root, made = tmp_path / "store", []

    def fork(vfs) -> None:
        with Store.open(root, vfs=vfs) as store:
            store.fork(store.session("main", layout=kit.layout), "fork", 5)

    shutil.copytree(tmp_path / "first", root)
    for _ in deaths(fork):
        with Store.open(root) as store:
            made.append(store.has_session("fork"))
            if made[-1]:
                store.delete_session("fork")
            store.delete_session("main")
            assert store.check() == []
        assert list((root / "s").glob("*/*")) == []
        shutil.rmtree(root)
        shutil.copytree(tmp_path / "first", root)
    assert {*made} == {False, True}
