"""Repair: the marker is written again, what is lost is called lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hsa_memory.storage import CorruptMetadata, SessionMissing, Store, rebuild_marker

NUM_TURNS = 12


@pytest.fixture
def whole(tmp_path, kit) -> Path:
    """A store with one session, closed well."""
    with Store.open(tmp_path / "whole") as store, store.session("alice", layout=kit.layout) as made:
        made.append([kit.turn(i) for i in range(NUM_TURNS)])
        kit.catch_up(made)
    return tmp_path / "whole"


def flip(offset: int, bit: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        blob = bytearray(path.read_bytes())
        blob[offset] ^= 1 << bit
        path.write_bytes(blob)

    return change


@pytest.mark.parametrize(
    "change", [flip(30, 2), flip(11, 0), lambda p: p.write_bytes(b""), Path.unlink]
)
@pytest.mark.parametrize("without", ["", "session.db", "landmarks.bin", "catalog.db"])
def test_the_marker_is_written_again_from_what_the_sessions_say(
    tmp_path, whole, kit, change, without
) -> None:
    root = shutil.copytree(whole, tmp_path / "store")
    before = (root / "STORE").read_bytes()
    change(root / "STORE")
    if without:
        flip(200, 1)(next(root.rglob(without)))
    for create in (False, True):
        with pytest.raises(CorruptMetadata, match="STORE .*`hsa-memory check --repair`"):
            Store.open(root, create=create)
    (found,) = rebuild_marker(root)
    assert (found.path, found.kind, found.repaired) == ("STORE", "corrupt-store", True)
    assert (root / "STORE").read_bytes() == before
    assert rebuild_marker(root) == []
    if without != "session.db":
        with Store.open(root) as store:
            store.check(repair=True)
            with store.session("alice", layout=kit.layout) as session:
                assert [turn.text for turn in session.turns()] == [
                    kit.turn(i).text for i in range(session.num_turns)
                ]
                assert session.num_turns == NUM_TURNS
                kit.catch_up(session)
                kit.assert_right(session)


def test_the_marker_of_a_store_without_sessions_is_written_anew(tmp_path, kit) -> None:
    Store.open(tmp_path / "store").close()
    flip(30, 2)(tmp_path / "store" / "STORE")
    assert [found.repaired for found in rebuild_marker(tmp_path / "store")] == [True]
    with Store.open(tmp_path / "store") as store:
        assert store.check() == []
        store.session("alice", layout=kit.layout).append([kit.turn(0)])


def test_a_marker_that_nothing_can_restore_is_left_alone(tmp_path, whole, kit) -> None:
    root = shutil.copytree(whole, tmp_path / "store")
    for name in ("STORE", "session.db", "landmarks.bin"):
        next(root.rglob(name)).write_bytes(b"")
    with pytest.raises(CorruptMetadata, match="restore a backup"):
        rebuild_marker(root)
    assert (root / "STORE").read_bytes() == b""
    with pytest.raises(SessionMissing, match="no store"):
        rebuild_marker(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_turns_that_are_gone_are_lost_and_not_repaired(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        session = store.session("alice", layout=kit.layout)
        session.append([kit.turn(i) for i in range(5)])
        session._truth.database.checkpoint()
        session.append([kit.turn(i) for i in range(5, 8)])
        root = shutil.copytree(tmp_path / "store", tmp_path / "killed")
    next(root.rglob("session.db-wal")).unlink()
    with Store.open(root) as store:
        with pytest.raises(CorruptMetadata, match="3 are lost, numbers 5 to 7"):
            store.session("alice", layout=kit.layout)
        for repair in (False, True):
            (lost,) = [x for x in store.check(repair=repair) if x.kind == "lost-messages"]
            assert "3 are lost, numbers 5 to 7" in lost.detail
            assert lost.path.endswith("session.db")
            assert not lost.repaired
        # What is left can be used, and the loss has been told.
        assert store.check() == []
        with store.session("alice", layout=kit.layout) as session:
            assert session.num_turns == 5
            session.append([kit.turn(8)])


def test_a_check_beside_a_writer_takes_nothing_for_lost(open_session, kit) -> None:
    writer = open_session()
    writer.append([kit.turn(0)])
    reader = open_session(read_only=True)
    writer.append([kit.turn(1)])
    assert reader.check() == []


def test_nothing_is_repaired_where_the_sessions_are_not_there(tmp_path, whole) -> None:
    root = shutil.copytree(whole, tmp_path / "store")
    (root / "s").rename(tmp_path / "elsewhere")
    before = (root / "catalog.db").read_bytes()
    flip(30, 2)(root / "STORE")
    marker = (root / "STORE").read_bytes()
    with pytest.raises(CorruptMetadata, match="sessions 'alice' are listed and not there"):
        rebuild_marker(root)
    assert (root / "STORE").read_bytes() == marker
    assert (root / "catalog.db").read_bytes() == before
    (tmp_path / "elsewhere").rename(root / "s")
    (found,) = rebuild_marker(root)
    assert found.detail.endswith("written again from what the sessions say")
    assert "--repair" not in found.detail
    with Store.open(root) as store:
        assert store.check() == []


def test_a_session_that_was_being_deleted_is_not_missed(tmp_path, whole) -> None:
    root = shutil.copytree(whole, tmp_path / "store")
    with Store.open(root) as store:
        (alice,) = store.list_sessions()
        store._catalog.mark_deleted(alice)
    shutil.rmtree(root / "s")
    flip(30, 2)(root / "STORE")
    (found,) = rebuild_marker(root)
    assert found.repaired


def test_a_session_from_elsewhere_does_not_name_the_store(tmp_path, whole, kit) -> None:
    with Store.open(tmp_path / "other") as store:
        store.session("bob", layout=kit.layout).close()
    root = shutil.copytree(whole, tmp_path / "store")
    shutil.rmtree(root / "s")
    shutil.copytree(tmp_path / "other" / "s", root / "s")
    (root / "STORE").unlink()
    with pytest.raises(CorruptMetadata, match="'alice' are listed and not there"):
        rebuild_marker(root)


def test_a_rebuilt_catalog_keeps_what_is_only_there(tmp_path, whole, kit) -> None:
    root = shutil.copytree(whole, tmp_path / "store")
    with Store.open(root) as store:
        for name in ("bob", "carol", "dave"):
            store.session(name, layout=kit.layout).close()
        folders = {info.name: info for info in store.list_sessions()}
        store._catalog.mark_deleted(folders["dave"])
    catalog = (root / "catalog.db").read_bytes()
    flip(catalog.rfind(b"carol") + 1, 0)(root / "catalog.db")
    bob = folders["bob"].id
    shutil.move(root / "s" / bob[:2] / bob, tmp_path / "bob")
    with Store.open(root) as store:
        found = {x.kind: x for x in store.check(repair=True)}
        assert found["corrupt-catalog"].repaired
        assert "run check" not in found["corrupt-catalog"].detail
        # The opening has finished it.
        assert "unfinished-deletion" not in found
        assert (found["missing-session"].session, found["missing-session"].repaired) == (
            "bob",
            False,
        )
        assert {info.name for info in store.list_sessions()} == {"alice", "bob", "carol"}
        assert [x.kind for x in store.check()] == ["missing-session"]
    (root / "s" / bob[:2]).mkdir(exist_ok=True)
    shutil.move(tmp_path / "bob", root / "s" / bob[:2] / bob)
    with Store.open(root) as store:
        assert store.check() == []
        assert not store.has_session("dave")


def test_a_catalog_that_cannot_be_read_is_not_emptied_without_sessions(tmp_path, whole) -> None:
    root = shutil.copytree(whole, tmp_path / "store")
    (root / "s").rename(tmp_path / "elsewhere")
    (root / "catalog.db").write_bytes(bytes(8192))
    with Store.open(root) as store:
        assert [x.repaired for x in store.check(repair=True)] == [False]
    (tmp_path / "elsewhere").rename(root / "s")
    with Store.open(root) as store:
        assert all(x.repaired for x in store.check(repair=True))
        assert [info.name for info in store.list_sessions()] == ["alice"]


@pytest.mark.parametrize("word", [b"turn-7", b"identity", b"user-progress"])
def test_a_damaged_index_is_built_anew(tmp_path, kit, word) -> None:
    with Store.open(tmp_path / "store") as store:
        with store.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(i) for i in range(NUM_TURNS)])
            session.set_meta("progress", {"offset": 7})
    path = next((tmp_path / "store").rglob("session.db"))
    for offset in _places(path.read_bytes(), word):
        root = shutil.copytree(tmp_path / "store", tmp_path / f"at-{offset}")
        flip(offset, 1)(next(root.rglob("session.db")))
        with Store.open(root) as store:
            before = store.check()
            assert before
            after = store.check(repair=True)
            if not all(x.repaired for x in after):
                # It was the row itself, and the index still leads to it.
                assert not any(x.kind == "corrupt-index" for x in after)
                continue
            assert {x.kind for x in after} == {"corrupt-index"}
            assert after[0].detail.endswith("built anew")
            assert store.check() == []
            with store.session("alice", layout=kit.layout) as session:
                session.append([kit.turn(i) for i in range(NUM_TURNS)])
                assert session.num_turns == NUM_TURNS
                assert session.get_meta("progress") == {"offset": 7}
            break
    else:
        pytest.fail("no place was in an index")


def _places(data: bytes, word: bytes) -> list[int]:
    return [i for i in range(len(data)) if data.startswith(word, i)]


def test_lost_changes_are_told_once(tmp_path, whole, kit) -> None:
    path = next(whole.rglob("session.db"))
    kept = path.read_bytes()
    with Store.open(whole) as store, store.session("alice", layout=kit.layout) as session:
        session.set_meta("progress", {"offset": 7})
    # As a power cut leaves it: nothing waits for the disk when a note is set.
    path.write_bytes(kept)
    with Store.open(whole) as store:
        found = store.check(repair=True)
        assert {(x.kind, x.repaired) for x in found} == {("lost-changes", True)}
        assert store.check() == []
        with store.session("alice", layout=kit.layout) as session:
            assert session.num_turns == NUM_TURNS


def test_a_session_that_was_made_again_leaves_nothing(tmp_path, kit) -> None:
    root = tmp_path / "store"
    with Store.open(root) as store:
        store.session("alice", layout=kit.layout).close()
        # Killed between the rename of its folder and its row in the catalog.
        store._catalog.remove(store.list_sessions()[0].id)
        with store.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(0)])
        assert {(x.kind, x.repaired) for x in store.check(repair=True)} == {
            ("unlisted-session", True)
        }
        assert store.check() == []
        assert len(list((root / "s").glob("*/*"))) == 1
        with store.session("alice", layout=kit.layout) as session:
            assert session.num_turns == 1


def test_a_fork_that_was_made_again_leaves_nothing(tmp_path, kit) -> None:
    root = tmp_path / "store"
    with Store.open(root) as store:
        with store.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(0), kit.turn(1)])
            for _ in range(2):
                store.fork(session, "branch", 1)
                made = next(x for x in store.list_sessions() if x.name == "branch")
                store._catalog.remove(made.id)
        store._catalog.add(made)
        assert {(x.kind, x.repaired) for x in store.check(repair=True)} == {
            ("unlisted-session", True)
        }
        assert store.check() == []
        with store.session("branch", layout=kit.layout) as branch:
            assert branch.num_turns == 1


def test_two_sessions_of_one_name_both_stay(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        for number in range(2):
            with store.session("alice", layout=kit.layout) as session:
                session.append([kit.turn(number)])
            if number == 0:
                store._catalog.remove(store.list_sessions()[0].id)
        assert [x.repaired for x in store.check(repair=True)] == [False]
    assert len(list((tmp_path / "store" / "s").glob("*/*"))) == 2


def test_a_store_with_a_damaged_catalog_and_leftovers_opens_to_be_repaired(whole, kit) -> None:
    for folder in ("tmp", "trash"):
        (whole / folder / ("ab" * 16)).mkdir(parents=True)
    blob = bytearray((whole / "catalog.db").read_bytes())
    blob[len(blob) // 2 :] = bytes(len(blob) - len(blob) // 2)
    (whole / "catalog.db").write_bytes(blob)
    with Store.open(whole) as store:
        assert "corrupt-catalog" in {found.kind for found in store.check()}
        assert all(found.repaired for found in store.check(repair=True))
        with store.session("alice", layout=kit.layout, create=False) as session:
            assert session.num_turns == NUM_TURNS
        assert store.check() == []
    Store.open(whole).close()
    assert [*(whole / "tmp").iterdir(), *(whole / "trash").iterdir()] == []
