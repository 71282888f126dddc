"""Connections that end at the worst moment, and calls that are interrupted."""

from __future__ import annotations

import gc
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from hsa_memory import DurabilityLost, Memory, MemorySession

TEXTS = [f"{i}: nobody could remember who built tower {i * i} of the harbour" for i in range(6)]


def texts(session: MemorySession) -> list[str]:
    return [message.text for message in session.messages()]


class Relay(threading.Thread):
    """Passes bytes between clients and the database server; cuts one connection on demand.

    Attributes:
        cut: what to do with the next message that holds COMMIT: "before" it reaches the server, or
            "after" it did, so that only the answer is lost.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut = ""
        self.start()

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        # Either end may go away at any moment.
        with suppress(OSError), client, socket.create_connection(self._target) as server:
            ways = {client: server, server: client}
            with selectors.DefaultSelector() as ready:
                for way in ways:
                    ready.register(way, selectors.EVENT_READ)
                while True:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                        if not data:
                            return
                        if key.fileobj is client and self.cut and b"COMMIT\0" in data:
                            if self.cut == "after":
                                server.sendall(data)
                                # The server's answer has begun: it is done.
                                server.recv(1)
                            self.cut = ""
                            return
                        ways[key.fileobj].sendall(data)  # type: ignore[index]

    def close(self) -> None:
        # Alone, closing would leave `accept` waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self.join()
        self._listener.close()


@pytest.fixture
def relay(postgres: str) -> Iterator[Relay]:
    relay = Relay(int(postgres.rsplit(":", 1)[1].split("/")[0]))
    yield relay
    relay.close()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_whose_answer_is_lost_is_stored_once(
    here: Callable[..., Memory], relay: Relay, database: str, bucket: str, moment: str
) -> None:
    parts = database.split("/postgres?")
    through = f"{parts[0].rsplit(':', 1)[0]}:{relay.port}/postgres?{parts[1]}"
    memory = here("first", database=through, objects=bucket)
    session = memory.session("alice")
    session.add("user", TEXTS[0], id="0")
    relay.cut = moment
    with pytest.raises(DurabilityLost, match="same id"):
        session.add("user", TEXTS[1], id="1")
    assert relay.cut == ""
    # Nobody knows whether it is stored, so this handle says nothing any more.
    with pytest.raises(DurabilityLost):
        session.messages()
    session.close()
    session = memory.session("alice")
    assert texts(session) == TEXTS[: 2 if moment == "after" else 1]
    session.add("user", TEXTS[1], id="1")
    session.add("user", TEXTS[2], id="2")
    session.close()
    assert texts(here("second", database=database, objects=bucket).session("alice")) == TEXTS[:3]


def test_a_server_that_ends_all_connections_stops_nobody(
    here: Callable[..., Memory], backends: Callable[[], int], database: str, bucket: str
) -> None:
    session = here("first", database=database, objects=bucket).session("alice")
    for i in range(6):
        session.add("user", TEXTS[i], id=str(i))
        assert backends() >= 1
        assert texts(session) == TEXTS[: i + 1]
        backends()
    session.close()
    restored = here("second", database=database, objects=bucket).session("alice")
    assert texts(restored) == TEXTS[:6]
    assert restored.catch_up().tokens_ingested == 0


# ---- Ctrl-C


class _At:
    """Interrupts at the n-th place where Python handles a signal."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.count = 0

    def __call__(self, frame: object, event: str, arg: object) -> None:
        if event in ("call", "c_return"):
            self.count += 1
            if self.count == self.place:
                sys.setprofile(None)
                raise KeyboardInterrupt


def watched(call: Callable[[], object], at: _At) -> KeyboardInterrupt | None:
    gc.disable()
    sys.setprofile(at)
    try:
        call()
    except KeyboardInterrupt as error:
        # Its frames, and all they hold, stay as long as this does.
        return error
    finally:
        sys.setprofile(None)
        gc.enable()
    return None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_add_stores_its_message_or_not(
    here: Callable[..., Memory], database: str, bucket: str
) -> None:
    session = here("first", database=database, objects=bucket).session("alice")
    count = _At(0)
    watched(lambda: session.add("user", TEXTS[0], id="first"), count)
    acknowledged, begun = ["first"], ["first"]
    errors = []
    for place in range(1, count.count, max(1, count.count // 60)):
        begun.append(f"at {place}")
        error = watched(
            lambda place=place: session.add("user", TEXTS[1], id=f"at {place}"), _At(place)
        )
        errors.append(error)
        if error is None:
            acknowledged.append(f"at {place}")
        session.add("user", TEXTS[2], id=f"after {place}")
        begun.append(f"after {place}")
        acknowledged.append(f"after {place}")
    # What they kept alive ends here, where it may warn.
    errors.clear()
    error = None
    gc.collect()
    stored = [message.id for message in session.messages()]
    assert len(acknowledged) < len(begun)
    assert [id for id in stored if id in acknowledged] == acknowledged
    assert [id for id in begun if id in stored] == stored
    session.close()
    restored = here("second", database=database, objects=bucket).session("alice")
    assert [message.id for message in restored.messages()] == stored
    assert restored.catch_up().tokens_ingested == 0
