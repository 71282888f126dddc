"""Stores of older releases: read as they are, brought up to our format by a writer, once."""

import sqlite3
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from hsa_memory.storage import DurabilityLost, Store, StoreFull
from hsa_memory.storage.checksums import xxh3_bytes
from hsa_memory.storage.rows import STATE_COLUMNS_1, State, _row_sum

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


def turn_back(root: Path, sid: str, seq: int, moment: float) -> None:
    """Give a turn another time, as a caller of the old release could."""
    connection = sqlite3.connect(next(root.rglob(f"{sid}/session.db")))
    own, link = bytes.fromhex(sid), bytes(8)
    connection.execute("UPDATE turns SET ts = ? WHERE seq = ?", (moment, seq))
    rows = connection.execute(
        "SELECT seq, turn_id, ts, role, n_tok, tok0, flags, sums FROM turns ORDER BY seq"
    ).fetchall()
    for *scalars, sums in rows:
        row = _row_sum(own, scalars, sums[:24], b"")
        link = xxh3_bytes(link + row)
        changed = (sums[:24] + row + link, scalars[0])
        connection.execute("UPDATE turns SET sums = ? WHERE seq = ?", changed)
    names = STATE_COLUMNS_1[:-1]
    found = connection.execute(f"SELECT {', '.join(names)} FROM state").fetchone()
    state = replace(State(**dict(zip(names, found, strict=True))), link=link)
    connection.execute("UPDATE state SET link = ?, sum = ?", (link, state.checksum_1(own)))
    connection.commit()
    connection.close()
    next(root.rglob(f"{sid}/head.bin")).unlink()


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


def test_a_catalog_that_was_migrated_stays_so_when_its_log_cannot_be_emptied(
    old_store, kit, monkeypatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise DurabilityLost("cannot sync catalog.db (injected)")

    with monkeypatch.context() as patch:
        patch.setattr("hsa_memory.storage.database.Database.checkpoint", failing)
        with pytest.raises(DurabilityLost):
            Store.open(old_store)
    with Store.open(old_store) as store:
        assert_whole(store, kit)
        assert store.check() == []


def test_old_messages_can_be_forgotten(old_store, kit) -> None:
    with Store.open(old_store) as store:
        with store.session("raw", layout=kit.layout) as session:
            session.forget([3], blank=0, reach=4)
            kit.fill(session)
            kit.assert_right(session)
            assert session.find("turn-3") is None
        assert store.check() == []


def test_the_past_of_a_session_whose_old_turns_are_not_in_order(old_store, kit) -> None:
    with Store.open(old_store, read_only=True) as store:
        sid = next(info.id for info in store.list_sessions() if info.name == "raw")
    turn_back(old_store, sid, 4, 9000.0)

    def look(session) -> None:
        times = [turn.timestamp for turn in session.turns()]
        for moment in (999.0, *times, 1005.0, 9500.0, 1e9):
            expected = next((i for i, at in enumerate(times) if at > moment), len(times))
            assert session.num_turns_until(moment) == expected

    with Store.open(old_store, read_only=True) as store:
        look(store.session("raw", layout=kit.layout))
    with Store.open(old_store) as store:
        session = store.session("raw", layout=kit.layout)
        session.append([kit.turn(i) for i in range(12, 16)])
        look(session)
        session.append([kit.turn(16, timestamp=9200.0)])
        session.forget([2], blank=0, reach=6)
        look(session)
        store.fork(session, "branch", 14)
        with store.session("branch", layout=kit.layout) as branch:
            branch.append([kit.turn(i, timestamp=9100.0 + i) for i in range(20, 22)])
            look(branch)
        session.close()
        assert [x for x in store.check() if x.kind != "corrupt-head"] == []
