"""What a run on a GPU prints and draws, from made-up figures: no machine here has a GPU."""

from __future__ import annotations

import copy
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent.parent
LENGTHS = (1 << 13, 1 << 17, 1 << 20)
SHAPES = ((16, 64, 1), (16, 128, 2), (64, 64, 1), (64, 128, 2))


def load(name: str) -> Any:
    return importlib.import_module(name)


def case(tokens: int, shape: tuple[int, int, int]) -> dict[str, Any]:
    top_k, dim, groups = shape
    return {"tokens": tokens, "top_k": top_k, "dim": dim, "groups": groups}


def attention_rows(lengths: tuple[int, ...], backward: float | None = 2.5) -> list[dict[str, Any]]:
    """Forward at 1.5 traffic floors, backward at so many forwards."""
    rows = []
    for tokens in lengths:
        for shape in SHAPES:
            floor = tokens * shape[0] * shape[1] * shape[2] * 6e-14
            ours = {"forward": 1.5 * floor, "backward": backward and 1.5 * floor * backward}
            row = {**case(tokens, shape), "bytes_floor": floor, "flops_floor": floor / 9}
            rows.append({**row, "ours": ours, "took": 1.5})
    rows[0]["plain PyTorch"] = {"forward": 0.1, "backward": 0.3}
    return rows


def crossover_rows() -> list[dict[str, Any]]:
    """Ours grows with the length and full attention with its square; with 16 chunks they meet at
    4,096 tokens, with 64 at 16,384."""
    rows = []
    for tokens in [1 << i for i in range(10, 18)] + [1 << 20]:
        for dim in (64, 128):
            ours = {
                str(k): {"forward": tokens * k * 1e-9, "backward": 2e-9 * tokens * k}
                for k in (16, 64)
            }
            row: dict[str, Any] = {"tokens": tokens, "dim": dim, "groups": 1, "ours": ours}
            if tokens < 1 << 20:
                full = 16e-9 * tokens * tokens / 4096
                row["SDPA FLASH_ATTENTION"] = {"forward": full, "backward": 2 * full}
                row["SDPA CUDNN_ATTENTION"] = {"failed": "No available kernel. Aborting execution."}
            rows.append(row)
    return rows


def figures() -> dict[str, Any]:
    """A whole run."""
    errors = {"forward": 2e-3, "dq": 2.2e-3}
    steps = [
        {
            **case(tokens, shape),
            "bytes_floor": 1e-6,
            "step": 2e-5 + 4e-12 * tokens,
            "cold_step": 3e-5,
            "search": 1e-5,
            "attention": 1e-5,
            "int8_search": 8e-5,
        }
        for tokens in (*LENGTHS, 1 << 24)
        for shape in SHAPES
    ]
    both = {"forward": 1e-3, "backward": 3e-3}
    return {
        "device": "NVIDIA H200",
        "rates": {"bytes_per_second": 4.3e12, "flops": 7.9e14},
        "checks": [
            {"what": "all operators", "dtype": "bfloat16", "errors": errors},
            {"what": "5 landmarks", "dtype": "float32", "missed": {"float": 0, "int8": 0}},
        ],
        "far": [{"what": "many chunks", "dtype": "bfloat16", "errors": {"dk": 4e-3}}],
        "decode": steps,
        "crossover": crossover_rows(),
        "attention": attention_rows(LENGTHS),
        "long": attention_rows((1 << 24,), backward=None),
        "search": [
            {**case(tokens, SHAPES[0]), "flops_floor": 1e-4, "ours": both, "int8": 2e-3}
            for tokens in LENGTHS
        ],
        "scores": attention_rows(LENGTHS[:2]),
        "window": [
            {
                "tokens": 8192,
                "window": 512,
                "forms": {
                    "sdpa": {**both, "token": 1e-5},
                    "blocked": {"failed": "CUDA error", "token": 2e-5},
                    "FlexAttention, compiled": {"forward": 1e-3, "backward": None},
                },
            }
        ],
        "flex": [
            {"tokens": 8192, "dim": 64, "groups": 1, "FlexAttention": both},
            {"tokens": 32768, "dim": 64, "groups": 1, "FlexAttention": {"failed": "no compiler"}},
        ],
        "model": [
            {
                "preset": "345m",
                "tokens": 8192,
                "ingest_tokens_per_second": 1e5,
                "prefill_tokens_per_second": 9e4,
                "decode_tokens_per_second": 321.5,
            }
        ],
        "left_out": {"long": ["Case: no time", "Case: no memory"], "decode": []},
        "failed": {"search": ["Case: OutOfResources: shared memory"]},
    }


