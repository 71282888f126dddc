"""Views of the past and forks: as if the history had ended there."""

import threading
import time
from pathlib import Path

import pytest
import torch

import hsa_memory
from hsa_memory import (
    InvalidArgument,
    MemorySession,
    SessionClosed,
    SessionExists,
    SessionHasForks,
    SessionNotFound,
    SessionReadOnly,
    StorageError,
)
from hsa_memory.fork import Fork
from hsa_memory.storage import Store

QUESTION = "Where is the spare key?"


@pytest.fixture
def memory(tmp_path: Path, tiny_checkpoint: Path):
    with hsa_memory.open(tmp_path / "memory", model=tiny_checkpoint) as opened:
        yield opened


def history(first: int, stop: int) -> list[dict]:
    return [
        {
            "role": ("user", "assistant")[i % 2],
            "content": f"Number {i}: the tower {'was quiet ' * (i % 4)}and {i * 7919 % 997}.",
            "id": f"m{i}",
            "timestamp": 1000.0 + i,
            "attachment": f"beside {i}",
        }
        for i in range(first, stop)
    ]


def logits(session: MemorySession) -> torch.Tensor:
    fork = Fork.of_history(session._source)
    prompt = fork.engine.question(QUESTION)
    with torch.inference_mode():
        return fork.forward(torch.tensor([[*fork.padding(), *prompt]]), fork.state).logits


def assert_same(one: MemorySession, other: MemorySession) -> None:
    assert [m.text for m in one.messages()] == [m.text for m in other.messages()]
    torch.testing.assert_close(logits(one), logits(other), rtol=0.01, atol=0.01)
    assert [hit.id for hit in one.search(QUESTION, 5)] == [
        hit.id for hit in other.search(QUESTION, 5)
    ]
    assert one.ask(QUESTION).text == other.ask(QUESTION).text


def test_a_view_is_the_session_as_it_was(memory) -> None:
    session, short = memory.session("alice"), memory.session("short")
    session.add_messages(history(0, 40))
    short.add_messages(history(0, 23))
    for view in (session.as_of(message="m22"), session.as_of(1022.5)):
        assert len(view) == 23
        assert_same(view, short)
        assert view.ask(QUESTION).stats.tokens_ingested == 0
        assert view.get("m23") is None
        assert view.read_only
    with pytest.raises(SessionReadOnly):
        view.add("user", "More.")
    session.add("user", "Later.")
    assert len(view) == 23
    session.forget("m3")
    assert len(view) == 22
    assert view.get("m3") is None
    assert len(session.as_of(999.0)) == 0
    for bad in ({}, {"message": "unknown"}, {"point": 5, "message": "m1"}):
        with pytest.raises(InvalidArgument):
            session.as_of(**bad)
    view.close()
    assert len(session) == 40
    other = session.as_of(message="m22")
    session.close()
    with pytest.raises(SessionClosed):
        other.search(QUESTION)


def test_a_fork_goes_on_from_there(memory, tmp_path, tiny_checkpoint) -> None:
    session, short = memory.session("alice"), memory.session("short")
    session.add_messages(history(0, 40))
    branch = session.fork("branch", message="m22")
    short.add_messages(history(0, 23))
    assert_same(branch, short)
    for one in (branch, short):
        one.add_messages({**m, "id": f"b{m['id']}"} for m in history(100, 115))
    session.add_messages(history(40, 50))
    assert_same(branch, short)
    assert len(session) == 50
    assert branch.attachment("m5") == "beside 5"
    with pytest.raises(InvalidArgument, match="belongs to"):
        branch.forget("m5")
    with pytest.raises(SessionExists):
        session.fork("branch")
    with pytest.raises(SessionHasForks):
        session.clear()
    assert len(session) == 50
    branch.close()
    session.forget("m5")
    with memory.session("branch") as branch:
        assert branch.get("m5") is None
        short.forget("m5")
        assert_same(branch, short)
        branch.forget("bm110")
        assert branch.get("bm110") is None
    memory.close()
    with hsa_memory.open(tmp_path / "memory", model=tiny_checkpoint) as again:
        with again.session("branch") as branch:
            result = branch.search(QUESTION, 5)
            assert result.stats.tokens_ingested == result.stats.prefilled_history == 0
            assert len(branch) == 36
            assert branch.stats().num_messages == 36
        assert again.check() == []


