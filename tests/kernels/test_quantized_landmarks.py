"""A search of int8 landmarks finds, exactly, what a search of the landmarks themselves finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels.landmark_topk import (
    Quantized,
    TopK,
    cpu,
    landmark_topk,
    landmark_topk_reference,
    quantize_landmarks,
)
from hsa_memory.kernels.landmark_topk.quantized import quantize_queries


def whole(low: int, high: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Whole numbers, whose products no order of sums rounds."""
    return torch.randint(low, high + 1, shape).to(dtype)


def search(
    q: Tensor, landmarks: Tensor, visible: Tensor, top_k: int, mask: Tensor | None = None
) -> TopK:
    quantized = quantize_landmarks(landmarks)
    return landmark_topk(
        q, landmarks, visible, top_k, scale=0.5, chunk_mask=mask, quantized=quantized
    )


def assert_exact(
    q: Tensor, landmarks: Tensor, visible: Tensor, top_k: int, mask: Tensor | None = None
) -> None:
    """The choice is that of the reference and of the search without int8, ties included."""
    found = search(q, landmarks, visible, top_k, mask)
    plain = landmark_topk(q, landmarks, visible, top_k, scale=0.5, chunk_mask=mask)
    exact = landmark_topk_reference(q.double(), landmarks.double(), visible, top_k, 0.5, mask)
    assert torch.equal(found.indices, exact[1])
    assert torch.equal(found.scores, exact[0].float())
    assert torch.equal(found.indices, plain.indices)
    assert torch.equal(found.scores, plain.scores)


