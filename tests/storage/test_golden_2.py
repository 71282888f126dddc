"""The golden store of format 2.0, which scripts/make_golden.py made."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from hsa_memory.storage import Store

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def root(tmp_path) -> Path:
    with tarfile.open(GOLDEN / "v2.0.tar.xz") as archive:
        archive.extractall(tmp_path)  # ours, made by the release itself
    return tmp_path / "store"


@pytest.mark.parametrize("read_only", [True, False])
def test_every_byte_is_read_as_it_was_written(root, kit, read_only) -> None:
    with Store.open(root, read_only=read_only) as store:
        assert {info.name for info in store.list_sessions()} == {"raw", "raw-branch", "talk"}
        with store.session("raw", layout=kit.layout) as session:
            assert session.num_turns == 13
            for i, turn in enumerate(session.turns()):
                assert turn.forgotten == (i in (3, 4))
                assert turn.text == ("" if turn.forgotten else kit.turn(i).text)
            assert not np.any(session.turns()[3].tokens)
            assert session.expiries() == {12: 4e9}
            assert session.get_meta("colour") == {"name": "green"}
            assert session.published == 19
            kit.assert_right(session)
        with store.session("raw-branch", layout=kit.layout) as session:
            assert [turn.seq for turn in session.turns() if turn.forgotten] == [3, 4]
            assert session.turns()[8].turn_id == "turn-20"
            kit.assert_right(session)
        assert store.check() == []


def test_a_writer_goes_on(root, kit) -> None:
    with Store.open(root) as store:
        for name in ("raw", "raw-branch"):
            with store.session(name, layout=kit.layout) as session:
                session.append([kit.turn(30)])
                kit.catch_up(session)
                kit.assert_right(session)
        assert store.check() == []
