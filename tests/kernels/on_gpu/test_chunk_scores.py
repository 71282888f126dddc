"""The Triton kernels of chunk scores against the float64 reference, on inputs as rounded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels.chunk_scores import chunk_scores, chunk_scores_reference, gpu

NEAR = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
# batch, tokens, heads, KV heads, D, chunks, S, slots
PLAIN = (1, 3, 4, 1, 64, 6, 64, 3)
ODD = (2, 5, 6, 2, 20, 7, 33, 3)
CASES = [
    PLAIN,
    ODD,
    (1, 2, 40, 1, 16, 3, 5, 2),
    (1, 2, 1, 1, 3, 4, 1, 6),
    (1, 2, 3, 1, 72, 4, 40, 3),
    (1, 5, 4, 2, 16, 3, 16, 1),
]


def make(
    sizes: tuple[int, ...], dtype: torch.dtype, device: torch.device, empty: float = 0.3
) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    batch, tokens, heads, groups, dim, chunks, size, slots = sizes
    order = torch.rand(batch, tokens, groups, max(chunks, slots)).argsort(-1)[..., :slots]
    hidden = (torch.rand(order.shape) < empty) | (order >= chunks)
    q = torch.randn(batch, tokens, heads, dim).to(dtype)
    k = torch.randn(batch, chunks, size, groups, dim).to(dtype)
    return q.to(device), k.to(device), order.masked_fill(hidden, -1).to(device)


def run_both(
    q: Tensor, k: Tensor, indices: Tensor, grad: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Output and gradients of the kernels and of the reference."""
    ours, theirs = (
        [x.clone().requires_grad_() for x in (q, k)],
        [x.double().requires_grad_() for x in (q, k)],
    )
    out = chunk_scores(*ours, indices, backend="triton")
    out.backward(grad)
    exact = chunk_scores_reference(*theirs, indices, q.shape[3] ** -0.5)
    exact.backward(grad.double())
    return [out.detach(), *(x.grad for x in ours)], [exact.detach(), *(x.grad for x in theirs)]


def grad_for(q: Tensor, k: Tensor, indices: Tensor) -> Tensor:
    return torch.randn(*indices.shape, q.shape[2] // k.shape[3], device=q.device)


@pytest.mark.parametrize(
    ("sizes", "dtype"),
    [
        *((sizes, torch.float32) for sizes in CASES),
        *((sizes, dtype) for sizes in (PLAIN, ODD) for dtype in (torch.float16, torch.bfloat16)),
    ],
    ids=str,
)
@pytest.mark.parametrize("ordered", [False, True])
def test_scores_and_gradients_are_those_of_the_reference(
    sizes: tuple[int, ...], dtype: torch.dtype, ordered: bool, monkeypatch, device
) -> None:
    monkeypatch.setattr(gpu, "PIECE", 2)
    inputs = make(sizes, dtype, device)
    torch.use_deterministic_algorithms(ordered)
    try:
        found, expected = run_both(*inputs, grad_for(*inputs))
    finally:
        torch.use_deterministic_algorithms(False)
    assert found[0].dtype == torch.float32
    for a, b in zip(found, expected, strict=True):
        assert (a.double() - b).norm() <= NEAR[dtype] * b.norm()


@pytest.mark.parametrize("slots", [33, 64, 200])
def test_any_number_of_slots_in_any_order(slots: int, device) -> None:
    q, k, indices = make((1, 2, 3, 1, 16, 9, 16, slots), torch.float32, device)
    # Whole blocks of slots are empty: all but three of one token, the first 32 of the other.
    slot = torch.arange(slots, device=device)
    used = torch.stack(((slot == 1) | (slot == 40) | (slot == 199), (slot > 31) & (slot % 3 > 0)))
    indices = torch.randint(9, indices.shape).to(device).where(used[None, :, None], -1)
    found, expected = run_both(q, k, indices, grad_for(q, k, indices))
    for a, b in zip(found, expected, strict=True):
        assert (a.double() - b).norm() <= 1e-5 * b.norm()
    assert torch.equal(found[0][0, :, 0, :, 0] != 0, used)


def test_empty_slots_score_zero_and_change_nothing(device) -> None:
    inputs = make((1, 2, 4, 1, 16, 5, 16, 3), torch.float32, device, empty=1.0)
    for x in run_both(*inputs, grad_for(*inputs))[0]:
        assert torch.equal(x, torch.zeros_like(x))


def test_the_operators_keep_their_contract(device) -> None:
    q, k, indices = make((1, 2, 2, 1, 4, 3, 4, 2), torch.float32, device)
    grad = grad_for(q, k, indices)
    options = {"atol": 1e-4, "rtol": 1e-4}
    plain = (q, k, indices, 0.5, "triton")
    backward = torch.ops.hsa_memory.chunk_scores_backward.default
    torch.library.opcheck(backward, (grad, *plain), **options)
    forward = torch.ops.hsa_memory.chunk_scores.default
    leaves = (q.clone().requires_grad_(), k.clone().requires_grad_(), *plain[2:])
    torch.library.opcheck(forward, leaves, **options)
