"""`landmark_topk` in Triton against its reference: choice, scores, gradients, memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels.landmark_topk import (
    TopK,
    gpu,
    landmark_topk,
    landmark_topk_reference,
    quantize_landmarks,
    selecting,
)
from hsa_memory.kernels.launching import TARGETS, target_of

TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
DTYPES = list(TOLERANCES)


class Case(NamedTuple):
    """Sizes of one call; up to 4 tokens are a decode, more than 16 take other tiles than fewer,
    and few slots make groups."""

    batch: int = 1
    tokens: int = 3
    heads: int = 2
    dim: int = 24
    chunks: int = 333
    top_k: int = 3

    @property
    def group(self) -> int:
        return gpu.group_size(self.chunks, self.top_k)


DECODE = Case()
SHORT = Case(tokens=6)
PREFILL = Case(batch=2, tokens=19)
UNGROUPED = Case(tokens=5, chunks=77, top_k=9)
FORMS = pytest.mark.parametrize(
    "case", [DECODE, SHORT, PREFILL, UNGROUPED], ids=["decode", "short", "prefill", "all"]
)
CASES = [
    DECODE,
    SHORT,
    PREFILL,
    UNGROUPED,
    Case(batch=3, tokens=1, chunks=700, top_k=40),
    Case(tokens=1, heads=1, chunks=900, top_k=256),
    Case(tokens=4, dim=130, chunks=260, top_k=1),
    Case(tokens=5, chunks=200, top_k=70),
    Case(tokens=70, heads=1, chunks=130, top_k=1),
    Case(tokens=1, chunks=2000, top_k=4),
    Case(tokens=18, chunks=40, top_k=30),
    Case(dim=1, heads=1),
    Case(dim=60, chunks=150, top_k=2),
    Case(tokens=17, dim=130, chunks=50),
    Case(chunks=1),
]


def make(case: Case, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, landmarks, and limits that begin and end inside tiles, one of them 0."""
    q = torch.randn(case.batch, case.tokens, case.heads, case.dim).to(device, dtype)
    landmarks = torch.randn(case.batch, case.chunks, case.heads, case.dim).to(device, dtype)
    visible = torch.randint(0, case.chunks + 1, (case.batch, case.tokens))
    visible[:, 0] = case.chunks
    visible[:, -1] = min(case.chunks, 129) if case.tokens < 3 else 0
    return q, landmarks, visible.to(device)


