"""Operators on one token of each sequence, a decode: their slots are spread over programs."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels.chunk_attention import chunk_attention, chunk_attention_reference
from hsa_memory.kernels.chunk_scores import chunk_scores, chunk_scores_reference
from hsa_memory.kernels.paged_decode import gpu as paged_decode

NEAR = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


class Inputs(NamedTuple):
    q: Tensor
    k: Tensor
    v: Tensor
    indices: Tensor
    weights: Tensor


def make(dtype: torch.dtype, stored: torch.dtype, top_k: int, device: torch.device) -> Inputs:
    """Three sequences, whose keys and values are parts of larger tensors."""
    torch.manual_seed(0)
    kv = torch.randn(2, 3, 50, 20, 2, 24).to(device, stored)[:, :, 4:46]
    indices = torch.stack([torch.randperm(42)[:top_k] for _ in range(6)]).view(3, 1, 2, top_k)
    indices = indices.masked_fill(torch.rand(indices.shape) < 0.2, -1).to(device)
    q = torch.randn(3, 1, 6, 24).to(device, dtype)
    return Inputs(q, *kv, indices, torch.rand(indices.shape, device=device))


def exactly(inputs: Inputs) -> list[Any]:
    return [x.double() if x.is_floating_point() else x for x in inputs]


def error(found: Tensor, wanted: Tensor) -> float:
    return float((found.double() - wanted).norm() / wanted.norm().clamp(min=1e-30))


@pytest.mark.parametrize("splits", [1, 5, 132])
@pytest.mark.parametrize("top_k", [1, 3, 31])
@pytest.mark.parametrize(
    ("dtype", "stored"),
    [(dtype, dtype) for dtype in NEAR] + [(torch.float32, torch.bfloat16)],
)
def test_attention(
    dtype: torch.dtype,
    stored: torch.dtype,
    top_k: int,
    splits: int,
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of 132 processors each one gets a slot.
    monkeypatch.setattr(paged_decode, "_processors", lambda _: 6 * splits)
    inputs = make(dtype, stored, top_k, device)
    with torch.no_grad():
        found = chunk_attention(*inputs, scale=0.3, backend="triton")
    assert found.shape == (3, 1, 6, 24)
    assert error(found, chunk_attention_reference(*exactly(inputs), 0.3)) <= NEAR[dtype]


def test_gradients_go_through_it(device: torch.device) -> None:
    inputs = make(torch.float32, torch.float32, 7, device)
    grad = torch.randn(3, 1, 6, 24, device=device)
    results = []
    for run, given in (
        (lambda *x: chunk_attention(*x, scale=0.3, backend="triton"), list(inputs)),
        (lambda *x: chunk_attention_reference(*x, 0.3), exactly(inputs)),
    ):
        leaves = [x.clone().requires_grad_() if x.is_floating_point() else x for x in given]
        out = run(*leaves)
        wanted = [x for x in leaves if x.requires_grad]
        results.append(torch.autograd.grad(out, wanted, grad.to(out.dtype)))
    for ours, theirs in zip(*results, strict=True):
        assert error(ours, theirs) <= NEAR[torch.float32]


@pytest.mark.parametrize("top_k", [1, 9])
def test_scores(top_k: int, device: torch.device) -> None:
    inputs = make(torch.float32, torch.float32, top_k, device)
    found = chunk_scores(inputs.q, inputs.k, inputs.indices, scale=0.3, backend="triton")
    q, k, _, indices, _ = exactly(inputs)
    wanted = chunk_scores_reference(q, k, indices, 0.3)
    assert found.shape == wanted.shape
    assert error(found, wanted) <= NEAR[torch.float32]


def test_chunks_too_large_for_a_decode_take_the_other_kernel(device: torch.device) -> None:
    torch.manual_seed(0)
    k, v = torch.randn(2, 1, 2, 256, 1, 128, device=device)
    q, indices = torch.randn(1, 1, 2, 128, device=device), torch.tensor([[[[1, 0]]]], device=device)
    weights = torch.tensor([[[[0.4, 0.6]]]], device=device)
    inputs = Inputs(q, k, v, indices, weights)
    found = chunk_attention(*inputs, scale=0.1, backend="triton")
    wanted = chunk_attention_reference(*exactly(inputs), 0.1)
    assert error(found, wanted) <= NEAR[torch.float32]
