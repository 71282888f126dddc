"""A store on servers: whatever one machine has written, another one opens.

Each "machine" here is a folder of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hsa_memory.storage import (
    Erased,
    FencedWriter,
    SessionBusy,
    SessionMissing,
    SessionStore,
    Store,
    StoreError,
    StoreUnreachable,
    TurnConflict,
)
from hsa_memory.storage.objects import ObjectStore

Open = Callable[..., Store]


@pytest.fixture
def machine(tmp_path: Path, database: str, bucket: str) -> Iterator[Open]:
    """Opens the store as the machine of that name, with its own folder."""
    stores = []

    def opened(name: str = "here", **options: Any) -> Store:
        given = {"database": database, "objects": bucket, **options}
        store = Store.open(tmp_path / name, **given)
        stores.append(store)
        return store

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def alice(machine: Open, kit: SimpleNamespace) -> Callable[..., SessionStore]:
    """Opens the session alice on a machine."""
    return lambda name="here", **options: machine(name).session(
        "alice", **{"layout": kit.layout, **options}
    )


@pytest.fixture
def stored(bucket: str) -> Callable[[], dict[str, bytes]]:
    """All objects by key."""

    def read() -> dict[str, bytes]:
        objects = ObjectStore(bucket)
        return {found.key: objects._read(found.key) or b"" for found in objects.below("")}

    return read


def fill(session: SessionStore, kit: SimpleNamespace, first: int, stop: int, **turn: Any) -> None:
    session.append([kit.turn(number, **turn) for number in range(first, stop)])
    kit.catch_up(session, 5 if session.num_tokens < 4000 else 1000)


def damage(bucket: str, part: str) -> None:
    """Change one byte of each object whose key has that part."""
    objects = ObjectStore(bucket)
    keys = [found.key for found in objects.below("") if part in found.key]
    assert keys
    for key in keys:
        data = bytearray(objects._read(key) or b"")
        data[len(data) // 2] ^= 1
        objects._put(key, bytes(data), "overwrite")


def test_another_machine_goes_on_where_one_has_closed(
    alice: Callable[..., SessionStore], kit: SimpleNamespace
) -> None:
    with alice("here") as session:
        fill(session, kit, 0, 30)
        session.set_meta("setting", {"a": 1})
        before = session.published
        told = session.turns()
    with alice("there") as session:
        assert session.recovered == []
        assert (session.num_turns, session.published) == (30, before)
        np.testing.assert_array_equal(
            np.concatenate([turn.tokens for turn in session.turns()]),
            np.concatenate([turn.tokens for turn in told]),
        )
        assert session.tail() == kit.tail(before)
        assert session.get_meta("setting") == {"a": 1}
        kit.assert_right(session)
        fill(session, kit, 30, 50)
        after = session.published
    # Back again, where there is an older copy of the same files.
    with alice("here") as session:
        assert session.recovered == []
        assert session.published == after > before
        assert session.tail() == kit.tail(after)
        kit.assert_right(session)
        assert session.check() == []


def test_many_visits_leave_few_objects(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any
) -> None:
    for visit in range(12):
        with alice(("here", "there")[visit % 2]) as session:
            assert session.recovered == []
            fill(session, kit, 3 * visit, 3 * visit + 3)
    keys = sorted(stored())
    assert sum("/chunks-" in key for key in keys) <= 6
    assert sum("/tail-" in key for key in keys) == 1
    with alice("third") as session:
        kit.assert_right(session)
        assert session.tail() is not None


def test_full_segments_go_up_as_they_fill(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any
) -> None:
    session = alice("here")
    cap = session._derived._geometry.cap
    fill(session, kit, 0, 3, num_tokens=cap * 4)
    assert sorted(key.split("/")[-1].rsplit("-", 1)[0] for key in stored()) == [
        f"chunks-{n * cap}-{(n + 1) * cap}" for n in range(3)
    ]
    fill(session, kit, 3, 5)
    session.close()
    with alice("there") as session:
        assert session.recovered == []
        kit.assert_right(session)
    assert sum("chunks-" in key for key in stored()) == 4


def test_after_a_crash_only_the_rest_is_encoded_again(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any, database: str
) -> None:
    with alice("here") as session:
        fill(session, kit, 0, 20)
        kept = session.published
    session = alice("here")
    fill(session, kit, 20, 30)
    crash(session)
    with alice("there") as session:
        assert session.num_turns == 30
        assert session.published == kept
        assert session.tail() is None
        kit.catch_up(session)
        kit.assert_right(session)
        assert session.published > kept
    # The machine that crashed has files of its own from there on; those of the store count.
    with alice("here") as session:
        assert session.recovered == []
        kit.assert_right(session)


def crash(session: SessionStore) -> None:
    """Let go of everything without a word, as the end of a process would."""
    session._derived.close()
    session._truth.close()
    session._lock_file.release()
    session._released = session._closed = True


def test_one_writes_and_all_read(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, machine: Open
) -> None:
    writer = alice("here")
    with pytest.raises(SessionBusy, match="alice"):
        alice("there")
    with pytest.raises(SessionBusy):
        alice("here")
    reader, beside = alice("there", read_only=True), alice("here", read_only=True)
    fill(writer, kit, 0, 10)
    for each in (reader, beside):
        assert each.refresh()
        assert each.num_turns == 10
        assert each.turns()[9].text == writer.turns()[9].text
        assert each.damaged == []
    assert beside.published == writer.published
    kit.assert_right(beside)
    # What is not stored yet cannot be read elsewhere.
    assert reader.published == 0
    writer.close()
    assert reader.refresh()
    assert reader.published == writer.published
    kit.assert_right(reader)
    assert reader.tail() == kit.tail(reader.published)
    alice("there").close()


def test_a_turn_is_stored_once_whoever_sends_it(
    alice: Callable[..., SessionStore], kit: SimpleNamespace
) -> None:
    with alice("here") as session:
        session.append([kit.turn(0), kit.turn(1)], meta={"a": {"x": 1}})
    with alice("there") as session:
        again = session.append([kit.turn(1), kit.turn(2)], meta={"a": {"x": 2}})
        assert [turn.seq for turn in again] == [1, 2]
        assert session.get_meta("a") == {"x": 1}
        with pytest.raises(TurnConflict):
            session.append([kit.turn(3), kit.turn(0, text="another")])
        assert session.num_turns == 3


@pytest.mark.parametrize("name", ["with\0nul", "\x01\x02", "\U0001f980" * 200, "a/../b", "'; --"])
def test_any_name_and_id_is_kept(machine: Open, kit: SimpleNamespace, name: str) -> None:
    with machine("here").session(name, layout=kit.layout) as session:
        session.append([kit.turn(0, turn_id=f"id {name}"[:120], role=name[:15])])
    there = machine("there")
    assert [info.name for info in there.list_sessions()] == [name]
    with there.session(name, layout=kit.layout) as session:
        turn = session.find(f"id {name}"[:120])
        assert turn is not None
        assert turn.role == name[:15]
        assert session.check() == []


def test_a_session_is_made_once_and_deleted_for_all(
    machine: Open, alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any
) -> None:
    with alice("here") as session:
        fill(session, kit, 0, 20)
    reader = alice("there", read_only=True)
    assert stored()
    machine("third").delete_session("alice")
    assert stored() == {}
    with pytest.raises(Erased):
        reader.refresh()
    assert not machine("here").has_session("alice")
    with pytest.raises(SessionMissing):
        machine("here").session("alice", layout=kit.layout, create=False)
    # Its files on other machines go when they open the store.
    assert list((Path(machine("here").root) / "s").rglob("*.seg")) == []
    with alice("there") as session:
        assert session.num_turns == 0


def test_a_deletion_that_was_interrupted_is_finished(
    machine: Open, alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any
) -> None:
    with alice("here") as session:
        fill(session, kit, 0, 20)
        info = session.info
    store = machine("here")
    store._catalog.mark_deleted(info)
    store.close()
    assert machine("there").list_sessions() == []
    assert stored() == {}
    assert machine("there")._catalog.deleted_ids() == []


@pytest.mark.parametrize("part", ["chunks-0-", "tail-"])
def test_a_damaged_object_is_found_and_made_anew(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, bucket: str, part: str
) -> None:
    with alice("here") as session:
        fill(session, kit, 0, 20)
        count = session.published
    damage(bucket, part)
    reader = alice("reader", read_only=True)
    assert "corrupt-object" in {finding.kind for finding in reader.damaged}
    kit.assert_right(reader)
    reader.close()
    with alice("there") as session:
        assert "corrupt-object" in {finding.kind for finding in session.recovered}
        if part == "tail-":
            assert (session.published, session.tail()) == (count, None)
            session.publish(count, kit.tail(count))
        else:
            assert session.published == 0
            kit.catch_up(session)
        kit.assert_right(session)
    with alice("third") as session:
        assert session.recovered == []
        assert (session.published, session.tail()) == (count, kit.tail(count))
        kit.assert_right(session)


def test_a_missing_object_is_no_wrong_answer(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, bucket: str
) -> None:
    with alice("here") as session:
        fill(session, kit, 0, 20)
    objects = ObjectStore(bucket)
    objects.delete([found.key for found in objects.below("")])
    with alice("there") as session:
        assert {finding.kind for finding in session.recovered} >= {"corrupt-object"}
        kit.catch_up(session)
        kit.assert_right(session)
    with alice("third") as session:
        assert session.recovered == []


def test_check_finds_and_repairs_what_is_wrong(
    machine: Open, alice: Callable[..., SessionStore], kit: SimpleNamespace, bucket: str
) -> None:
    with alice("here") as session:
        fill(session, kit, 0, 20)
        prefix = session._mirror._prefix
    store = machine("here")
    assert store.check() == []
    assert store.check(repair=True) == []
    ObjectStore(bucket)._put(f"{prefix}/g1/chunks-5-9-left", b"left by a crash", "create")
    damage(bucket, "chunks-0-")
    assert {finding.kind for finding in store.check()} == {"corrupt-object"}
    found = store.check(repair=True)
    assert all(finding.repaired for finding in found)
    assert {finding.kind for finding in found} == {"corrupt-object", "orphan-object"}
    assert store.check() == []
    with alice("there") as session:
        assert session.recovered == []
        kit.assert_right(session)


def test_a_damaged_row_of_the_catalog_is_rebuilt(
    machine: Open, alice: Callable[..., SessionStore], kit: SimpleNamespace, database: str
) -> None:
    import psycopg

    with alice("here") as session:
        fill(session, kit, 0, 5)
    url, schema = database.split("?")[0], database.split("schema=")[1].split("&")[0]
    with psycopg.connect(url) as connection:
        connection.execute(f"UPDATE {schema}.sessions SET created = created + 1")
    store = machine("there")
    assert "corrupt-catalog" in {finding.kind for finding in store.check()}
    assert all(finding.repaired for finding in store.check(repair=True))
    assert store.check() == []
    assert [info.name for info in store.list_sessions()] == ["alice"]


def test_a_damaged_row_of_a_turn_is_told(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, database: str
) -> None:
    import psycopg

    with alice("here") as session:
        fill(session, kit, 0, 5)
    url, schema = database.split("?")[0], database.split("schema=")[1].split("&")[0]
    with psycopg.connect(url) as connection:
        connection.execute(f"UPDATE {schema}.all_turns SET text = 'x' WHERE seq = 3")
    with alice("there") as session:
        assert {finding.kind for finding in session.check()} == {"corrupt-turn"}
        assert len(session.turns(0, 3)) == 3
        with pytest.raises(StoreError, match="turn 3"):
            session.turns()


def test_what_is_forgotten_is_in_no_object(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any, database: str
) -> None:
    canary = np.full(40, 4093, np.uint32)
    with alice("here") as session:
        fill(session, kit, 0, 10)
        session.append([kit.turn(10, tokens=canary, text="the canary sings")])
        fill(session, kit, 11, 30)
        size, start = session.layout.chunk_size, session.turns()[10].token_start
        held = range(start // size, -(-(start + 40) // size))
        landmarks, kv = kit.rows(session, held.start, held.stop)
    gone = [row.tobytes() for row in (*landmarks, *kv)]
    assert any(row in data for row in gone for data in stored().values())
    with alice("there") as session:
        session.forget([10], blank=7, reach=8)
        assert not any(row in data for row in gone for data in stored().values())
        for hole in session.holes:
            session.fill(hole.start, *kit.rows(session, hole.start, hole.stop))
        kit.catch_up(session)
        session.publish(session.published, kit.tail(session.published))
        kit.assert_right(session)
    assert not any(row in data for row in gone for data in stored().values())
    # The files of the other machine still hold it; they are replaced, not believed.
    with alice("here") as session:
        kit.assert_right(session)
        assert session.turns()[10].text == ""
        assert session.check() == []
    with alice("third") as session:
        assert session.recovered == []
        kit.assert_right(session)


def test_without_objects_each_machine_encodes_for_itself(
    machine: Open, kit: SimpleNamespace
) -> None:
    def opened(name: str) -> SessionStore:
        return machine(name, objects=None).session("alice", layout=kit.layout)

    with opened("here") as session:
        fill(session, kit, 0, 20)
        count = session.published
    with opened("there") as session:
        assert (session.num_turns, session.published) == (20, 0)
        kit.catch_up(session)
        kit.assert_right(session)
        fill(session, kit, 20, 22)
    with opened("here") as session:
        assert session.published == count
        kit.catch_up(session)
        kit.assert_right(session)


def test_objects_that_nobody_says_where_are_asked_for(machine: Open, kit: SimpleNamespace) -> None:
    with machine("here").session("alice", layout=kit.layout) as session:
        fill(session, kit, 0, 20)
    with pytest.raises(StoreError, match="objects=URL"):
        machine("there", objects=None).session("alice", layout=kit.layout)


def test_a_storage_that_is_away_loses_nothing(
    alice: Callable[..., SessionStore],
    kit: SimpleNamespace,
    faulty: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.ERROR)
    with alice("here") as session:
        fill(session, kit, 0, 20)
    session = alice("here")
    fill(session, kit, 20, 30)
    faulty.faults = [503] * 1000
    session.close()
    with pytest.MonkeyPatch.context() as away:
        away.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(StoreUnreachable):
            alice("there")
        # Everything is here already.
        with alice("here") as session:
            assert session.recovered == []
            kit.assert_right(session)
    faulty.faults = []
    with alice("here") as session:
        assert session.recovered == []
    with alice("there") as session:
        assert session.recovered == []
        kit.assert_right(session)


def test_a_stale_writer_is_fenced(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, database: str
) -> None:
    import psycopg

    session = alice("here")
    fill(session, kit, 0, 10)
    url, schema = database.split("?")[0], database.split("schema=")[1].split("&")[0]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"UPDATE {schema}.leases SET expires = '-infinity', owner = 'nobody'")
    with alice("there") as other:
        # Nothing was written there yet, and still the older one is out.
        with pytest.raises(FencedWriter):
            session.append([kit.turn(10)])
        with pytest.raises(FencedWriter):
            session.publish(session._derived.published, b"tail")
        other.append([kit.turn(11)])
        assert other.num_turns == 11
    session.close()


def test_a_fork_shares_what_lies_elsewhere(
    machine: Open, alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any
) -> None:
    store = machine("here")
    with store.session("alice", layout=kit.layout) as session:
        fill(session, kit, 0, 20)
        store.fork(session, "what if", 12)
        fill(session, kit, 20, 24)
    objects = len(stored())
    there = machine("there")
    with there.session("what if", layout=kit.layout) as fork:
        assert fork.recovered == []
        shared = fork.published
        assert (fork.num_turns, shared) == (12, 12 * 6 // 4)
        kit.assert_right(fork)
        fork.append([kit.turn(number, turn_id=f"other-{number}") for number in range(30, 40)])
        kit.catch_up(fork)
        kit.assert_right(fork)
        count = fork.published
    # Only its own chunks and its tail went up.
    assert len(stored()) == objects + 2
    with machine("third").session("what if", layout=kit.layout) as fork:
        assert fork.recovered == []
        assert (fork.num_turns, fork.published) == (22, count)
        assert fork.tail() == kit.tail(count)
        kit.assert_right(fork)
        assert fork.check() == []
    with alice("third") as session:
        assert session.recovered == []
        assert session.num_turns == 24
        kit.assert_right(session)
    assert machine("third").check() == []


# ---- folders


def test_a_folder_is_the_cache_of_one_store(
    tmp_path: Path, database: str, machine: Open, kit: SimpleNamespace
) -> None:
    machine("here").close()
    other = database.replace("schema=", "schema=other_")
    with pytest.raises(StoreError, match="another store"):
        Store.open(tmp_path / "here", database=other)
    with pytest.raises(StoreError, match="cache of a store"):
        Store.open(tmp_path / "here")
    Store.open(tmp_path / "local").close()
    with pytest.raises(StoreError, match="store of its own"):
        Store.open(tmp_path / "local", database=database)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"letter\.txt"):
        Store.open(tmp_path / "full", database=database)


def test_a_marker_that_is_damaged_is_written_again(machine: Open, tmp_path: Path) -> None:
    machine("here").close()
    marker = tmp_path / "here" / "STORE"
    marker.write_bytes(bytes(4096))
    machine("here").close()
    marker.unlink()
    machine("here").close()
    assert marker.stat().st_size == 4096


def test_a_reader_makes_no_store(tmp_path: Path, database: str) -> None:
    with pytest.raises(SessionMissing):
        Store.open(tmp_path / "here", database=database, read_only=True)
    with pytest.raises(SessionMissing):
        Store.open(tmp_path / "here", database=database, create=False)


def test_objects_need_a_database(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="database"):
        Store.open(tmp_path / "here", objects="memory:///")
