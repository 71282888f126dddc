"""Sessions that come into a store together: all of them or none, whenever it ends."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext

import pytest

from hsa_memory.storage import DurabilityLost, SessionExists, Store, Vfs, checking_store
from hsa_memory.storage.catalog import Catalog
from hsa_memory.storage.database import Database
from hsa_memory.storage.marker import read_marker

NAMES = ("alice", "bob")


def bring_in(store: Store, kit, names=NAMES, turns=None) -> None:
    with store.staging() as staging:
        infos = []
        for name in names:
            with store.make_staged(staging, name, 1000.0, kit.layout) as session:
                for turn in turns or [kit.turn(i) for i in range(5)]:
                    session.append([turn])
                kit.catch_up(session)
                infos.append(session.info)
        store.install(staging, infos)


def names_in(store: Store) -> list[str]:
    return sorted(info.name for info in store.list_sessions())


def assert_whole(store: Store, kit) -> None:
    for info in store.list_sessions():
        with store.session(info.name, layout=kit.layout) as session:
            assert session.num_turns == 5
            assert session.published == 7
            kit.assert_right(session)
    assert store.check() == []


def leftovers(root) -> list[str]:
    return [path.name for folder in ("tmp", "trash") for path in (root / folder).iterdir()]


def test_sessions_come_in_together(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        bring_in(store, kit)
        assert names_in(store) == ["alice", "bob"]
        assert_whole(store, kit)
    assert leftovers(tmp_path / "store") == []


def test_a_name_that_is_taken_lets_nothing_in(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        bring_in(store, kit, ["bob"])
        with pytest.raises(SessionExists, match="'bob'"):
            bring_in(store, kit)
        assert names_in(store) == ["bob"]
        assert_whole(store, kit)
    assert leftovers(tmp_path / "store") == []
    assert len(list((tmp_path / "store" / "s").glob("*/*"))) == 1


def test_what_fails_half_way_lets_nothing_in(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        with pytest.raises(ValueError, match="tokens"):
            bring_in(store, kit, turns=[kit.turn(0), kit.turn(1, num_tokens=0)])
        assert names_in(store) == []
    assert leftovers(tmp_path / "store") == []


@pytest.mark.slow
def test_a_kill_at_any_change_leaves_all_or_nothing(tmp_path, kit, deaths) -> None:
    root = tmp_path / "store"
    Store.open(root).close()
    # So that every run makes the same changes, whatever ids it draws.
    for number in range(256):
        (root / "s" / f"{number:02x}").mkdir()

    def work(vfs) -> None:
        with Store.open(root, vfs=vfs) as store:
            bring_in(store, kit)

    found = set()
    for _ in deaths(work):
        with Store.open(root) as store:
            names = names_in(store)
            found.add(tuple(names))
            assert_whole(store, kit)
            for name in names:
                store.delete_session(name)
        assert leftovers(root) == []
        assert not list((root / "s").glob("*/*"))
    assert found == {(), ("alice", "bob")}


def test_a_store_that_is_opened_meanwhile_leaves_the_staged_alone(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store, store.staging() as staging:
        with store.make_staged(staging, "alice", 1000.0, kit.layout) as session:
            session.append([kit.turn(i) for i in range(5)])
            # Whoever opens it for writing clears away what crashes have left.
            Store.open(tmp_path / "store").close()
            session.append([kit.turn(5)])
            info = session.info
        store.install(staging, [info])
        with store.session("alice", layout=kit.layout) as session:
            assert session.num_turns == 6


def test_what_comes_in_after_somebody_repaired_the_catalog_stays(tmp_path, kit) -> None:
    catalog = tmp_path / "store" / "catalog.db"
    with Store.open(tmp_path / "store") as store:
        bring_in(store, kit, ["zoe"])
        assert names_in(store) == ["zoe"]
        data = bytearray(catalog.read_bytes())
        data[data.rfind(b"zoe")] ^= 1
        catalog.write_bytes(data)
        with Store.open(tmp_path / "store") as other:
            assert all(finding.repaired for finding in other.check(repair=True))
        # This one has read the file that the repair replaced.
        bring_in(store, kit)
        assert names_in(store) == [*NAMES, "zoe"]
    with Store.open(tmp_path / "store") as store:
        assert names_in(store) == [*NAMES, "zoe"]
        assert_whole(store, kit)


def test_what_is_listed_has_no_mark_any_more(tmp_path, kit) -> None:
    root = tmp_path / "store"
    with Store.open(root) as store, store.staging() as staging:
        with store.make_staged(staging, "alice", 1000.0, kit.layout) as session:
            session.append([kit.turn(i) for i in range(5)])
        store.install(staging, [session.info])
        marks = [p for p in (root / "tmp").rglob("*") if p.name == session.info.id and p.is_file()]
        assert marks == []


def spoil_row(root, name: str) -> None:
    """Damage the row of a session in the catalog."""
    with closing(sqlite3.connect(root / "catalog.db")) as connection, connection:
        connection.execute("UPDATE sessions SET sum = x'0011' WHERE name = ?", (name,))


def leave_mark(root, session_id: str) -> None:
    """What a process leaves that is killed behind the listing of a session."""
    (root / "tmp" / ("f" * 32)).mkdir()
    (root / "tmp" / ("f" * 32) / session_id).touch()


def test_a_repair_that_ends_half_way_removes_nothing_that_was_marked(
    tmp_path, kit, monkeypatch
) -> None:
    root = tmp_path / "store"
    with Store.open(root) as store:
        bring_in(store, kit)
        ids = {info.name: info.id for info in store.list_sessions()}
    leave_mark(root, ids["bob"])
    spoil_row(root, "bob")

    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, Store.open(root) as store:
        patch.setattr(checking_store, "check_one", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.check(repair=True)
    with Store.open(root) as store:
        assert [finding.kind for finding in store.check(repair=True)] == ["unlisted-session"]
        assert {info.name: info.id for info in store.list_sessions()} == ids
        assert_whole(store, kit)
    assert leftovers(root) == []


def test_a_session_that_somebody_writes_to_is_never_cleared_away(tmp_path, kit) -> None:
    root = tmp_path / "store"
    with Store.open(root) as store:
        bring_in(store, kit)
        with store.session("bob", layout=kit.layout) as session:
            with closing(sqlite3.connect(root / "catalog.db")) as connection, connection:
                connection.execute("DELETE FROM sessions WHERE name = 'bob'")
            leave_mark(root, session.info.id)
            Store.open(root).close()
            session.append([kit.turn(5)])
        assert leftovers(root) != []
    Store.open(root).close()
    assert leftovers(root) == []
    assert not (root / "s" / session.info.id[:2] / session.info.id).exists()


def test_a_handle_syncs_the_names_that_a_killed_repair_has_left(tmp_path, kit) -> None:
    root = tmp_path / "store"
    with Store.open(root) as store:
        bring_in(store, kit)
        (root / "tmp" / "unsynced").touch()
        store.delete_session("bob")
        assert not (root / "tmp" / "unsynced").exists()


def test_leftovers_on_a_failing_disk_do_not_close_the_store(tmp_path, kit) -> None:
    root = tmp_path / "store"

    class Failing(Vfs):
        """Syncs no folder of trash."""

        def sync_dir(self, path):
            if path.endswith("trash"):
                raise DurabilityLost(f"cannot sync {path} (injected)")
            super().sync_dir(path)

    with Store.open(root, vfs=Failing()) as store:
        bring_in(store, kit)
        with pytest.raises(DurabilityLost):
            store.delete_session("bob")
    with Store.open(root, vfs=Failing()) as store:
        assert names_in(store) == ["alice"]
    with Store.open(root) as store:
        assert_whole(store, kit)
    assert leftovers(root) == []


def leave_half(root, change: Callable[[Catalog], None], monkeypatch) -> None:
    """What a process leaves that is killed when it syncs a commit, of a deletion say: it lies in
    the catalog's log, and who has the catalog open does not see it."""
    copy = root.parent / "copy.db"
    shutil.copy(root / "catalog.db", copy)
    with monkeypatch.context() as patch, closing(sqlite3.connect(copy)) as held:
        # The log stays.
        patch.setattr(Database, "checkpoint", lambda *_, **__: None)
        held.execute("SELECT count(*) FROM sessions").fetchall()
        change(Catalog(str(copy), read_marker(Vfs(), str(root))))
        left = (root.parent / "copy.db-wal").read_bytes()
    log = root / "catalog.db-wal"
    assert left
    assert log.stat().st_size == 0
    log.write_bytes(left)


