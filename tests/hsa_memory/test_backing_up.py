"""memory.backup: another folder that answers with the same bits."""

import threading

import pytest

import hsa_memory
from hsa_memory.cli import main

QUESTION = "What is my dog called?"


def state_of(session):
    answer = session.ask(QUESTION, max_tokens=6)
    stats = answer.stats
    assert (stats.tokens_ingested, stats.prefilled_history) == (0, 0)
    return (
        [(m.id, m.text) for m in session.messages()],
        [(hit.id, hit.score) for hit in session.search(QUESTION, k=10)],
        (answer.text, answer.support, [(c.id, c.weight) for c in answer.citations]),
    )


def test_a_backup_answers_with_the_same_bits(tiny_checkpoint, tmp_path) -> None:
    told = []
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:
        with memory.session("alice") as session:
            for i in range(30):
                session.add("user", f"message {i}: my dog is called Biscuit", id=f"m{i}")
            session.forget(["m7"])
            # Beside the open writer.
            moved = memory.backup(tmp_path / "copy", progress=told.append)
            expected = state_of(session)
    assert (moved.sessions, moved.num_messages, moved.findings) == (("alice",), 30, ())
    assert told[-1].unit == "bytes"
    with hsa_memory.open(tmp_path / "copy", model=tiny_checkpoint, create=False) as copy:
        assert copy.check() == []
        with copy.session("alice") as session:
            assert state_of(session) == expected
            session.add("user", "goes its own way")
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:
        assert len(memory.session("alice")) == 29


def test_a_backup_has_all_users_with_and_without_their_key(tiny_checkpoint, tmp_path) -> None:
    key, store = bytes(range(32)), tmp_path / "store"
    for user in ("alice", "bob", None):
        given = {} if user == "bob" else {"key": key}
        with hsa_memory.open(store, user=user, model=tiny_checkpoint, **given) as memory:
            with memory.session("diary") as session:
                session.add("user", f"of {user}")
    for name, given in (("with", {"key": key}), ("without", {})):
        with hsa_memory.open(store, model=tiny_checkpoint, **given) as memory:
            moved = memory.backup(tmp_path / name)
        assert (moved.sessions, moved.num_messages) == (("diary",) * 3, 3)
        assert moved.num_tokens > 3
        kinds = [finding.kind for finding in moved.findings]
        assert kinds == ([] if given else ["not-checked"] * 2)
        options = {"user": "alice", "key": key, "create": False}
        with hsa_memory.open(tmp_path / name, model=tiny_checkpoint, **options) as copy:
            assert [message.text for message in copy.session("diary").messages()] == ["of alice"]
    words = ["--store", str(store), "--model", str(tiny_checkpoint)]
    assert main([*words, "backup", str(tmp_path / "cli")]) == 0


def test_copies_beside_a_writer_encode_nothing_again(tiny_checkpoint, tmp_path) -> None:
    stop = threading.Event()
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:

        def write() -> None:
            with memory.session("alice") as session:
                while not stop.is_set():
                    session.add("user", f"message {len(session)} of many, about my dog")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(4):
                assert memory.backup(tmp_path / str(number)).findings == ()
        finally:
            stop.set()
            writer.join()
    for number in range(4):
        with hsa_memory.open(tmp_path / str(number), model=tiny_checkpoint) as copy:
            if copy.has_session("alice"):
                with copy.session("alice") as session:
                    texts = [m.text for m in session.messages()]
                    assert texts == [
                        f"message {i} of many, about my dog" for i in range(len(texts))
                    ]


def test_folders_that_cannot_be_used(tiny_checkpoint, tmp_path) -> None:
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine").write_text("keep me")
        with pytest.raises(hsa_memory.StorageError, match="not empty"):
            memory.backup(tmp_path / "full")
        with pytest.raises(hsa_memory.InvalidArgument, match="inside"):
            memory.backup(tmp_path / "store" / "copy")
        with pytest.raises(hsa_memory.InvalidArgument):
            memory.backup("")
