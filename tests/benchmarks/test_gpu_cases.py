"""What a run on a GPU measures, and what it does with a case that cannot be."""

from __future__ import annotations

import copy
import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch


def load(name: str) -> Any:
    return importlib.import_module(name)


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
    run = run_type(time.monotonic() + 900, path, copy.deepcopy(kept))
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
