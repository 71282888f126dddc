"""Ablations: variants differ in what they say, are trained and asked, and are not done twice."""

import argparse
import json
import lzma
from pathlib import Path

import pytest

from hsa_memory import evaluation_scoring
from hsa_memory.model import HSAConfig
from hsa_memory.model.training.recipe import load_recipe


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    book = Path(__file__).parents[3] / "examples/data/adventures_of_sherlock_holmes.txt"
    record = {"source": "book", "text": book.read_text(encoding="utf-8")[:200_000]}
    with lzma.open(folder / "books.jsonl.xz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({**record, "title": str(n)}) + "\n" for n in range(3))
    return folder


@pytest.mark.parametrize("quick", [False, True])
def test_every_variant_is_a_recipe_of_as_many_tokens(load, tmp_path, quick):
    module = load("ablations")
    args = argparse.Namespace(tokens=4_500_000, quick=quick)
    recipes = {}
    for name in module.VARIANTS:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(module.recipe_of(name, args, seed=1)), encoding="utf-8")
        recipes[name] = load_recipe(path)
        assert isinstance(recipes[name].model, HSAConfig)
        assert sum(stage.tokens for stage in recipes[name].stages) == 4_500_000
        assert recipes[name].seed == 1
    full = recipes["full"]
    assert all(found != full for name, found in recipes.items() if name != "full")
    assert all(stage.questions == 0 for stage in recipes["histories"].stages)
    assert recipes["window-512"].model.window == 512


@pytest.mark.slow
def test_a_variant_is_trained_and_asked_once(load, data, tmp_path, monkeypatch):
    # What an untrained model says has no end.
    monkeypatch.setattr(evaluation_scoring, "MAX_TOKENS", 2)
    module = load("ablations")
    out = tmp_path / "out.json"
    options = ["--quick", "--data", str(data), "--runs", str(tmp_path / "runs"), "--seeds", "1"]
    options += ["--only", "full", "bank", "--json", str(out)]
    assert module.main(options) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    assert [run["variant"] for run in report["runs"]] == ["full", "bank"]
    for run in report["runs"]:
        assert set(run["exact"]) == set(module.TASKS)
        assert all(0 <= share <= 1 for share in run["exact"].values())
    kept = {p.read_bytes() for p in (tmp_path / "runs").rglob("tokenizer.json")}
    assert len(kept) == 1

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    trained = module.subprocess.run
    monkeypatch.setattr(module.subprocess, "run", refuse)
    assert module.main(options) == 0
    # Another recipe does not go on from what this one left.
    monkeypatch.setattr(module.subprocess, "run", trained)
    assert module.main([*options, "--tokens", "3000"]) == 0
    folders = [p.parent for p in (tmp_path / "runs").glob("full-0-*/checkpoint")]
    assert len(folders) == 2
    steps = {json.loads((f / "checkpoint/training.json").read_text())["tokens"] for f in folders}
    assert len(steps) == 2
