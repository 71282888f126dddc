"""Sessions that leave a memory as one file and come into another."""

from pathlib import Path

import pytest
import torch

import hsa_memory
from hsa_memory.model import HSAConfig, HSATransformer, Tokenizer, save_checkpoint
from hsa_memory.storage import ArchiveWriter, Vfs
from hsa_memory.storage.archive_truth import (
    NoteRecord,
    SessionRecord,
    TurnRecord,
    pack_record,
)

QUESTION = "What is my dog called?"


@pytest.fixture(scope="module")
def other_checkpoint(tiny_checkpoint, tmp_path_factory) -> Path:
    """The same tokenizer, other weights."""
    tokenizer = Tokenizer.load(tiny_checkpoint / "tokenizer.json")
    config = HSAConfig.from_json((tiny_checkpoint / "config.json").read_text())
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("weights") / "other"
    save_checkpoint(folder, HSATransformer(config), tokenizer)
    return folder


@pytest.fixture
def memory(tiny_checkpoint, tmp_path):
    with hsa_memory.open(tmp_path / "from", model=tiny_checkpoint) as memory:
        with memory.session("alice") as session:
            for i in range(30):
                session.add(
                    "user",
                    f"message {i}: my dog is called Biscuit",
                    id=f"m{i}",
                    timestamp=1000.0 + i,
                    metadata={"n": i, "nested": {"list": [1, b"\xff", None]}},
                )
            session.add("assistant", "My dog is a cat, ünïcodé \U0001f415", timestamp=5.0, id="odd")
            session.add("user", "soon gone", ttl=1e6, id="mortal", timestamp=4e9)
            session.add_messages(
                [{"role": "tool", "content": "see file", "id": "file", "attachment": "x" * 150_000}]
            )
            session.forget(["m7", "m8"])
        with memory.session("bob") as session:
            session.add("user", "I am Bob.", id="b")
        yield memory


@pytest.fixture
def to(tiny_checkpoint, tmp_path):
    with hsa_memory.open(tmp_path / "to", model=tiny_checkpoint) as memory:
        yield memory


def state_of(session):
    """Everything that may not change on the way."""
    answer = session.ask(QUESTION, max_tokens=6)
    return (
        [(m.id, m.seq, m.role, m.text, m.timestamp, m.metadata) for m in session.messages()],
        [(hit.id, hit.score, hit.spans, hit.chunk_ids) for hit in session.search(QUESTION, k=10)],
        (answer.text, answer.support, [(c.id, c.weight) for c in answer.citations]),
        session.attachment("file"),
        session.get("m7"),
        len(session),
    )


