"""Forgetting: what a turn said is in no file any more, everything else is as it was."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from hsa_memory.storage import Store, StoreFull, Vfs

WORDS = "the combination of the grandfather clock is quincunx"
REACH = 6


def told(kit, number: int, **fields: object):
    """A turn that says something nobody else says, in text, tokens and metadata."""
    tokens = np.arange(1_000_000, 1_000_020, dtype=np.uint32)
    metadata = {"hint": "behind the quincunx dial"}
    values = {"text": WORDS, "tokens": tokens, "metadata": metadata}
    return kit.turn(number, **{**values, **fields})


@pytest.fixture
def session(tmp_path, kit, open_session):
    session = open_session()
    session.append([kit.turn(i) for i in range(10)])
    kit.catch_up(session)
    session.append([told(kit, 10)], meta={"note-10": {"said": WORDS}})
    session.append([kit.turn(i) for i in range(11, 30)])
    kit.catch_up(session)
    return session


def everything(root) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


def traces(root) -> list[str]:
    data = everything(root)
    wanted = {
        "text": WORDS.encode(),
        "piece of text": b"quincunx",
        "tokens": np.arange(1_000_004, 1_000_012, dtype="<u4").tobytes(),
        "id": b"turn-10\0",
    }
    return [name for name, needle in wanted.items() if needle in data]


def test_nothing_of_a_forgotten_turn_is_left_in_any_file(tmp_path, kit, session) -> None:
    assert {"text", "tokens"} <= set(traces(tmp_path))
    start = session.turns(10, 11)[0].token_start
    touched = range(start // 4, -(-(start + 20 + REACH) // 4))
    landmarks, kv = kit.rows(session, touched.start, touched.stop)
    before = everything(tmp_path)
    assert all(row.tobytes() in before for row in (*landmarks, *kv))

    done = session.forget([10], blank=0, reach=REACH, keys=["note-10"], scan=True)

    assert (done.turns, done.tokens, done.chunks) == (1, 20, [touched])
    assert done.log_is_empty
    assert done.scan.traces == []
    assert done.scan.bytes > 100_000
    assert traces(tmp_path) == []
    after = everything(tmp_path)
    assert not [row for row in (*landmarks, *kv) if row.tobytes() in after]
    assert session.find("turn-10") is None
    assert session.get_meta("note-10") is None
    assert session.num_forgotten == 1
    blank = session.turns(10, 11)[0]
    assert (blank.forgotten, blank.text, blank.metadata) == (True, "", {})
    assert blank.tokens.tolist() == [0] * 20


def test_the_chunks_around_stay_as_they_were(kit, session) -> None:
    whole = session.published
    ids = np.arange(whole)
    kept = session.gather(ids), session.landmarks().copy()
    session.forget([10], blank=0, reach=REACH)
    (hole,) = session.holes
    outside = ids[(ids < hole.start) | (ids >= hole.stop)]
    np.testing.assert_array_equal(session.gather(outside), kept[0][outside])
    with pytest.raises(Exception, match="chunk"):
        session.gather([hole.start])
    kit.fill(session)
    assert session.holes == []
    kit.assert_right(session)
    np.testing.assert_array_equal(session.landmarks()[outside], kept[1][outside])
    assert session.check() == []


def test_forgetting_is_kept_by_a_new_process(tmp_path, kit, session, open_session) -> None:
    session.forget([10, 25], blank=0, reach=REACH)
    holes = session.holes
    session.close()
    again = open_session()
    assert again.holes == holes
    assert again.num_forgotten == 2
    kit.fill(again)
    kit.assert_right(again)
    again.append([told(kit, 10, text="said anew")])
    kit.catch_up(again)
    assert again.find("turn-10").text == "said anew"
    assert again.check() == []
    again.close()
    last = open_session()
    kit.assert_right(last)
    assert last.recovered == []
    assert last.check() == []


def test_forgetting_more_in_a_hole_and_beside_it(kit, session) -> None:
    session.forget([10], blank=0, reach=REACH)
    session.forget([9, 11, 29], blank=0, reach=REACH)
    session.forget([10], blank=0, reach=REACH)
    assert len(session.holes) == 2
    assert session.holes[-1].stop == session.published
    kit.fill(session)
    kit.assert_right(session)
    assert session.check() == []


def test_a_hole_outlives_a_rollback_into_it(kit, session, open_session) -> None:
    session.forget([10], blank=0, reach=REACH)
    (hole,) = session.holes
    session.rollback(hole.start + 1)
    assert session.holes == [range(hole.start, hole.start + 1)]
    kit.fill(session)
    kit.catch_up(session)
    kit.assert_right(session)
    assert session.check() == []
    session.close()
    kit.assert_right(open_session())


def test_a_reader_never_sees_what_is_being_encoded_anew(tmp_path, kit, session) -> None:
    with Store.open(tmp_path / "store", read_only=True) as store:
        reader = store.session("alice", layout=kit.layout)
        session.forget([10], blank=0, reach=REACH)
        assert reader.refresh()
        assert reader.holes == session.holes
        assert reader.find("turn-10") is None
        kit.fill(session)
        assert reader.refresh()
        assert reader.holes == []
        kit.assert_right(reader)


class StopsAt(Vfs):
    """Raises at the n-th write or sync, and at all that follow."""

    def __init__(self, left: int) -> None:
        self.left = left

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreFull("no space left (injected)")

    def write(self, fd, data, offset):
        self._count()
        super().write(fd, data, offset)

    def sync(self, fd, *, data_only=False):
        self._count()
        super().sync(fd, data_only=data_only)


def test_wherever_it_stops_the_next_writer_finishes_it(tmp_path, kit, session) -> None:
    session.close()
    finished = False
    for n in range(100):
        root = tmp_path / f"stop-{n}"
        shutil.copytree(tmp_path / "store", root)
        vfs = StopsAt(1 << 60)
        store = Store.open(root, vfs=vfs)
        writer = store.session("alice", layout=kit.layout)
        vfs.left = n
        try:
            writer.forget([10], blank=0, reach=REACH, keys=["note-10"])
            kit.fill(writer)
            finished = True
        except StoreFull:
            pass
        gone = writer._truth.read_state().forgotten == 1
        vfs.left = 1 << 60
        # As a crash leaves it: what the handle knows is lost.
        os.makedirs(tmp_path / "crashed", exist_ok=True)
        crashed = tmp_path / "crashed" / str(n)
        shutil.copytree(root, crashed)
        store.close()
        with Store.open(crashed) as store, store.session("alice", layout=kit.layout) as again:
            assert again.num_forgotten == gone
            if gone:
                kit.fill(again)
            kit.assert_right(again)
            assert again.check() == []
        assert traces(crashed) == ([] if gone else ["text", "piece of text", "tokens", "id"])
        if finished:
            return
    pytest.fail("more writes than expected: raise the bound")


_TRY = """
import fcntl, sys
with open(sys.argv[1], "r+b") as shared:
    fcntl.lockf(shared, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)
