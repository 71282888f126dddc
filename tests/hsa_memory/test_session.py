"""Sessions: adding, reading back, sharing, closing."""

import gc
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

import hsa_memory
from hsa_memory import Memory, MemorySession
from hsa_memory.storage import DurabilityLost, StoreLocked


@pytest.fixture
def memory(tmp_path: Path, tiny_checkpoint: Path):
    with hsa_memory.open(tmp_path / "memory", model=tiny_checkpoint) as opened:
        yield opened


@pytest.fixture
def session(memory: Memory) -> MemorySession:
    return memory.session("alice")


def test_messages_come_back_as_they_were_added(session: MemorySession) -> None:
    text = "  Größe 🐕 naïve\n\ttabs \x00 and <|end|> \u2028 end "
    when = datetime(2020, 1, 2, 3, 4, tzinfo=timezone.utc)
    added = session.add("human", text, id="one", timestamp=when, metadata={"a": [1, {"b": None}]})
    (message,) = session.messages()
    assert (message.id, message.seq, message.role, message.text) == ("one", 0, "user", text)
    assert message.timestamp == when.timestamp()
    assert message.metadata == {"a": [1, {"b": None}]}
    assert (added.id, added.seq, added.num_added) == ("one", 0, 1)
    assert session.get("one") == message
    assert session.get("two") is None


def test_openai_and_langchain_shapes_are_understood(session: MemorySession) -> None:
    session.add_messages(
        [
            {"role": "system", "content": "Be brief.", "created_at": 5},
            {"role": "user", "content": [{"type": "text", "text": "one"}, "two"]},
            SimpleNamespace(type="ai", content="three", id="m3"),
            {"role": "document", "text": "four", "timestamp": "2024-05-06T07:08:09Z"},
            {"role": "developer", "content": "five", "id": None, "metadata": None},
        ]
    )
    found = session.messages()
    assert [m.role for m in found] == ["system", "user", "assistant", "document", "system"]
    assert [m.text for m in found] == ["Be brief.", "one\ntwo", "three", "four", "five"]
    assert found[0].timestamp == 5
    assert found[2].id == "m3"
    assert found[3].timestamp == 1714979289
    # What comes out goes in again.
    again = session.add_messages(found)
    assert again.num_added == 0
    assert again.ids == tuple(m.id for m in found)


def test_tool_calls_are_remembered_as_text(session: MemorySession) -> None:
    arguments = '{"city": "Paris", "days": 2}'
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    custom = {"id": "c2", "type": "custom", "custom": {"name": "run", "input": "ls -l"}}
    chunk = SimpleNamespace(name="weather", args={"city": "Rom"}, id="c3")
    session.add_messages(
        [
            {"role": "assistant", "content": None, "tool_calls": [call, custom]},
            {"role": "tool", "tool_call_id": "c1", "content": "Rain.", "name": "weather"},
            SimpleNamespace(type="ai", content="Let me look.", tool_calls=[chunk]),
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}},
            {"role": "user", "name": "Ann", "content": "Hm.", "metadata": {"name": "own"}},
        ]
    )
    found = session.messages()
    assert [m.text for m in found] == [
        'weather(city="Paris", days=2)\nrun(ls -l)',
        "Rain.",
        'Let me look.\nweather(city="Rom")',
        "f()",
        "Hm.",
    ]
    names = [{"id": "c1", "name": "weather"}, {"id": "c2", "name": "run"}]
    assert found[0].metadata == {"tool_calls": names}
    assert found[1].metadata == {"tool_call_id": "c1", "name": "weather"}
    assert found[4].metadata == {"name": "own"}
    assert [h.seq for h in session.search("weather", where={"tool_calls": tuple(names)})] == [0]
    assert session.add_messages(found).num_added == 0


def test_adding_a_known_id_changes_nothing(session: MemorySession) -> None:
    session.add("user", "My dog is called Biscuit.", id="dog")
    again = session.add("user", "My dog is called Biscuit.", id="dog")
    assert (again.seq, again.num_added, again.stats.tokens_ingested) == (0, 0, 0)
    batch = [{"role": "user", "content": "new", "id": "new"}] * 3
    assert session.add_messages(batch).seqs == (1, 1, 1)
    with pytest.raises(hsa_memory.MessageConflict):
        session.add("user", "My dog is called Toast.", id="dog")
    twice = [{"role": "user", "content": text, "id": "new too"} for text in ("one", "two")]
    with pytest.raises(hsa_memory.MessageConflict, match="given twice"):
        session.add_messages(twice)
    assert len(session) == 2


def test_slices_of_messages_are_those_of_a_list(session: MemorySession) -> None:
    session.add_messages([{"role": "user", "content": f"number {i}"} for i in range(7)])
    texts = [f"number {i}" for i in range(7)]
    for start, stop in [(0, None), (2, 5), (-3, None), (-3, -1), (5, 100), (6, 2), (0, 0)]:
        assert [m.text for m in session.messages(start, stop)] == texts[start:stop]


