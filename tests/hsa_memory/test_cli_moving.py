"""hsa-memory export, import, backup and reingest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hsa_memory import cli
from hsa_memory.model import HSAConfig, HSATransformer, Tokenizer, save_checkpoint

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path, tiny_checkpoint, capsys) -> Run:
    """Run a command on the store of that name; returns stdout, parsed with --json, and stderr."""

    def call(store: str, *words: str, model: Path = tiny_checkpoint, code: int = 0) -> Any:
        assert cli.main(["--store", str(tmp_path / store), "--model", str(model), *words]) == code
        out, err = capsys.readouterr()
        if code:
            return err
        return json.loads(out) if "--json" in words else out

    return call


@pytest.fixture
def store(run) -> str:
    for i in range(6):
        run("here", "add", f"Line {i}: my dog is called Biscuit.", "--id", f"m{i}")
    run("here", "--session", "work", "add", "The locker code is 4817.")
    return "here"


def test_a_session_goes_from_store_to_store(run, store, tmp_path) -> None:
    file = str(tmp_path / ("file" * 30))
    told = run(store, "export", file)
    assert told.count("\n") == 1  # also where it is no terminal, and wider than one
    assert "'default'" in told
    assert "6 messages" in told
    moved = run("there", "import", file, "--rename", "default=dogs", "--json")
    assert moved["sessions"] == ["dogs"]
    assert moved["tokens_ingested"] > 0
    found = run("there", "--session", "dogs", "search", "dog", "--json")
    assert found["hits"][0]["message"]["text"].startswith("Line")
    assert "SessionExists" in run("there", "import", file, "--rename", "default=dogs", code=1)


def test_all_sessions_with_derived_state(run, store, tmp_path) -> None:
    file = str(tmp_path / "file")
    assert run(store, "export", file, "--all", "--derived", "--json")["num_messages"] == 7
    moved = run("there", "import", file, "--json")
    assert moved["sessions"] == ["default", "work"]
    assert moved["tokens_ingested"] == 0
    run("there", "check")


def test_a_backup_opens(run, store, tmp_path) -> None:
    assert "verified" in run(store, "backup", str(tmp_path / "copy"))
    assert run("copy", "search", "dog", "--json")["stats"]["tokens_ingested"] == 0
    assert "not empty" in run(store, "backup", str(tmp_path / "copy"), code=1)


def test_another_model_takes_over(run, store, tiny_checkpoint, tmp_path) -> None:
    tokenizer = Tokenizer.load(tiny_checkpoint / "tokenizer.json")
    torch.manual_seed(9)
    config = HSAConfig.from_json((tiny_checkpoint / "config.json").read_text())
    save_checkpoint(tmp_path / "other", HSATransformer(config), tokenizer)
    other = tmp_path / "other"
    refused = run(store, "search", "dog", model=other, code=1)
    assert "hsa-memory reingest" in refused
    assert "tokens" in refused
    assert run(store, "reingest", "--json", model=other)["tokens_ingested"] > 0
    run(store, "search", "dog", model=other)
    assert "nothing to encode" in run(store, "reingest", model=other)
    assert run(store, "reingest", "--kv-dtype", "int8", "--json", model=other)["tokens_ingested"]
    assert run(store, "stats", "--json", model=other)["session"]["kv_dtype"] == "int8"


def test_what_cannot_be_done_is_one_line(run, store, tmp_path) -> None:
    for words in (
        ["import", str(tmp_path / "missing")],
        ["import", __file__],
        ["export", str(tmp_path / "none" / "file")],
        ["--session", "nobody", "export", str(tmp_path / "file")],
        ["--session", "nobody", "reingest"],
        ["backup", str(tmp_path / "here" / "inside")],
    ):
        told = run(store, *words, code=1)
        assert told.startswith("hsa-memory: ")
        assert told.count("\n") == 1
    run("nowhere", "export", str(tmp_path / "file"), code=1)
    with pytest.raises(SystemExit, match="2"):
        run(store, "import", "x", "--rename", "oops")
