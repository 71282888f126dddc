"""How a run on a GPU goes, with its measurements and the GPU itself replaced: none is here."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch


class Gpu:
    """Writes down what a clock does with a GPU; its events are 60 ms apart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        gpu = self

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                gpu.log.append("event")

            def synchronize(self) -> None:
                gpu.log.append("wait")

            def elapsed_time(self, other: object) -> float:
                return 60.0

        class Graph:
            def replay(self) -> None:
                gpu.log.append("replay")

        @contextmanager
        def capture(graph: Graph) -> Any:
            gpu.log.append("capture")
            yield
            gpu.log.append("captured")

        stream = SimpleNamespace(wait_stream=lambda other: None)
        cuda = {
            "Event": Event,
            "CUDAGraph": Graph,
            "graph": capture,
            "Stream": lambda: stream,
            "current_stream": lambda: stream,
            "stream": lambda which: nullcontext(),
            "synchronize": lambda: gpu.log.append("wait"),
            "_sleep": lambda cycles: gpu.log.append("sleep" if cycles > 1e5 else "too short"),
        }
        for name, value in cuda.items():
            monkeypatch.setattr(torch.cuda, name, value)

    def clock(self) -> Any:
        found = importlib.import_module("_gpu_timing").Clock(torch.device("cpu"))
        found.device = SimpleNamespace(type="cuda")
        found._flushed = SimpleNamespace(zero_=self.step("flush"))
        return found

    def step(self, name: str) -> Callable[[], None]:
        return lambda: self.log.append(name)


def test_a_time_holds_the_work_and_nothing_of_its_launching(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = Gpu(monkeypatch)
    assert gpu.clock().seconds(gpu.step("work")) == pytest.approx(0.06)
    measured = ["flush", "sleep", "event", "work", "event", "wait"]
    # 0.3 seconds are enough: the one that told how long it takes, then five.
    assert gpu.log == ["work", "wait", "work", "wait", *measured * 6]


def test_a_time_in_a_graph_is_that_of_one_of_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch)
    assert gpu.clock().graph_seconds(gpu.step("work")) == pytest.approx(0.06 / 60)
    start = gpu.log.index("capture")
    assert gpu.log[:start] == ["work"] * 3
    assert gpu.log[start : start + 22] == ["capture", *["work"] * 20, "captured"]
    measured = ["sleep", "event", "replay", "replay", "replay", "event", "wait"]
    assert gpu.log[start + 22 :] == ["replay"] * 3 + measured * 15