PARTS = [name for name, value in figures().items() if name not in ("device", "rates")]


def lines_of(made_up: dict[str, Any]) -> dict[str, str]:
    return dict(load("_gpu_report").table(made_up))


def test_every_target_passes_or_is_missed_by_what_was_measured() -> None:
    lines = lines_of(figures())
    forward = lines["TARGET forward at most 2 traffic floors"]
    assert forward.startswith("PASS: 16 of 16; worst 1.50 at L ")
    step = lines["TARGET decode step at 1M tokens under 30 us"]
    assert step == "PASS: 4 of 4; worst 24.2 at L 1,048,576 k 16 D 64 H 1, best 24.2"
    met = lines["TARGET FlashAttention met by 8K tokens"]
    assert met == "MISS: 2 of 4; worst 16,384 at k 64 D 64 H 1, best 4,096"
    back = lines["TARGET backward at most 3 forwards"]
    assert back.startswith("PASS: 12 of 12; worst 2.50 at L ")


def test_one_slow_size_is_a_miss_that_is_named() -> None:
    made_up = figures()
    made_up["attention"][5]["ours"] = {"forward": 1.0, "backward": 3.5}
    made_up["decode"] = [{**row, "step": 30.5e-6} for row in made_up["decode"]]
    lines = lines_of(made_up)
    where = "L 131,072 k 16 D 128 H 2"
    assert (
        f"MISS: 15 of 16; worst {1 / made_up['attention'][5]['bytes_floor']:.2f} at {where}"
        in (lines["TARGET forward at most 2 traffic floors"])
    )
    assert lines["TARGET backward at most 3 forwards"].startswith("MISS: 11 of 12; worst 3.50")
    assert lines["TARGET decode step at 1M tokens under 30 us"].startswith("MISS: 0 of 4")


def test_what_is_no_number_is_a_miss() -> None:
    made_up = figures()
    made_up["attention"][0]["ours"]["forward"] = float("nan")
    made_up["checks"][0]["errors"]["dv"] = float("nan")
    lines = lines_of(made_up)
    assert lines["TARGET forward at most 2 traffic floors"].startswith("MISS: 15 of 16; worst nan")
    assert lines["largest error in bfloat16"].startswith("nan (dv")


def test_a_length_counts_as_a_crossover_only_if_no_longer_one_is_slower() -> None:
    report = load("_gpu_report")
    rows = [
        {
            "tokens": tokens,
            "dim": 64,
            "groups": 1,
            "ours": {"16": {"forward": ours, "backward": ours}},
            report.FLASH: {"forward": 1.0, "backward": 1.0},
        }
        for tokens, ours in ((4, 0.5), (1, 0.5), (2, 3.0), (8, 1.0))
    ]
    assert report.crossovers(rows, report.FLASH) == {"k 16 D 64 H 1": 4}
    rows[3]["ours"]["16"]["backward"] = 2.0
    assert report.crossovers(rows, report.FLASH) == {"k 16 D 64 H 1": None}
    rows[3]["ours"]["16"]["backward"] = None
    assert report.crossovers(rows, report.FLASH) == {"k 16 D 64 H 1": 4}
    assert report.crossovers(rows, report.CUDNN) == {}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("what", ["missing", "empty"])
def test_a_run_that_ended_early_is_shown(part: str, what: str) -> None:
    made_up = figures()
    if what == "missing":
        del made_up[part]
    else:
        made_up[part] = type(made_up[part])()
    lines = lines_of(made_up)
    assert sum(name.startswith("TARGET") for name in lines) == 4
    if part == "decode":
        assert lines["TARGET decode step at 1M tokens under 30 us"] == "not measured"