"""


def test_a_search_through_all_files_leaves_the_locks_of_sqlite(open_session, kit, tmp_path) -> None:
    """Or another process would cut the memory that both share, under this one."""
    session = open_session()
    session.append([kit.turn(i) for i in range(8)])
    (shared,) = tmp_path.rglob("session.db-shm")
    assert session.forget([3], blank=0, reach=6, scan=True).scan.traces == []
    command = [sys.executable, "-c", _TRY, str(shared)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "BlockingIOError" in refused.stderr


def plant(path, data: bytes) -> None:
    """Put bytes where SQLite leaves those of rows that moved: between a page's list of cells and
    the first of them."""
    pages = bytearray(path.read_bytes())
    for start in range(8192, len(pages), 8192):
        count, first = (int.from_bytes(pages[start + i : start + i + 2], "big") for i in (3, 5))
        gap = start + 8 + 2 * count
        if pages[start] in (0x0A, 0x0D) and start + first - gap > 2 * len(data):
            pages[gap + 16 : gap + 16 + len(data)] = data
            path.write_bytes(pages)
            return
    raise AssertionError("every page is full")


@pytest.mark.parametrize("left", ["the id of turn twelve", "the clock's face " * 10, WORDS])
def test_what_was_left_in_a_page_goes_too(open_session, kit, tmp_path, left) -> None:
    with open_session() as session:
        session.append([kit.turn(i) for i in range(12)])
        beside = {"note": {"said": "the clock's face " * 10}}
        session.append([told(kit, 12, turn_id="the id of turn twelve")], meta=beside)
        kit.catch_up(session)
    plant(next(tmp_path.rglob("session.db")), left.encode())
    with open_session() as session:
        assert session.forget([12], blank=0, reach=REACH, keys=["note"]).log_is_empty
        assert left.encode() not in everything(tmp_path)


def test_a_hole_that_waits_to_be_filled_is_no_trace(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(i) for i in range(12)])
    kit.catch_up(session)
    session.forget([3], blank=0, reach=6)
    assert session.forget([4], blank=0, reach=6, scan=True).scan.traces == []
