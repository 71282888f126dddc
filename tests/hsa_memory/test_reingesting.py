"""A session goes over to another model: all at once, when everything is encoded."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import hsa_memory
from hsa_memory.engine import Engine
from hsa_memory.model import HSAConfig, HSATransformer, Tokenizer, save_checkpoint

QUESTION = "What is my dog called?"
TEXTS = ("My dog is a cat; the code of the harbour is 17.", "Who built the blue tower, and why?")


def save(folder: Path, tokenizer: Tokenizer, config: dict, seed: int) -> Path:
    torch.manual_seed(seed)
    config = HSAConfig.from_dict({**config, "vocab_size": tokenizer.vocab_size})
    save_checkpoint(folder, HSATransformer(config), tokenizer)
    return folder


@pytest.fixture(scope="module")
def others(tiny_checkpoint, tmp_path_factory) -> dict[str, Path]:
    """Models with other weights, other chunks, and another tokenizer."""
    folder = tmp_path_factory.mktemp("others")
    tokenizer = Tokenizer.load(tiny_checkpoint / "tokenizer.json")
    config = json.loads((tiny_checkpoint / "config.json").read_text())
    strange = Tokenizer.train(TEXTS, vocab_size=300)
    return {
        "weights": save(folder / "weights", tokenizer, config, 1),
        "chunks": save(folder / "chunks", tokenizer, {**config, "chunk_size": 16}, 2),
        "tokens": save(folder / "tokens", strange, config, 3),
    }


@pytest.fixture
def root(tiny_checkpoint, tmp_path) -> Path:
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:
        with memory.session("alice") as session:
            for i in range(25):
                session.add("user", f"message {i}: my dog is Biscuit", id=f"m{i}", timestamp=i)
            session.add("user", "mortal", id="mortal", timestamp=4e9, ttl=100)
            session.add_messages(
                [{"role": "tool", "content": "a file", "id": "file", "attachment": "x" * 70_000}]
            )
            session.forget(["m3", "m4"])
    return tmp_path / "store"


def messages(session) -> list[tuple]:
    return [(m.id, m.seq, m.role, m.text, m.timestamp) for m in session.messages()]


def scores(session) -> list[tuple]:
    return [(hit.id, hit.score) for hit in session.search(QUESTION, k=8)]


def fresh_scores(model: Path, tmp_path: Path, session) -> list[tuple]:
    """What a memory finds that had the model from the first message on."""
    with hsa_memory.open(tmp_path / "fresh", model=model) as memory:
        session.export(tmp_path / "fresh.export")
        memory.import_file(tmp_path / "fresh.export")
        with memory.session("alice") as fresh:
            return scores(fresh)


class Stop(Exception):
    """Raised by a callback to end a call in the middle."""


def stop_after(count: int):
    def progress(_: hsa_memory.MoveProgress) -> None:
        nonlocal count
        count -= 1
        if count == 0:
            raise Stop

    return progress


def test_the_error_says_what_it_would_cost(root, others, monkeypatch) -> None:
    # As it was measured on a machine that does nothing else.
    monkeypatch.setattr(Engine, "tokens_per_second", property(lambda self: 50.0))
    with hsa_memory.open(root, model=others["weights"]) as memory:
        with pytest.raises(hsa_memory.ModelMismatch, match=r"memory.reingest\('alice'\)") as caught:
            memory.session("alice")
        with pytest.raises(hsa_memory.ModelMismatch):
            memory.session("alice", read_only=True)
    assert f"{caught.value.num_tokens} tokens" in str(caught.value)
    assert caught.value.num_tokens > 300
    assert caught.value.estimated_seconds == pytest.approx(caught.value.num_tokens / 50)


@pytest.mark.parametrize("which", ["weights", "chunks", "tokens"])
def test_the_session_goes_over(root, others, tiny_checkpoint, tmp_path, which) -> None:
    with hsa_memory.open(root, model=tiny_checkpoint, read_only=True) as old:
        reader = old.session("alice")
        before, attached = messages(reader), reader.attachment("file")
        told = []
        with hsa_memory.open(root, model=others[which]) as memory:
            moved = memory.reingest("alice", progress=told.append)
            assert moved.num_messages == 27
            assert moved.tokens_ingested > 300
            assert told[-1].done == moved.tokens_ingested
            with pytest.raises((hsa_memory.ModelMismatch, hsa_memory.SessionDeleted)):
                reader.ask(QUESTION)
            assert memory.check() == []
            with memory.session("alice") as session:
                stats = session.ask(QUESTION, max_tokens=2).stats
                assert (stats.tokens_ingested, stats.prefilled_history) == (0, 0)
                assert messages(session) == before
                assert session.attachment("file") == attached
                assert session.get("m3") is None
                assert session._store.num_forgotten == 2
                assert list(session._store.expiries().values()) == [4e9 + 100]
                assert scores(session) == fresh_scores(others[which], tmp_path, session)
                session.add("user", "more")
            again = memory.reingest("alice")
            assert (again.tokens_ingested, again.num_messages) == (0, 28)
        with pytest.raises(hsa_memory.ModelMismatch):
            old.session("alice")
    assert len(list(root.glob("s/*/*/g*"))) == len(list(root.glob("s/*/*"))) == 1
    assert [path for folder in ("tmp", "trash") for path in (root / folder).iterdir()] == []


@pytest.mark.parametrize("which", ["weights", "tokens"])
def test_an_interrupted_call_is_gone_on_with(
    root, others, tiny_checkpoint, monkeypatch, which
) -> None:
    monkeypatch.setattr("hsa_memory.encoding.PIECE_TOKENS", 64)
    with hsa_memory.open(root, model=others[which]) as memory:
        with pytest.raises(Stop):
            memory.reingest("alice", progress=stop_after(3))
        with pytest.raises(hsa_memory.ModelMismatch):
            memory.session("alice")
    # Whoever has the old model still writes.
    with hsa_memory.open(root, model=tiny_checkpoint) as memory:
        assert memory.check() == []
        with memory.session("alice") as session:
            session.add("user", "meanwhile", id="meanwhile")
            before = messages(session)
    with hsa_memory.open(root, model=others[which]) as memory:
        moved = memory.reingest("alice")
        with memory.session("alice", read_only=True) as session:
            whole = session.stats().num_chunks * 8
            assert messages(session) == before
        assert moved.tokens_ingested == whole - 3 * 64
        assert memory.check() == []


@pytest.mark.parametrize("which", ["weights", "tokens"])
def test_forgetting_reaches_what_is_unfinished(
    root, others, tiny_checkpoint, monkeypatch, which
) -> None:
    monkeypatch.setattr("hsa_memory.encoding.PIECE_TOKENS", 64)
    with hsa_memory.open(root, model=others[which]) as memory, pytest.raises(Stop):
        memory.reingest("alice", progress=stop_after(3))
    with hsa_memory.open(root, model=tiny_checkpoint) as memory:
        with memory.session("alice") as session:
            traces = session.forget(["m1"], scan=True).traces
            # Messages here are so alike that so small a model gives some the same landmark.
            assert [trace for trace in traces if not trace.startswith("landmark")] == []
    (folder,) = root.glob("s/*/*")
    assert not (folder / "next").exists()
    assert len(list(folder.glob("g*"))) == 1
    with hsa_memory.open(root, model=others[which]) as memory:
        memory.reingest("alice")
        with memory.session("alice") as session:
            assert session.get("m1") is None
            assert session._store.num_forgotten == 3
        assert memory.check() == []


def test_a_session_can_be_encoded_again(root, tiny_checkpoint) -> None:
    with hsa_memory.open(root, model=tiny_checkpoint) as memory:
        with memory.session("alice") as session:
            before = messages(session), scores(session)
            assert session.reingest().tokens_ingested > 300
            assert (messages(session), scores(session)) == before
            assert session.reingest(kv_dtype="int8").tokens_ingested > 300
            assert session.stats().kv_dtype == "int8"
            assert messages(session) == before[0]
            session.add("user", "more", id="more")
        with memory.session("alice", read_only=True) as reader:
            assert reader.get("more") is not None
            with pytest.raises(hsa_memory.SessionReadOnly):
                reader.reingest()
        assert memory.reingest("alice").tokens_ingested == 0
        assert memory.reingest("alice", kv_dtype="bfloat16").tokens_ingested > 300
        assert memory.check() == []
        with pytest.raises(hsa_memory.InvalidArgument):
            memory.reingest("alice", kv_dtype="int3")


def test_what_stands_in_the_way(root, others, tiny_checkpoint) -> None:
    with hsa_memory.open(root, model=tiny_checkpoint) as memory:
        with memory.session("alice") as session:
            with hsa_memory.open(root, model=others["weights"]) as other:
                with pytest.raises(hsa_memory.SessionBusy):
                    other.reingest("alice")
            session.fork("branch", message="m9").close()
            with pytest.raises(hsa_memory.SessionHasForks):
                session.reingest()
            session.add("user", "still open")
    for name in ("weights", "tokens"):
        with hsa_memory.open(root, model=others[name]) as memory:
            with pytest.raises(hsa_memory.SessionHasForks):
                memory.reingest("alice")
            with pytest.raises(hsa_memory.StorageError, match="fork"):
                memory.reingest("branch")
            with pytest.raises(hsa_memory.SessionNotFound):
                memory.reingest("carol")
    with hsa_memory.open(root, model=others["weights"], read_only=True) as memory:
        with pytest.raises(hsa_memory.SessionReadOnly):
            memory.reingest("alice")


VICTIM = """
import os, signal, sys
import hsa_memory, hsa_memory.encoding
hsa_memory.encoding.PIECE_TOKENS = 64
left = int(sys.argv[3])

def progress(told):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

hsa_memory.open(sys.argv[1], model=sys.argv[2]).reingest("alice", progress=progress)
"""


@pytest.mark.slow
@pytest.mark.parametrize("which", ["weights", "tokens"])
def test_a_kill_in_the_middle_is_gone_on_with(root, others, tiny_checkpoint, which) -> None:
    for pieces in (1, 2):
        victim = [sys.executable, "-c", VICTIM, str(root), str(others[which]), str(pieces)]
        assert subprocess.run(victim, env={**os.environ}).returncode == -signal.SIGKILL
        with hsa_memory.open(root, model=tiny_checkpoint) as memory:
            assert memory.check() == []
            with memory.session("alice", read_only=True) as session:
                before = messages(session)
    with hsa_memory.open(root, model=others[which]) as memory:
        moved = memory.reingest("alice")
        with memory.session("alice") as session:
            assert moved.tokens_ingested == session.stats().num_chunks * 8 - 3 * 64
            assert messages(session) == before
        assert memory.check() == []