def test_nothing_measured_is_no_verdict() -> None:
    verdicts = [text for _, text in load("_gpu_report").table({})]
    assert verdicts == ["not measured"] * 4


def test_a_backward_without_room_is_told() -> None:
    lines = lines_of(figures())
    assert lines["chunk attention L 16,777,216 k 16 D 64 H 1"].endswith("backward has no room")


def test_comparisons_that_failed_and_cases_left_out_are_told() -> None:
    lines = lines_of(figures())
    assert lines["sliding window 512 of 8,192 tokens, blocked"] == "failed: CUDA error"
    assert lines["failed, search"] == "1: Case: OutOfResources: shared memory"
    assert lines["left out, long"] == "2: Case: no time ..."
    assert "left out, decode" not in lines
    assert "FlexAttention, all of 32,768 tokens" not in lines
    assert lines["345m at 8,192 tokens"].endswith("decode 322 tokens/s")


def test_verdicts_and_a_wrong_result_end_the_table() -> None:
    """Of a long output only the end is read."""
    table = load("_gpu_report").table({**figures(), "wrong": "dk at some case"})
    assert table[-1] == ("WRONG RESULT", "dk at some case")
    assert all(name.startswith("TARGET") for name, _ in table[-5:-1])


def test_what_the_figures_hold_for_is_told() -> None:
    lines = lines_of({**figures(), "driver": "580.1", "cuda": "13.0", "triton": "3.6.0"})
    assert lines["versions"] == "driver 580.1, cuda 13.0, triton 3.6.0"
    assert (lines["copy"], lines["product"]) == ("4.30 TB/s", "790 TFLOP/s")


def test_every_plot_is_drawn_from_any_part_of_a_run(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    draw = load("_gpu_plots").draw
    names = ["gpu_crossover.svg", "gpu_decode.svg", "gpu_traffic_floor.svg"]
    drawn = draw(figures(), tmp_path / "all")
    assert [path.name for path in drawn] == names
    picture = drawn[0].read_text(encoding="utf-8")
    assert "<svg" in picture
    assert draw(figures(), tmp_path / "again")[0].read_text(encoding="utf-8") == picture
    assert draw({}, tmp_path / "nothing") == []
    made_up = figures()
    for row in made_up["crossover"]:
        row["SDPA FLASH_ATTENTION"] = {"failed": "none"}
        row["ours"]["16"]["backward"] = None
    made_up["attention"] = made_up["long"] = []
    made_up["decode"] = made_up["decode"][:1]
    assert [path.name for path in draw(made_up, tmp_path / "some")] == names[:2]


def test_a_run_is_shown_again_from_its_file(tmp_path: Path) -> None:
    # As it is written while a run goes on.
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps(figures()), encoding="utf-8")
    script = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--show", str(path)]
    done = subprocess.run(script, capture_output=True, text=True, env=load_environment())
    printed = " ".join(done.stdout.split())
    # One case failed.
    assert done.returncode == 1, done.stderr
    assert "kernels on NVIDIA H200" in printed
    assert "PASS: 4 of 4; worst 24.2" in printed
    assert json.loads(path.read_text(encoding="utf-8")) == figures()


def load_environment() -> dict[str, str]:
    import os

    settings = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    settings.pop("PYTHONSAFEPATH", None)
    return settings


class Cases:
    """Measures of a part: some fail."""

    def __init__(self) -> None:
        self.saved: list[dict[str, Any]] = []

    def measure(self, case: str) -> dict[str, Any]:
        if case == "memory":
            raise torch.OutOfMemoryError("tried to allocate 1 TiB")
        if case == "broken":
            raise RuntimeError("an illegal instruction")
        if case == "compiler":
            from triton.errors import TritonError

            raise TritonError("out of resource: shared memory")
        if case == "bug":
            raise KeyError(case)
        return {"case": case}


