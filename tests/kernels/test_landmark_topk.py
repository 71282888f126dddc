"""`landmark_topk` against its reference: choice, scores, gradients, masks, noise, memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels.landmark_topk import cpu, landmark_topk, landmark_topk_reference


class Case(NamedTuple):
    """Sizes of one call."""

    batch: int = 2
    tokens: int = 9
    heads: int = 3
    dim: int = 5
    chunks: int = 11
    top_k: int = 4
    masked: bool = False


def make(case: Case, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    q = torch.randn(case.batch, case.tokens, case.heads, case.dim, dtype=dtype)
    landmarks = torch.randn(case.batch, case.chunks, case.heads, case.dim, dtype=dtype)
    visible = torch.randint(0, case.chunks + 1, (case.batch, case.tokens))
    return q, landmarks, visible


def finite(scores: Tensor) -> Tensor:
    return scores.masked_fill(scores == float("-inf"), 0)


CASES = [
    Case(),
    Case(masked=True),
    Case(heads=1, top_k=1),
    Case(top_k=50),
    Case(top_k=50, masked=True),
    Case(batch=1, tokens=1, chunks=1),
    Case(chunks=67, top_k=13, dim=1),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_choice_scores_and_gradients_are_those_of_the_reference(case: Case) -> None:
    q, landmarks, visible = make(case)
    mask = torch.rand(case.batch, case.chunks) < 0.6 if case.masked else None
    results = []
    slots = min(case.top_k, case.chunks)
    grad = torch.randn(case.batch, case.tokens, case.heads, slots, dtype=torch.float64)
    for run in (landmark_topk, landmark_topk_reference):
        ours, theirs = q.clone().requires_grad_(), landmarks.clone().requires_grad_()
        arguments: dict[str, Any] = {"scale": 0.3, "chunk_mask": mask}
        scores, indices = run(ours, theirs, visible, case.top_k, **arguments)
        (finite(scores) * grad).sum().backward()
        assert ours.grad is not None
        assert theirs.grad is not None
        results.append((scores.detach(), indices, ours.grad, theirs.grad))
    (scores, indices, *grads), (expected, chosen, *expected_grads) = results
    assert torch.equal(indices, chosen)
    torch.testing.assert_close(scores, expected, rtol=1e-10, atol=1e-10)
    for found, wanted in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_low_precision_scores_stay_near_the_exact_ones(dtype: torch.dtype) -> None:
    q, landmarks, visible = make(Case(tokens=20, dim=32), dtype)
    found = landmark_topk(q, landmarks, visible, 4)
    assert found.scores.dtype == torch.float32
    every = torch.einsum("btre,bcre->btrc", q.double(), landmarks.double()) * 32**-0.5
    exact = every.gather(-1, found.indices.clamp(min=0)).masked_fill(found.indices < 0, 0)
    error = (finite(found.scores).double() - exact).abs().max()
    assert error <= 8 * torch.finfo(dtype).eps * every.abs().max()


def test_the_default_scale_is_one_over_the_root_of_the_dimension() -> None:
    q, landmarks, visible = make(Case(dim=16))
    assert torch.equal(
        landmark_topk(q, landmarks, visible, 3).scores,
        landmark_topk(q, landmarks, visible, 3, scale=0.25).scores,
    )


@pytest.mark.parametrize(("chunks", "top_k"), [(0, 4), (5, 0), (0, 0)])
def test_no_chunks_or_no_slots(chunks: int, top_k: int) -> None:
    q, landmarks, visible = make(Case(chunks=chunks))
    found = landmark_topk(q, landmarks, visible, top_k)
    assert found.scores.shape == found.indices.shape == (2, 9, 3, 0)


def test_a_token_sees_only_chunks_before_its_limit_and_slots_beyond_them_are_empty() -> None:
    q, landmarks, _ = make(Case(batch=1, tokens=4))
    visible = torch.tensor([[0, 2, 4, 11]])
    found = landmark_topk(q, landmarks, visible, 4)
    for token, limit in enumerate((0, 2, 4, 11)):
        chosen = found.indices[0, token]
        assert ((chosen >= 0).sum(-1) == min(4, limit)).all()
        assert (chosen < limit).all()
    assert torch.equal(found.indices < 0, found.scores == float("-inf"))
    # Best first, empty slots last.
    assert torch.equal(found.scores, found.scores.sort(-1, descending=True).values)


def test_a_negative_limit_is_an_empty_one() -> None:
    q, landmarks, visible = make(Case())
    found = landmark_topk(q, landmarks, torch.full_like(visible, -3), 4)
    assert (found.indices == -1).all()


def test_nan_landmarks_of_hidden_chunks_do_not_leak() -> None:
    q, landmarks, visible = make(Case())
    visible = visible.clamp(max=8)
    mask = torch.ones(2, 11, dtype=torch.bool)
    mask[:, 2] = False
    poisoned = landmarks.clone()
    poisoned[:, 8:] = float("nan")
    poisoned[:, 2] = float("nan")
    clean = landmark_topk(q, landmarks, visible, 4, chunk_mask=mask)
    found = landmark_topk(q, poisoned, visible, 4, chunk_mask=mask)
    assert torch.equal(found.indices, clean.indices)
    assert torch.equal(found.scores, clean.scores)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("top_k", [1, 4, 40])
def test_of_equal_scores_the_first_visible_ones_are_chosen(dtype: torch.dtype, top_k: int) -> None:
    case = Case(chunks=40, dim=3)
    q, landmarks, visible = (x.round() if x.is_floating_point() else x for x in make(case))
    mask = torch.rand(2, 40) < 0.7
    found = landmark_topk(
        q.to(dtype), landmarks.to(dtype), visible, top_k, scale=0.5, chunk_mask=mask
    )
    scores, chosen = landmark_topk_reference(q, landmarks, visible, top_k, 0.5, mask)
    assert torch.equal(found.indices, chosen)
    assert torch.equal(found.scores.double(), scores)


def test_noise_changes_the_choice_but_not_the_scores() -> None:
    q, landmarks, _ = make(Case(batch=1, tokens=2, heads=1))
    visible = torch.full((1, 2), 11)
    noise = torch.zeros(1, 2, 1, 11)
    noise[..., 7] = 1e6
    noise[..., 3] = 1e5
    found = landmark_topk(q, landmarks, visible, 2, noise=noise)
    assert found.indices[..., 0].eq(7).all()
    assert found.indices[..., 1].eq(3).all()
    scores = torch.einsum("btre,bcre->btrc", q, landmarks) * 5**-0.5
    torch.testing.assert_close(found.scores, scores[..., [7, 3]])


def test_noise_makes_nothing_visible() -> None:
    q, landmarks, _ = make(Case())
    noise = torch.full((2, 9, 3, 11), 1e6)
    visible = torch.ones(2, 9, dtype=torch.long)
    found = landmark_topk(q, landmarks, visible, 3, noise=noise)
    assert found.indices[..., 0].eq(0).all()
    assert found.indices[..., 1:].eq(-1).all()


def test_tiles_of_one_token_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    q, landmarks, visible = make(Case())
    noise = torch.randn(2, 9, 3, 11, dtype=torch.float64)
    results = []
    for values in (1 << 22, 1):
        monkeypatch.setattr(cpu, "TILE_VALUES", values)
        ours, theirs = q.clone().requires_grad_(), landmarks.clone().requires_grad_()
        found = landmark_topk(ours, theirs, visible, 4, noise=noise)
        finite(found.scores).square().sum().backward()
        results.append((found.scores.detach(), found.indices, ours.grad, theirs.grad))
    for whole, tiled in zip(*results, strict=True):
        torch.testing.assert_close(whole, tiled, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_copies_and_products_give_the_same_gradients(dtype: torch.dtype) -> None:
    q, landmarks, _ = make(Case(tokens=30), dtype)
    indices = torch.randint(-1, 11, (2, 30, 3, 4))
    grad = torch.randn(2, 30, 3, 4, dtype=torch.float64 if dtype == torch.float64 else None)
    results = (
        f(grad, q, landmarks, indices, 0.5) for f in (cpu.dense_backward, cpu.gathered_backward)
    )
    for dense, gathered in zip(*results, strict=True):
        assert gathered.dtype == dtype
        tolerance = 1e-12 if dtype == torch.float64 else 2e-2
        assert (dense - gathered).norm() <= tolerance * dense.norm()


def test_memory_is_never_queries_times_landmarks(
    monkeypatch: pytest.MonkeyPatch, largest_tensor: Callable[[Callable[[], object]], int]
) -> None:
    monkeypatch.setattr(cpu, "TILE_VALUES", 1 << 11)
    q, landmarks, visible = make(Case(batch=1, tokens=300, heads=1, dim=2, chunks=300))
    arguments = (q, landmarks, visible, 4, 1.0)
    scores, indices = cpu.forward(*arguments, None, None)
    forward = largest_tensor(lambda: cpu.forward(*arguments, None, None))
    for run in (cpu.dense_backward, cpu.gathered_backward):
        backward = largest_tensor(lambda run=run: run(scores, q, landmarks, indices, 1.0))
        assert max(forward, backward) <= 1 << 11 < 300 * 300


def test_the_custom_operators_keep_their_contract() -> None:
    q, landmarks, visible = make(Case(tokens=3, chunks=4, dim=2))
    inputs = (q.requires_grad_(), landmarks.requires_grad_(), visible, 2, 0.5, None, None)
    torch.library.opcheck(torch.ops.hsa_memory.landmark_topk.default, inputs)
    grad = torch.randn(2, 3, 3, 2, dtype=torch.float64)
    indices = torch.randint(-1, 4, (2, 3, 3, 2))
    backward = (grad, q.detach(), landmarks.detach(), indices, 0.5)
    torch.library.opcheck(torch.ops.hsa_memory.landmark_topk_backward.default, backward)


def test_gradients_are_those_of_finite_differences() -> None:
    q, landmarks, visible = make(Case(batch=1, tokens=3, heads=1, dim=2, chunks=4))
    assert torch.autograd.gradcheck(
        lambda q, m: finite(landmark_topk(q, m, visible, 2).scores),
        (q.requires_grad_(), landmarks.requires_grad_()),
    )


@pytest.mark.parametrize("gradients", [True, False])
def test_it_compiles_into_one_graph(gradients: bool) -> None:
    inputs = (*make(Case()), 4)
    run = torch.compile(landmark_topk, fullgraph=True, backend="aot_eager")
    with torch.set_grad_enabled(gradients):
        for ours, theirs in zip(run(*inputs), landmark_topk(*inputs), strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": torch.zeros(2, 9, 3)}, r"found \(2, 9, 3\) and \(2, 11, 3, 5\)"),
        ({"q": torch.zeros(2, 9, 2, 5)}, r"q \(2, 9, 2, 5\), landmarks \(2, 11, 3, 5\)"),
        ({"visible": torch.zeros(2, 8, dtype=torch.long)}, r"visible \(2, 8\)"),
        ({"top_k": -1}, "top_k -1"),
        ({"landmarks": torch.zeros(2, 11, 3, 5, dtype=torch.bfloat16)}, "share a dtype"),
        ({"chunk_mask": torch.ones(11, dtype=torch.bool)}, r"bool \[2, 11\]; found .* \(11,\)"),
        ({"chunk_mask": torch.ones(2, 11)}, "found torch.float32"),
        ({"noise": torch.zeros(2, 9, 3, 10)}, r"found \(2, 9, 3, 10\)"),
        ({"visible": torch.zeros(2, 9, device="meta")}, "one device; .*visible on meta"),
    ],
)
def test_wrong_inputs_are_named(change: dict[str, Any], message: str) -> None:
    q, landmarks, visible = make(Case(), torch.float32)
    arguments: dict[str, Any] = {"q": q, "landmarks": landmarks, "visible": visible, "top_k": 4}
    with pytest.raises(ValueError, match=message):
        landmark_topk(**{**arguments, **change})
