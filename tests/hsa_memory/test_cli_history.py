"""The commands that change what a session holds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsa_memory import cli

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str, code: int = 0) -> Any:
        store = ["--store", str(tmp_path / "store"), "--model", str(tiny_checkpoint)]
        assert cli.main([*store, *words]) == code
        out = capsys.readouterr().out
        return json.loads(out) if "--json" in words and out else out

    for i in range(6):
        call("add", f"Message number {i}.", "--id", f"m{i}", "--timestamp", f"2026-03-0{i + 1}")
    capsys.readouterr()
    return call


def found(run: Run, *words: str) -> set[str]:
    hits = run("search", "message", "-k", "20", "--json", *words)["hits"]
    return {hit["message"]["id"] for hit in hits}


def test_forget_tells_what_it_removes(run: Run, tmp_path: Path) -> None:
    assert "would forget 2 messages" in run("forget", "m1", "m2", "--dry-run")
    assert found(run) == {f"m{i}" for i in range(6)}
    told = run("forget", "m1", "m2", "--scan")
    assert "forgot 2 messages" in told
    assert "found nothing" in told
    assert run("forget", "--since", "2026-03-06", "--json")["ids"] == ["m5"]
    assert found(run) == {"m0", "m3", "m4"}
    assert run("forget", code=1) == ""
    assert run("forget", "m1", code=1) == ""
    assert "forgot 1 message (" in run("forget", "m0")
    stored = b"".join(p.read_bytes() for p in (tmp_path / "store").rglob("*") if p.is_file())
    assert b"number 1" not in stored
    assert b"number 3" in stored


def test_fork_leaves_the_history_where_it_is_told(run: Run) -> None:
    assert "first 3 messages" in run("fork", "early", "--message", "m2")
    assert run("fork", "timed", "--at", "2026-03-04T12:00", "--json")["num_messages"] == 4
    assert run("fork", "whole", "--json")["num_messages"] == 6
    run("add", "Only here.", "--session", "early", "--id", "own")
    assert found(run, "--session", "early") == {"m0", "m1", "m2", "own"}
    assert found(run) == {f"m{i}" for i in range(6)}
    assert run("fork", "early", code=1) == ""


def test_a_message_may_expire(run: Run) -> None:
    run("add", "Soon gone.", "--id", "soon", "--ttl", "60", "--timestamp", "2020-01-01")
    assert "soon" not in found(run)
