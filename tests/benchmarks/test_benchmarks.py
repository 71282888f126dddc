"""Every benchmark runs, says what it ran on, and writes its figures."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = sorted(
    str(path.relative_to(ROOT / "benchmarks").with_suffix(""))
    for path in (ROOT / "benchmarks").rglob("*.py")
    # Ablations train, on data of their own test.
    if not path.name.startswith("_") and path.stem != "ablations"
)


def run(name: str, checkpoint: Path, figures: Path) -> tuple[str, dict[str, Any]]:
    """Run a benchmark in its quick form; returns what it printed and wrote."""
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--quick"]
    command += ["--model", str(checkpoint), "--json", str(figures)]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env=_environment(),
    )
    return done.stdout, json.loads(figures.read_text(encoding="utf-8"))


def _environment() -> dict[str, str]:
    # Several processes on few cores: threads that wait for each other would only slow it down.
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    # A benchmark is run as a script, with its own folder importable.
    settings.pop("PYTHONSAFEPATH", None)
    return settings


def test_there_is_one_for_each_figure() -> None:
    assert {"haystack", "restore", "ingest", "bit_equal", "kill_appends"} <= set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_benchmark_runs(name: str, checkpoint: Path, tmp_path: Path) -> None:
    printed, report = run(name, checkpoint, tmp_path / "figures.json")
    assert f"torch {torch.__version__}" in " ".join(printed.split())
    assert report["machine"]["cores"] >= 1
    if name == "bit_equal":
        assert report["figures"]["bit_equal"] == report["figures"]["restores"] > 0
    elif name == "kill_appends":
        figures = report["figures"]
        assert figures["kills"] == figures["opened"] == 3
        assert (figures["lost"], figures["changed"], figures["check_findings"]) == (0, 0, 0)
    elif name == "restore":
        assert all(run["restore"] > 0 for run in report["figures"]["warm"])
    elif name == "precision":
        answers, disk = report["figures"]["answers"], report["figures"]["disk"]
        assert set(answers) == set(disk) == {"bfloat16", "int8", "float8"}
        assert answers["int8"]["exact"]["count"] == 6
        assert 0 < answers["int8"]["logits"]["mean"] <= answers["int8"]["logits"]["largest"]
        assert disk["int8"]["kv_bytes_per_token"] < disk["bfloat16"]["kv_bytes_per_token"]
        assert disk["int8"]["warm"]["ratios"][0] > 0
    elif name == "gpu":
        assert not any(report["figures"]["failed"].values())
        for part in ("checks", "decode", "crossover", "attention", "far", "scores", "window"):
            assert report["figures"][part]
    elif name == "memory/lengths":
        assert [length["length"] for length in report["lengths"]] == [3 << 10, 4 << 10]
        assert {*report["lengths"][0]["tasks"]} == {"alone", "together"}
    elif name == "memory/search":
        assert {"hsa-memory", "BM25"} <= set(report["lengths"][0]["tasks"]["dialogue"])
    elif name == "memory/perplexity":
        assert [row["context"] for row in report["contexts"]] == [256, 512, 1024]
    elif name == "haystack":
        assert report["tasks"]["dialogue"]["exact"]["count"] == 2
