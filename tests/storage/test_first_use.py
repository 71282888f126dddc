"""Derived files are looked at when they are first used: what is damaged shows then, and heals."""

from pathlib import Path

import numpy as np
import pytest

from hsa_memory.storage import CorruptChunk, SessionStore, Store, Vfs

CAP = 16
NUM_CHUNKS = 3 * CAP + 5


@pytest.fixture
def root(tmp_path, kit, monkeypatch) -> Path:
    """A store with a session of three sealed segments and the beginning of a fourth."""
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", CAP)
    with Store.open(tmp_path / "store") as store:
        with store.session("alice", layout=kit.layout) as session:
            size = kit.layout.chunk_size
            session.append([kit.turn(i, num_tokens=size) for i in range(NUM_CHUNKS)])
            kit.catch_up(session)
            assert session.published == NUM_CHUNKS
    return tmp_path / "store"


def segment_path(session: SessionStore, n: int) -> Path:
    return Path(session.folder) / "g1" / f"kv-{n}.seg"


def flip(path: Path, offset: int) -> None:
    blob = bytearray(path.read_bytes())
    blob[offset] ^= 4
    path.write_bytes(blob)


def record_offset(chunk: int) -> int:
    return 4096 + 64 * (chunk % CAP)


def test_an_append_opens_no_derived_file(root, kit, monkeypatch) -> None:
    opened = []

    class Watching(Vfs):
        def open(self, path, **options):
            opened.append(Path(path).name)
            return super().open(path, **options)

    with Store.open(root, vfs=Watching()) as store:
        with store.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(NUM_CHUNKS)])
        assert not [name for name in opened if name.startswith(("kv-", "landmarks", "tail-"))]
        with store.session("alice", layout=kit.layout) as session:
            session.landmarks()
            # Of the sealed segments none was read but for its landmarks, the last one is.
            assert {name for name in opened if name.startswith("kv-")} == {"kv-3.seg"}
            session.gather([CAP + 1])
            assert "kv-1.seg" in opened
            assert "kv-0.seg" not in opened
            kit.catch_up(session)
            kit.assert_right(session)


@pytest.mark.parametrize("part", range(0, 64, 7))
def test_a_damaged_record_of_a_sealed_segment_is_told_and_heals(root, kit, part) -> None:
    chunk = CAP + 3
    with Store.open(root) as store, store.session("alice", layout=kit.layout) as session:
        flip(segment_path(session, 1), record_offset(chunk) + part)
        others = [i for i in range(NUM_CHUNKS) if i != chunk]
        expected = kit.rows(session, 0, NUM_CHUNKS)[1]
        np.testing.assert_array_equal(session.gather(others), expected[others])
        with pytest.raises(CorruptChunk) as caught:
            session.gather(np.arange(NUM_CHUNKS))
        assert caught.value.chunk_ids == [chunk]
        assert f"chunk {chunk}" in {finding.detail for finding in session.check()}
        session.rollback(chunk)
        kit.catch_up(session)
        kit.assert_right(session)
        assert session.check() == []


@pytest.mark.parametrize("offset", [0, 20, 4095])
def test_a_damaged_header_of_a_sealed_segment_is_told_and_heals(root, kit, offset) -> None:
    with Store.open(root) as store, store.session("alice", layout=kit.layout) as session:
        flip(segment_path(session, 2), offset)
        with pytest.raises(CorruptChunk) as caught:
            session.gather([1, 2 * CAP + 1, 2 * CAP + 9])
        assert caught.value.chunk_ids == [2 * CAP + 1, 2 * CAP + 9]
        session.rollback(2 * CAP + 1)
        assert session.published == 2 * CAP  # the records before it are damaged, too
        kit.catch_up(session)
        kit.assert_right(session)


@pytest.mark.parametrize("length", [None, 0, 4096, 5000])
def test_a_sealed_segment_that_is_missing_or_cut_lowers_the_watermark(root, kit, length) -> None:
    with Store.open(root) as store, store.session("alice", layout=kit.layout) as session:
        path = segment_path(session, 1)
        if length is None:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:length])
        assert session.published == CAP
        assert session.recovered
        kit.catch_up(session)
        kit.assert_right(session)


