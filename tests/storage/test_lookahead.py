"""Chunks that depend on a few tokens after them: whole when those are there, gone when one goes."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hsa_memory.storage import (
    ArchiveWriter,
    ExportChoice,
    Layout,
    ModelMismatch,
    SessionExport,
    SessionStore,
    Store,
)
from hsa_memory.storage.view import SessionView

# With chunks of 4 tokens and turns of 6, turns begin in and right behind what is looked at.
LOOKAHEAD = 3
REACH = 6


@pytest.fixture
def layout(kit) -> Layout:
    return replace(kit.layout, lookahead=LOOKAHEAD)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def session(store, kit, layout):
    opened = store.session("main", layout=layout)
    for i in range(0, 40, 4):
        opened.append([kit.turn(j) for j in range(i, i + 4)])
        kit.catch_up(opened)
    return opened


def whole(num_tokens: int) -> int:
    return max(0, num_tokens - LOOKAHEAD) // 4


@pytest.mark.parametrize("num_tokens", [1, 4, 6, 7, 10, 11])
def test_a_chunk_waits_for_what_it_looks_at(store, kit, layout, num_tokens) -> None:
    session = store.session("short", layout=layout)
    session.append([kit.turn(0, num_tokens)])
    count = whole(num_tokens)
    assert layout.num_chunks(num_tokens) == count
    rows = [
        np.zeros((count + 1, width), np.uint8) for width in (layout.landmark_bytes, layout.kv_bytes)
    ]
    with pytest.raises(ValueError, match=f"tokens for {count} only"):
        session.write_chunks(0, *rows)
    kit.catch_up(session)
    assert session.published == count
    kit.assert_right(session)


def test_it_is_kept(session, store, kit, layout) -> None:
    session.close()
    again = store.session("main", layout=layout)
    assert again.layout == layout
    assert again.published == whole(240)
    kit.assert_right(again)
    assert store.check() == []


@pytest.mark.parametrize("found", [0, 2, 4])
def test_another_lookahead_is_another_model(session, store, layout, found) -> None:
    session.close()
    with pytest.raises(ModelMismatch, match="lookahead=3") as error:
        store.session("main", layout=replace(layout, lookahead=found))
    assert (error.value.field, error.value.expected, error.value.found) == ("lookahead", 3, found)


def test_stores_without_one_say_nothing_of_it(kit, layout) -> None:
    # Files of earlier versions have no such field in their headers, which are compared whole.
    assert "lookahead" not in kit.layout.to_map()
    assert layout.to_map()["lookahead"] == LOOKAHEAD
    for wrong in (-1, 5, 1.0):
        with pytest.raises(ValueError, match="lookahead must be an int from 0 to 4"):
            replace(kit.layout, lookahead=wrong)


@pytest.mark.parametrize("turns", range(20, 26))
def test_the_past_has_no_chunk_that_looked_further(session, store, kit, layout, turns) -> None:
    count = whole(6 * turns)
    view = SessionView(session, turns)
    assert view.published == count
    store.fork(session, f"branch-{turns}", turns)
    branch = store.session(f"branch-{turns}", layout=layout)
    assert branch.published == count
    # It goes on differently: what the last chunks of the other one have seen is not its past.
    branch.append([kit.turn(1000 + i) for i in range(5)])
    kit.catch_up(branch)
    kit.assert_right(branch)
    kit.assert_right(session)


@pytest.mark.parametrize("number", range(18, 22))
def test_what_looked_at_a_forgotten_turn_is_encoded_anew(session, kit, number) -> None:
    before = kit.rows(session, 0, session.published)
    session.forget([number], reach=REACH, blank=1)
    holes = {chunk for hole in session.holes for chunk in hole}
    after = kit.rows(session, 0, session.published)
    changed = {i for i in range(session.published) if (before[1][i] != after[1][i]).any()}
    # The first token of the turn may be the last that a chunk before it looks at.
    assert min(changed) == max(0, 6 * number - LOOKAHEAD) // 4
    assert changed <= holes
    kit.fill(session)
    kit.assert_right(session)


def test_an_export_leaves_out_what_looked_at_a_hidden_turn(tmp_path, session, store) -> None:
    # Chunk 29 ends right before turn 20 and looks at its first tokens.
    assert session.turns(20, 21)[0].token_start == 30 * 4
    writer = ArchiveWriter(store.vfs, str(tmp_path / "out.hsa"))
    choice = ExportChoice(derived=True, hidden=[20])
    record = SessionExport(session, writer, 0, choice, lambda _: None).write()
    assert record.num_chunks == 29


@pytest.mark.parametrize("number", [20, 39])
def test_old_files_of_a_forgotten_turn_are_no_cache(
    session, store, kit, layout, monkeypatch, number
) -> None:
    """The chunk before it has the tokens that it had; only what it looked at is another."""
    generation = next(Path(session.folder).glob("g*"))
    session.close()
    shutil.copytree(generation, generation.with_name("old"))
    session = store.session("main", layout=layout)
    session.forget([number], reach=REACH, blank=1)
    kit.fill(session)
    kit.assert_right(session)
    session.close()
    shutil.rmtree(generation)
    generation.with_name("old").rename(generation)
    # Another machine's folder, as it was before: nothing in it is trusted.
    monkeypatch.setattr(SessionStore, "_is_cache", True)
    session = store.session("main", layout=layout)
    assert session.published <= max(0, 6 * number - LOOKAHEAD) // 4
    kit.assert_right(session)


def test_a_full_check_sees_a_last_chunk_that_looked_at_something_else(store, kit, layout) -> None:
    session = store.session("short", layout=layout)
    # The second turn is all that the second chunk looks at, and in no chunk itself.
    session.append([kit.turn(0, 8), kit.turn(1, 3)])
    kit.catch_up(session)
    assert session.published == 2
    generation = next(Path(session.folder).glob("g*"))
    session.close()
    shutil.copytree(generation, generation.with_name("old"))
    session = store.session("short", layout=layout)
    session.forget([1], reach=REACH, blank=1)
    kit.fill(session)
    session.close()
    shutil.rmtree(generation)
    generation.with_name("old").rename(generation)
    assert "corrupt-chunk" in {problem.kind for problem in store.check()}
