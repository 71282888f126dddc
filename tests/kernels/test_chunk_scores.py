"""`chunk_scores` against its reference: outputs, gradients, odd sizes, empty slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels import gathering
from hsa_memory.kernels.chunk_scores import chunk_scores, chunk_scores_reference, cpu


class Case(NamedTuple):
    """Sizes of one call."""

    batch: int = 2
    tokens: int = 7
    heads: int = 4
    kv_heads: int = 2
    dim: int = 6
    chunks: int = 9
    size: int = 5
    top_k: int = 3
    dtype: torch.dtype = torch.float64
    empty: float = 0.3
    """Share of empty slots."""


class Inputs(NamedTuple):
    q: Tensor
    k: Tensor
    indices: Tensor


def make(case: Case) -> Inputs:
    slots = (case.batch, case.tokens, case.kv_heads, case.top_k)
    order = torch.rand(*slots[:3], max(case.chunks, case.top_k)).argsort(-1)[..., : case.top_k]
    hidden = (torch.rand(slots) < case.empty) | (order >= case.chunks)
    keys = (case.batch, case.chunks, case.size, case.kv_heads, case.dim)
    return Inputs(
        torch.randn(case.batch, case.tokens, case.heads, case.dim, dtype=case.dtype),
        torch.randn(keys, dtype=case.dtype),
        order.masked_fill(hidden, -1),
    )


def gradients(
    run: Callable[..., Tensor], inputs: Inputs, grad: Tensor, **options: float
) -> tuple[Tensor, Tensor, Tensor]:
    q, k = (x.detach().clone().requires_grad_() for x in (inputs.q, inputs.k))
    out = run(q, k, inputs.indices, **options)
    out.backward(grad)
    assert q.grad is not None
    assert k.grad is not None
    return out.detach(), q.grad, k.grad


def gradient_of_output(inputs: Inputs) -> Tensor:
    heads = inputs.q.shape[2] // inputs.k.shape[3]
    exact = torch.float64 if inputs.q.dtype == torch.float64 else torch.float32
    return torch.randn(*inputs.indices.shape, heads, dtype=exact)


CASES = [
    Case(),
    Case(chunks=36),
    Case(chunks=41, kv_heads=1),
    Case(kv_heads=1, heads=5, dim=3, size=1),
    Case(batch=1, tokens=1, heads=2, chunks=1, top_k=1, empty=0.0),
    Case(top_k=13, chunks=6),
    Case(top_k=13, chunks=60, heads=6, kv_heads=3),
    Case(batch=3, tokens=33, chunks=17, size=8, empty=0.9),
    Case(empty=1.0, chunks=40),
    Case(empty=1.0),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("scale", [None, 0.7])
def test_output_and_gradients_are_those_of_the_reference(case: Case, scale: float | None) -> None:
    inputs = make(case)
    grad = gradient_of_output(inputs)
    factor = case.dim**-0.5 if scale is None else scale
    found = gradients(chunk_scores, inputs, grad, **({} if scale is None else {"scale": scale}))
    expected = gradients(chunk_scores_reference, inputs, grad, scale=factor)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("chunks", [12, 13])
def test_without_gradients_the_result_is_the_same(chunks: int) -> None:
    inputs = make(Case(chunks=chunks))
    with_gradients = chunk_scores(*inputs)
    with torch.no_grad():
        assert torch.equal(chunk_scores(*inputs), with_gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("chunks", [9, 50])
def test_low_precision_stays_near_the_exact_result(dtype: torch.dtype, chunks: int) -> None:
    inputs = make(Case(dtype=dtype, chunks=chunks, dim=16, size=16, tokens=20))
    grad = gradient_of_output(inputs)
    exact = Inputs(inputs.q.double(), inputs.k.double(), inputs.indices)
    found = gradients(chunk_scores, inputs, grad)
    expected = gradients(chunk_scores_reference, exact, grad.double(), scale=0.25)
    most = 8 * torch.finfo(dtype).eps
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.double() - theirs).norm() <= most * theirs.norm()
    assert found[0].dtype == torch.float32
    assert found[1].dtype == found[2].dtype == dtype


@pytest.mark.parametrize("chunks", [9, 50])
def test_keys_may_be_bfloat16(monkeypatch: pytest.MonkeyPatch, chunks: int) -> None:
    inputs = make(Case(dtype=torch.float32, chunks=chunks, kv_heads=1, tokens=9))
    narrow = inputs.k.bfloat16()
    monkeypatch.setattr(gathering, "TILE_VALUES", 1 << 13)
    with torch.no_grad():
        found = chunk_scores(inputs.q, narrow, inputs.indices)
        assert torch.equal(found, chunk_scores(inputs.q, narrow.float(), inputs.indices))


@pytest.mark.parametrize("chunks", [9, 50])
def test_tiles_of_one_token_change_nothing(monkeypatch: pytest.MonkeyPatch, chunks: int) -> None:
    inputs = make(Case(chunks=chunks))
    grad = gradient_of_output(inputs)
    whole = gradients(chunk_scores, inputs, grad)
    monkeypatch.setattr(gathering, "TILE_VALUES", 1)
    monkeypatch.setattr(gathering, "DENSE_TILE_VALUES", 1)
    monkeypatch.setattr(gathering, "READERS", 2)
    for tiled, expected in zip(gradients(chunk_scores, inputs, grad), whole, strict=True):
        torch.testing.assert_close(tiled, expected, rtol=1e-12, atol=1e-12)


def test_memory_stays_within_tiles(
    monkeypatch: pytest.MonkeyPatch, largest_tensor: Callable[[Callable[[], object]], int]
) -> None:
    monkeypatch.setattr(gathering, "TILE_VALUES", 1 << 12)
    monkeypatch.setattr(gathering, "DENSE_TILE_VALUES", 1 << 12)
    most = []
    for tokens in (64, 128):
        inputs = make(Case(tokens=tokens, chunks=200, batch=1))
        own = max(x.numel() for x in inputs)
        with torch.no_grad():
            most.append(largest_tensor(lambda x=inputs: cpu.forward(*x, 1.0)))
        assert most[-1] <= max(own, 1 << 12)
    assert most[1] <= most[0]


@pytest.mark.parametrize("chunks", [0, 4])
@pytest.mark.parametrize("top_k", [0, 3])
def test_nothing_chosen_gives_zeros(chunks: int, top_k: int) -> None:
    inputs = make(Case(chunks=chunks, top_k=top_k, empty=1.0))
    out = chunk_scores(*inputs)
    assert out.shape == (*inputs.indices.shape, 2)
    assert torch.equal(out, torch.zeros_like(out))


def test_the_score_of_a_chunk_is_that_of_its_best_token_when_one_stands_out() -> None:
    q, k = torch.randn(1, 1, 1, 4), torch.randn(1, 2, 3, 1, 4)
    k[0, 1, 2, 0] = 40 * q[0, 0, 0]
    found = chunk_scores(q, k, torch.tensor([1]).view(1, 1, 1, 1))
    torch.testing.assert_close(found[0, 0, 0, 0, 0], 20 * q[0, 0, 0].square().sum())


@pytest.mark.parametrize("chunks", [5, 14])
def test_the_custom_operators_keep_their_contract(chunks: int) -> None:
    inputs = make(Case(tokens=3, chunks=chunks, size=2, dim=2, heads=2, kv_heads=1))
    leaves = [inputs.q.requires_grad_(), inputs.k.requires_grad_(), inputs.indices]
    torch.library.opcheck(torch.ops.hsa_memory.chunk_scores.default, (*leaves, 0.5))
    plain = [x.detach() for x in leaves]
    torch.library.opcheck(
        torch.ops.hsa_memory.chunk_scores_backward.default,
        (gradient_of_output(inputs), *plain, 0.5),
    )


@pytest.mark.parametrize("chunks", [5, 14])
def test_gradients_are_those_of_finite_differences(chunks: int) -> None:
    inputs = make(Case(batch=1, tokens=2, chunks=chunks, size=2, dim=2, heads=2, kv_heads=1))
    assert torch.autograd.gradcheck(
        lambda q, k: chunk_scores(q, k, inputs.indices),
        (inputs.q.requires_grad_(), inputs.k.requires_grad_()),
    )


@pytest.mark.parametrize("gradients", [True, False])
def test_it_compiles_into_one_graph(gradients: bool) -> None:
    inputs = make(Case())
    run = torch.compile(chunk_scores, fullgraph=True, backend="aot_eager")
    with torch.set_grad_enabled(gradients):
        torch.testing.assert_close(run(*inputs), chunk_scores(*inputs))


def test_what_does_not_fit_together_is_refused() -> None:
    q, k, indices = make(Case())
    for bad in (
        (q[0], k, indices),
        (q[:, :, :3], k, indices),
        (q, k[..., :5], indices),
        (q, k, indices[:, :3]),
        (q.float(), k, indices),
        (q, k, indices.int()),
        (q, k.to("meta"), indices),
        (q, k, indices.to("meta")),
        (q[:, :, :0], k, indices),
        (q[..., :0], k[..., :0], indices),
        (q, k[:, :, :0], indices),
        (q, k[:, :, :, :0], indices[:, :, :0]),
    ):
        with pytest.raises(ValueError, match="must|expected"):
            chunk_scores(*bad)
