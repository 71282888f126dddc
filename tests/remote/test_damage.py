"""Objects and rows that are damaged, missing or out of reach: found, told, made anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hsa_memory.storage import SessionStore, Store, StoreError, StoreUnreachable
from hsa_memory.storage.objects import ObjectStore

Open = Callable[..., Store]
Fill = Callable[..., None]


def damage(bucket: str, part: str) -> None:
    """Change one byte of each object whose key has that part."""
    objects = ObjectStore(bucket)
    keys = [found.key for found in objects.below("") if part in found.key]
    assert keys
    for key in keys:
        data = bytearray(objects._read(key) or b"")
        data[len(data) // 2] ^= 1
        objects._put(key, bytes(data), "overwrite")


@pytest.mark.parametrize("part", ["chunks-0-", "tail-"])
def test_a_damaged_object_is_found_and_made_anew(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, bucket: str, part: str, fill: Fill
) -> None:
    with alice("here") as session:
        fill(session, 0, 20)
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
    alice: Callable[..., SessionStore], kit: SimpleNamespace, bucket: str, fill: Fill
) -> None:
    with alice("here") as session:
        fill(session, 0, 20)
    objects = ObjectStore(bucket)
    objects.delete([found.key for found in objects.below("")])
    with alice("there") as session:
        assert {finding.kind for finding in session.recovered} >= {"corrupt-object"}
        kit.catch_up(session)
        kit.assert_right(session)
    with alice("third") as session:
        assert session.recovered == []


def test_check_finds_and_repairs_what_is_wrong(
    machine: Open, alice: Callable[..., SessionStore], kit: SimpleNamespace, bucket: str, fill: Fill
) -> None:
    with alice("here") as session:
        fill(session, 0, 20)
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
    machine: Open,
    alice: Callable[..., SessionStore],
    kit: SimpleNamespace,
    database: str,
    fill: Fill,
) -> None:
    import psycopg

    with alice("here") as session:
        fill(session, 0, 5)
    url, schema = database.split("?")[0], database.split("schema=")[1].split("&")[0]
    with psycopg.connect(url) as connection:
        connection.execute(f"UPDATE {schema}.sessions SET created = created + 1")
    store = machine("there")
    assert "corrupt-catalog" in {finding.kind for finding in store.check()}
    assert all(finding.repaired for finding in store.check(repair=True))
    assert store.check() == []
    assert [info.name for info in store.list_sessions()] == ["alice"]


def test_a_damaged_row_of_a_turn_is_told(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, database: str, fill: Fill
) -> None:
    import psycopg

    with alice("here") as session:
        fill(session, 0, 5)
    url, schema = database.split("?")[0], database.split("schema=")[1].split("&")[0]
    with psycopg.connect(url) as connection:
        connection.execute(f"UPDATE {schema}.all_turns SET text = 'x' WHERE seq = 3")
    with alice("there") as session:
        assert {finding.kind for finding in session.check()} == {"corrupt-turn"}
        assert len(session.turns(0, 3)) == 3
        with pytest.raises(StoreError, match="turn 3"):
            session.turns()


def test_what_is_forgotten_is_in_no_object(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any, database: str, fill: Fill
) -> None:
    canary = np.full(40, 4093, np.uint32)
    with alice("here") as session:
        fill(session, 0, 10)
        session.append([kit.turn(10, tokens=canary, text="the canary sings")])
        fill(session, 11, 30)
        size, start = session.layout.chunk_size, session.turns()[10].token_start
        held = range(start // size, -(-(start + 40) // size))
        landmarks, kv = kit.rows(session, held.start, held.stop)
    gone = [row.tobytes() for row in (*landmarks, *kv)]
    assert any(row in data for row in gone for data in stored().values())
    with alice("there") as session:
        done = session.forget([10], blank=7, reach=8, scan=True)
        assert done.scan is not None
        assert done.scan.traces == []
        assert done.scan.files >= 1
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
    machine: Open, kit: SimpleNamespace, fill: Fill
) -> None:
    def opened(name: str) -> SessionStore:
        return machine(name, objects=None).session("alice", layout=kit.layout)

    with opened("here") as session:
        fill(session, 0, 20)
        count = session.published
    with opened("there") as session:
        assert (session.num_turns, session.published) == (20, 0)
        kit.catch_up(session)
        kit.assert_right(session)
        fill(session, 20, 22)
    with opened("here") as session:
        assert session.published == count
        kit.catch_up(session)
        kit.assert_right(session)


def test_files_that_others_have_overtaken_are_not_believed(
    machine: Open, kit: SimpleNamespace, fill: Fill
) -> None:
    def opened(name: str) -> SessionStore:
        return machine(name, objects=None).session("alice", layout=kit.layout)

    with opened("here") as session:
        fill(session, 0, 20)
        count = session.published
    with opened("there") as session:
        kit.catch_up(session)
        session.forget([5], blank=7, reach=8)
        kit.fill(session)
        kit.assert_right(session)
    # Here every chunk agrees with its record still, but not with what the tokens are now.
    with opened("here") as session:
        assert session.published < count
        kit.assert_right(session)
        kit.catch_up(session)
        assert session.published == count
        kit.assert_right(session)


def test_objects_that_nobody_says_where_are_asked_for(
    machine: Open, kit: SimpleNamespace, fill: Fill
) -> None:
    with machine("here").session("alice", layout=kit.layout) as session:
        fill(session, 0, 20)
    with pytest.raises(StoreError, match="objects=URL"):
        machine("there", objects=None).session("alice", layout=kit.layout)


def test_a_storage_that_is_away_loses_nothing(
    alice: Callable[..., SessionStore],
    kit: SimpleNamespace,
    faulty: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fill: Fill,
) -> None:
    caplog.set_level(logging.ERROR)
    with alice("here") as session:
        fill(session, 0, 20)
    session = alice("here")
    fill(session, 20, 30)
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