@pytest.mark.parametrize("width", [1, CAP - 3, CAP, 2 * CAP + 5, NUM_CHUNKS])
def test_landmarks_are_read_once_to_verify_and_to_hand_out(root, kit, width) -> None:
    class Counting(Vfs):
        fd, count = -1, 0

        def open(self, path, **options):
            fd = super().open(path, **options)
            if path.endswith("landmarks.bin"):
                self.fd = fd
            return fd

        def read_into(self, fd, buffers, offset):
            count = super().read_into(fd, buffers, offset)
            self.count += count if fd == self.fd else 0
            return count

    vfs = Counting()
    with Store.open(root, vfs=vfs) as store:
        with store.session("alice", layout=kit.layout) as session:
            right = kit.rows(session, 0, NUM_CHUNKS)[0]
            found = []
            for first in range(0, NUM_CHUNKS, width):
                rows = session.landmarks(first, first + width)
                found.append(rows.copy())
                rows[:] = 7  # the caller's own
            np.testing.assert_array_equal(np.concatenate(found), right)
            sealed = 3 * CAP * kit.layout.landmark_bytes
            rest = (NUM_CHUNKS - 3 * CAP) * kit.layout.landmark_bytes
            # Those of the last segment have no digest: they are verified one by one, each time.
            assert vfs.count == sealed + 2 * rest
            np.testing.assert_array_equal(session.landmarks(), right)
            np.testing.assert_array_equal(session.landmarks(5, CAP + 2), right[5 : CAP + 2])


@pytest.mark.parametrize("order", [[(20, 40), (0, NUM_CHUNKS)], [(0, 9), (4, 30), (30, 60)]])
def test_landmarks_asked_for_in_any_order_are_right(root, kit, order) -> None:
    with Store.open(root) as store, store.session("alice", layout=kit.layout) as session:
        right = kit.rows(session, 0, NUM_CHUNKS)[0]
        for first, stop in order:
            np.testing.assert_array_equal(session.landmarks(first, stop), right[first:stop])


def test_a_landmark_that_changes_after_it_was_taken_in_is_never_handed_out(root, kit) -> None:
    with Store.open(root) as store, store.session("alice", layout=kit.layout) as session:
        right = kit.rows(session, 0, NUM_CHUNKS)[0]
        assert session.published == NUM_CHUNKS
        path = Path(session.folder) / "g1" / "landmarks.bin"
        flip(path, 4096 + (CAP + 3) * kit.layout.landmark_bytes)
        # Read before that, and verified.
        np.testing.assert_array_equal(session.landmarks(), right)
        with pytest.raises(CorruptChunk) as caught:
            session.landmarks()
        assert caught.value.chunk_ids == [CAP + 3]


def test_landmarks_taken_in_before_a_message_was_forgotten_are_not_handed_out(root, kit) -> None:
    with Store.open(root) as store, store.session("alice", layout=kit.layout) as session:
        assert session.published == NUM_CHUNKS
        session.forget([CAP + 4], blank=0, reach=4)
        assert not session.landmarks(CAP + 4, CAP + 5).any()
        kit.fill(session)
        kit.assert_right(session)


def test_a_message_beside_a_damaged_record_can_be_forgotten(root, kit) -> None:
    forgotten = CAP + 4
    with Store.open(root) as store, store.session("alice", layout=kit.layout) as session:
        flip(segment_path(session, 1), record_offset(forgotten - 1) + 17)
        session.forget([forgotten], blank=0, reach=4)
        # The chunks from the damaged one on are encoded again, as they are of a damaged chunk.
        assert session.published <= forgotten - 1
        kit.catch_up(session)
        np.testing.assert_array_equal(session.gather(np.arange(CAP)), kit.rows(session, 0, CAP)[1])
        assert session.check() == []


def test_a_long_log_is_copied_back_and_keeps_its_length(tmp_path, kit, monkeypatch) -> None:
    monkeypatch.setattr("hsa_memory.storage.database._WAL_BYTES", 1 << 17)
    with Store.open(tmp_path / "store") as store:
        with store.session("alice", layout=kit.layout) as session:
            log = Path(session.folder) / "session.db-wal"
            longest = 0
            for i in range(120):
                session.append([kit.turn(i)])
                longest = max(longest, log.stat().st_size)
            # Many times as much was written to it.
            assert 1 << 17 < longest < 1 << 19
        assert not log.exists() or log.stat().st_size == 0
        with store.session("alice", layout=kit.layout) as session:
            assert [turn.turn_id for turn in session.turns()] == [f"turn-{i}" for i in range(120)]
            assert session.check() == []
