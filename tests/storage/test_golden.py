"""Stores of older releases: read as they are, brought up to our format by a writer, once."""

import sqlite3
import tarfile
from pathlib import Path

import pytest

from hsa_memory.storage import Store, StoreFull

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def old_store(tmp_path) -> Path:
    with tarfile.open(GOLDEN / "v1.0.tar.xz") as archive:
        archive.extractall(tmp_path)  # ours, made by the release itself
    return tmp_path / "store"


def versions(root: Path) -> set[int]:
    found = set()
    for path in (*root.rglob("session.db"), root / "catalog.db"):
        connection = sqlite3.connect(path)
        found.add(connection.execute("PRAGMA user_version").fetchone()[0] >> 8)
        connection.close()
    return found


def assert_whole(store: Store, kit) -> None:
    assert [info.name for info in store.list_sessions()] == ["raw", "talk"]
    with store.session("raw", layout=kit.layout) as session:
        assert [turn.turn_id for turn in session.turns()] == [f"turn-{i}" for i in range(12)]
        assert [turn.text for turn in session.turns()] == [kit.turn(i).text for i in range(12)]
        assert session.get_meta("colour") == {"name": "green"}
        kit.assert_right(session)
        assert session.published >= 13
    with store.session("talk", layout=None) as session:
        assert session.find("dog").text == "My dog is called Biscuit."


def test_a_reader_leaves_an_old_store_as_it_is(old_store, kit) -> None:
    before = {path: path.read_bytes() for path in old_store.rglob("*.*") if path.is_file()}
    with Store.open(old_store, read_only=True) as store:
        assert_whole(store, kit)
        assert store.check() == []
    kept = {path: data for path, data in before.items() if not path.name.endswith("-shm")}
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_writer_brings_an_old_store_up_to_date(old_store, kit) -> None:
    assert versions(old_store) == {1}
    with Store.open(old_store) as store:
        assert_whole(store, kit)
        with store.session("raw", layout=kit.layout) as session:
            session.append([kit.turn(12)])
            kit.catch_up(session)
            kit.assert_right(session)
        assert store.check() == []
    assert versions(old_store) == {2}
    with Store.open(old_store) as store, store.session("raw", layout=kit.layout) as session:
        assert session.num_turns == 13
        kit.assert_right(session)


def test_a_reader_follows_a_writer_that_brings_the_session_up_to_date(old_store, kit) -> None:
    with Store.open(old_store, read_only=True) as reading, Store.open(old_store) as writing:
        reader = reading.session("raw", layout=kit.layout)
        with writing.session("raw", layout=kit.layout) as writer:
            writer.append([kit.turn(12)])
            kit.catch_up(writer)
            assert reader.refresh()
            assert reader.num_turns == 13
            kit.assert_right(reader)
        assert [info.name for info in reading.list_sessions()] == ["raw", "talk"]


def test_a_migration_that_fails_changes_nothing(old_store, kit, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise StoreFull("no space left (injected)")

    with monkeypatch.context() as patch:
        patch.setattr("hsa_memory.storage.migration._with_newest", full)
        with Store.open(old_store) as store, pytest.raises(StoreFull):
            store.session("raw", layout=kit.layout)
    assert versions(old_store) == {1, 2}
    with Store.open(old_store) as store:
        assert_whole(store, kit)


def test_old_messages_can_be_forgotten(old_store, kit) -> None:
    with Store.open(old_store) as store:
        with store.session("raw", layout=kit.layout) as session:
            session.forget([3], blank=0, reach=4)
            kit.fill(session)
            kit.assert_right(session)
            assert session.find("turn-3") is None
        assert store.check() == []
