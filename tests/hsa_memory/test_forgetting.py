"""Forgetting and expiry: what is gone has no part in anything, on disk or in an answer."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

import hsa_memory
from hsa_memory import InvalidArgument, MemorySession, searching
from hsa_memory.fork import Fork
from hsa_memory.messages import make_draft, make_turn

SECRET = "The combination is quincunx 4817, behind the old tower."


@pytest.fixture
def memory(tmp_path: Path, tiny_checkpoint: Path):
    with hsa_memory.open(tmp_path / "memory", model=tiny_checkpoint) as opened:
        yield opened


def history(secret_at: int = 7) -> list[dict]:
    messages = [
        {"role": "user", "content": f"Number {i}: the harbour was quiet.", "id": f"m{i}"}
        for i in range(30)
    ]
    for i, message in enumerate(messages):
        message |= {"timestamp": 1000.0 + i, "metadata": {"even": i % 2 == 0}}
    messages[secret_at] |= {"content": SECRET, "attachment": "quincunx " * 9}
    return messages


def logits(session: MemorySession, question: str) -> torch.Tensor:
    fork = Fork.of_history(session._source)
    prompt = fork.engine.question(question)
    with torch.inference_mode():
        return fork.forward(torch.tensor([[*fork.padding(), *prompt]]), fork.state).logits


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def add_with_blank(session: MemorySession, number: int, monkeypatch) -> None:
    """The same history in which one message was blank from the start."""
    from hsa_memory import adding

    make, end = adding.make_turn, session._engine.tokenizer.end_id

    def make_turn(tokenizer, draft):
        turn = make(tokenizer, draft)
        if draft.id == f"m{number}":
            return replace(turn, tokens=np.full(len(turn.tokens), end, np.uint32), text="blank")
        return turn

    with monkeypatch.context() as patch:
        patch.setattr(adding, "make_turn", make_turn)
        session.add_messages(history(number))


@pytest.mark.parametrize("number", [0, 7, 28, 29])
def test_answers_are_those_of_a_history_where_it_was_blank(memory, monkeypatch, number) -> None:
    session = memory.session("alice")
    session.add_messages(history(number))
    result = session.forget(f"m{number}", scan=True)
    assert (result.ids, result.traces, len(result)) == ((f"m{number}",), (), 1)
    assert result.num_chunks > 0
    assert result.scanned_files >= 5
    oracle = memory.session("oracle")
    add_with_blank(oracle, number, monkeypatch)
    question = "Where is the spare key?"
    torch.testing.assert_close(
        logits(session, question), logits(oracle, question), rtol=0.01, atol=0.01
    )
    ours, theirs = (
        {hit.id: hit.score for hit in s.search(question, 40)} for s in (session, oracle)
    )
    blank = f"m{number}"
    assert set(ours) == set(theirs) - {blank}
    gone = theirs.pop(blank, 0.0)
    for id, score in ours.items():
        assert score == pytest.approx(theirs[id], abs=0.01 + gone)
    assert session.ask(question).text == oracle.ask(question).text
    assert memory.check() == []


def test_nothing_of_it_is_left(memory, tmp_path) -> None:
    with memory.session("alice") as session:
        session.add_messages(history())
        tokens = session._store.turns(7, 8)[0].tokens[2:10].astype("<u4").tobytes()
        assert tokens in on_disk(tmp_path)
        session.forget("m7")
        data = on_disk(tmp_path)
        assert b"quincunx" not in data
        assert tokens not in data
        assert session.get("m7") is None
        assert session.attachment("m7") is None
        assert len(session) == 29
        assert [m.id for m in session.messages()] == [f"m{i}" for i in range(30) if i != 7]
        assert [m.id for m in session.messages(5, 9)] == ["m5", "m6", "m8", "m9"]
        assert session.messages(-1)[0].id == "m29"
        assert "m7" not in {hit.id for hit in session.search("What is the combination?", 30)}
        assert "m7" not in {c.id for c in session.ask("What is the combination?").citations}
        assert session.stats().num_messages == 29
        # The id is free again, and its message is a new one.
        assert session.add("user", "Something else.", id="m7").num_added == 1
    assert b"quincunx" not in on_disk(tmp_path)


def test_conditions_choose_and_a_dry_run_changes_nothing(memory) -> None:
    session = memory.session("alice")
    session.add_messages(history())
    before = logits(session, "Where?")
    planned = session.forget(where={"even": True}, since=1010.0, dry_run=True)
    assert planned.ids == tuple(f"m{i}" for i in range(10, 30, 2))
    assert planned.dry_run
    torch.testing.assert_close(logits(session, "Where?"), before, rtol=0, atol=0)
    assert len(session) == 30
    assert session.forget(where={"even": True}, since=1010.0).ids == planned.ids
    assert len(session) == 20
    assert session.forget(where={"even": True}, since=1010.0).ids == ()
    assert session.forget(["m1", "m2"], until=1002.0).ids == ("m1",)
    for bad in ({}, {"ids": "unknown"}, {"ids": ["m3", "unknown"]}, {"ids": 7}):
        with pytest.raises(InvalidArgument):
            session.forget(**bad)
    assert session.get("m3") is not None


def test_a_reader_beside_the_writer_loses_it_too(memory, tmp_path, tiny_checkpoint) -> None:
    writer = memory.session("alice")
    writer.add_messages(history())
    with hsa_memory.open(tmp_path / "memory", model=tiny_checkpoint, read_only=True) as reading:
        reader = reading.session("alice")
        reader.search("combination", 5)
        with pytest.raises(hsa_memory.SessionReadOnly):
            reader.forget("m7")
        writer.forget("m7")
        assert "m7" not in {hit.id for hit in reader.search("combination", 30)}
        torch.testing.assert_close(logits(reader, "Where?"), logits(writer, "Where?"))


def test_what_has_expired_is_hidden_from_a_reader_and_forgotten_by_a_writer(
    memory, tmp_path, tiny_checkpoint, monkeypatch
) -> None:
    now = [10_000.0]
    monkeypatch.setattr("hsa_memory.reading.time", lambda: now[0])
    session = memory.session("alice")
    messages = history()
    messages[7]["ttl"] = 10_000.0 + 60 - 1007.0
    session.add_messages(messages)
    session.add("user", "Gone in an hour.", id="hour", timestamp=now[0], ttl=timedelta(hours=1))
    assert len(session) == 31
    with hsa_memory.open(tmp_path / "memory", model=tiny_checkpoint, read_only=True) as reading:
        reader = reading.session("alice")
        now[0] += 61
        assert len(reader) == 30
        assert reader.get("m7") is None
        assert "m7" not in [m.id for m in reader.messages()]
        assert "m7" not in {hit.id for hit in reader.search("combination", 40)}
        assert "m7" not in {c.id for c in reader.ask("What is the combination?").citations}
        assert b"quincunx" in on_disk(tmp_path)
        assert len(session) == 30
        assert session._store.num_forgotten == 1
        assert len(reader) == 30
    session.close()
    assert b"quincunx" not in on_disk(tmp_path)
    now[0] += 3600
    with memory.session("alice") as session:
        assert session.get("hour") is None
        assert session._store.num_forgotten == 2


def test_after_a_jump_of_the_clock_nothing_is_removed(memory, monkeypatch) -> None:
    session = memory.session("alice", ttl=60)
    session.add("user", "Remember the tower.", id="tower")
    from time import time

    monkeypatch.setattr("hsa_memory.reading.time", lambda: time() + 1e6)
    monkeypatch.setattr("hsa_memory.clock.is_steady", lambda: False)
    assert len(session) == 0
    assert session.search("tower") == () or not list(session.search("tower"))
    monkeypatch.undo()
    assert session.get("tower") is not None


def test_a_session_keeps_its_ttl(memory) -> None:
    with memory.session("alice", ttl=60) as session:
        session.add("user", "This expires.", id="soon", timestamp=1000.0)
        assert len(session) == 0
    with memory.session("alice") as session:
        session.add("user", "This too.", timestamp=1000.0)
        session.add("user", "This later.", id="later", timestamp=1000.0, ttl=1e10)
        assert [m.id for m in session.messages()] == ["later"]
        with session.fork("branch") as branch:
            branch.add("user", "And this.", timestamp=1000.0)
            assert [m.id for m in branch.messages()] == ["later"]
    with pytest.raises(InvalidArgument):
        memory.session("alice", ttl=-1)


def test_a_cleared_session_keeps_its_ttl(memory) -> None:
    with memory.session("alice", ttl=60) as session:
        session.clear()
        session.add("user", "This expires.", timestamp=1000.0)
        assert len(session) == 0
    with memory.session("alice") as session:
        session.add("user", "This too.", timestamp=1000.0)
        assert len(session) == 0


def test_the_id_of_what_has_expired_is_not_taken_for_a_known_message(memory) -> None:
    session = memory.session("alice")
    session.add("user", "Gone soon.", id="soon", timestamp=1000.0, ttl=1e11)
    branch = session.fork("branch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hsa_memory.reading.time", lambda: 2e11)
        for one in (session, branch):
            # The parent cannot forget it while its fork is open, the fork not at all.
            with pytest.raises(hsa_memory.MessageConflict, match="expired"):
                one.add("user", "Gone soon.", id="soon")
            assert one.add("user", "Something else.").num_added == 1
        branch.close()
        assert session.add("user", "Gone soon.", id="soon").num_added == 1
        assert [m.text for m in session.messages()] == ["Something else.", "Gone soon."]


def test_the_role_of_a_message_between_blank_ones_is_no_trace(memory) -> None:
    """A chunk that has but the first token of a message in it is like others of that kind."""
    session = memory.session("alice")
    size = session._engine.config.chunk_size

    def add_up_to_the_last_token_of_a_chunk() -> str:
        for more in range(1, 4 * size):
            draft = make_draft(
                "user", "lantern " * 30 + "x" * more, id=None, timestamp=None, metadata=None
            )
            tokens = len(make_turn(memory.tokenizer, draft).tokens)
            if (session.stats().num_tokens + tokens) % size == size - 1:
                return session.add(draft.role, draft.text).ids[0]
        raise AssertionError("no message ends there")

    said = []
    for text in ("The spare key is under the flowerpot.", "My locker code is 4817, they said."):
        blank = add_up_to_the_last_token_of_a_chunk()
        said += session.add("user", text).ids
        session.forget(blank)
    session.add("user", "The old harbour was quiet.")
    assert session.forget(said[1], scan=True).traces == ()


@pytest.mark.parametrize("before", [[], ["m5"]])
def test_a_reader_never_returns_what_is_forgotten_at_this_moment(
    memory, monkeypatch, before
) -> None:
    with memory.session("alice") as writer:
        writer.add_messages(history())
        for name in before:
            writer.forget(name)

        def after(owner: object, name: str, id: str) -> None:
            """The writer forgets a message once the reader has looked which ones there are."""
            looked, left = getattr(owner, name), [id]

            def look(*args: object) -> object:
                seen = looked(*args)
                if left:
                    writer.forget(left.pop())
                return seen

            monkeypatch.setattr(owner, name, look)

        with memory.session("alice", read_only=True) as reader:
            # With a message forgotten before, that is `turn_index`, without one `_expired`.
            after(*((reader._store, "turn_index") if before else (reader, "_expired")), "m7")
            ids = [message.id for message in reader.messages()]
            assert ids == [f"m{i}" for i in range(30) if f"m{i}" not in [*before, "m7"]]
            after(searching, "allowed_turns", "m9")
            hits = reader.search("What was quiet?", k=40, where={"even": False}).hits
            assert {f"m{i}" for i in (1, 3)} <= {hit.message.id for hit in hits}
            assert all(hit.message.metadata == {"even": False} for hit in hits)
