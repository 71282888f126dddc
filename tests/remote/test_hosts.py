"""Several machines and one memory: each machine is a process with a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import hsa_memory
from hsa_memory import Memory, MemorySession, SessionBusy, WriterFenced
from hsa_memory.cli import main
from hsa_memory.fork import Fork

TEXTS = [f"{i}: nobody could remember who built tower {i * i} of the harbour" for i in range(40)]
QUESTION = "Who built the tower?"
Start = Callable[..., "subprocess.Popen[str]"]
HOST = """
import json, sys
import hsa_memory

options = json.loads(sys.argv[1])
memory = hsa_memory.open(options.pop("folder"), **options)
session = memory.session("alice")
print("open", flush=True)
for line in sys.stdin:
    command, *values = json.loads(line)
    try:
        if command == "add":
            print(session.add("user", values[1], id=values[0]).ids, flush=True)
        elif command == "close":
            memory.close()
            print("closed", flush=True)
    except hsa_memory.HSAMemoryError as error:
        print(type(error).__name__, flush=True)
"""


class Host:
    """A process that has the session alice open for writing."""

    def __init__(self, start: Start, folder: Path, model: Path, **servers: str) -> None:
        options = {"folder": str(folder), "model": str(model), **servers}
        self.process = start(
            [sys.executable, "-P", "-c", HOST, json.dumps(options)]
            if sys.version_info >= (3, 11)
            else [sys.executable, "-c", HOST, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder.parent,
        )
        assert self.answer() == "open"

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, *command: object) -> str:
        self.send(*command)
        return self.answer()

    def send(self, *command: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        """Have it stand still."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)


@pytest.fixture
def host(tmp_path: Path, tiny_checkpoint: Path, start_process: Start) -> Callable[..., Host]:
    return lambda name, **servers: Host(start_process, tmp_path / name, tiny_checkpoint, **servers)


def logits(session: MemorySession) -> torch.Tensor:
    """Logits of the token that starts the answer, with the whole history in reach."""
    fork = Fork.of_history(session._source)
    with torch.inference_mode():
        prompt = torch.tensor([fork.engine.question(QUESTION)])
        return fork.forward(prompt, fork.state).logits


def texts(session: MemorySession) -> list[str]:
    return [message.text for message in session.messages()]