def test_what_somebody_else_removes_meanwhile_does_not_close_the_store(tmp_path, kit) -> None:
    root = tmp_path / "store"
    with Store.open(root) as store:
        bring_in(store, kit)

    class Slow(Vfs):
        """Comes too late to a folder that it has looked at so often."""

        def __init__(self, looks: int) -> None:
            self.looks = looks

        def list_dir(self, path):
            if path.endswith("old-g1"):
                self.looks -= 1
                if self.looks == 0:
                    shutil.rmtree(path)
            return super().list_dir(path)

    for looks in (1, 2):
        (root / "trash" / "old-g1" / "empty").mkdir(parents=True)
        with Store.open(root, vfs=Slow(looks)) as store:
            assert_whole(store, kit)
        assert leftovers(root) == []


@pytest.mark.parametrize("again", [False, True])
def test_a_deletion_that_was_killed_half_way_takes_no_turns_with_it(
    tmp_path, kit, monkeypatch, again
) -> None:
    root = tmp_path / "store"
    with Store.open(root) as store:
        bring_in(store, kit)
    with Store.open(root) as store:
        store.list_sessions()
        with store.session("alice", layout=kit.layout) as session:
            info = session.info
        store.session("new", layout=kit.layout).close()
        leave_half(root, lambda catalog: catalog.mark_deleted(info), monkeypatch)
        if again:
            with store.rebuilding("alice") as old:
                old.begin(kit.layout)
                kit.catch_up(old)
                store.switch(old)
        else:
            with store.session("alice", layout=kit.layout) as session:
                session.append([kit.turn(5)])
    with Store.open(root) as store:
        assert names_in(store) == ["alice", "bob", "new"]
        with store.session("alice", layout=kit.layout) as session:
            assert session.num_turns == (5 if again else 6)