def test_progress_reaches_the_end(session: MemorySession) -> None:
    seen: list[hsa_memory.Progress] = []
    messages = [{"role": "user", "content": "the old harbour was quiet " * 3} for _ in range(9)]
    result = session.add_messages(messages, batch_size=4, progress=seen.append)
    assert [p.messages_added for p in seen] == sorted(p.messages_added for p in seen)
    last = seen[-1]
    assert (last.messages_added, last.messages_total, last.tokens_pending) == (9, 9, 0)
    assert last.tokens_ingested == result.stats.tokens_ingested > 0


def test_what_cannot_be_called_is_no_progress(session: MemorySession) -> None:
    for call in (
        lambda: session.add_messages([{"role": "user", "content": "hello"}], progress=5),
        lambda: session.catch_up(progress="bar"),
    ):
        with pytest.raises(hsa_memory.InvalidArgument, match="progress"):
            call()
    assert len(session) == 0


def test_statistics_count_what_is_there(memory: Memory, session: MemorySession) -> None:
    assert session.stats().bytes_per_token == 0
    session.add_messages([{"role": "user", "content": f"the harbour {i}"} for i in range(20)])
    stats = session.stats()
    assert (stats.name, stats.num_messages, stats.chunk_size) == ("alice", 20, 8)
    assert stats.num_chunks == stats.num_tokens // 8 > 0
    assert stats.bytes_per_token == sum(stats.bytes_on_disk.values()) / stats.num_tokens
    whole = memory.stats()
    assert (whole.num_sessions, len(whole.fingerprint)) == (1, 64)
    assert whole.bytes_on_disk > 0
    assert memory.check() == []


def test_sessions_are_listed_deleted_and_kept_apart(memory: Memory, session: MemorySession) -> None:
    session.add("user", "My dog is called Biscuit.")
    with memory.session("bob\N{NULL}/../x") as other:
        assert len(other) == 0
        assert other.search("dog").hits == ()
    assert [info.name for info in memory.sessions()] == ["alice", "bob\N{NULL}/../x"]
    with pytest.raises(hsa_memory.SessionBusy):
        memory.delete_session("alice")
    session.close()
    memory.delete_session("alice")
    assert not memory.has_session("alice")
    with pytest.raises(hsa_memory.SessionNotFound):
        memory.delete_session("alice")
    with pytest.raises(hsa_memory.SessionNotFound):
        memory.session("alice", create=False)


def test_clear_leaves_an_empty_session_that_works(session: MemorySession) -> None:
    session.add_messages([{"role": "user", "content": f"the tower {i}"} for i in range(10)])
    session.search("tower")
    session.clear()
    assert len(session) == 0
    assert session.search("tower").hits == ()
    session.add("user", "The spare key is under the blue flowerpot.")
    assert [hit.text for hit in session.search("key")] == [
        "The spare key is under the blue flowerpot."
    ]


def test_clear_works_where_no_session_may_be_made(memory: Memory, session: MemorySession) -> None:
    session.add("user", "My dog is called Biscuit.")
    session.close()
    found = memory.session("alice", create=False)
    found.clear()
    assert len(found) == 0
    found.add("user", "My dog is called Toast.")
    assert [m.text for m in found.messages()] == ["My dog is called Toast."]


@pytest.mark.parametrize("writing", [False, True])
def test_a_reader_cannot_clear(memory: Memory, session: MemorySession, writing: bool) -> None:
    session.add("user", "My dog is called Biscuit.")
    if not writing:
        session.close()
    reader = memory.session("alice", read_only=True)
    with pytest.raises(hsa_memory.SessionReadOnly):
        reader.clear()
    assert [m.text for m in reader.messages()] == ["My dog is called Biscuit."]
    assert memory.has_session("alice")


