"""A store on servers: whatever one machine has written, another one opens.

Each "machine" here is a folder of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
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
    StoreLocked,
    TurnConflict,
    changing,
)

Open = Callable[..., Store]
Fill = Callable[..., None]


def test_another_machine_goes_on_where_one_has_closed(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, fill: Fill
) -> None:
    with alice("here") as session:
        fill(session, 0, 30)
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
        fill(session, 30, 50)
        after = session.published
    # Back again, where there is an older copy of the same files.
    with alice("here") as session:
        assert session.recovered == []
        assert session.published == after > before
        assert session.tail() == kit.tail(after)
        kit.assert_right(session)
        assert session.check() == []


def test_many_visits_leave_few_objects(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any, fill: Fill
) -> None:
    for visit in range(12):
        with alice(("here", "there")[visit % 2]) as session:
            assert session.recovered == []
            fill(session, 3 * visit, 3 * visit + 3)
    keys = sorted(stored())
    assert sum("/chunks-" in key for key in keys) <= 6
    assert sum("/tail-" in key for key in keys) == 1
    with alice("third") as session:
        kit.assert_right(session)
        assert session.tail() is not None


def test_full_segments_go_up_as_they_fill(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any, fill: Fill
) -> None:
    session = alice("here")
    cap = session._derived._geometry.cap
    fill(session, 0, 3, num_tokens=cap * 4)
    assert sorted(key.split("/")[-1].rsplit("-", 1)[0] for key in stored()) == [
        f"chunks-{n * cap}-{(n + 1) * cap}" for n in range(3)
    ]
    fill(session, 3, 5)
    session.close()
    with alice("there") as session:
        assert session.recovered == []
        kit.assert_right(session)
    assert sum("chunks-" in key for key in stored()) == 4


def test_after_a_crash_only_the_rest_is_encoded_again(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any, database: str, fill: Fill
) -> None:
    with alice("here") as session:
        fill(session, 0, 20)
        kept = session.published
    session = alice("here")
    fill(session, 20, 30)
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
    alice: Callable[..., SessionStore], kit: SimpleNamespace, machine: Open, fill: Fill
) -> None:
    writer = alice("here")
    with pytest.raises(SessionBusy, match="alice"):
        alice("there")
    with pytest.raises(SessionBusy):
        alice("here")
    reader, beside = alice("there", read_only=True), alice("here", read_only=True)
    fill(writer, 0, 10)
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
    machine: Open, alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any, fill: Fill
) -> None:
    with alice("here") as session:
        fill(session, 0, 20)
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
    machine: Open, alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any, fill: Fill
) -> None:
    with alice("here") as session:
        fill(session, 0, 20)
        info = session.info
    store = machine("here")
    store._catalog.mark_deleted(info)
    store.close()
    assert machine("there").list_sessions() == []
    assert stored() == {}
    assert machine("there")._catalog.deleted_ids() == []


def test_a_stale_writer_is_fenced(
    alice: Callable[..., SessionStore], kit: SimpleNamespace, database: str, fill: Fill
) -> None:
    import psycopg

    session = alice("here")
    fill(session, 0, 10)
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
    machine: Open, alice: Callable[..., SessionStore], kit: SimpleNamespace, stored: Any, fill: Fill
) -> None:
    store = machine("here")
    with store.session("alice", layout=kit.layout) as session:
        fill(session, 0, 20)
        store.fork(session, "what if", 12)
        fill(session, 20, 24)
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


def test_no_machine_makes_a_fork_while_another_forgets_a_turn_of_it(
    machine: Open, kit: SimpleNamespace, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = machine("here").session("alice", layout=kit.layout)
    fill(main, 0, 30)
    main.settle()
    really = changing.forget_turns

    def make() -> None:
        elsewhere = machine("there")
        with elsewhere.session("alice", layout=kit.layout, read_only=True) as reader:
            elsewhere.fork(reader, "late", 30)
        with elsewhere.session("late", layout=kit.layout) as late:
            fill(late, 30, 40)

    making = threading.Thread(target=make)

    def after_a_while(*args: Any, **options: Any) -> Any:
        making.start()
        making.join(0.5)
        assert making.is_alive()
        return really(*args, **options)

    monkeypatch.setattr(changing, "forget_turns", after_a_while)
    main.forget([29], blank=0, reach=6)
    making.join()
    kit.fill(main)
    main.close()
    with machine("here").session("late", layout=kit.layout) as late:
        assert (late.num_turns, late.num_forgotten) == (40, 1)
        kit.fill(late)
        kit.assert_right(late)


def test_who_slept_while_a_fork_was_made_forgets_nothing_without_it(
    database: str, tmp_path: Path, kit: Any, fill: Fill, leases_end: Any, monkeypatch: Any
) -> None:
    """The lease that keeps others from making forks ended meanwhile."""
    with Store.open(tmp_path / "here", database=database) as here:
        main = here.session("alice", layout=kit.layout)
        fill(main, 0, 30)
        main.settle()
        really = changing.forget_turns

        def after_a_long_sleep(*args: Any, **options: Any) -> Any:
            with monkeypatch.context() as asleep:
                asleep.setattr(here._leases, "renew", lambda connection: connection)
                leases_end(1.0)
                with Store.open(tmp_path / "there", database=database) as there:
                    with there.session("alice", layout=kit.layout, read_only=True) as reader:
                        there.fork(reader, "late", 30)
                    with there.session("late", layout=kit.layout) as late:
                        fill(late, 30, 40)
            return really(*args, **options)

        with monkeypatch.context() as once:
            once.setattr(changing, "forget_turns", after_a_long_sleep)
            with pytest.raises(StoreLocked, match="nothing was forgotten"):
                main.forget([29], blank=0, reach=6)
        assert main.num_forgotten == 0
        kit.assert_right(main)
        assert main.forget([29], blank=0, reach=6).turns == 1
        kit.fill(main)
    with Store.open(tmp_path / "there", database=database) as there:
        with there.session("late", layout=kit.layout) as late:
            assert late.num_forgotten == 1
            # Its own chunks that heard what was said are not there any more.
            assert late.own_holes or late.published <= 45


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


def test_a_cache_is_opened_again_after_a_deletion(
    machine: Open, tmp_path: Path, kit: SimpleNamespace
) -> None:
    with machine("here") as store:
        store.session("alice", layout=kit.layout).close()
        store.delete_session("alice")
    machine("here").close()
    reserve = tmp_path / "here" / "reserve.bin"
    assert not reserve.exists()
    # What a deletion left behind in version 0.1.0.
    reserve.write_bytes(bytes(1 << 20))
    machine("here").close()
    (tmp_path / "here" / "STORE").unlink()
    with pytest.raises(StoreError, match=r"reserve\.bin"):
        machine("here")


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
