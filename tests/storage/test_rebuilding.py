"""A new generation beside the one in use: resumed after a kill, in use at once when it is whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hsa_memory.storage import CorruptMetadata, ModelMismatch, SessionHasForks, Store, StoreError
from hsa_memory.storage.unfinished import BUILDING


@pytest.fixture
def other(kit):
    """The layout of another model, with larger chunks."""
    return replace(kit.layout, fingerprint="cd" * 32, chunk_size=5, kv_bytes=128, lookahead=2)


@pytest.fixture
def root(tmp_path, kit) -> Path:
    with Store.open(tmp_path / "store") as store:
        with store.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(i) for i in range(20)])
            kit.catch_up(session)
    return tmp_path / "store"


def rebuild(store: Store, kit, layout, *, most: int | None = None) -> None:
    with store.rebuilding("alice") as session:
        session.begin(layout)
        available = layout.num_chunks(session.num_tokens)
        while session.published < available:
            first, stop = session.published, min(available, session.published + 3)
            if most is not None and first >= most:
                return
            session.write_chunks(first, *kit.rows(session, first, stop))
            session.publish(stop, kit.tail(stop))
        store.switch(session)


def assert_in_use(store: Store, kit, layout) -> None:
    with store.session("alice", layout=layout) as session:
        assert session.published == layout.num_chunks(session.num_tokens)
        assert session.tail() == kit.tail(session.published)
        kit.assert_right(session)
    assert store.check() == []


def generations(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("s/*/*/g*"))


def test_another_layout_takes_over(root, kit, other) -> None:
    with Store.open(root) as store:
        before = store.list_sessions()
        rebuild(store, kit, other)
        assert_in_use(store, kit, other)
        assert store.list_sessions() == before
        with pytest.raises(ModelMismatch):
            store.session("alice", layout=kit.layout)
    assert generations(root) == ["g2"]


def test_the_same_layout_can_be_made_anew(root, kit) -> None:
    with Store.open(root) as store:
        rebuild(store, kit, kit.layout)
        assert_in_use(store, kit, kit.layout)
        rebuild(store, kit, kit.layout)
        assert_in_use(store, kit, kit.layout)
    assert generations(root) == ["g3"]


def test_the_old_one_serves_until_the_new_one_is_whole(root, kit, other) -> None:
    with Store.open(root) as store, Store.open(root, read_only=True) as reading:
        reader = reading.session("alice", layout=kit.layout)
        rebuild(store, kit, other, most=9)
        reader.refresh()
        assert reader.published == 30
        kit.assert_right(reader)
        rebuild(store, kit, other)
        for _ in range(2):
            with pytest.raises(ModelMismatch):
                reader.refresh()


def test_a_reader_that_takes_any_layout_follows(root, kit, other) -> None:
    with Store.open(root) as store, Store.open(root, read_only=True) as reading:
        reader = reading.session("alice", layout=None)
        assert reader.published == 30
        rebuild(store, kit, other)
        assert reader.refresh()
        assert reader.published == 23  # the last tokens are no chunk yet: it looks ahead
        kit.assert_right(reader)


def test_what_is_there_is_gone_on_with(root, kit, other) -> None:
    with Store.open(root) as store:
        rebuild(store, kit, other, most=9)
    with Store.open(root) as store:
        with store.rebuilding("alice") as session:
            session.begin(other)
            assert session.published == 9
            kit.assert_right(session)
        # Whoever has the old model adds to it meanwhile.
        with store.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(i) for i in range(20, 24)])
            kit.catch_up(session)
        rebuild(store, kit, other)
        assert_in_use(store, kit, other)


def test_a_third_layout_begins_from_the_start(root, kit, other) -> None:
    with Store.open(root) as store:
        rebuild(store, kit, other, most=9)
        third = replace(other, fingerprint="ef" * 32)
        with store.rebuilding("alice") as session:
            session.begin(third)
            assert session.published == 0
        rebuild(store, kit, third)
        assert_in_use(store, kit, third)
    assert generations(root) == ["g2"]


def test_forgetting_takes_what_is_unfinished_with_it(root, kit, other) -> None:
    with Store.open(root) as store:
        rebuild(store, kit, other, most=9)
        assert generations(root) == ["g1", "g2"]
        with store.session("alice", layout=kit.layout) as session:
            session.forget([2], blank=0, reach=4)
            assert generations(root) == ["g1"]
            kit.fill(session)
        with store.rebuilding("alice") as session:
            session.begin(other)
            assert session.published == 0
        rebuild(store, kit, other)
        assert_in_use(store, kit, other)
        with store.session("alice", layout=other) as session:
            assert session.turns()[2].forgotten
            assert not np.any(session.turns()[2].tokens)


def test_it_is_not_switched_to_before_it_is_whole(root, kit, other) -> None:
    with Store.open(root) as store:
        with store.rebuilding("alice") as session:
            session.begin(other)
            with pytest.raises(ValueError, match="0 of 23"):
                store.switch(session)
        assert_in_use(store, kit, kit.layout)


def test_a_session_with_forks_is_refused(root, kit, other) -> None:
    with Store.open(root) as store:
        with store.session("alice", layout=kit.layout) as session:
            store.fork(session, "branch", 12)
        with pytest.raises(SessionHasForks, match="'branch'"):
            rebuild(store, kit, other)
        with store.rebuilding("branch") as session, pytest.raises(StoreError, match="fork"):
            session.begin(other)
        assert_in_use(store, kit, kit.layout)


def test_a_damaged_watermark_begins_from_the_start(root, kit, other) -> None:
    with Store.open(root) as store:
        rebuild(store, kit, other, most=9)
        with store.rebuilding("alice") as session:
            with session._truth.writing(session._truth.state) as connection:
                session._truth.put_note(connection, BUILDING, {"gen": "two"})
        with store.rebuilding("alice") as session:
            session.begin(other)
            assert session.published == 0
        rebuild(store, kit, other)
        assert_in_use(store, kit, other)


def test_damage_in_what_is_there_is_made_anew(root, kit, other) -> None:
    with Store.open(root) as store:
        rebuild(store, kit, other, most=9)
    (path,) = root.glob("s/*/*/g2/kv-0.seg")
    data = bytearray(path.read_bytes())
    data[-1000:] = bytes(1000)
    data[4096 + 64 * 2 + 5] ^= 1  # the record of chunk 2
    path.write_bytes(data)
    with Store.open(root) as store:
        rebuild(store, kit, other)
        assert_in_use(store, kit, other)


@pytest.mark.slow
def test_a_kill_at_any_change_leaves_one_that_works(root, kit, other, deaths) -> None:
    layouts = [kit.layout, other]

    def work(vfs) -> None:
        with Store.open(root, vfs=vfs) as store:
            rebuild(store, kit, layouts[1])

    seen = set()
    for _ in deaths(work, step=2):
        with Store.open(root) as store:
            with store.session("alice", layout=None) as session:
                used = session.layout
                assert session.num_turns == 20
                kit.assert_right(session)
            assert used in layouts
            seen.add(used.fingerprint)
            assert store.check() == []
            if used == layouts[1]:
                layouts.reverse()
            # In the end nothing of the one that is not in use is left.
            with store.rebuilding("alice") as session:
                session.drop_unfinished()
        assert len(generations(root)) == 1
    assert seen == {kit.layout.fingerprint, other.fingerprint}


def test_a_missing_session_is_told(root, kit) -> None:
    (path,) = root.glob("s/*/*/session.db")
    path.unlink()
    with Store.open(root) as store, pytest.raises(CorruptMetadata):
        rebuild(store, kit, kit.layout)