def test_a_fork_of_a_view(memory) -> None:
    session, short = memory.session("alice"), memory.session("short")
    session.add_messages(history(0, 30))
    short.add_messages(history(0, 11))
    with session.as_of(1010.0).fork("past") as past:
        assert_same(past, short)
    assert {info.name for info in memory.sessions()} == {"alice", "short", "past"}


def test_attachments_of_what_is_not_shared_stay_where_they_are(
    memory, tmp_path, tiny_checkpoint
) -> None:
    session = memory.session("alice")
    session.add_messages(history(0, 3))
    branch = session.fork("branch")
    session.add_messages(history(3, 5))
    # The same id, in another history.
    branch.add("user", "Something else.", id="m3")
    deeper = branch.fork("deeper")
    for fork in (branch, deeper):
        assert fork.attachment("m3") is None
        assert fork.attachment("m1") == "beside 1"
    view = session.as_of(message="m1")
    view.export(tmp_path / "view")
    assert b"beside 1" in (tmp_path / "view").read_bytes()
    assert b"beside 2" not in (tmp_path / "view").read_bytes()
    deeper.export(tmp_path / "fork")
    with hsa_memory.open(tmp_path / "other", model=tiny_checkpoint) as other:
        other.import_file(tmp_path / "view", rename={"alice": "view"})
        other.import_file(tmp_path / "fork")
        taken, past = other.session("deeper"), other.session("view")
        assert [taken.attachment(f"m{i}") for i in range(5)] == [
            *("beside 0", "beside 1", "beside 2"),
            *(None, None),
        ]
        past.add("user", "Number 2, added again.", id="m2")
        assert past.attachment("m2") is None


def test_a_view_before_chunks_that_wait_to_be_encoded_anew(memory) -> None:
    session = memory.session("alice")
    session.add_messages(history(0, 20))
    view = session.as_of(message="m5")
    expected = [hit.id for hit in view.search(QUESTION)]
    # What a full disk or a kill leaves.
    reach = memory._engine.config.lower_reach
    session._store.forget([15], blank=memory.tokenizer.end_id, reach=reach)
    assert session._store.own_holes != []
    assert [hit.id for hit in view.search(QUESTION)] == expected
    assert [hit.id for hit in session.as_of(message="m5").search(QUESTION)] == expected


def test_a_fork_and_closing_the_memory_do_not_wait_for_each_other(memory, monkeypatch) -> None:
    session, begun, seen = memory.session("alice"), threading.Event(), []
    session.add("user", "My dog is called Biscuit.")
    really = memory._store.fork

    def slowly(*args, **options) -> None:
        begun.set()
        time.sleep(0.3)
        really(*args, **options)

    def fork() -> None:
        try:
            session.fork("branch")
        except (SessionClosed, StorageError) as error:
            seen.append(error)

    monkeypatch.setattr(memory._store, "fork", slowly)
    forking = threading.Thread(target=fork, daemon=True)
    closing = threading.Thread(target=memory.close, daemon=True)
    forking.start()
    assert begun.wait(120)
    closing.start()
    for thread in (forking, closing):
        thread.join(120)
        assert not thread.is_alive()


def test_a_fork_lives_no_longer_than_what_it_comes_from(memory, monkeypatch) -> None:
    session = memory.session("alice", ttl=60)
    session.add("user", "My dog is called Biscuit.")
    # As if there was a kill as soon as it is made.
    monkeypatch.setattr(memory, "session", lambda name, create: None)
    session.fork("branch")
    monkeypatch.undo()
    with memory.session("branch") as branch:
        branch.add("user", "This expires.", timestamp=1000.0)
        assert [message.text for message in branch.messages()] == ["My dog is called Biscuit."]


def test_a_fork_that_is_deleted_at_once_is_not_made_anew(memory, tmp_path, monkeypatch) -> None:
    session = memory.session("alice")
    session.add("user", "My dog is called Biscuit.")
    fork = memory._store.fork

    def and_delete(*args: object, **options: object) -> None:
        fork(*args, **options)
        with Store.open(tmp_path / "memory") as other:
            other.delete_session("branch")

    monkeypatch.setattr(memory._store, "fork", and_delete)
    with pytest.raises(SessionNotFound):
        session.fork("branch")
    assert not memory.has_session("branch")
