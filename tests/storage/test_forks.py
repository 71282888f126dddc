"""Forks and views: the past without a copy of it."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from hsa_memory.storage import (
    CorruptChunk,
    CorruptMetadata,
    ReadOnly,
    SessionBusy,
    SessionExists,
    SessionHasForks,
    SharedTurn,
    Store,
    changing,
)
from hsa_memory.storage.view import SessionView

REACH = 6


@pytest.fixture
def store(tmp_path, monkeypatch):
    # Segments of 16 chunks: shared, mixed and own ones.
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", 16)
    with Store.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def main(store, kit):
    session = store.session("main", layout=kit.layout)
    for i in range(0, 60, 6):
        session.append([kit.turn(j) for j in range(i, i + 6)])
        kit.catch_up(session)
    return session


def grow(session, kit, first: int, count: int) -> None:
    for i in range(first, first + count):
        session.append([kit.turn(i, text=f"in {session.info.name}: {i}")])
    kit.catch_up(session)


def size_of(folder: str) -> int:
    return sum(path.stat().st_blocks * 512 for path in Path(folder).rglob("*") if path.is_file())


def test_a_fork_goes_its_own_way(store, kit, main) -> None:
    store.fork(main, "branch", 41)
    branch = store.session("branch", layout=kit.layout)
    assert branch.recovered == []
    assert (branch.num_turns, branch.num_tokens) == (41, 246)
    assert branch.published == 246 // 4
    kit.assert_right(branch)
    grow(branch, kit, 41, 30)
    grow(main, kit, 60, 20)
    kit.assert_right(branch)
    kit.assert_right(main)
    assert [t.text for t in branch.turns(39, 43)] == [
        main.turns(39, 40)[0].text,
        main.turns(40, 41)[0].text,
        "in branch: 41",
        "in branch: 42",
    ]
    assert main.turns(41, 42)[0].text == kit.turn(41).text
    assert branch.find("turn-3").text == main.find("turn-3").text
    # A message that is known, shared or own, is not stored again.
    assert branch.append([kit.turn(5)])[0].seq == 5
    assert branch.find("turn-50").text == "in branch: 50"
    np.testing.assert_array_equal(branch.tokens(200, 260)[:46], main.tokens(200, 246))
    assert store.check() == []
    branch.close()
    main.close()
    with store.session("branch", layout=kit.layout) as branch:
        assert branch.recovered == []
        kit.assert_right(branch)
        assert len(branch.turn_index()) == 71


def test_a_fork_copies_nothing(store, kit, main) -> None:
    store.fork(main, "branch", 60)
    with store.session("branch", layout=kit.layout) as branch:
        size = size_of(branch.folder)
        kit.assert_right(branch)
    grow(main, kit, 60, 400)
    store.fork(main, "later", 460)
    with store.session("later", layout=kit.layout) as later:
        assert size_of(later.folder) == size
        kit.assert_right(later)


def test_forks_of_forks_and_of_their_past(store, kit, main) -> None:
    store.fork(main, "b", 41)
    b = store.session("b", layout=kit.layout)
    grow(b, kit, 41, 20)
    store.fork(b, "c", 61)
    store.fork(b, "d", 10)
    store.fork(b, "e", 0)
    c, d, e = (store.session(name, layout=kit.layout) for name in "cde")
    infos = {info.name: info for info in store.list_sessions()}
    assert infos["c"].parent == infos["b"].id
    assert infos["d"].parent == infos["main"].id
    assert infos["e"].parent == ""
    grow(c, kit, 61, 15)
    grow(d, kit, 10, 15)
    grow(e, kit, 0, 5)
    for session in (main, b, c, d, e):
        kit.assert_right(session)
        session.close()
    for name, turns in (("c", 76), ("d", 25), ("e", 5)):
        with store.session(name, layout=kit.layout) as session:
            assert session.num_turns == turns
            kit.assert_right(session)
    assert store.check() == []


def test_what_forks_need_cannot_be_deleted(store, kit, main) -> None:
    store.fork(main, "branch", 41)
    main.close()
    with pytest.raises(SessionHasForks, match="'branch'"):
        store.delete_session("main")
    with store.session("branch", layout=kit.layout) as branch:
        kit.assert_right(branch)
    store.delete_session("branch")
    store.delete_session("main")
    assert store.list_sessions() == []


def test_a_fork_needs_a_free_name_and_turns_that_are_there(store, kit, main) -> None:
    store.fork(main, "branch", 41)
    with pytest.raises(SessionExists):
        store.fork(main, "branch", 41)
    with pytest.raises(IndexError):
        store.fork(main, "other", 61)
    assert len(store.list_sessions()) == 2


def test_damage_in_the_shared_part_is_healed_in_the_fork(store, kit, main) -> None:
    store.fork(main, "branch", 60)
    with store.session("branch", layout=kit.layout) as branch:
        grow(branch, kit, 60, 20)
    main.close()
    path = Path(main.folder) / "g1" / "kv-2.seg"
    data = bytearray(path.read_bytes())
    for i in range(5000, len(data), 50):
        data[i] ^= 255
    path.write_bytes(data)
    with store.session("branch", layout=kit.layout) as branch:
        try:
            kit.assert_right(branch)
        except Exception as error:
            branch.rollback(min(error.chunk_ids))
        kit.catch_up(branch)
        kit.assert_right(branch)
        grow(branch, kit, 80, 20)
        kit.assert_right(branch)
    with store.session("branch", layout=kit.layout) as branch:
        assert branch.recovered == []
        kit.assert_right(branch)


def test_forgetting_reaches_every_fork(store, kit, main, tmp_path) -> None:
    secret = np.arange(1_000_000, 1_000_020, dtype=np.uint32)
    main.append([kit.turn(60, text="quincunx " * 5, tokens=secret)])
    kit.catch_up(main)
    for name, turns in (("near", 61), ("far", 61), ("before", 60)):
        store.fork(main, name, turns)
    near, before = (store.session(name, layout=kit.layout) for name in ("near", "before"))
    # Its first own chunks heard the secret; the chunk that it ends in is its own too.
    grow(near, kit, 61, 10)
    grow(before, kit, 60, 10)
    with pytest.raises(SharedTurn, match="'near'"):
        near.forget([60], blank=0, reach=REACH)
    with pytest.raises(SessionBusy):
        main.forget([60], blank=0, reach=REACH)
    assert main.num_forgotten == 0
    near.close()
    before.close()
    main.forget([60], blank=0, reach=REACH)
    kit.fill(main)
    kit.assert_right(main)
    stored = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"quincunx" not in stored
    assert secret[4:12].astype("<u4").tobytes() not in stored
    for name, gone, holes in (("near", 1, 1), ("far", 1, 0), ("before", 0, 0)):
        with store.session(name, layout=kit.layout) as fork:
            assert fork.num_forgotten == gone
            assert len(fork.own_holes) == holes
            kit.fill(fork)
            kit.assert_right(fork)
            assert (fork.find("turn-60") is None) == (name != "before")
            assert fork.check() == []


def test_no_fork_is_made_while_a_turn_of_it_is_being_forgotten(
    store, kit, main, tmp_path, monkeypatch
) -> None:
    secret = np.arange(1_000_000, 1_000_020, dtype=np.uint32)
    main.append([kit.turn(60, text="quincunx " * 5, tokens=secret)])
    kit.catch_up(main)
    store.fork(main, "branch", 61)
    really, makers = changing.forget_turns, []

    def make(source: str, name: str) -> None:
        # As another process would, through a reader's handle.
        with Store.open(tmp_path / "store") as other:
            with other.session(source, layout=kit.layout, read_only=True) as reader:
                other.fork(reader, name, 61)
            with other.session(name, layout=kit.layout) as late:
                grow(late, kit, 61, 10)

    def after_a_while(*args, **options):
        for source, name in (("main", "late"), ("branch", "later")):
            makers.append(threading.Thread(target=make, args=(source, name)))
            makers[-1].start()
        for maker in makers:
            maker.join(0.3)
        assert all(maker.is_alive() for maker in makers)
        return really(*args, **options)

    monkeypatch.setattr(changing, "forget_turns", after_a_while)
    main.forget([60], blank=0, reach=REACH)
    for maker in makers:
        maker.join()
    kit.fill(main)
    stored = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert secret[4:12].astype("<u4").tobytes() not in stored
    for name in ("late", "later"):
        with store.session(name, layout=kit.layout) as fork:
            assert fork.num_forgotten == 1
            kit.fill(fork)
            kit.assert_right(fork)
            assert fork.check() == []


def test_a_fork_that_is_deleted_meanwhile_does_not_keep_anything_from_being_forgotten(
    store, kit, main, tmp_path, monkeypatch
) -> None:
    store.fork(main, "branch", 50)
    really = store._open_session

    def deleted_first(info, *args, **options):
        if info.name == "branch":
            with Store.open(tmp_path / "store") as other:
                other.delete_session("branch")
        return really(info, *args, **options)

    monkeypatch.setattr(store, "_open_session", deleted_first)
    assert main.forget([20], blank=0, reach=REACH).turns == 1


def test_a_fork_of_a_view_leaves_what_is_shared_to_its_writer(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        main = store.session("main", layout=kit.layout)
        # In segments so large that nothing was forced to the disk yet.
        grow(main, kit, 0, 20)
        view = SessionView(main, 14)
        for name in ("branch", "twig"):
            store.fork(view, name, 14)
        assert {finding.kind for finding in store.check(repair=True)} == {"SessionBusy"}
        for name in ("branch", "twig"):
            with store.session(name, layout=kit.layout) as fork:
                kit.assert_right(fork)
                fork.settle()
        main.forget([3], blank=0, reach=REACH)
        kit.fill(main)
        with store.session("branch", layout=kit.layout) as fork:
            kit.assert_right(fork)
            grow(fork, kit, 14, 10)
            kit.assert_right(fork)


def test_encrypted_blocks_of_a_fork_come_in_any_order(tmp_path, kit, monkeypatch) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", 16)
    with Store.open(tmp_path / "store", user="alice", key=bytes(range(32))) as store:
        main = store.session("main", layout=kit.layout)
        grow(main, kit, 0, 40)
        store.fork(main, "branch", 31)
        branch = store.session("branch", layout=kit.layout)
        grow(branch, kit, 31, 20)
        store.fork(branch, "twig", 45)
        twig = store.session("twig", layout=kit.layout)
        grow(twig, kit, 45, 20)
        right = kit.rows(twig, 0, twig.published)[1]
        rng = np.random.default_rng(3)
        for count in (1, 7, twig.published, 3 * twig.published):
            ids = rng.integers(0, twig.published, count)
            np.testing.assert_array_equal(twig.gather(ids), right[ids])
        segment = next(Path(main.folder).rglob("kv-0.seg"))
        blob = np.fromfile(segment, np.uint8)
        blob[np.flatnonzero(blob)[-1]] ^= 1
        segment.write_bytes(blob.tobytes())
        with pytest.raises(CorruptChunk) as caught:
            twig.gather(np.arange(twig.published))
        assert caught.value.chunk_ids == [15]


def test_a_fork_whose_parent_is_missing_says_so(store, kit, main) -> None:
    store.fork(main, "branch", 41)
    main.close()
    shutil.rmtree(main.folder)
    with pytest.raises(CorruptMetadata, match="forked from"):
        store.session("branch", layout=kit.layout)
    assert {finding.kind for finding in store.check()} >= {"missing-session", "CorruptMetadata"}


def test_a_view_shows_the_past_and_follows_what_is_forgotten(store, kit, main) -> None:
    before = main.landmarks().copy()
    view = SessionView(main, 20)
    assert (view.num_turns, view.num_tokens, view.published) == (20, 120, 30)
    kit.assert_right(view)
    np.testing.assert_array_equal(view.landmarks(), before[:30])
    assert view.find("turn-19") is not None
    assert view.find("turn-20") is None
    assert len(view.turn_index()) == 20
    with pytest.raises(ReadOnly):
        view.append([kit.turn(99)])
    np.testing.assert_array_equal(view.gather([29, 0]), main.gather([29, 0]))
    with pytest.raises(IndexError, match="30 chunks"):
        view.gather([0, 30])
    grow(main, kit, 60, 5)
    assert (view.num_turns, view.published) == (20, 30)
    main.forget([7], blank=0, reach=REACH)
    assert view.refresh()
    assert view.num_forgotten == 1
    assert view.find("turn-7") is None
    kit.fill(main)
    kit.assert_right(view)
    view.close()
    assert main.num_turns == 65


def test_times_are_found_whatever_their_order(store, kit) -> None:
    session = store.session("times", layout=kit.layout)
    moments = [5.0, 3.0, 9.0, 1.0, 12.0, 12.0, 4.0]
    session.append([kit.turn(i, timestamp=moment) for i, moment in enumerate(moments)])
    # The first turn after the moment ends the view, whatever follows it.
    for moment in (0.0, 3.0, 5.0, 8.9, 9.0, 11.0, 12.0, 99.0):
        expected = next((i for i, t in enumerate(moments) if t > moment), len(moments))
        assert session.num_turns_until(moment) == expected
