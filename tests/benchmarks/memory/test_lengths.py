"""Answers over the length: what is asked where, and a run that goes on where it was."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsa_memory import evaluation, evaluation_memory, evaluation_scoring
from hsa_memory.engine import load_engine
from hsa_memory.errors import InvalidArgument

LENGTHS = (3000, 4000)


def options(checkpoint: Path, out: Path, *more: str) -> list[str]:
    found = ["--quick", "--model", str(checkpoint), "--out", str(out), "--task", "code,niah"]
    return [*found, "--lengths", *map(str, LENGTHS), *more]


class Measure:
    """Counts the lengths that are measured, and may be stopped before one."""

    def __init__(self, real: Any, stop: int | None = None) -> None:
        self.real, self.stop = real, stop
        self.lengths: list[int] = []

    def __call__(self, engine: Any, settings: evaluation.Settings, **kwargs: Any) -> Any:
        if settings.length == self.stop:
            raise KeyboardInterrupt
        self.lengths.append(settings.length)
        return self.real(engine, settings, **kwargs)


def test_a_run_that_was_stopped_goes_on_where_it_was(
    load, checkpoint, tmp_path, monkeypatch, capsys
):
    # What an untrained model says has no end.
    monkeypatch.setattr(evaluation_scoring, "MAX_TOKENS", 2)
    module = load("lengths")
    first = Measure(module.measure, stop=4000)
    monkeypatch.setattr(module, "measure", first)
    with pytest.raises(KeyboardInterrupt):
        module.main(options(checkpoint, tmp_path))
    assert first.lengths == [3000]
    assert not (tmp_path / "lengths.json").exists()

    second = Measure(first.real)
    monkeypatch.setattr(module, "measure", second)
    assert module.main(options(checkpoint, tmp_path)) == 0
    assert second.lengths == [4000]
    assert "measured before" in capsys.readouterr().out

    module.main(options(checkpoint, tmp_path, "--seed", "1"))
    assert second.lengths == [4000, *LENGTHS]

    report = json.loads((tmp_path / "lengths" / "4000.json").read_text(encoding="utf-8"))
    assert report["wanted"]["seed"] == 1
    assert report["ingest"]["tokens"] == report["histories"] * 4000
    # One question is the same whichever way it is asked.
    alone, together = (
        [(q["question"], q["position"]) for q in report["questions"][way]]
        for way in ("alone", "together")
    )
    assert len(alone) == 4
    assert alone == together
    summary = json.loads((tmp_path / "lengths.json").read_text(encoding="utf-8"))
    assert [one["length"] for one in summary["lengths"]] == list(LENGTHS)
    for one in summary["lengths"]:
        assert one["tasks"]["alone"]["niah"]["exact"]["count"] == 2
        assert "questions" not in one


def test_another_model_or_text_is_measured_anew(load, checkpoint, tmp_path):
    module = load("_histories")
    engine = load_engine(checkpoint, "cpu")
    text = tmp_path / "text.txt"
    text.write_text("The old harbour was quiet.", encoding="utf-8")
    settings = evaluation.Settings(length=3000, text=(text,))
    wanted = module.wanted(engine, settings, 0.1, ["alone"])
    report = tmp_path / "3000.json"
    report.write_text(json.dumps({"wanted": wanted}), encoding="utf-8")
    earlier = load("lengths").earlier
    assert earlier(report, wanted) == {"wanted": wanted}
    assert earlier(report, {**wanted, "fingerprint": "0"}) is None
    assert earlier(report, module.wanted(engine, settings, 0.1, ["alone", "together"])) is None
    text.write_text("The old harbour was loud.", encoding="utf-8")
    assert earlier(report, module.wanted(engine, settings, 0.1, ["alone"])) is None


def test_questions_are_dealt_out_so_that_each_history_has_all_depths(load, checkpoint):
    module = load("_histories")
    tokenizer = load_engine(checkpoint, "cpu").tokenizer
    settings = evaluation.Settings(length=1, tasks=("code", "niah"), questions=40, depths=4)
    items = evaluation.draw_items(settings, np.random.default_rng(0))
    total = sum(module.statement_tokens(item, tokenizer) for item, _ in items)
    parts = module.spread(items, tokenizer, total / 4.5)
    assert len(parts) == 5
    assert sorted(id(item) for part in parts for item, _ in part) == sorted(
        id(item) for item, _ in items
    )
    for part in parts:
        tokens = sum(module.statement_tokens(item, tokenizer) for item, _ in part)
        assert tokens < 1.5 * total / 5
        for kind in settings.tasks:
            places = [int(4 * place) for item, place in part if item.kind == kind]
            assert sorted(places) == sorted([0, 1, 2, 3] * 2)
    assert len(module.spread(items, tokenizer, total)) == 1
    # No more histories than there are questions of a task.
    assert len(module.spread(items, tokenizer, 1)) == 40


def test_a_history_that_does_not_fit_is_an_error_that_names_the_bytes(
    load, checkpoint, tmp_path, monkeypatch
):
    engine = load_engine(checkpoint, "cpu")
    config = engine.config
    landmark, kv = config.memory_values_per_chunk
    needed = evaluation_memory.bytes_needed(engine, 16 << 20)
    chunks = (16 << 20) // config.chunk_size
    assert needed > chunks * (landmark * engine.dtype.itemsize + kv * 2)
    monkeypatch.setattr(evaluation_memory, "available_memory", lambda: needed - 1)
    measured = Measure(None)
    monkeypatch.setattr(load("lengths"), "measure", measured)
    with pytest.raises(InvalidArgument, match=f"needs {needed} bytes"):
        load("lengths").main(options(checkpoint, tmp_path, "--lengths", "3000", "16M"))
    assert measured.lengths == []
    monkeypatch.setattr(evaluation_memory, "available_memory", lambda: needed)
    evaluation_memory.require_room(engine, 16 << 20)


def test_lengths_are_read_and_written(load):
    shared = load("_shared")
    assert [shared.tokens(text) for text in ("4096", "4K", "16m")] == [4096, 4096, 16 << 20]
    assert [shared.short(n) for n in (4096, 3 << 20, 100)] == ["4K", "3M", "100"]
    for text in ("", "K", "-4K", "0", "4.5K"):
        with pytest.raises(load("argparse").ArgumentTypeError):
            shared.tokens(text)


def test_the_table_shows_share_and_interval(load, capsys):
    figure = {"exact": {"share": 0.9, "interval": [0.77, 0.958], "count": 50}}
    report = {
        "length": 4096,
        "tasks": {"alone": {"niah": figure}},
        "machine": dict.fromkeys(
            ("cpu", "cores", "torch_threads", "capability", "python", "torch", "hsa_memory"), "x"
        ),
    }
    load("lengths").show({"lengths": [report]})
    printed = " ".join(capsys.readouterr().out.split())
    assert "4K" in printed
    assert "90 (77 to 96)" in printed


def test_plots_are_drawn(load, tmp_path):
    pytest.importorskip("matplotlib")

    def figure(share: float) -> dict[str, Any]:
        return {"share": share, "interval": [share - 0.1, share + 0.1], "count": 10}

    def task(share: float, *depths: str) -> dict[str, Any]:
        return {"exact": figure(share), "depths": {depth: figure(share) for depth in depths}}

    reports = [
        {
            "length": length,
            "tasks": {
                way: {"niah": task(0.5, "0", "0.5"), "code": task(0.4, "0.5"), "unknown": task(0.3)}
                for way in ("alone", "together")
            },
        }
        for length in (4096, 16384)
    ]
    drawn = load("_plots").lengths({"lengths": reports}, tmp_path)
    assert [path.name for path in drawn] == [
        "memory_lengths.svg",
        "memory_depths_alone.svg",
        "memory_depths_together.svg",
    ]
    again = {path: path.read_bytes() for path in drawn}
    load("_plots").lengths({"lengths": reports}, tmp_path)
    assert {path: path.read_bytes() for path in drawn} == again