def files_in(folder: Path) -> dict[str, bytes]:
    """What a folder holds, but for what SQLite makes and removes as it reads."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal", ".lock"))
    }


@pytest.mark.parametrize("derived", [True, False])
def test_everything_arrives(memory, to, tmp_path, derived) -> None:
    told = []
    out = memory.export(tmp_path / "file", derived=derived, progress=told.append)
    assert out.sessions == ("alice", "bob")
    assert out.num_bytes == (tmp_path / "file").stat().st_size
    back = to.import_file(tmp_path / "file", progress=told.append)
    assert (back.sessions, back.num_messages, back.num_tokens) == (
        out.sessions,
        out.num_messages,
        out.num_tokens,
    )
    with memory.session("alice", read_only=True) as old, to.session("alice") as new:
        assert (back.tokens_ingested == 0) == derived
        expected = state_of(old)
        found = state_of(new)
        assert found[0] == expected[0]
        assert found[2:] == expected[2:] or not derived
        assert found == expected or not derived
        stats = new.ask(QUESTION, max_tokens=2).stats
        assert (stats.tokens_ingested, stats.prefilled_history) == (0, 0)
        assert new.add("user", "later").seq == 33
    assert to.check() == []
    assert told
    assert all(0 <= x.done <= x.total and x.unit in ("bytes", "tokens") for x in told)


def test_what_is_forgotten_or_expired_is_not_in_the_file(memory, to, tmp_path) -> None:
    with memory.session("alice") as session:
        session.add("user", "the canary sings", timestamp=1.0, ttl=2.0, id="canary")
        session.add("user", "after the canary", id="after")
    # A reader forgets nothing by itself.
    with memory.session("alice", read_only=True) as session:
        session.export(tmp_path / "file", derived=True)
    data = (tmp_path / "file").read_bytes()
    assert b"canary sings" not in data
    assert b"Biscuit" in data
    to.import_file(tmp_path / "file")
    with to.session("alice") as session:
        assert session.get("m7") is session.get("canary") is None
        assert session.get("after").seq == 34
        assert session.get("mortal") is not None
        assert session._store.expiries()[session.get("mortal").seq] == 4e9 + 1e6
        assert session._store.num_forgotten == 3


def test_another_model_encodes_again(memory, other_checkpoint, tmp_path) -> None:
    memory.export(tmp_path / "file", derived=True)
    with hsa_memory.open(tmp_path / "to", model=other_checkpoint) as to:
        moved = to.import_file(tmp_path / "file")
        assert moved.tokens_ingested > 0
        with to.session("alice") as session, memory.session("alice", read_only=True) as old:
            assert session.ask(QUESTION, max_tokens=2).stats.tokens_ingested == 0
            assert [m.text for m in session.messages()] == [m.text for m in old.messages()]
        assert to.check() == []


@pytest.mark.parametrize("kv_dtype", ["int8", "float8"])
def test_the_precision_comes_along(tiny_checkpoint, to, tmp_path, kv_dtype) -> None:
    with hsa_memory.open(tmp_path / "8", model=tiny_checkpoint, kv_dtype=kv_dtype) as memory:
        with memory.session("a") as session:
            session.add("user", "My dog is called Biscuit. " * 9)
            expected = [(hit.id, hit.score) for hit in session.search("dog")]
            session.export(tmp_path / "file", derived=True)
    assert to.import_file(tmp_path / "file").tokens_ingested == 0
    with to.session("a") as session:
        assert session.stats().kv_dtype == kv_dtype
        assert [(hit.id, hit.score) for hit in session.search("dog")] == expected


def test_some_sessions_and_new_names(memory, to, tmp_path) -> None:
    memory.export(tmp_path / "file", sessions=["bob"])
    assert to.import_file(tmp_path / "file").sessions == ("bob",)
    with pytest.raises(hsa_memory.SessionExists, match="'bob'"):
        to.import_file(tmp_path / "file")
    assert to.import_file(tmp_path / "file", rename={"bob": "bob/../2"}).sessions == ("bob/../2",)
    assert {info.name for info in to.sessions()} == {"bob", "bob/../2"}
    for rename in ({"carol": "x"}, {"bob": ""}, {"bob": "\ud800"}):
        with pytest.raises(hsa_memory.InvalidArgument):
            to.import_file(tmp_path / "file", rename=rename)
    with pytest.raises(hsa_memory.SessionNotFound):
        memory.export(tmp_path / "none", sessions=["carol"])
    assert not (tmp_path / "none").exists()


def test_one_name_that_is_taken_lets_nothing_in(memory, to, tmp_path) -> None:
    memory.export(tmp_path / "file")
    with to.session("bob"):
        pass
    before = files_in(tmp_path / "to")
    with pytest.raises(hsa_memory.SessionExists):
        to.import_file(tmp_path / "file")
    assert files_in(tmp_path / "to") == before


def test_files_in_the_way(memory, tmp_path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(hsa_memory.InvalidArgument, match="already"):
        memory.export(tmp_path / "file")
    with pytest.raises(hsa_memory.InvalidArgument, match="folder"):
        memory.export(tmp_path / "none" / "file")
    with pytest.raises(hsa_memory.InvalidArgument, match="no file"):
        memory.import_file(tmp_path / "missing")
    with pytest.raises(hsa_memory.ImportRejected):
        memory.import_file(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "from"]


def test_a_reader_imports_nothing(memory, tiny_checkpoint, tmp_path) -> None:
    memory.export(tmp_path / "file")
    with hsa_memory.open(tmp_path / "from", model=tiny_checkpoint, read_only=True) as reader:
        with pytest.raises(hsa_memory.SessionReadOnly):
            reader.import_file(tmp_path / "file", rename={"alice": "a", "bob": "b"})


def test_a_fork_arrives_by_itself(memory, to, tmp_path) -> None:
    with memory.session("alice") as session:
        fork = session.fork("branch", message="m20")
        with fork:
            fork.add("user", "only here", id="own")
            expected = [m.text for m in fork.messages()]
            fork.export(tmp_path / "file", derived=True)
    to.import_file(tmp_path / "file")
    with to.session("branch") as session:
        assert [m.text for m in session.messages()] == expected
        assert session.get("file") is None
        assert session.attachment("file") is None
    assert to.check() == []


def test_attachments_leave_with_the_messages_they_belong_to(memory, to, tmp_path) -> None:
    with memory.session("alice") as session:
        with session.fork("branch") as branch, session.as_of(message="m20") as view:
            branch.export(tmp_path / "branch")
            view.export(tmp_path / "view")
    to.import_file(tmp_path / "branch")
    to.import_file(tmp_path / "view", rename={"alice": "view"})
    with to.session("branch") as session:
        assert session.attachment("file") == "x" * 150_000
    with to.session("view") as session:
        assert session.messages(-1)[0].id == "m20"
        session.add("tool", "see file", id="file")
        assert session.attachment("file") is None


# ---- hostile files


def crafted(path: Path, records, *, members=None, about=None) -> Path:
    """A file whose every checksum is right."""
    writer = ArchiveWriter(Vfs(), str(path))
    with writer.member("0/truth-0") as put:
        for record in records:
            put(record if isinstance(record, bytes) else pack_record(record))
    for name, data in (members or {}).items():
        with writer.member(name) as put:
            put(data)
    writer.finish({"sessions": 1, "tokenizer": "", "created": 0.0, **(about or {})})
    return path


def session_record(**fields) -> SessionRecord:
    values = {
        "name": "eve",
        "created": 1.0,
        "num_turns": 1,
        "num_tokens": 5,
        "num_notes": 0,
        "num_chunks": 0,
        "token_sum": bytes(32),
        "layout": {},
    }
    return SessionRecord(**{**values, **fields})


def turn_record(**fields) -> TurnRecord:
    values = {"id": "a", "role": "user", "text": "hello", "timestamp": 1.0, "num_tokens": 5}
    return TurnRecord(**{**values, **fields})


GONE = {"forgotten": True, "text": ""}
BAD = {
    "no records": [],
    "no session": [turn_record()],
    "two sessions": [session_record(), session_record()],
    "a turn too few": [session_record(num_turns=2), turn_record()],
    "a turn too many": [session_record(), turn_record(), turn_record(id="b")],
    "a note too few": [session_record(num_notes=1), turn_record()],
    "a note first": [
        session_record(num_notes=1),
        NoteRecord(key="k", value={}),
        turn_record(),
    ],
    "the same id": [session_record(num_turns=2), turn_record(), turn_record()],
    "an id twice": [session_record(num_turns=2), turn_record(), turn_record(text="other")],
    "no text": [session_record(), turn_record(text=" ")],
    "no id": [session_record(), turn_record(id="")],
    "a long id": [session_record(), turn_record(id="x" * 513)],
    "an unknown role": [session_record(), turn_record(role="root")],
    "no time": [session_record(), turn_record(timestamp=float("nan"))],
    "a time out of bounds": [session_record(), turn_record(timestamp=1e300)],
    "no end": [session_record(), turn_record(expires=float("inf"))],
    "no birthday": [session_record(created=float("nan")), turn_record()],
    "no name": [session_record(name=""), turn_record()],
    "a long name": [session_record(name="x" * 1025), turn_record()],
    "words of the forgotten": [session_record(), turn_record(forgotten=True)],
    "a forgotten bomb": [session_record(), turn_record(**GONE, num_tokens=1 << 27)],
    "half a record": [session_record(), pack_record(turn_record())[:-1]],
    "a long record": [session_record(), b"\xff\xff\xff\xff"],
    "no map": [session_record(), b"\x01\0\0\0\xc0"],
    "a nested bomb": [session_record(), b"\x06\0\0\0\xdd\x7f\xff\xff\xff\xc0"],
    "a long note": [
        session_record(num_notes=1),
        turn_record(),
        b"\x0d\0\0\0\x82\xa4note\xa1k\xa5value"[:-1],
    ],
}


@pytest.mark.parametrize("records", BAD.values(), ids=BAD)
def test_a_hostile_stream_changes_nothing(memory, tmp_path, records) -> None:
    path = crafted(tmp_path / "bad", records)
    before = files_in(tmp_path / "from")
    with pytest.raises(hsa_memory.ImportRejected):
        memory.import_file(path)
    assert files_in(tmp_path / "from") == before
    assert [info.name for info in memory.sessions()] == ["alice", "bob"]


@pytest.mark.parametrize(
    "about", [{"sessions": 0}, {"sessions": 2}, {"sessions": "1"}, {"sessions": True}]
)
def test_another_number_of_sessions_is_rejected(memory, tmp_path, about) -> None:
    path = crafted(tmp_path / "bad", [session_record(), turn_record()], about=about)
    with pytest.raises(hsa_memory.ImportRejected):
        memory.import_file(path)


def test_derived_state_of_other_sizes_is_rejected(memory, to, tmp_path) -> None:
    from hsa_memory.storage import TokenSum

    layout = memory.session("bob", read_only=True)._store.layout
    turn = turn_record(text="hello " * 30)
    tokens = TokenSum()
    with to.session("probe") as session:
        session.add("user", turn.text)
        tokens.add(session._store.tokens(0, session._store.num_tokens))
    good = {
        "0/landmarks-0": bytes(2 * layout.landmark_bytes),
        "0/kv-0": bytes(2 * layout.kv_bytes),
    }
    for number, members in enumerate(
        [
            {**good, "0/kv-0": bytes(layout.kv_bytes)},
            {**good, "0/landmarks-0": b""},
            {**good, "0/kv-1": b"x"},
            {"0/kv-0": good["0/kv-0"]},
            {**good, "0/landmarks-1": b""},
            {**good, "0/tail-0": b"", "0/tail-1": b""},
        ]
    ):
        about = session_record(num_chunks=2, token_sum=tokens.digest(), layout=layout.to_map())
        path = crafted(tmp_path / str(number), [about, turn], members=members)
        with pytest.raises(hsa_memory.ImportRejected):
            to.import_file(path)
    about = session_record(num_chunks=9999, token_sum=tokens.digest(), layout=layout.to_map())
    members = {
        "0/landmarks-0": bytes(9999 * layout.landmark_bytes),
        "0/kv-0": bytes(9999 * layout.kv_bytes),
    }
    with pytest.raises(hsa_memory.ImportRejected, match="more chunks than tokens"):
        to.import_file(crafted(tmp_path / "many", [about, turn], members=members))
    assert [info.name for info in to.sessions()] == ["probe"]


def test_derived_state_of_other_messages_is_not_used(memory, to, tmp_path) -> None:
    layout = memory.session("bob", read_only=True)._store.layout
    about = session_record(num_chunks=2, token_sum=bytes(32), layout=layout.to_map())
    members = {
        "0/landmarks-0": bytes(2 * layout.landmark_bytes),
        "0/kv-0": bytes(2 * layout.kv_bytes),
    }
    path = crafted(tmp_path / "file", [about, turn_record(text="hello " * 30)], members=members)
    assert to.import_file(path).tokens_ingested > 0
    assert to.check() == []