def test_a_cold_time_is_without_what_empties_the_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch)
    # Both take as long here: the work alone takes nothing.
    assert gpu.clock().cold_graph_seconds(gpu.step("work")) == 0.0
    first = gpu.log.index("capture")
    assert gpu.log[first + 1 : first + 41] == ["flush", "work"] * 20
    second = gpu.log.index("capture", first + 1)
    assert gpu.log[second + 1 : second + 21] == ["flush"] * 20


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark with measurements that only say what they were asked for."""
    gpu = importlib.import_module("gpu")

    def attention(case: Any, *_: Any) -> dict[str, Any]:
        ours = {"forward": 1.0, "backward": 2.0}
        return {**case._asdict(), "ours": ours, "bytes_floor": 1.0, "int8": 1.0}

    def crossover(case: Any, top_ks: list[int], *_: Any) -> dict[str, Any]:
        both = {"forward": 1.0, "backward": 2.0}
        ours = {str(k): both for k in top_ks}
        return {**case._asdict(), "ours": ours, "SDPA FLASH_ATTENTION": both}

    def decode(case: Any, *_: Any) -> dict[str, Any]:
        names = ("step", "cold_step", "search", "attention", "int8_search")
        return {**case._asdict(), **dict.fromkeys(names, 1e-5)}

    def checked(*asked: Any) -> dict[str, Any]:
        return {"what": str(asked), "dtype": "float32", "errors": {"dq": 1e-7}}

    for name, value in {
        **dict.fromkeys(("attention", "scores", "search"), attention),
        "crossover": crossover,
        "decode": decode,
        "flex": lambda case, clock: {**case._asdict()},
        "sliding_window": lambda tokens, width, blocks, clock: {
            "tokens": tokens,
            "window": width,
            "forms": {},
        },
        "model": lambda config, tokens, clock: {
            "tokens": tokens,
            **{f"{k}_tokens_per_second": 1.0 for k in ("ingest", "prefill", "decode")},
        },
        **dict.fromkeys(("all_of", "landmarks", "window", "long_gradients"), checked),
        **dict.fromkeys(("many_chunks", "many_tokens"), checked),
    }.items():
        monkeypatch.setattr(gpu, name, value)
    return gpu


def whole_run(gpu: Any, minutes: float, path: Path | None = None) -> dict[str, Any]:
    """All parts at real sizes."""
    clock = importlib.import_module("_gpu_timing").Clock(torch.device("cpu"))
    rates = importlib.import_module("_gpu_timing").Rates(4.3e12, 7.9e14)
    found: dict[str, Any] = {"rates": rates._asdict()}
    run = gpu.Run(time.monotonic() + 60 * minutes, path, found)
    parts = {
        **gpu._checked(run, False, clock),
        **gpu._timed(run, gpu.Sizes(False), clock, rates),
    }
    assert set(parts) == set(gpu.PARTS)
    for part in gpu.PARTS:
        parts[part]()
    return found


def test_a_whole_run_reaches_every_part_and_its_table(made_up: Any, tmp_path: Path) -> None:
    found = whole_run(made_up, 1000, tmp_path / "gpu.json")
    assert {part: len(found[part]) for part in made_up.PARTS if not found[part]} == {}
    assert not any(found["left_out"].values())
    assert not any(found["failed"].values())
    lines = dict(made_up.table(found))
    assert lines["TARGET forward at most 2 traffic floors"].startswith("PASS: 48 of 48")
    assert lines["TARGET decode step at 1M tokens under 30 us"].startswith("PASS: 12 of 12")
    assert lines["TARGET FlashAttention met by 8K tokens"].startswith("PASS: 12 of 12")
    assert lines["TARGET backward at most 3 forwards"].startswith("PASS: 48 of 48")
    assert "searches checked" in lines


def test_the_sizes_of_a_target_are_measured_first(made_up: Any) -> None:
    found = whole_run(made_up, 1000)
    assert {row["tokens"] for row in found["decode"][:12]} == {1 << 20}
    assert {row["tokens"] for row in found["crossover"][:8]} == {1 << 12, 1 << 13}
    timed = [part for part in made_up.PARTS if part not in ("checks", "far")]
    assert timed[:3] == ["decode", "crossover", "attention"]
    asked = [row["what"] for row in found["far"]]
    # Beyond 2^31 values, in the keys of one and in the queries of the other.
    assert "tokens=16777216, top_k=32, dim=128, groups=2" in asked[0]
    assert "tokens=16777216, top_k=4, dim=64, groups=1" in asked[1]
    assert any("262144" in row["what"] for row in found["checks"])
    assert any("tokens=32768" in row["what"] for row in found["checks"])


def test_without_time_everything_is_left_out_and_said(made_up: Any) -> None:
    found = whole_run(made_up, 0)
    assert all(found["left_out"].values())
    lines = dict(made_up.table(found))
    assert lines["TARGET backward at most 3 forwards"] == "not measured"
    assert lines["left out, decode"].startswith("48: Case(tokens=1048576, top_k=16")


def test_a_wrong_result_ends_the_run_and_is_named(
    made_up: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def wrong(*_: Any) -> dict[str, Any]:
        raise made_up.WrongResult("dk at 3 tokens")

    path = tmp_path / "gpu.json"
    monkeypatch.setattr(made_up, "many_tokens", wrong)
    monkeypatch.setattr("sys.argv", ["gpu.py", "--quick", "--json", str(path)])
    assert made_up.main() == 1
    report = importlib.import_module("_gpu_run").earlier(path)
    assert report["wrong"] == "far: dk at 3 tokens"
    # What came before it is kept, what comes after it is not measured.
    assert len(report["attention"]) == 1
    assert "model" not in report
    # One that does not do the part again does not make it right.
    monkeypatch.setattr(
        "sys.argv", ["gpu.py", "--quick", "--json", str(path), "--add", "--only", "flex"]
    )
    assert made_up.main() == 1
    # Another run adds to it, and measures the rest.
    monkeypatch.setattr(made_up, "many_tokens", made_up.many_chunks)
    monkeypatch.setattr(
        "sys.argv",
        ["gpu.py", "--quick", "--json", str(path), "--add", "--only", "far", "model"],
    )
    assert made_up.main() == 0
    report = importlib.import_module("_gpu_run").earlier(path)
    assert "wrong" not in report
    assert len(report["attention"]) == len(report["model"]) == 1
    assert len(report["far"]) == 2


def test_a_run_says_what_it_ran_on(monkeypatch: pytest.MonkeyPatch) -> None:
    run = importlib.import_module("_gpu_run")
    assert run.facts()["device"] == "Triton's interpreter: no times"
    properties = SimpleNamespace(
        name="NVIDIA H200", total_memory=150e9, multi_processor_count=132, major=9, minor=0
    )
    said = {"nvidia-smi": "580.159.03\n580.159.03", "git": ""}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(run, "_said_by", lambda program, *_: said[program])
    facts = run.facts()
    assert (facts["device"], facts["capability"]) == ("NVIDIA H200", "9.0")
    assert facts["driver"] == "580.159.03"
    assert facts["torch"] == torch.__version__
    assert {"cuda", "cudnn", "triton", "l2_bytes"} <= set(facts)


def test_a_program_that_is_not_there_says_nothing() -> None:
    run = importlib.import_module("_gpu_run")
    assert run._said_by("no-such-program-here") == ""
    assert run._said_by("git", "no-such-verb") == ""
    assert run._said_by("git", "--version").startswith("git version")


def test_figures_of_another_machine_are_not_added_to(made_up: Any, tmp_path: Path) -> None:
    run = importlib.import_module("_gpu_run")
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps({"device": "NVIDIA H200", "decode": []}), encoding="utf-8")
    with pytest.raises(SystemExit, match="holds figures of .*NVIDIA H200"):
        run.require_same(run.earlier(path), run.facts())
    run.require_same({"decode": [], **run.facts()}, run.facts())
