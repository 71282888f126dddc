"""Exports that somebody made up, and names that nobody can have: typed errors, and no session."""

import os
from pathlib import Path

import pytest

import hsa_memory
from hsa_memory.storage import ArchiveWriter, Vfs
from hsa_memory.storage.archive_truth import NoteRecord, SessionRecord, TurnRecord, pack_record


@pytest.fixture
def to(tiny_checkpoint, tmp_path):
    with hsa_memory.open(tmp_path / "to", model=tiny_checkpoint) as memory:
        yield memory


def crafted(path: Path, key: str, value: dict) -> Path:
    """A file with one message and one note, whose every checksum is right."""
    about = SessionRecord(
        name="eve",
        created=1.0,
        num_turns=1,
        num_tokens=5,
        num_notes=1,
        num_chunks=0,
        token_sum=bytes(32),
        layout={},
    )
    turn = TurnRecord(id="x", role="user", text="hello", timestamp=1.0, num_tokens=5)
    writer = ArchiveWriter(Vfs(), str(path))
    with writer.member("0/truth-0") as put:
        for record in (about, turn, NoteRecord(key=key, value=value)):
            put(pack_record(record))
    writer.finish({"sessions": 1, "tokenizer": "", "created": 0.0})
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ttl", {}),
        ("ttl", {"seconds": "soon"}),
        ("ttl", {"seconds": float("nan")}),
        ("attachment-0-x", {}),
        ("attachment-0-x", {"pieces": "1", "data": b""}),
        ("attachment-0-x", {"pieces": 1 << 40, "data": b""}),
        ("attachment-0-x", {"pieces": 1, "data": "x"}),
    ],
)
def test_notes_that_no_session_could_be_opened_with_are_rejected(to, tmp_path, key, value) -> None:
    path = crafted(tmp_path / "bad", key, value)
    with pytest.raises(hsa_memory.ImportRejected):
        to.import_file(path)
    assert to.sessions() == []


def test_an_attachment_that_is_no_text_is_told(to, tmp_path) -> None:
    value = {"pieces": 1, "data": b"\xff"}
    to.import_file(crafted(tmp_path / "odd", "attachment-0-x", value))
    with pytest.raises(hsa_memory.CorruptStore, match="no UTF-8"):
        to.session("eve").attachment("x")


def test_a_pipe_is_no_export(to, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(hsa_memory.StorePermission, match="regular file"):
        to.import_file(tmp_path / "pipe")


def test_impossible_arguments_are_named(to, tmp_path) -> None:
    to.session("alice").add("user", "hello")
    real, target = tmp_path / "real.hsa", tmp_path / "x.hsa"
    to.export(real)
    for call in (
        lambda: to.export(target, sessions=5),
        lambda: to.export(target, sessions=[5]),
        lambda: to.export(target, sessions=[["alice"]]),
        lambda: to.export(target, sessions=["\ud800"]),
        lambda: to.export(target, sessions="alice"),
        lambda: to.import_file(tmp_path),
        lambda: to.import_file(real, rename="alice"),
        lambda: to.import_file(real, rename=["alice"]),
        lambda: to.import_file(real, rename=[("alice", "carol")]),
        lambda: to.import_file(real, rename={"alice": None}),
        lambda: to.reingest(None),
        lambda: to.reingest([]),
        lambda: to.reingest(""),
        lambda: to.reingest("\ud800"),
    ):
        with pytest.raises(hsa_memory.InvalidArgument):
            call()
    assert not target.exists()
    with pytest.raises(hsa_memory.StorePermission):
        to.backup("/proc/copy")
