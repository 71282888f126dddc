"""Turns and chunks go in and come out."""

import dataclasses
import math

import numpy as np
import pytest

from hsa_memory.storage import (
    CorruptChunk,
    LimitExceeded,
    ModelMismatch,
    ReadOnly,
    SessionClosed,
    SessionMissing,
    Store,
    StoreError,
    TurnConflict,
)


def same_turn(a, b) -> bool:
    pairs = zip(dataclasses.astuple(a), dataclasses.astuple(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def test_turns_come_back_as_they_were_appended(open_session, kit) -> None:
    turns = [
        kit.turn(0),
        kit.turn(1, text="", metadata={}),
        kit.turn(2, text="ü\0漢字🙂\n" * 50, metadata={"deep": [1, None, {"a": b"\xff"}, 2.5]}),
        kit.turn(3, timestamp=-0.0),
        kit.turn(4, num_tokens=1, timestamp=-1e18),
    ]
    session = open_session()
    stored = session.append(turns)
    session.close()

    session = open_session()
    assert session.num_turns == 5
    assert session.num_tokens == 25
    for found, kept, given in zip(session.turns(), stored, turns, strict=True):
        assert same_turn(found, kept)
        assert same_turn(dataclasses.replace(found, seq=-1, token_start=-1), given)
    assert [turn.token_start for turn in stored] == [0, 6, 12, 18, 24]


def test_a_known_turn_is_returned_and_not_stored_again(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(0), kit.turn(1)])
    again = session.append([kit.turn(1, timestamp=5.0), kit.turn(2), kit.turn(2)])
    assert [turn.seq for turn in again] == [1, 2, 2]
    assert again[0].timestamp == kit.turn(1).timestamp
    assert session.num_turns == 3


def test_a_known_id_with_another_content_stores_nothing(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(0)])
    with pytest.raises(TurnConflict, match="turn-0"):
        session.append([kit.turn(1), kit.turn(0, text="other")])
    with pytest.raises(TurnConflict, match="turn-1"):
        session.append([kit.turn(1), kit.turn(1, role="tool")])
    assert session.num_turns == 1
    assert session.find("turn-1") is None


@pytest.mark.parametrize(
    "field",
    [
        {"turn_id": ""},
        {"turn_id": "x" * 513},
        {"turn_id": 3},
        {"role": ""},
        {"text": "\ud800"},
        {"text": b"bytes"},
        {"tokens": np.empty(0, np.uint32)},
        {"tokens": np.zeros(3, np.int64)},
        {"tokens": np.zeros((2, 2), np.uint32)},
        {"timestamp": math.nan},
        {"timestamp": math.inf},
        {"timestamp": "now"},
        {"metadata": {"x": object()}},
        {"metadata": {"x": 1 << 70}},
        {"metadata": {"a": {1: 2}}},
        {"metadata": {"x": "y" * (64 << 10)}},
        {"metadata": [1]},
    ],
    ids=lambda field: f"{next(iter(field))}-{str(next(iter(field.values())))[:12]!a}",
)
def test_a_bad_field_is_a_value_error_and_stores_nothing(open_session, kit, field) -> None:
    session = open_session()
    with pytest.raises(ValueError, match=next(iter(field)).removeprefix("turn_")):
        session.append([kit.turn(0), kit.turn(1, **field)])
    assert session.num_turns == 0


def test_large_metadata_is_a_limit(open_session, kit) -> None:
    with pytest.raises(LimitExceeded, match="65536"):
        open_session().append([kit.turn(0, metadata={"x": "y" * 70_000})])


def test_turns_are_found_by_number_id_and_token(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(i, num_tokens=i + 1) for i in range(6)])
    assert [turn.seq for turn in session.turns(2, 4)] == [2, 3]
    assert [turn.seq for turn in session.turns(-2)] == [4, 5]
    assert session.turns(4, 2) == []
    assert session.find("turn-3").seq == 3
    found = session.turns_in_tokens([(2, 4), (0, 21), (3, 4)])
    assert [[turn.seq for turn in turns] for turns in found] == [[1, 2], list(range(6)), [2]]
    for start, stop in ((-1, 4), (3, 3), (20, 22)):
        with pytest.raises(IndexError, match=f"{start}..{stop} of a stream of 21"):
            session.turns_in_tokens([(start, stop)])
    with pytest.raises(IndexError, match="22"):
        session.tokens(0, 22)


def test_the_token_stream_is_all_turns_in_a_row(open_session, kit) -> None:
    session = open_session()
    turns = [kit.turn(i, num_tokens=i % 7 + 1) for i in range(30)]
    session.append(turns)
    stream = np.concatenate([turn.tokens for turn in turns])
    for start, stop in ((0, len(stream)), (3, 4), (5, 60), (10, 10)):
        found = session.tokens(start, stop)
        assert found.dtype == np.uint32
        np.testing.assert_array_equal(found, stream[start:stop])


