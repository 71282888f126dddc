"""What a run on a GPU prints and draws, from made-up figures: no machine here has a GPU."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

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
    assert forward.startswith("PARTLY: 16 of 16; worst 1.50 at L ")
    step = lines["TARGET decode step at 1M tokens under 30 us"]
    assert step == "PASS: 4 of 4; worst 24.2 at L 1,048,576 k 16 D 64 H 1, best 24.2"
    cold = lines["TARGET decode step at 1M tokens under 30 us, caches cold"]
    assert cold.startswith("PASS: 4 of 4; worst 30.0")
    met = lines["TARGET FlashAttention met by 8K tokens"]
    assert met == "MISS: 2 of 4; worst 16,384 at k 64 D 64 H 1, best 4,096"
    back = lines["TARGET backward at most 3 forwards"]
    assert back.startswith("PARTLY: 12 of 12; worst 2.50 at L ")


def test_only_what_was_measured_everywhere_passes() -> None:
    whole = {**figures(), "left_out": {}, "failed": {}}
    whole["long"] = attention_rows((1 << 24,))
    for name in ("forward at most 2 traffic floors", "backward at most 3 forwards"):
        assert lines_of(whole)[f"TARGET {name}"].startswith("PASS: 16 of 16")
    failed = {**whole, "failed": {"attention": ["Case: it does not compile"]}}
    assert lines_of(failed)["TARGET backward at most 3 forwards"].startswith("PARTLY: 16 of 16")
    longer = [row for row in whole["crossover"] if row["tokens"] > 1 << 13]
    met = lines_of({**whole, "crossover": longer})["TARGET FlashAttention met by 8K tokens"]
    assert met == "not measured"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"wrong": "far: dk"}, "no verdict: a result is wrong"),
        ({"device": "Triton's interpreter: no times"}, "not measured: no GPU"),
    ],
)
def test_figures_that_mean_nothing_pass_nothing(more: dict[str, str], said: str) -> None:
    lines = lines_of({**figures(), **more})
    assert {text for name, text in lines.items() if name.startswith("TARGET")} == {said}


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
    assert sum(name.startswith("TARGET") for name in lines) == 5
    if part == "decode":
        assert lines["TARGET decode step at 1M tokens under 30 us"] == "not measured"


def test_nothing_measured_is_no_verdict() -> None:
    verdicts = [text for _, text in load("_gpu_report").table({})]
    assert verdicts == ["not measured"] * 5


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
    assert all(name.startswith("TARGET") for name, _ in table[-6:-1])


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


class Axis:
    """Takes the place of matplotlib's, which not every machine has: keeps what is drawn."""

    def __init__(self) -> None:
        self.lines: dict[str, list[tuple[float, float]]] = {}
        self.marks: list[float] = []

    def plot(self, x: Any, y: Any, style: str, color: str, label: str, marker: str) -> None:
        self.lines[label] = list(zip(x, y, strict=True))

    def axvline(self, x: float, **_: Any) -> None:
        self.marks.append(x)

    def axhline(self, y: float, **_: Any) -> None:
        self.marks.append(y)

    def get_ylim(self) -> tuple[float, float]:
        return 0.0, 1.0

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in ("set", "set_title", "set_ylabel", "set_ylim", "legend", "annotate"):
            raise AttributeError(name)
        return lambda *args, **options: None


def test_plots_show_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes: list[Axis] = []

    def subplots(rows: int = 1, columns: int = 1, squeeze: bool = True, **_: Any) -> Any:
        made = [Axis() for _ in range(columns)]
        axes.extend(made)
        figure = SimpleNamespace(
            tight_layout=lambda: None,
            savefig=lambda path, metadata: path.write_text("<svg/>", encoding="utf-8"),
        )
        return figure, made[0] if squeeze else [made]

    pyplot = SimpleNamespace(subplots=subplots, close=lambda figure: None)
    package = SimpleNamespace(use=lambda name: None, rcParams={}, pyplot=pyplot)
    monkeypatch.setitem(sys.modules, "matplotlib", package)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    monkeypatch.delitem(sys.modules, "_gpu_plots", raising=False)
    drawn = load("_gpu_plots").draw(figures(), tmp_path)
    monkeypatch.delitem(sys.modules, "_gpu_plots")
    assert all(path.read_text(encoding="utf-8") == "<svg/>" for path in drawn)
    assert len(drawn) == 3
    narrow, wide, step, floor = axes
    # The lines of full attention end where nobody waited for it; they meet ours at 4,096 tokens.
    assert narrow.marks == wide.marks == [4096]
    ours = narrow.lines["search and 16 chunks, backward"]
    assert ours[-1] == (1 << 20, pytest.approx(1e3 * 2e-9 * 16 * (1 << 20)))
    full = narrow.lines["FlashAttention, all tokens, forward"]
    assert [tokens for tokens, _ in full] == [1 << i for i in range(10, 18)]
    assert step.marks == [pytest.approx(30)]
    assert step.lines["k 16 D 64 H 1"][2] == (1 << 20, pytest.approx(24.2, rel=1e-2))
    assert len(step.lines["k 64 D 128 H 2, cold caches"]) == 4
    assert [y for _, y in floor.lines["k 64 D 64 H 1"]] == [pytest.approx(1 / 1.5)] * 4


@pytest.mark.parametrize("safe_path", [{}, {"PYTHONSAFEPATH": "1"}], ids=["", "safe path"])
def test_a_run_is_shown_again_from_its_file(tmp_path: Path, safe_path: dict[str, str]) -> None:
    # As it is written while a run goes on.
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps(figures()), encoding="utf-8")
    script = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--show", str(path)]
    done = subprocess.run(
        script, capture_output=True, text=True, env=load_environment() | safe_path
    )
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
