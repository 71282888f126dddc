"""Stores of earlier versions: opened and answered from, or refused with numbers and made anew."""

import json
import os
import signal
import sqlite3
import struct
import tarfile
from pathlib import Path

import pytest
import xxhash

import hsa_memory
from hsa_memory.storage import Store, StoreFull, migration

GOLDEN = Path(__file__).parents[1] / "golden"


def unpacked(version: str, to: Path) -> Path:
    with tarfile.open(GOLDEN / f"v{version}.tar.xz") as archive:
        archive.extractall(to)  # ours, made by the release itself
    return to / "store"


@pytest.fixture
def store_1(tmp_path) -> Path:
    return unpacked("1.0", tmp_path)


@pytest.fixture
def store_2(tmp_path) -> Path:
    return unpacked("2.0", tmp_path)


@pytest.fixture
def expected(store_2) -> dict:
    return json.loads((store_2.parent / "answers.json").read_text())


def open_talk(memory: hsa_memory.Memory, fingerprint: str) -> hsa_memory.MemorySession:
    """The session of the bundled weights; if they are others by now, once it is encoded anew."""
    if memory.stats().fingerprint != fingerprint:
        with pytest.raises(hsa_memory.ModelMismatch) as caught:
            memory.session("talk")
        assert caught.value.num_tokens > 0
        assert caught.value.estimated_seconds > 0
        assert memory.reingest("talk").tokens_ingested > 0
    return memory.session("talk")


def test_a_store_of_2_0_opens_and_answers(store_2, expected, mini_weights) -> None:
    with hsa_memory.open(store_2, model=mini_weights) as memory:
        with open_talk(memory, expected["fingerprint"]) as session:
            assert session.stats().num_tokens == expected["num_tokens"]
            assert len(session) == 16
            assert session.get("secret") is None
            assert session.attachment("file") == "its bytes"
            if memory.stats().fingerprint == expected["fingerprint"]:
                assert session.ask("Who?", max_tokens=1).stats.tokens_ingested == 0
                for question, text in expected["answers"].items():
                    assert session.ask(question).text == text
                for question, ids in expected["hits"].items():
                    assert [hit.id for hit in session.search(question, k=3)] == ids
            session.add("user", "My cat is called Crumb.")
        assert memory.check() == []


def test_an_export_of_2_0_can_be_imported(store_2, expected, mini_weights, tmp_path) -> None:
    with hsa_memory.open(tmp_path / "to", model=mini_weights) as memory:
        moved = memory.import_file(store_2.parent / "talk.export")
        same = memory.stats().fingerprint == expected["fingerprint"]
        assert (moved.tokens_ingested == 0) == same
        with memory.session("talk") as session:
            assert len(session) == 16
            if same:
                for question, text in expected["answers"].items():
                    assert session.ask(question).text == text
        assert memory.check() == []


def test_a_store_goes_over_to_another_model(store_2, tiny_checkpoint) -> None:
    with hsa_memory.open(store_2, model=tiny_checkpoint) as memory:
        with pytest.raises(hsa_memory.ModelMismatch, match="tokens") as caught:
            memory.session("talk")
        assert caught.value.num_tokens == 286
        memory.reingest("talk")
        with memory.session("talk") as session:
            assert session.get("dog").text == "My dog is called Biscuit."
            assert session.get("secret") is None
        assert memory.check() == []


def test_a_store_of_1_0_opens_and_answers(store_1, mini_weights) -> None:
    with hsa_memory.open(store_1, model=mini_weights, read_only=True) as memory:
        fingerprint = memory.stats().fingerprint
    with Store.open(store_1, read_only=True) as store:
        with store.session("talk", layout=None) as session:
            written = session.layout.fingerprint
    with hsa_memory.open(store_1, model=mini_weights) as memory:
        with open_talk(memory, written) as session:
            assert session.get("dog").text == "My dog is called Biscuit."
            if written == fingerprint:
                assert session.ask("What is my dog called?").text == "Biscuit"
        assert memory.check() == []


def test_a_store_of_1_0_can_be_exported_and_copied(store_1, mini_weights, tmp_path) -> None:
    with hsa_memory.open(store_1, model=mini_weights, read_only=True) as memory:
        memory.export(tmp_path / "file", sessions=["talk"], derived=True)
        assert memory.backup(tmp_path / "copy").findings == ()
    for name in ("copy", "to"):
        with hsa_memory.open(tmp_path / name, model=mini_weights) as memory:
            if name == "to":
                memory.import_file(tmp_path / "file")
            with Store.open(tmp_path / name, read_only=True) as store:
                with store.session("talk", layout=None) as session:
                    assert session.find("dog").text == "My dog is called Biscuit."
            assert memory.check() == []


def test_a_kill_in_the_middle_of_a_migration_changes_nothing(
    store_1, mini_weights, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        # Inside of the transaction, after its first changes.
        patch.setattr(migration, "_with_newest", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        child = os.fork()
        if child == 0:
            try:
                Store.open(store_1).session("talk", layout=None)
            finally:
                os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL

        def full(*_: object) -> None:
            raise StoreFull("no space left (injected)")

        patch.setattr(migration, "_with_newest", full)
        with hsa_memory.open(store_1, model=mini_weights) as memory:
            with pytest.raises(hsa_memory.StoreFull):
                memory.session("talk")
    with hsa_memory.open(store_1, model=mini_weights) as memory:
        with Store.open(store_1) as store, store.session("talk", layout=None) as session:
            assert session.find("dog").text == "My dog is called Biscuit."
        assert memory.check() == []


def set_version(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={version}")
    connection.close()


def set_header(path: Path, *, version: int) -> None:
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, 10, version)
    struct.pack_into("<Q", data, 4088, xxhash.xxh3_64_intdigest(bytes(data[:4088])))
    path.write_bytes(data)


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("place", ["STORE", "catalog.db", "session.db"])
def test_newer_formats_are_refused(store_2, mini_weights, place, read_only) -> None:
    paths = [store_2 / place] if place != "session.db" else list(store_2.glob("s/*/*/session.db"))
    for path in paths:
        if place == "STORE":
            set_header(path, version=3 << 8)
        else:
            set_version(path, 3 << 8)
    before = {path: path.read_bytes() for path in paths}

    def use() -> None:
        with hsa_memory.open(store_2, model=mini_weights, read_only=read_only) as memory:
            memory.session("talk", create=False)

    with pytest.raises(hsa_memory.UnsupportedFormat, match="upgrade"):
        use()
    assert {path: path.read_bytes() for path in paths} == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_minor_version_is_read(store_2, expected, mini_weights, read_only) -> None:
    set_header(store_2 / "STORE", version=(2 << 8) + 7)
    with hsa_memory.open(store_2, model=mini_weights, read_only=read_only) as memory:
        assert memory.has_session("talk")