def test_the_turn_index_follows_appends(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(0), kit.turn(1)])
    assert session.turn_index().roles == ("user", "assistant")
    session.append([kit.turn(2, role="tool", num_tokens=3)])
    index = session.turn_index()
    assert index.seq.tolist() == [0, 1, 2]
    assert index.token_start.tolist() == [0, 6, 12]
    assert index.n_tokens.tolist() == [6, 6, 3]
    assert index.role_code.tolist() == [0, 1, 2]
    assert index.timestamp.tolist() == [1000.5, 1001.5, 1002.5]
    assert index.roles == ("user", "assistant", "tool")


def test_chunks_come_back_after_a_reopen(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(i) for i in range(20)])
    kit.catch_up(session)
    session.close()

    session = open_session()
    assert session.published == 30
    assert session.recovered == []
    kit.assert_right(session)
    assert session.tail() == kit.tail(30)
    ids = np.array([7, 3, 4, 5, 3, 29])
    np.testing.assert_array_equal(session.gather(ids), kit.rows(session, 0, 30)[1][ids])
    out = np.empty((1, 96), np.uint8)
    assert session.gather([2], out) is out
    assert session.gather([]).shape == (0, 96)
    for ids in ([30], [-1]):
        with pytest.raises(IndexError, match="30 chunks"):
            session.gather(ids)


def test_unpublished_chunks_are_invisible(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(i) for i in range(4)])
    session.write_chunks(0, *kit.rows(session, 0, 3))
    assert session.published == 0
    assert len(session.landmarks()) == 0
    session.write_chunks(2, *kit.rows(session, 2, 6))
    session.publish(4, b"")
    assert session.published == 4
    assert session.tail() == b""
    session.close()
    session = open_session()
    assert session.published == 4
    np.testing.assert_array_equal(session.landmarks(), kit.rows(session, 0, 4)[0])


def test_chunks_must_be_contiguous_and_have_their_tokens(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(0), kit.turn(1)])
    landmarks, kv = kit.rows(session, 0, 3)
    with pytest.raises(ValueError, match="first chunk is 1"):
        session.write_chunks(1, landmarks, kv)
    with pytest.raises(ValueError, match="landmarks must be"):
        session.write_chunks(0, landmarks[:, :8], kv)
    with pytest.raises(ValueError, match="kv must be"):
        session.write_chunks(0, landmarks, kv.astype(np.int16))
    with pytest.raises(ValueError, match="tokens for 3 only"):
        session.write_chunks(0, np.zeros((4, 16), np.uint8), np.zeros((4, 96), np.uint8))
    with pytest.raises(ValueError, match="cannot publish 1"):
        session.publish(1, b"")
    session.write_chunks(0, landmarks, kv)
    session.publish(2, b"")
    with pytest.raises(ValueError, match="cannot publish 1"):
        session.publish(1, b"")
    with pytest.raises(ValueError, match="cannot roll back to 3"):
        session.rollback(3)


def test_rolled_back_chunks_are_written_again(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(i) for i in range(10)])
    kit.catch_up(session)
    session.rollback(6)
    assert session.published == 6
    assert session.tail() is None
    session.close()
    session = open_session()
    assert session.published == 6
    kit.catch_up(session)
    kit.assert_right(session)
    assert session.check() == []


def test_segments_fill_and_seal(open_session, kit, monkeypatch) -> None:
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", 8)
    session = open_session()
    session.append([kit.turn(i) for i in range(40)])
    kit.catch_up(session, step=11)
    assert session.published == 60
    kit.assert_right(session)
    session.close()
    session = open_session()
    kit.assert_right(session)
    session.rollback(20)
    kit.catch_up(session)
    assert session.check() == []
    session.close()
    kit.assert_right(open_session())


def test_small_maps_are_kept(open_session) -> None:
    session = open_session()
    assert session.get_meta("progress") is None
    session.set_meta("progress", {"file": "a", "offset": 1})
    session.set_meta("progress", {"file": "a", "offset": 2})
    session.close()
    assert open_session().get_meta("progress") == {"file": "a", "offset": 2}


def test_another_model_is_refused(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(0)])
    session.close()
    changes = {"fingerprint": "cd" * 32, "chunk_size": 8, "kv_bytes": 97, "landmark_bytes": 17}
    for field, value in {**changes, "dtype": "float32"}.items():
        other = dataclasses.replace(kit.layout, **{field: value})
        with pytest.raises(ModelMismatch, match=field) as caught:
            open_session(layout=other)
        assert caught.value.field == field
        assert caught.value.expected == getattr(kit.layout, field)
        assert caught.value.found == value
    assert open_session(layout=None).num_turns == 1


