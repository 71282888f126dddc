"""Readers of forks follow the sessions that those were forked from, too."""

import pytest

from hsa_memory.storage import Store, StoreError

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
    grow(session, kit, 0, 60)
    return session


def grow(session, kit, first: int, count: int) -> None:
    session.append(
        [kit.turn(i, text=f"in {session.info.name}: {i}") for i in range(first, first + count)]
    )
    kit.catch_up(session)


@pytest.fixture
def reader(store, kit, main, tmp_path):
    """Of a fork; a chunk that it shares waits to be encoded anew."""
    store.fork(main, "branch", 50)
    with Store.open(tmp_path / "store") as other:
        reader = other.session("branch", layout=kit.layout, read_only=True)
        kit.assert_right(reader)
        main.forget([20], blank=0, reach=REACH)
        assert reader.refresh()
        assert reader.holes
        yield reader


def test_a_reader_of_a_fork_sees_what_is_encoded_anew_below_it(kit, main, reader) -> None:
    kit.fill(main)
    assert reader.refresh()
    assert not reader.holes
    kit.assert_right(reader)
    assert not reader.refresh()


def test_a_reader_of_a_fork_follows_later_what_it_could_not_follow_at_once(
    kit, main, reader, monkeypatch
) -> None:
    kit.fill(main)
    really = reader._truth.load

    def fails() -> None:
        raise StoreError("the disk does not answer")

    monkeypatch.setattr(reader._truth, "load", fails)
    with pytest.raises(StoreError, match="answer"):
        reader.refresh()
    monkeypatch.setattr(reader._truth, "load", really)
    assert reader.refresh()
    assert not reader.holes
    kit.assert_right(reader)


def test_a_reader_of_a_fork_sees_what_is_encoded_anew_while_it_follows(
    store, kit, main, reader, monkeypatch
) -> None:
    with store.session("branch", layout=kit.layout) as branch:
        grow(branch, kit, 50, 5)
    really = reader._files.follow

    def just_before(**options: bool):
        monkeypatch.setattr(reader._files, "follow", really)
        kit.fill(main)
        return really(**options)

    monkeypatch.setattr(reader._files, "follow", just_before)
    assert reader.refresh()
    assert reader.refresh()
    kit.assert_right(reader)
    assert not reader.refresh()


def test_a_reader_of_a_fork_follows_past_what_the_session_forgot_later(
    store, kit, main, tmp_path
) -> None:
    store.fork(main, "branch", 41)
    with Store.open(tmp_path / "store") as other:
        reader = other.session("branch", layout=kit.layout, read_only=True)
        kit.assert_right(reader)
        grow(main, kit, 60, 20)
        # Its chunks wait to be encoded anew; the fork has none of them.
        assert main.forget([75], blank=0, reach=REACH).chunks != []
        with store.session("branch", layout=kit.layout) as branch:
            grow(branch, kit, 41, 10)
        assert reader.refresh()
        assert reader.num_turns == 51
        kit.assert_right(reader)