@pytest.fixture
def no_full_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search of all landmarks, which would hide what int8 missed, is not there."""

    def refuse(*_: object) -> None:
        raise AssertionError("all landmarks were searched")

    monkeypatch.setattr(cpu, "forward", refuse)


def test_values_and_scales_are_the_nearest() -> None:
    landmarks = torch.tensor([[[[127.0, -63.6, 0.4, -0.6]], [[0.0, 0.0, 0.0, 0.0]]]])
    values, scales = quantize_landmarks(landmarks)
    assert values.dtype == torch.int8
    assert values.tolist() == [[[[127, -64, 0, -1]], [[0, 0, 0, 0]]]]
    assert scales.dtype == torch.float32
    assert scales.shape == (1, 2, 1)
    assert scales[0, 0, 0] == 1


@pytest.mark.parametrize("power", [1, 3, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_no_score_leaves_its_bound(dtype: torch.dtype, power: int) -> None:
    # Higher powers have few large values beside many small ones: the worst for int8.
    q, landmarks = torch.randn(2, 40, 3, 24).pow(power), torch.randn(2, 50, 3, 24).pow(power)
    q, landmarks = q.to(dtype), landmarks.to(dtype)
    values, scales = quantize_landmarks(landmarks)
    queries = quantize_queries(q, -0.3)
    exact = torch.einsum("btre,bcre->btrc", q.double(), landmarks.double()) * -0.3
    products = torch.einsum("btre,bcre->btrc", queries.values.double(), values.double())
    steps = scales.double().transpose(1, 2)[:, None]
    error = (exact - products * queries.scales.double()[..., None] * steps).abs()
    assert (error <= queries.slack.double()[..., None] * steps).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_ties_choose_the_first(dtype: torch.dtype, masked: bool) -> None:
    q, landmarks = whole(-2, 2, 2, 7, 2, 6, dtype=dtype), whole(-2, 2, 2, 700, 2, 6, dtype=dtype)
    visible = torch.randint(0, 701, (2, 7))
    mask = torch.rand(2, 700) < 0.5 if masked else None
    assert_exact(q, landmarks, visible, 5, mask)


def test_differences_below_a_step_of_int8_decide() -> None:
    # The first dimension takes all of int8's steps, and the query does not look at it.
    landmarks = whole(-3, 3, 1, 500, 1, 8)
    landmarks[..., 0] = 10_000
    q = whole(-3, 3, 1, 4, 1, 8)
    q[..., 0] = 0
    assert_exact(q, landmarks, torch.full((1, 4), 500), 6)


def test_a_few_coarse_landmarks_are_weighed_by_their_own_steps(no_full_search: None) -> None:
    # Those that int8 tells nothing about are few: no search of all landmarks is needed.
    landmarks = whole(-100, 100, 1, 4000, 1, 8)
    landmarks[:, ::100, :, 0] = 1_000_000
    landmarks[:, 1700] = torch.tensor([1e6, 99, 99, 99, 99, 99, 99, 99])
    q = torch.tensor([0.0, 1, 1, 1, 1, 1, 1, 1]).view(1, 1, 1, 8)
    found = search(q, landmarks, torch.full((1, 1), 4000), 3)
    exact = landmark_topk_reference(q, landmarks, torch.full((1, 1), 4000), 3, 0.5)
    assert 1700 in exact[1]
    assert torch.equal(found.indices, exact[1])


@pytest.mark.parametrize("tokens", [1, 5])
def test_random_landmarks_need_no_search_of_all(no_full_search: None, tokens: int) -> None:
    q, landmarks = torch.randn(1, tokens, 2, 32), torch.randn(1, 3000, 2, 32)
    visible = torch.randint(2000, 3001, (1, tokens))
    found = search(q, landmarks, visible, 8)
    exact = landmark_topk_reference(q.double(), landmarks.double(), visible, 8, 0.5)
    assert torch.equal(found.indices, exact[1])
    torch.testing.assert_close(found.scores, exact[0].float())


@pytest.mark.parametrize("limit", [-1, 0, 1, 3, 63, 64, 65, 130])
def test_any_number_of_visible_chunks(limit: int) -> None:
    q, landmarks = whole(-9, 9, 1, 2, 1, 5), whole(-9, 9, 1, 130, 1, 5)
    visible = torch.tensor([[limit, max(limit - 2, 0)]])
    assert_exact(q, landmarks, visible, 4)


def test_a_mask_that_hides_everything() -> None:
    q, landmarks = whole(-9, 9, 1, 2, 1, 5), whole(-9, 9, 1, 100, 1, 5)
    found = search(q, landmarks, torch.full((1, 2), 100), 4, torch.zeros(1, 100, dtype=torch.bool))
    assert (found.indices == -1).all()
    assert (found.scores == float("-inf")).all()


@pytest.mark.parametrize(("chunks", "top_k"), [(0, 4), (5, 0), (3, 9)])
def test_no_chunks_no_slots_and_more_slots_than_chunks(chunks: int, top_k: int) -> None:
    q, landmarks = whole(-9, 9, 2, 3, 2, 5), whole(-9, 9, 2, chunks, 2, 5)
    assert_exact(q, landmarks, torch.full((2, 3), chunks), min(top_k, chunks))


def test_zeros_and_nan_of_hidden_chunks_do_no_harm() -> None:
    q, landmarks = whole(-9, 9, 1, 3, 1, 5), whole(-9, 9, 1, 300, 1, 5)
    landmarks[:, 10:20] = 0
    q[:, 1] = 0
    visible, mask = torch.full((1, 3), 290), torch.ones(1, 300, dtype=torch.bool)
    mask[:, 5] = False
    clean = search(q, landmarks, visible, 4, mask)
    landmarks[:, 290:] = float("nan")
    landmarks[:, 5] = float("nan")
    found = search(q, landmarks, visible, 4, mask)
    assert torch.equal(found.indices, clean.indices)
    assert torch.equal(found.scores, clean.scores)


def test_gradients_are_those_without_int8() -> None:
    grads = []
    q, landmarks = torch.randn(1, 4, 2, 8), torch.randn(1, 600, 2, 8)
    for quantized in (None, quantize_landmarks(landmarks)):
        ours, theirs = q.clone().requires_grad_(), landmarks.clone().requires_grad_()
        visible = torch.full((1, 4), 600)
        landmark_topk(
            ours, theirs, visible, 3, quantized=quantized
        ).scores.square().sum().backward()
        grads.append((ours.grad, theirs.grad))
    for plain, found in zip(*grads, strict=True):
        torch.testing.assert_close(found, plain)


def test_memory_is_never_queries_times_landmarks(
    monkeypatch: pytest.MonkeyPatch, largest_tensor: Callable[[Callable[[], object]], int]
) -> None:
    monkeypatch.setattr(cpu, "TILE_VALUES", 1 << 11)
    q, landmarks = torch.randn(1, 300, 1, 2), torch.randn(1, 320, 1, 2)
    quantized, visible = quantize_landmarks(landmarks), torch.full((1, 300), 320)
    with torch.no_grad():
        found = largest_tensor(lambda: landmark_topk(q, landmarks, visible, 4, quantized=quantized))
    assert found <= 1 << 11 < 300 * 320


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": torch.zeros(1, 9, 1, 5, dtype=torch.int8)}, r"found \(1, 9, 1, 5\)"),
        ({"scales": torch.zeros(1, 8)}, r"and \(1, 8\)"),
        ({"values": torch.zeros(1, 8, 1, 5)}, "found torch.float32 and torch.float32"),
        ({"noise": torch.zeros(1, 2, 1, 8)}, "give one"),
    ],
)
def test_wrong_inputs_are_named(change: dict[str, Tensor], message: str) -> None:
    q, landmarks = torch.zeros(1, 2, 1, 5), torch.zeros(1, 8, 1, 5)
    noise = change.pop("noise", None)
    quantized = quantize_landmarks(landmarks)._replace(**change)
    with pytest.raises(ValueError, match=message):
        landmark_topk(
            q,
            landmarks,
            torch.full((1, 2), 8),
            2,
            noise=noise,
            quantized=Quantized(*quantized),
        )


def test_landmarks_of_another_rank_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found \(8, 5\)"):
        quantize_landmarks(torch.zeros(8, 5))