def test_a_reader_follows_the_writer(open_session, kit) -> None:
    writer = open_session()
    writer.append([kit.turn(0)])
    reader = open_session(read_only=True)
    assert reader.num_turns == 1
    assert reader.refresh() is False
    for i in range(1, 20):
        writer.append([kit.turn(i)])
        kit.catch_up(writer)
        assert reader.num_turns == i
        assert reader.refresh() is True
        assert reader.published == writer.published
        kit.assert_right(reader)
    writer.rollback(3)
    reader.refresh()
    assert reader.published == 3
    kit.catch_up(writer)
    reader.refresh()
    kit.assert_right(reader)
    assert reader.recovered == []
    for change in (
        lambda: reader.append([kit.turn(99)]),
        lambda: reader.publish(0, b""),
        lambda: reader.rollback(0),
        lambda: reader.set_meta("a", {}),
        lambda: reader.check(repair=True),
    ):
        with pytest.raises(ReadOnly):
            change()


def test_a_closed_session_says_so(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(0)])
    session.close()
    session.close()
    for use in (session.turns, session.landmarks, session.tail, lambda: session.append([])):
        with pytest.raises(SessionClosed):
            use()


def test_arrays_outlive_the_session(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(i) for i in range(4)])
    kit.catch_up(session)
    landmarks, expected = session.landmarks(), kit.rows(session, 0, 6)[0]
    session.close()
    np.testing.assert_array_equal(landmarks, expected)


def test_an_empty_session_reopens(open_session) -> None:
    open_session().close()
    session = open_session()
    assert (session.num_turns, session.num_tokens, session.published) == (0, 0, 0)
    assert session.turns() == []
    assert session.tail() is None
    assert len(session.turn_index()) == 0
    assert session.append([]) == []
    assert session.check() == []


def test_many_turns_in_one_append(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(i, num_tokens=3) for i in range(3000)])
    session.close()
    session = open_session()
    assert session.num_turns == 3000
    assert session.find("turn-2999").token_start == 8997
    assert len(session.turn_index()) == 3000


def test_a_huge_message_is_one_turn(open_session, kit) -> None:
    text = "0123456789abcdef" * (1 << 19)
    tokens = np.arange(1 << 20, dtype=np.uint32)
    session = open_session()
    session.append([kit.turn(0), kit.turn(1, text=text, tokens=tokens), kit.turn(2)])
    session.close()
    session = open_session()
    assert session.turns(1, 2)[0].text == text
    np.testing.assert_array_equal(session.tokens(6 + 500_000, 6 + 500_004), tokens[500_000:500_004])
    np.testing.assert_array_equal(session.tokens(4, 8), [32 - 4, 35, 0, 1])


def test_stats_count_allocated_bytes(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(i) for i in range(50)])
    kit.catch_up(session)
    stats = session.stats()
    assert (stats["turns"], stats["tokens"], stats["chunks"]) == (50, 300, 75)
    assert set(stats["bytes"]) == {"truth", "kv", "landmarks", "tail", "other"}
    assert stats["total_bytes"] == sum(stats["bytes"].values())
    assert stats["bytes_per_token"] == stats["total_bytes"] / 300
    assert stats["bytes"]["kv"] < 200_000


def test_disk_use_stays_near_the_raw_state(open_session, kit) -> None:
    layout = dataclasses.replace(kit.layout, kv_bytes=8192, landmark_bytes=256)
    session = open_session(layout=layout)
    session.append([kit.turn(0, tokens=np.zeros(4 * 1500, np.uint32))])
    for first in range(0, 1500, 50):
        landmarks, kv = np.zeros((50, 256), np.uint8), np.zeros((50, 8192), np.uint8)
        session.write_chunks(first, landmarks, kv)
        session.publish(first + 50, b"")
    stats = session.stats()["bytes"]
    assert stats["kv"] + stats["landmarks"] < 1.1 * 1500 * (8192 + 256)


def test_a_missing_session_or_store_is_an_error(tmp_path, open_session, kit) -> None:
    with pytest.raises(SessionMissing, match="bob"):
        open_session("bob", create=False)
    with pytest.raises(SessionMissing, match="no store"):
        Store.open(tmp_path / "nothing", create=False)
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match=r"letter\.txt"):
        Store.open(tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_corrupt_chunk_names_itself(open_session, kit, tmp_path) -> None:
    session = open_session()
    session.append([kit.turn(i) for i in range(20)])
    kit.catch_up(session)
    session.close()
    path = next((tmp_path / "store").rglob("kv-0.seg"))
    blob = bytearray(path.read_bytes())
    start = blob.find(kit.rows(open_session(read_only=True), 7, 8)[1].tobytes())
    blob[start] ^= 4
    path.write_bytes(blob)
    session = open_session()
    with pytest.raises(CorruptChunk) as caught:
        session.gather([6, 7, 8])
    assert 7 in caught.value.chunk_ids
    session.rollback(min(caught.value.chunk_ids))
    kit.catch_up(session)
    kit.assert_right(session)
