"""Exports of sessions that others write to, and delete, meanwhile."""

import threading

import pytest

import hsa_memory
from hsa_memory import MoveProgress, SessionDeleted


@pytest.fixture
def memory(tiny_checkpoint, tmp_path):
    with hsa_memory.open(tmp_path / "from", model=tiny_checkpoint) as memory:
        for name in ("alice", "bob"):
            with memory.session(name) as session:
                session.add("user", f"I am {name.title()}.")
        with memory.session("alice") as session:
            for i in range(30):
                session.add("user", f"message {i}: my dog is called Biscuit")
        yield memory


@pytest.fixture
def to(tiny_checkpoint, tmp_path):
    with hsa_memory.open(tmp_path / "to", model=tiny_checkpoint) as memory:
        yield memory


def test_a_writer_goes_on_meanwhile(memory, to, tmp_path) -> None:
    stop = threading.Event()

    def write() -> None:
        with memory.session("bob") as session:
            while not stop.is_set():
                session.add("user", f"message {len(session)} of Bob")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(4):
            memory.export(tmp_path / str(number), sessions=["bob"], derived=True)
            to.import_file(tmp_path / str(number), rename={"bob": str(number)})
    finally:
        stop.set()
        writer.join()
    assert to.check() == []
    for number in range(4):
        with to.session(str(number)) as session:
            texts = [m.text for m in session.messages()]
            assert texts[1:] == [f"message {i} of Bob" for i in range(1, len(texts))]


def test_a_session_that_is_deleted_meanwhile_is_not_in_the_file(memory, to, tmp_path) -> None:
    def delete(progress: MoveProgress) -> None:
        if (
            progress.session == name
            and progress.done
            and name in {x.name for x in memory.sessions()}
        ):
            memory.delete_session(name)

    name = "alice"
    assert memory.export(tmp_path / "all", derived=True, progress=delete).sessions == ("bob",)
    to.import_file(tmp_path / "all")
    assert [info.name for info in to.sessions()] == ["bob"]
    name = "bob"
    with pytest.raises(SessionDeleted):
        memory.export(tmp_path / "one", sessions=["bob"], derived=True, progress=delete)
    assert not (tmp_path / "one").exists()