def soon(call: Callable[[], Any], seconds: float = 120.0) -> Any:
    """What a call returns once the session is not busy any more."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except SessionBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_another_host_with_an_empty_disk_restores_every_bit(
    host: Callable[..., Host],
    here: Callable[..., Memory],
    tmp_path: Path,
    database: str,
    bucket: str,
) -> None:
    servers = {"database": database, "objects": bucket}
    never = here("never").session("alice")
    for i, text in enumerate(TEXTS):
        never.add("user", text, id=str(i))
    # Three hosts in turn, the last one with an empty disk.
    for name, part in (("first", slice(0, 17)), ("second", slice(17, 40))):
        there = host(name, **servers)
        for i in range(40)[part]:
            assert there.ask("add", str(i), TEXTS[i]) == f"('{i}',)"
        assert there.ask("close") == "closed"
    assert not (tmp_path / "third").exists()
    session = here("third", **servers).session("alice")
    assert texts(session) == TEXTS
    assert session.catch_up().tokens_ingested == 0
    for ours, theirs in (
        (session.search(QUESTION), never.search(QUESTION)),
        (session.ask(QUESTION, max_tokens=4), never.ask(QUESTION, max_tokens=4)),
    ):
        assert ours.stats.tokens_ingested == ours.stats.prefilled_history == 0
        assert ours.stats.chunks_read > 0
        assert ours.diagnostics == theirs.diagnostics == ()
    assert torch.equal(logits(session), logits(never))
    assert [(hit.text, hit.score) for hit in session.search(QUESTION)] == [
        (hit.text, hit.score) for hit in never.search(QUESTION)
    ]


def test_a_killed_host_loses_its_lease_and_no_message(
    host: Callable[..., Host],
    here: Callable[..., Memory],
    database: str,
    bucket: str,
    leases_end: Callable[[float], None],
) -> None:
    servers = {"database": database, "objects": bucket}
    first = host("first", **servers)
    for i in range(25):
        first.ask("add", str(i), TEXTS[i])
    memory = here("second", **servers)
    with pytest.raises(SessionBusy, match="more seconds"):
        memory.session("alice")
    first.process.kill()
    first.process.wait()
    leases_end(1.0)
    session = soon(lambda: memory.session("alice"))
    assert texts(session) == TEXTS[:25]
    # It had stored nothing but messages: what it encoded is encoded again from those.
    encoded = session.catch_up().tokens_ingested + session.stats().num_chunks * 8
    assert encoded >= session.stats().num_tokens // 8 * 8
    session.add("user", TEXTS[25], id="25")
    again = here("first", **servers)
    session.close()
    restored = again.session("alice")
    assert texts(restored) == TEXTS[:26]
    never = here("never").session("alice")
    for i in range(26):
        never.add("user", TEXTS[i], id=str(i))
    assert torch.equal(logits(restored), logits(never))


def test_a_host_that_was_stopped_past_its_lease_writes_nothing(
    host: Callable[..., Host],
    here: Callable[..., Memory],
    database: str,
    bucket: str,
    leases_end: Callable[[float], None],
) -> None:
    servers = {"database": database, "objects": bucket}
    first = host("first", **servers)
    for i in range(10):
        first.ask("add", str(i), TEXTS[i])
    first.stop()
    leases_end(1.0)
    memory = here("second", **servers)
    session = soon(lambda: memory.session("alice"))
    first.send("add", "late", "written by one who slept too long")
    first.process.send_signal(signal.SIGCONT)
    # The other one has not written yet, and still the first is out.
    assert first.answer() == WriterFenced.__name__
    assert texts(session) == TEXTS[:10]
    session.add("user", "a new beginning")
    assert first.ask("add", "late", "again") == WriterFenced.__name__
    assert texts(session) == [*TEXTS[:10], "a new beginning"]
    first.ask("close")
    assert here("third", **servers).session("alice", read_only=True).get("late") is None
    # Whoever lost the session does not take the new one's lease with it.
    with pytest.raises(SessionBusy):
        here("third", **servers).session("alice")


def test_two_hosts_at_once_are_told_apart(
    host: Callable[..., Host], here: Callable[..., Memory], database: str, bucket: str
) -> None:
    servers = {"database": database, "objects": bucket}
    first = host("first", **servers)
    with pytest.raises(SessionBusy, match=str(first.process.pid)):
        here("second", **servers).session("alice")
    reader = here("second", **servers).session("alice", read_only=True)
    first.ask("add", "a", "Is anybody there?")
    assert texts(reader) == ["Is anybody there?"]
    assert first.ask("close") == "closed"
    here("second", **servers).session("alice").add("user", "Now there is.")
    assert len(texts(reader)) == 2


# ---- the command line


def test_the_command_line_opens_it_from_anywhere(
    tmp_path: Path,
    tiny_checkpoint: Path,
    database: str,
    bucket: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(folder: str, *words: str) -> Any:
        common = ["--json", "--store", str(tmp_path / folder), "--model", str(tiny_checkpoint)]
        assert main([*common, *words]) == 0
        return json.loads(capsys.readouterr().out)

    run("first", "--database", database, "--objects", bucket, "add", TEXTS[0])
    monkeypatch.setenv("HSA_MEMORY_DATABASE", database)
    monkeypatch.setenv("HSA_MEMORY_OBJECTS", bucket)
    run("second", "add", TEXTS[1])
    assert [found["name"] for found in run("third", "sessions")] == ["default"]
    hits = run("third", "search", QUESTION)["hits"]
    assert {hit["message"]["text"] for hit in hits} == set(TEXTS[:2])
    assert run("third", "check", "--repair") == []


@pytest.mark.parametrize(
    "servers",
    [
        {"objects": "s3://bucket"},
        {"database": "sqlite:///x"},
        {"database": 7},
        {"database": "postgresql://h/d", "objects": "ftp://x"},
        {"database": "postgresql://h/d", "objects": "s3://"},
        {"database": "postgresql://h/d", "objects": "s3://bucket/\ud800"},
        {"database": "postgresql://[::1/d"},
        {"database": "postgresql://h/d\0"},
        {"database": "postgresql://h/\ud800"},
        {"database": "postgresql://h/d?sslmod=require"},
        {"database": "postgresql://h/d", "user": "alice"},
        {"database": "postgresql://h/d", "key": bytes(32)},
    ],
)
def test_an_impossible_address_is_an_invalid_argument(
    tmp_path: Path, tiny_checkpoint: Path, servers: dict[str, Any]
) -> None:
    with pytest.raises(hsa_memory.InvalidArgument, match="database|objects"):
        hsa_memory.open(tmp_path / "x", model=tiny_checkpoint, **servers)
    assert not (tmp_path / "x").exists()


def test_what_only_a_folder_can_do_is_said(
    here: Callable[..., Memory], tmp_path: Path, database: str
) -> None:
    memory = here("x", database=database)
    with pytest.raises(hsa_memory.StorageError, match="cannot be copied"):
        memory.backup(tmp_path / "copy")
    with pytest.raises(hsa_memory.NotAllowed, match="users need a store in a folder"):
        memory.users()