def whole(case: Case, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """As `make`, of small whole numbers: many equal scores, and none that any order rounds."""
    q, landmarks, visible = make(case, torch.float32, device)
    return q.round().to(dtype), landmarks.round().to(dtype), visible


def exact(
    q: Tensor, landmarks: Tensor, visible: Tensor, top_k: int, mask: Tensor | None = None
) -> TopK:
    return TopK(
        *landmark_topk_reference(
            q.double(), landmarks.double(), visible, min(top_k, landmarks.shape[1]), 0.5, mask
        )
    )


def run(q: Tensor, landmarks: Tensor, visible: Tensor, top_k: int, **options: Any) -> TopK:
    return landmark_topk(q, landmarks, visible, top_k, scale=0.5, backend="triton", **options)


def finite(scores: Tensor) -> Tensor:
    return scores.masked_fill(scores == float("-inf"), 0)


def error(found: Tensor, wanted: Tensor) -> float:
    difference = (found.double() - wanted.double()).norm()
    return float(difference / wanted.double().norm().clamp(min=1e-30))


def test_the_cases_are_with_and_without_groups() -> None:
    assert {case.group > 1 for case in CASES} == {True, False}
    assert PREFILL.group > 1
    assert SHORT.group > 1
    assert UNGROUPED.group == 1


def test_a_tile_holds_whole_groups_everywhere() -> None:
    every = itertools.product(TARGETS.values(), (64, 200), (8, 64), (*DTYPES, torch.int8))
    for target, dim, tokens, dtype in every:
        for chunks, top_k in ((1000, 32), (1 << 18, 16), (1 << 18, 64)):
            form = gpu.config(target, dim, tokens, gpu.group_size(chunks, top_k), dtype)
            assert form.columns % form.group == 0
            assert form.columns >= form.group > 0


@pytest.mark.parametrize(("tokens", "noisy"), [(2, False), (6, False), (6, True)])
@pytest.mark.parametrize(("keys", "slots"), [(32, 512), (64, 512), (4096, 8), (32, 8)])
def test_what_one_program_cannot_choose_several_do(
    tokens: int,
    noisy: bool,
    keys: int,
    slots: int,
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    q, landmarks, visible = make(Case(tokens=tokens, chunks=700), torch.float32, device)
    noise = torch.randn(1, tokens, 2, 700).to(device) if noisy else None
    top_k = 9
    wanted = run(q, landmarks, visible, top_k, noise=noise)
    monkeypatch.setattr(selecting, "MOST_KEYS", keys)
    monkeypatch.setattr(selecting, "MOST_SLOTS", slots)
    found = run(q, landmarks, visible, top_k, noise=noise)
    assert torch.equal(found.indices, wanted.indices)
    assert error(finite(found.scores), finite(wanted.scores)) <= TOLERANCES[torch.float32]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_scores_and_choice_are_those_of_the_reference(
    case: Case, masked: bool, device: torch.device
) -> None:
    q, landmarks, visible = make(case, torch.float32, device)
    mask = (torch.rand(case.batch, case.chunks) < 0.6).to(device) if masked else None
    found = run(q, landmarks, visible, case.top_k, chunk_mask=mask)
    wanted = exact(q, landmarks, visible, case.top_k, mask)
    assert found.scores.dtype == torch.float32
    assert torch.equal(found.indices, wanted.indices)
    assert torch.equal(found.indices < 0, found.scores == float("-inf"))
    assert error(finite(found.scores), finite(wanted.scores)) <= TOLERANCES[torch.float32]


@pytest.mark.parametrize("dtype", DTYPES)
@FORMS
def test_every_dtype(case: Case, dtype: torch.dtype, device: torch.device) -> None:
    q, landmarks, visible = make(case, dtype, device)
    found, wanted = (f(q, landmarks, visible, case.top_k) for f in (run, exact))
    assert torch.equal(found.indices, wanted.indices)
    assert error(finite(found.scores), finite(wanted.scores)) <= TOLERANCES[dtype]


def test_a_decode_searches_sixteen_million_tokens(device: torch.device) -> None:
    chunks = 1 << 18
    q, landmarks = torch.randn(1, 1, 1, 8, device=device), torch.randn(1, chunks, 1, 8)
    landmarks = landmarks.to(device)
    visible = torch.full((1, 1), chunks - 100, device=device)
    found, wanted = (f(q, landmarks, visible, 32) for f in (run, exact))
    assert torch.equal(found.indices, wanted.indices)
    assert error(found.scores, wanted.scores) <= TOLERANCES[torch.float32]


@pytest.mark.parametrize("dtype", DTYPES)
@FORMS
def test_of_equal_scores_the_first_are_chosen(
    case: Case, dtype: torch.dtype, device: torch.device
) -> None:
    q, landmarks, visible = whole(case._replace(dim=3), dtype, device)
    mask = (torch.rand(case.batch, case.chunks) < 0.8).to(device)
    found = run(q, landmarks, visible, case.top_k, chunk_mask=mask)
    wanted = exact(q, landmarks, visible, case.top_k, mask)
    assert torch.equal(found.indices, wanted.indices)
    assert torch.equal(found.scores, wanted.scores.float())


def test_minus_zero_ties_with_zero(device: torch.device) -> None:
    q = torch.ones(1, 1, 1, 1, device=device)
    landmarks = torch.full((1, 40, 1, 1), 1e-20, device=device)
    landmarks[:, :5] = -1e-20
    visible = torch.full((1, 1), 40, device=device)
    # The scores are too small for any float but the two zeros.
    found = landmark_topk(q, landmarks, visible, 7, scale=1e-30, backend="triton")
    assert found.scores.signbit().flatten().tolist() == [False] * 7
    assert found.indices.flatten().tolist() == list(range(7))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", [6, 20])
def test_both_kernels_compute_the_same_scores(
    dtype: torch.dtype, tokens: int, device: torch.device
) -> None:
    # Were they rounded apart, a group could lose its place to one that is no better.
    # More dimensions than one product takes.
    case = Case(tokens=tokens, heads=1, dim=40 if dtype == torch.float32 else 200, chunks=150)
    q, landmarks, visible = make(case, dtype, device)
    inputs = gpu._Inputs(q, landmarks, visible, None, None, 0.3)
    form = gpu.config(target_of(q), case.dim, tokens, 16, dtype)
    maxima = gpu._maxima(inputs, form, slice(0, tokens))
    scores = gpu._candidates(inputs, form, slice(0, tokens), maxima)
    best = scores.unflatten(-1, (-1, 16)).amax(-1)
    assert torch.equal(maxima >> 32, best >> 32)


@FORMS
def test_neighbouring_floats_are_told_apart(case: Case, device: torch.device) -> None:
    q, landmarks, visible = make(case._replace(dim=2), torch.float32, device)
    # Scores 2^-23 apart around 1, in no order.
    steps = torch.randperm(case.chunks).to(device)[:, None] * 2.0**-23
    q[..., 0], q[..., 1] = 2, 2
    landmarks[..., 0], landmarks[..., 1] = 1, steps
    found, wanted = (f(q, landmarks, visible, case.top_k) for f in (run, exact))
    assert torch.equal(found.indices, wanted.indices)


@FORMS
def test_noise_is_for_the_choice_only(case: Case, device: torch.device) -> None:
    q, landmarks, visible = make(case, torch.float32, device)
    noise = torch.randn(case.batch, case.tokens, case.heads, case.chunks).to(device) * 3
    mask = (torch.rand(case.batch, case.chunks) < 0.8).to(device)
    found = run(q, landmarks, visible, case.top_k, noise=noise, chunk_mask=mask)
    # As a further dimension, the noise is part of the reference's scores.
    every = torch.einsum("btre,bcre->btrc", q.double(), landmarks.double()) * 0.5
    seen = torch.arange(case.chunks, device=device) < visible[:, :, None, None]
    noisy = (every + noise).masked_fill(~(seen & mask[:, None, None]), float("-inf"))
    best, chosen = noisy.topk(case.top_k)
    assert torch.equal(found.indices, chosen.masked_fill(best == float("-inf"), -1))
    scores = every.gather(-1, chosen).masked_fill(best == float("-inf"), 0)
    assert error(finite(found.scores), scores) <= TOLERANCES[torch.float32]


def test_nan_landmarks_of_hidden_chunks_do_not_leak(device: torch.device) -> None:
    q, landmarks, visible = make(PREFILL, torch.float32, device)
    visible = visible.clamp(max=200)
    mask = torch.ones(2, PREFILL.chunks, dtype=torch.bool, device=device)
    mask[:, 2] = False
    clean = run(q, landmarks, visible, 3, chunk_mask=mask)
    landmarks[:, 200:] = float("nan")
    landmarks[:, 2] = float("nan")
    found = run(q, landmarks, visible, 3, chunk_mask=mask)
    assert torch.equal(found.indices, clean.indices)
    assert torch.equal(found.scores, clean.scores)


@pytest.mark.parametrize(
    ("tokens", "chunks", "top_k"), [(0, 5, 3), (3, 0, 3), (3, 5, 0), (20, 100, 0)]
)
def test_nothing_to_find(tokens: int, chunks: int, top_k: int, device: torch.device) -> None:
    case = Case(tokens=max(tokens, 1), chunks=chunks, top_k=top_k)
    q, landmarks, visible = make(case, torch.float32, device)
    found = run(q[:, :tokens], landmarks, visible[:, :tokens], top_k)
    assert found.scores.shape == found.indices.shape == (1, tokens, 2, min(top_k, chunks))


def test_limits_below_zero_and_beyond_the_landmarks(device: torch.device) -> None:
    q, landmarks, visible = make(DECODE, torch.float32, device)
    visible[:] = torch.tensor([-4, 10_000, 2])
    found = run(q, landmarks, visible, 3)
    wanted = exact(q, landmarks, visible, 3)
    assert torch.equal(found.indices, wanted.indices)


def test_landmarks_and_queries_may_be_views(device: torch.device) -> None:
    q, landmarks, visible = make(Case(batch=2), torch.float32, device)
    wide = torch.zeros(2, 400, 2, 30, device=device)
    wide[:, 7:340, :, 3:27] = landmarks
    found = run(q.transpose(1, 2).contiguous().transpose(1, 2), wide[:, 7:340, :, 3:27], visible, 3)
    assert torch.equal(found.indices, run(q, landmarks, visible, 3).indices)


@pytest.mark.parametrize("keys", [1, 1 << 9])
def test_memory_is_never_queries_times_landmarks(
    keys: int,
    monkeypatch: pytest.MonkeyPatch,
    largest_tensor: Callable[[Callable[[], object]], int],
    device: torch.device,
) -> None:
    case = Case(tokens=20, heads=1, dim=2, chunks=300, top_k=2)
    q, landmarks, visible = make(case, torch.float32, device)
    whole_keys = run(q, landmarks, visible, 2)
    monkeypatch.setattr(gpu, "_TILE_KEYS", keys)
    plain = (q, landmarks, visible, 2, 0.5, None, None)
    # The interpreter copies its inputs byte by byte.
    assert largest_tensor(lambda: gpu.forward(*plain)) <= 1 << 12 < 20 * 300
    found = run(q, landmarks, visible, 2)
    assert torch.equal(found.indices, whole_keys.indices)
    assert torch.equal(found.scores, whole_keys.scores)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("deterministic", [False, True])
def test_gradients_are_those_of_the_reference(
    dtype: torch.dtype, deterministic: bool, device: torch.device
) -> None:
    q, landmarks, visible = make(Case(batch=2, chunks=60), dtype, device)
    grad = torch.randn(2, 3, 2, 3).to(device)
    results = []
    torch.use_deterministic_algorithms(deterministic)
    try:
        for f, kind in ((run, dtype), (exact, torch.float64)):
            ours = q.detach().to(kind).requires_grad_()
            theirs = landmarks.detach().to(kind).requires_grad_()
            (finite(f(ours, theirs, visible, 3).scores) * grad).sum().backward()
            results.append((ours.grad, theirs.grad))
    finally:
        torch.use_deterministic_algorithms(False)
    for found, wanted in zip(*results, strict=True):
        assert found is not None
        assert wanted is not None
        assert found.dtype == dtype
        assert error(found, wanted) <= TOLERANCES[dtype]


def test_the_custom_operators_keep_their_contract(device: torch.device) -> None:
    q, landmarks, visible = make(Case(tokens=2, chunks=40, dim=4, top_k=1), torch.float32, device)
    inputs = (q.requires_grad_(), landmarks.requires_grad_(), visible, 1, 0.5)
    options = (None, None, None, None, "triton")
    torch.library.opcheck(torch.ops.hsa_memory.landmark_topk.default, (*inputs, *options))
    grad = torch.randn(1, 2, 2, 1, device=device)
    indices = torch.randint(-1, 40, (1, 2, 2, 1), device=device)
    backward = (grad, q.detach(), landmarks.detach(), indices, 0.5, "triton")
    torch.library.opcheck(torch.ops.hsa_memory.landmark_topk_backward.default, backward)


QUANTIZED = Case(tokens=2, chunks=1100, top_k=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", [2, 17])
def test_int8_finds_the_same(
    dtype: torch.dtype, tokens: int, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    q, landmarks, visible = make(QUANTIZED._replace(tokens=tokens), dtype, device)
    mask = (torch.rand(1, QUANTIZED.chunks) < 0.8).to(device)
    plain = run(q, landmarks, visible, 1, chunk_mask=mask)

    def refuse(*_: object) -> None:
        raise AssertionError("int8 was not enough")

    monkeypatch.setattr(gpu, "_search", refuse)
    quantized = quantize_landmarks(landmarks)
    found = run(q, landmarks, visible, 1, chunk_mask=mask, quantized=quantized)
    assert torch.equal(found.indices, plain.indices)
    if tokens > gpu._SPAN_TOKENS:
        assert torch.equal(found.scores, plain.scores)
    else:
        assert error(finite(found.scores), finite(plain.scores)) <= 1e-6


@pytest.mark.parametrize("coarse", [False, True])
def test_int8_finds_the_same_where_it_tells_little(
    coarse: bool, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    q, landmarks, visible = whole(QUANTIZED._replace(dim=4), torch.float32, device)
    if coarse:
        landmarks[..., 0], q[..., 0] = 10_000, 0
    searched, search = [], gpu._search

    def count(*arguments: Any) -> Tensor:
        searched.append(arguments)
        return search(*arguments)

    monkeypatch.setattr(gpu, "_search", count)
    found = run(q, landmarks, visible, 1, quantized=quantize_landmarks(landmarks))
    assert searched or not coarse
    wanted = exact(q, landmarks, visible, 1)
    assert torch.equal(found.indices, wanted.indices)
    assert torch.equal(found.scores, wanted.scores.float())