def test_a_clear_that_fails_closes_the_session(
    memory: Memory, session: MemorySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.add("user", "My dog is called Biscuit.")

    def refuse(name: str) -> None:
        raise StoreLocked("somebody is at work")

    monkeypatch.setattr(memory._store, "delete_session", refuse)
    with pytest.raises(hsa_memory.StoreLocked):
        session.clear()
    assert session.closed
    with pytest.raises(hsa_memory.SessionClosed):
        len(session)
    assert len(memory.session("alice")) == 1


def test_there_is_one_writer_and_any_number_of_readers(
    memory: Memory, session: MemorySession, tiny_checkpoint: Path
) -> None:
    session.add("user", "My dog is called Biscuit.")
    with pytest.raises(hsa_memory.SessionBusy):
        memory.session("alice")
    with hsa_memory.open(memory.path, model=tiny_checkpoint, read_only=True) as reading:
        reader = reading.session("alice")
        assert reader.read_only
        assert len(reader) == 1
        session.add_messages([{"role": "user", "content": f"the tower {i}"} for i in range(30)])
        assert len(reader) == 31
        assert [h.seq for h in reader.search("tower", k=3)] == [
            h.seq for h in session.search("tower", k=3)
        ]
        for write in (
            lambda: reader.add("user", "no"),
            lambda: reader.add_messages([{"role": "user", "content": "no"}]),
            lambda: reader.ask("no", remember=True),
            reader.clear,
            lambda: reading.delete_session("alice"),
        ):
            with pytest.raises(hsa_memory.SessionReadOnly):
                write()
        with pytest.raises(hsa_memory.SessionNotFound):
            reading.session("nobody")
    assert len(session) == 31


def test_a_session_that_nobody_holds_frees_its_files(
    memory: Memory, tmp_path: Path, open_files_below: Callable[[Path], int]
) -> None:
    memory.session("dropped").add("user", "The boat is called Albatross.")
    descriptors = open_files_below(tmp_path)
    held = memory.session("dropped")
    assert open_files_below(tmp_path) > descriptors
    del held
    for _ in range(5):
        memory.session("dropped").search("boat")
    # One that only the garbage collector can find.
    caught: list[object] = [memory.session("dropped")]
    caught.append(caught)
    del caught
    gc.collect()
    assert open_files_below(tmp_path) == descriptors
    with memory.session("dropped") as again:
        assert [message.text for message in again.messages()] == ["The boat is called Albatross."]


def test_what_is_closed_says_so(memory: Memory, session: MemorySession) -> None:
    session.add("user", "My dog is called Biscuit.")
    stream = session.stream("dog", max_tokens=5)
    session.close()
    session.close()
    assert session.closed
    for use in (
        lambda: session.add("user", "x"),
        lambda: session.search("x"),
        lambda: session.ask("x"),
        lambda: session.messages(),
        lambda: session.stats(),
        lambda: len(session),
        lambda: list(stream),
    ):
        with pytest.raises(hsa_memory.SessionClosed):
            use()
    assert len(memory.session("alice")) == 1
    memory.close()
    memory.close()
    with pytest.raises(hsa_memory.SessionClosed):
        memory.session("alice")


def test_one_session_that_fails_to_close_does_not_keep_the_others_open(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [memory.session(name) for name in ("a", "b", "c")]

    def fail() -> None:
        raise DurabilityLost("the disk is gone")

    monkeypatch.setattr(sessions[1]._store._derived, "settle", fail)
    with pytest.raises(hsa_memory.DurabilityLost, match="the disk is gone"):
        memory.close()
    assert all(session.closed for session in sessions)
    with hsa_memory.open(memory.path, model=memory.model) as again:
        for session in sessions:
            again.session(session.name).close()


def test_threads_share_a_session(session: MemorySession) -> None:
    session.add_messages([{"role": "user", "content": f"the tower {i}"} for i in range(20)])
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(4):
                session.add("user", f"thread {number} says {i}", id=f"{number}-{i}")
                assert len(session.search("tower", k=2)) == 2
                session.ask("Who built the tower?", max_tokens=3)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(session) == 36
    for number in range(4):
        mine = [m.id for m in session.messages() if m.id.startswith(f"{number}-")]
        assert mine == [f"{number}-{i}" for i in range(4)]


def test_a_memory_is_opened_only_with_what_fits(tmp_path: Path, tiny_checkpoint: Path) -> None:
    with pytest.raises(hsa_memory.ModelNotFound, match="no model 'huge'"):
        hsa_memory.open(tmp_path / "m", model="huge")
    assert not (tmp_path / "m").exists()
    with pytest.raises(hsa_memory.SessionNotFound):
        hsa_memory.open(tmp_path / "m", model=tiny_checkpoint, create=False)
    with pytest.raises(hsa_memory.InvalidArgument, match="device"):
        hsa_memory.open(tmp_path / "m", model=tiny_checkpoint, device="tpu")
    for path in ("", None, 3):
        with pytest.raises(hsa_memory.InvalidArgument):
            hsa_memory.open(path, model=tiny_checkpoint)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(hsa_memory.InvalidCheckpoint):
        hsa_memory.open(tmp_path / "m", model=broken)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(hsa_memory.HSAMemoryError):
        hsa_memory.open(file, model=tiny_checkpoint)


def test_another_model_is_refused(tmp_path: Path, tiny_checkpoint: Path) -> None:
    import torch

    from hsa_memory.model import HSATransformer, load_checkpoint, save_checkpoint

    with hsa_memory.open(tmp_path / "m", model=tiny_checkpoint) as memory:
        memory.session("alice").add("user", "My dog is called Biscuit.")
    checkpoint = load_checkpoint(tiny_checkpoint)
    torch.manual_seed(1)
    save_checkpoint(tmp_path / "other", HSATransformer(checkpoint.config), checkpoint.tokenizer)
    with hsa_memory.open(tmp_path / "m", model=tmp_path / "other") as memory:
        with pytest.raises(hsa_memory.ModelMismatch):
            memory.session("alice")
    with hsa_memory.open(tmp_path / "m", model=tiny_checkpoint) as memory:
        assert len(memory.session("alice")) == 1
