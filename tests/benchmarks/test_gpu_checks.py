"""The checks that come before all times on a GPU find what is wrong; here they check PyTorch."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

CPU = torch.device("cpu")
FLOAT = torch.float32


def load(name: str) -> Any:
    return importlib.import_module(name)


def case(tokens: int, top_k: int = 3, dim: int = 8, groups: int = 2) -> Any:
    return load("_gpu_cases").Case(tokens, top_k, dim, groups)


CHECKS: dict[str, Callable[[], Any]] = {
    "all": lambda: load("_gpu_checks").all_of(case(200), CPU, FLOAT, "torch"),
    "landmarks": lambda: load("_gpu_checks").landmarks(case(5), 90, CPU, FLOAT, "torch"),
    "one landmark": lambda: load("_gpu_checks").landmarks(case(1), 1, CPU, FLOAT, "torch"),
    "window": lambda: load("_gpu_checks").window(50, 21, 30, CPU, FLOAT),
    "long": lambda: load("_gpu_far").long_gradients(case(130), CPU, FLOAT, "torch"),
    "many chunks": lambda: load("_gpu_far").many_chunks(case(640), 4, CPU, FLOAT, "torch"),
    "many tokens": lambda: load("_gpu_far").many_tokens(case(300), CPU, FLOAT, "torch"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_right_passes_every_check(name: str) -> None:
    row = CHECKS[name]()
    assert row["what"]
    if "errors" in row:
        assert 0 < max(row["errors"].values()) < 1e-5
    else:
        assert row["missed"] == {"float": 0, "int8": 0}


def slightly_off(which: str) -> Callable[[Any], Any]:
    """An operator whose results in float32 are wrong in one place."""

    def wrap(operator: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(*args: Any, **options: Any) -> Tensor:
            out = operator(*args, **options)
            if out.dtype != FLOAT:
                return out
            if which == "gradient":
                if out.requires_grad:
                    out.register_hook(lambda grad: 1.01 * grad)
                return out
            wrong = torch.zeros_like(out)
            wrong.view(-1)[-1] = float("nan") if which == "nan" else 0.01
            return out + wrong

        return run

    return wrap


@pytest.mark.parametrize(
    ("module", "operator", "check", "which", "named"),
    [
        ("_gpu_checks", "chunk_attention", "all", "value", "'forward'"),
        ("_gpu_checks", "chunk_attention", "all", "nan", "'forward'"),
        ("_gpu_checks", "chunk_attention", "all", "gradient", "'dk'"),
        ("_gpu_checks", "chunk_scores", "all", "gradient", "'scores dq'"),
        ("_gpu_checks", "paged_decode", "all", "value", "'paged decode'"),
        ("_gpu_checks", "sliding_window_attention", "window", "value", "'sdpa one token'"),
        ("_gpu_checks", "sliding_window_attention", "window", "gradient", "'blocked dv"),
        ("_gpu_far", "chunk_attention", "many chunks", "gradient", "'dw'"),
        ("_gpu_far", "chunk_scores", "many chunks", "value", "'scores'"),
        ("_gpu_far", "paged_decode", "many chunks", "nan", "'paged decode'"),
        ("_gpu_far", "chunk_attention", "many tokens", "value", "'forward'"),
        ("_gpu_checks", "chunk_attention", "long", "gradient", "'dv'"),
    ],
)
def test_what_is_wrong_is_found_and_named(
    module: str,
    operator: str,
    check: str,
    which: str,
    named: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = load(module)
    monkeypatch.setattr(loaded, operator, slightly_off(which)(getattr(loaded, operator)))
    with pytest.raises(load("_gpu_checks").WrongResult, match=named):
        CHECKS[check]()


def test_a_gradient_of_a_chunk_that_nobody_chose_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    far = load("_gpu_far")
    grad = torch.zeros(1, 5, 2, 1, 3)
    grad[:, 2] = 1
    used = torch.tensor([2])
    far._nothing_elsewhere(grad, used, "dk")
    for value in (1e-9, float("nan")):
        grad[0, 4, 1, 0, 2] = value
        with pytest.raises(
            load("_gpu_checks").WrongResult, match="dk of chunks that no token.*: 1"
        ):
            far._nothing_elsewhere(grad, used, "dk")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found.indices.__setitem__((0, 3, 0, 1), found.indices[0, 3, 0, 0]),
        lambda found: found.indices.__setitem__((0, 3, 0, 1), -1),
        lambda found: found.scores.__setitem__((0, 3, 0, 1), float("nan")),
        lambda found: found.scores.__setitem__((0, 3, 0, 1), found.scores[0, 3, 0, 1] + 1e-3),
        lambda found: found.indices.__setitem__((0, 0, 0, 0), 0),
    ],
)
def test_a_wrong_slot_of_a_search_is_found(
    spoil: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = load("_gpu_checks")
    search = checks.landmark_topk

    def spoiled(q: Tensor, *args: Any, **options: Any) -> Any:
        found = search(q, *args, **options)
        if q.dtype == FLOAT:
            spoil(found)
        return found

    monkeypatch.setattr(checks, "landmark_topk", spoiled)
    with pytest.raises(checks.WrongResult, match=r"90 landmarks, 5 tokens.*'float': [1-9]"):
        CHECKS["landmarks"]()


def test_tokens_on_both_sides_of_the_boundary_are_compared() -> None:
    at = load("_gpu_far")._spread(10_000, 6_000)
    assert {0, 5_999, 6_000, 9_999} <= set(at.tolist())
    assert int(at.min()) == 0
    assert int(at.max()) == 9_999
