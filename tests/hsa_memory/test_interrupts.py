"""Ctrl-C at any moment of a call: the session goes on, and nothing acknowledged is lost.

Python raises KeyboardInterrupt where a function begins or a C function has returned; the tests do
so at many such places of a call, spread over its whole length.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import hsa_memory
from hsa_memory import Memory, MemorySession

# What an interrupted call had open is closed by its objects' end, of which Python warns; where that
# end itself is interrupted, it warns of that.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PLACES = 60
QUESTION = "What is the boat called?"


class _Places:
    """Counts the places where a signal is handled, and interrupts at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        if event in ("call", "c_return"):
            self.count += 1
            if self.count == self.at:
                sys.setprofile(None)
                raise KeyboardInterrupt


@contextmanager
def _watched(places: _Places) -> Iterator[None]:
    # Other libraries have callbacks in the garbage collector; they are not to be interrupted.
    gc.disable()
    sys.setprofile(places)
    try:
        yield
    finally:
        sys.setprofile(None)
        gc.enable()


def interrupt(call: Callable[[], object], at: int) -> KeyboardInterrupt | None:
    """Run a call and interrupt it at a place, if it comes that far.

    The error keeps the call's frames, and all they hold, as it does at an interactive prompt.
    """
    try:
        with _watched(_Places(at)):
            call()
    except KeyboardInterrupt as error:
        return error
    return None


def spread(call: Callable[[], object]) -> list[int]:
    """Places to interrupt a call at, after running it once to count them."""
    places = _Places(0)
    with _watched(places):
        call()
    return list(range(1, places.count, max(1, places.count // PLACES)))


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What interrupted calls have left ends here, where it may warn, and not in another test."""
    yield
    gc.collect()


@pytest.fixture
def memory(tmp_path: Path, tiny_checkpoint: Path, caplog: pytest.LogCaptureFixture):
    # SQLAlchemy tells of cursors that it could not close any more.
    caplog.set_level(logging.CRITICAL, "sqlalchemy")
    with hsa_memory.open(tmp_path / "memory", model=tiny_checkpoint) as memory:
        yield memory


def as_restored(memory: Memory, session: MemorySession) -> None:
    """Require that the session shows what a new one reads from disk."""
    texts = [message.text for message in session.messages()]
    hits = [(hit.seq, hit.score) for hit in session.search(QUESTION, k=5)]
    session.close()
    with memory.session(session.name) as again:
        assert texts == [message.text for message in again.messages()]
        assert hits == [(hit.seq, hit.score) for hit in again.search(QUESTION, k=5)]


def test_an_interrupted_add_stores_its_message_or_not(memory: Memory) -> None:
    session = memory.session("s")

    def add(text: str) -> None:
        session.add("user", f"{text}: " + "the boat goes on " * 8)

    places = spread(lambda: add("first"))
    acknowledged, begun = ["first"], ["first"]
    for at in places:
        begun.append(f"at {at}")
        error = interrupt(lambda at=at: add(f"at {at}"), at)
        if error is None:
            acknowledged.append(f"at {at}")
        if at % 2:
            # Once more, on the way back to a known state.
            interrupt(lambda: session.search(QUESTION), at % 150)
        add(f"after {at}")
        begun.append(f"after {at}")
        acknowledged.append(f"after {at}")
    stored = [message.text.split(":")[0] for message in session.messages()]
    assert len(acknowledged) < len(begun)
    assert [text for text in stored if text in acknowledged] == acknowledged
    assert [text for text in begun if text in stored] == stored
    as_restored(memory, session)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_an_interrupted_question_changes_nothing(
    memory: Memory, read_only: bool, asked: bool
) -> None:
    with memory.session("s") as session:
        for number in range(40):
            session.add("user", f"The boat number {number} is called Albatross.")
    session = memory.session("s", read_only=read_only)
    expected = session.search(QUESTION, k=5).hits

    def question() -> None:
        # As after a restart, so that everything is read from disk.
        session._attach(session._store)
        if asked:
            session.ask(QUESTION, max_tokens=2)
        else:
            session.search(QUESTION, k=5)

    for at in spread(question):
        error = interrupt(question, at)
        assert session.search(QUESTION, k=5).hits == expected
        del error
    as_restored(memory, session)


@pytest.mark.parametrize("known", [False, True])
def test_an_interrupted_opening_leaves_no_lock(memory: Memory, known: bool) -> None:
    opened: list[MemorySession] = []

    def name(at: int) -> str:
        return "known" if known else f"new {at}"

    def open_session(at: int) -> None:
        opened.append(memory.session(name(at)))

    memory.session("known").close()
    places = spread(lambda: open_session(0))
    opened.pop().close()
    for at in places:
        interrupt(lambda at=at: open_session(at), at)
        while opened:
            opened.pop().close()
        with memory.session(name(at)) as session:
            session.add("user", f"The boat number {at} is called Albatross.")
    # A new session may be there that nobody was told of, as after a kill.
    assert {finding.kind for finding in memory.check()} <= {"unlisted-session"}


def test_an_interrupted_close_can_be_repeated(memory: Memory) -> None:
    session = memory.session("s")

    session.add("user", "The boat is called Albatross.")
    places = spread(session.close)
    for at in places:
        session = memory.session("s")
        session.add("user", f"The boat number {at} goes on.")
        interrupt(session.close, at)
        session.close()
    assert len(memory.session("s").messages()) == 1 + len(places)