def test_who_waited_for_somebody_else_to_adopt_the_log_does_not_write_it_again(
    tmp_path, kit, monkeypatch
) -> None:
    root = tmp_path / "store"
    with Store.open(root) as store:
        store.session("new", layout=kit.layout).close()
        info = store.list_sessions()[0]
        leave_half(root, lambda catalog: catalog.mark_deleted(info), monkeypatch)
        versions = [store._catalog.version()]

        @contextmanager
        def lock() -> Iterator[None]:
            store._catalog.adopt_log(Vfs(), nullcontext)
            versions.append(store._catalog.version())
            yield

        store._catalog.adopt_log(Vfs(), lock)
        assert versions[0] != versions[1] == store._catalog.version()
        assert names_in(store) == ["new"]


def test_a_fork_that_was_killed_half_way_does_not_come_back_to_chunks_that_are_gone(
    tmp_path, kit, monkeypatch
) -> None:
    root, later = tmp_path / "store", tmp_path / "later"
    with Store.open(root) as store:
        bring_in(store, kit)
    add = Catalog.add

    def killed(_: Catalog, info) -> None:
        leave_half(root, lambda catalog: add(catalog, info), monkeypatch)
        raise KeyboardInterrupt

    with Store.open(root) as store:
        reader = store.session("alice", layout=kit.layout, read_only=True)
        store.session("new", layout=kit.layout).close()
        with store.rebuilding("alice") as old:
            old.begin(kit.layout)
            kit.catch_up(old)
            with monkeypatch.context() as patch:
                patch.setattr(Catalog, "add", killed)
                with pytest.raises(KeyboardInterrupt):
                    store.fork(reader, "fork", 5)
            store.switch(old)
        # As if all processes were killed here: the last one to close the catalog removes its log.
        shutil.copytree(root, later)
    with Store.open(later) as store:
        assert names_in(store) == ["alice", "bob", "new"]
        assert store.check() == []
    assert leftovers(later) == []