def test_what_fails_or_has_no_time_is_named_and_the_rest_is_measured(tmp_path: Path) -> None:
    run_type: Callable[..., Any] = load("_gpu_run").Run
    path = tmp_path / "figures.json"
    kept = {"earlier": [{"case": "a"}], "failed": {"earlier": ["b"]}}
    run = run_type(time.monotonic() + 100, path, copy.deepcopy(kept))
    wanted = ["first", "memory", "long", "broken", "compiler", "last"]
    run.each("part", wanted, Cases().measure, lambda c: 1000.0 if c == "long" else 1.0)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert [row["case"] for row in found["part"]] == ["first", "last"]
    assert found["left_out"] == {"part": ["memory: no memory", "long: no time"]}
    assert found["failed"]["earlier"] == ["b"]
    assert found["failed"]["part"] == [
        "broken: RuntimeError: an illegal instruction",
        "compiler: TritonError: out of resource: shared memory",
    ]
    assert found["earlier"] == kept["earlier"]
    # A mistake of the benchmark itself ends it, and what is known is in the file.
    with pytest.raises(KeyError):
        run.each("more", ["first", "bug"], Cases().measure, lambda _: 1.0)
    assert [r["case"] for r in json.loads(path.read_text(encoding="utf-8"))["more"]] == ["first"]
    assert load("_gpu_run").earlier(path)["part"] == found["part"]
    assert load("_gpu_run").earlier(tmp_path / "none.json") == {}


@pytest.mark.parametrize("slots", [1, 4, 7])
def test_chosen_chunks_are_those_of_a_search(slots: int) -> None:
    torch.manual_seed(0)
    visible = torch.arange(60) // 5
    indices, weights = load("_gpu_cases").choose(visible, 2, slots)
    assert indices.shape == weights.shape == (60, 2, slots)
    there = torch.arange(slots) < visible[:, None, None]
    # As many as there are, the empty slots last.
    assert torch.equal(indices >= 0, there.expand_as(indices))
    assert bool((indices < visible[:, None, None]).all())
    ordered = indices.sort(dim=-1).values
    assert not bool(((ordered[..., 1:] == ordered[..., :-1]) & (ordered[..., 1:] >= 0)).any())
    assert torch.equal(weights > 0, indices >= 0)
    assert bool((weights[..., 1:] <= weights[..., :-1]).all())
    torch.testing.assert_close(weights.sum(-1), (visible > 0).float()[:, None].expand(-1, 2))


def test_every_chunk_is_as_likely_in_every_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = load("_gpu_cases")
    # Several tiles of tokens.
    monkeypatch.setattr(cases, "_DRAWN", 1000)
    torch.manual_seed(0)
    indices, _ = cases.choose(torch.full((6000,), 5), 1, 3)
    for slot in range(3):
        share = torch.bincount(indices[:, 0, slot], minlength=5) / 6000
        assert bool(((share - 0.2).abs() < 0.04).all()), share


def test_the_floor_counts_the_chunks_that_were_chosen() -> None:
    cases, timing = load("_gpu_cases"), load("_gpu_timing")
    rates = timing.Rates(bytes_per_second=1.0, flops=1.0)
    sizes = cases.Case(128, 2, 8, 2)
    full = cases.attention_floor(sizes, rates)
    # 128 tokens, 2 KV heads, 2 chunks of 64 tokens, 8 values, keys and values, 2 bytes; q and out.
    assert full[0] == 128 * 2 * 2 * 64 * 8 * 2 * 2 + 2 * 128 * 16 * 8 * 2
    assert full[1] == 4 * 128 * 16 * 2 * 64 * 8
    half = cases.attention_floor(sizes, rates, 128 * 2)
    assert half[1] == full[1] / 2


def test_a_wrong_operator_is_named() -> None:
    checks = load("_gpu_checks")
    fine = {"forward": 1e-6, "dq": 1e-6}
    assert checks.judge("here", torch.float32, fine)["errors"] == fine
    for value in (1e-4, float("nan")):
        with pytest.raises(checks.WrongResult, match="here, torch.float32.*'dq'"):
            checks.judge("here", torch.float32, {**fine, "dq": value})
