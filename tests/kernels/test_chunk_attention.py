"""`chunk_attention` against its reference: outputs, gradients, odd sizes, empty slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels import gathering
from hsa_memory.kernels.chunk_attention import chunk_attention, chunk_attention_reference, cpu

# A dense call has at most this many chunks per chosen one, see gathering.py.
DENSE, GATHER = 4, 12


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
    v: Tensor
    indices: Tensor
    weights: Tensor


def make(case: Case) -> Inputs:
    exact = torch.float64 if case.dtype == torch.float64 else torch.float32
    kv = (case.batch, case.chunks, case.size, case.kv_heads, case.dim)
    slots = (case.batch, case.tokens, case.kv_heads, case.top_k)
    # Distinct chunks per token, as a top-k gives them.
    order = torch.rand(*slots[:3], max(case.chunks, case.top_k)).argsort(-1)[..., : case.top_k]
    hidden = (torch.rand(slots) < case.empty) | (order >= case.chunks)
    return Inputs(
        torch.randn(case.batch, case.tokens, case.heads, case.dim, dtype=case.dtype),
        torch.randn(kv, dtype=case.dtype),
        torch.randn(kv, dtype=case.dtype),
        order.masked_fill(hidden, -1),
        torch.rand(slots, dtype=exact),
    )


def gradients(
    run: Callable[..., Tensor], inputs: Inputs, grad: Tensor, **options: float
) -> tuple[Tensor, ...]:
    leaves = inputs._replace(
        **{n: getattr(inputs, n).detach().clone().requires_grad_() for n in ("q", "k", "v")},
        weights=inputs.weights.detach().clone().requires_grad_(),
    )
    out = run(*leaves, **options)
    out.backward(grad)
    found = (leaves.q.grad, leaves.k.grad, leaves.v.grad, leaves.weights.grad)
    return (out.detach(), *(g for g in found if g is not None))


CASES = [
    Case(),
    Case(chunks=GATHER * 3),
    Case(chunks=41, kv_heads=1),
    Case(kv_heads=1, heads=5, dim=3, size=1),
    Case(batch=1, tokens=1, heads=2, chunks=1, top_k=1, empty=0.0),
    Case(top_k=13, chunks=6),
    Case(top_k=13, chunks=60, heads=6, kv_heads=3),
    Case(batch=3, tokens=33, chunks=17, size=8, empty=0.9),
    Case(tokens=150, chunks=30),
    Case(empty=1.0, chunks=40),
    Case(empty=1.0),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("scale", [None, 0.7])
def test_output_and_gradients_are_those_of_the_reference(case: Case, scale: float | None) -> None:
    inputs = make(case)
    grad = torch.randn_like(inputs.q)
    factor = case.dim**-0.5 if scale is None else scale
    found = gradients(chunk_attention, inputs, grad, **({} if scale is None else {"scale": scale}))
    expected = gradients(chunk_attention_reference, inputs, grad, scale=factor)
    assert len(found) == len(expected) == 5
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("chunks", [DENSE * 3, DENSE * 3 + 1])
def test_without_gradients_the_result_is_the_same(chunks: int) -> None:
    inputs = make(Case(chunks=chunks))
    with_gradients = chunk_attention(*inputs)
    with torch.no_grad():
        assert torch.equal(chunk_attention(*inputs), with_gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("chunks", [9, 50])
def test_low_precision_stays_near_the_exact_result(dtype: torch.dtype, chunks: int) -> None:
    inputs = make(Case(dtype=dtype, chunks=chunks, dim=16, size=16, tokens=20))
    grad = torch.randn_like(inputs.q)
    exact = Inputs(*(x.double() if x.is_floating_point() else x for x in inputs))
    found = gradients(chunk_attention, inputs, grad)
    expected = gradients(chunk_attention_reference, exact, grad.double(), scale=0.25)
    # Relative to the size of the whole tensor, in units of the dtype's resolution.
    most = 8 * torch.finfo(dtype).eps
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.double() - theirs).norm() <= most * theirs.norm()
    assert found[0].dtype == found[1].dtype == found[2].dtype == dtype
    assert found[4].dtype == torch.float32


@pytest.mark.parametrize("kv_heads", [1, 2])
@pytest.mark.parametrize("chunks", [9, 50])
def test_keys_and_values_may_be_bfloat16(
    monkeypatch: pytest.MonkeyPatch, chunks: int, kv_heads: int
) -> None:
    inputs = make(Case(dtype=torch.float32, chunks=chunks, kv_heads=kv_heads, tokens=9))
    narrow = inputs._replace(k=inputs.k.bfloat16(), v=inputs.v.bfloat16())
    wide = inputs._replace(k=narrow.k.float(), v=narrow.v.float())
    grad = torch.randn_like(inputs.q)
    for found, expected in zip(
        gradients(chunk_attention, narrow, grad),
        gradients(chunk_attention, wide, grad),
        strict=True,
    ):
        assert torch.equal(found, expected.to(found.dtype))
    # Several tiles, one after the other in the same memory.
    monkeypatch.setattr(gathering, "TILE_VALUES", 1 << 13)
    with torch.no_grad():
        assert torch.equal(chunk_attention(*narrow), chunk_attention(*wide))


def test_dense_and_gather_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = make(Case(chunks=20))
    grad = torch.randn_like(inputs.q)
    results = []
    for advantage in (0, 1000):
        monkeypatch.setattr(gathering, "DENSE_ADVANTAGE", advantage)
        results.append(gradients(chunk_attention, inputs, grad))
    for gathered, dense in zip(*results, strict=True):
        torch.testing.assert_close(gathered, dense, rtol=1e-10, atol=1e-10)


def test_what_is_not_finite_reaches_no_chunk_that_its_token_did_not_choose() -> None:
    inputs = make(Case(batch=1, chunks=60, kv_heads=1))
    grad = torch.randn_like(inputs.q)
    grad[0, 3] = float("inf")
    chosen = {int(i) for i in inputs.indices[0, 3].flatten() if i >= 0}
    assert chosen
    _, _, k, v, _ = gradients(chunk_attention, inputs, grad)
    for got in (k, v):
        finite = got[0].isfinite().all(-1).all(-1).all(-1)
        assert {int(i) for i in (~finite).nonzero()} == chosen


@pytest.mark.parametrize("chunks", [9, 50])
def test_tiles_of_one_token_change_nothing(monkeypatch: pytest.MonkeyPatch, chunks: int) -> None:
    inputs = make(Case(chunks=chunks))
    grad = torch.randn_like(inputs.q)
    whole = gradients(chunk_attention, inputs, grad)
    monkeypatch.setattr(gathering, "TILE_VALUES", 1)
    monkeypatch.setattr(gathering, "DENSE_TILE_VALUES", 1)
    monkeypatch.setattr(gathering, "READERS", 2)
    for tiled, expected in zip(gradients(chunk_attention, inputs, grad), whole, strict=True):
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
    out = chunk_attention(*inputs)
    assert out.shape == inputs.q.shape
    assert torch.equal(out, torch.zeros_like(out))


def test_weights_of_empty_slots_are_ignored() -> None:
    inputs = make(Case())
    empty = inputs.indices < 0
    loud = inputs._replace(weights=inputs.weights.masked_fill(empty, 1e9))
    assert torch.equal(chunk_attention(*inputs), chunk_attention(*loud))


def test_gather_never_reads_a_chunk_that_no_token_chose() -> None:
    inputs = make(Case(chunks=60))
    indices = inputs.indices.clone()
    indices[..., 0] = indices[..., 0].clamp(min=1)  # every token has a chunk, none has chunk 0
    indices[indices == 0] = -1
    inputs = inputs._replace(indices=indices)
    unused = torch.ones(2, 60, 2, dtype=torch.bool)
    for row in range(2):
        for head in range(2):
            unused[row, indices[row, :, head].unique().clamp(min=1), head] = False
    assert unused[:, 0].all()
    poison = unused[:, :, None, :, None].expand_as(inputs.k)
    poisoned = inputs._replace(
        k=inputs.k.masked_fill(poison, float("nan")), v=inputs.v.masked_fill(poison, float("nan"))
    )
    grad = torch.randn_like(inputs.q)
    clean = gradients(chunk_attention, inputs, grad)
    for ours, theirs in zip(gradients(chunk_attention, poisoned, grad), clean, strict=True):
        assert torch.equal(ours, theirs)


def test_one_chunk_of_weight_one_is_plain_softmax_attention() -> None:
    q, k, v = torch.randn(1, 2, 1, 4), torch.randn(1, 3, 5, 1, 4), torch.randn(1, 3, 5, 1, 4)
    indices = torch.tensor([2, 0]).view(1, 2, 1, 1)
    out = chunk_attention(q, k, v, indices, torch.ones(1, 2, 1, 1))
    for token, chunk in enumerate((2, 0)):
        p = torch.softmax(k[0, chunk, :, 0] @ q[0, token, 0] / 2, dim=0)
        torch.testing.assert_close(out[0, token, 0], p @ v[0, chunk, :, 0])


def test_order_of_the_slots_does_not_matter() -> None:
    inputs = make(Case(chunks=30))
    flipped = inputs._replace(indices=inputs.indices.flip(-1), weights=inputs.weights.flip(-1))
    torch.testing.assert_close(chunk_attention(*inputs), chunk_attention(*flipped))


@pytest.mark.parametrize("chunks", [5, 14])
def test_the_custom_operators_keep_their_contract(chunks: int) -> None:
    inputs = make(Case(tokens=3, chunks=chunks, size=2, dim=2, heads=2, kv_heads=1))
    leaves = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]
    torch.library.opcheck(torch.ops.hsa_memory.chunk_attention.default, (*leaves, 0.5))
    plain = [x.detach() for x in leaves]
    grad = torch.randn_like(inputs.q)
    torch.library.opcheck(
        torch.ops.hsa_memory.chunk_attention_backward.default, (grad, *plain, 0.5)
    )
    # As a model may lay out its heads: what comes out has strides of its own.
    turned = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in plain[:3]]
    assert not turned[0].is_contiguous()
    leaves = [*(x.requires_grad_() for x in turned), *leaves[3:]]
    torch.library.opcheck(torch.ops.hsa_memory.chunk_attention.default, (*leaves, 0.5))


@pytest.mark.parametrize("chunks", [5, 14])
def test_gradients_are_those_of_finite_differences(chunks: int) -> None:
    inputs = make(Case(batch=1, tokens=2, chunks=chunks, size=2, dim=2, heads=2, kv_heads=1))
    q, k, v, weights = (x.requires_grad_() for x in (inputs.q, inputs.k, inputs.v, inputs.weights))
    assert torch.autograd.gradcheck(
        lambda q, k, v, w: chunk_attention(q, k, v, inputs.indices, w), (q, k, v, weights)
    )


@pytest.mark.parametrize("gradients", [True, False])
def test_it_compiles_into_one_operator_of_one_graph(gradients: bool) -> None:
    inputs, called = make(Case()), []

    def keep(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        called.extend(node.target for node in graph.graph.nodes if node.op == "call_function")
        return graph.forward

    with torch.set_grad_enabled(gradients):
        found = torch.compile(chunk_attention, fullgraph=True, backend=keep)(*inputs)
        torch.testing.assert_close(found, chunk_attention(*inputs))
    # Not the loops of the CPU's code, one for each tile.
    assert called == [torch.ops.hsa_memory.chunk_attention.default]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": torch.zeros(2, 7, 4)}, r"\(2, 7, 4\)"),
        ({"q": torch.zeros(2, 7, 3, 6)}, r"G dividing 3; found \(2, 9, 5, 2, 6\)"),
        ({"v": torch.zeros(2, 9, 4, 2, 6)}, r"found \(2, 9, 5, 2, 6\) and \(2, 9, 4, 2, 6\)"),
        ({"weights": torch.zeros(2, 7, 2, 4)}, r"\(2, 7, 2, 3\) and \(2, 7, 2, 4\)"),
        ({"indices": torch.zeros(2, 7, 2, 3, dtype=torch.int32)}, "int64; found .*int32"),
        ({"k": torch.zeros(2, 9, 5, 2, 6, dtype=torch.bfloat16)}, "dtype of q"),
        ({"weights": torch.zeros(2, 7, 2, 3, dtype=torch.bfloat16)}, "weights must be .*float32"),
        ({"v": torch.zeros(2, 9, 5, 2, 6, device="meta")}, "one device; found q on cpu.*v on meta"),
        ({"indices": torch.zeros(2, 7, 2, 3, dtype=torch.int64, device="meta")}, "indices on meta"),
        ({"q": torch.zeros(2, 7, 0, 6)}, r"at least 1; found \(2, 7, 0, 6\)"),
        ({n: torch.zeros(2, 9, 0, 2, 6) for n in "kv"}, r"at least 1; .*\(2, 9, 0, 2, 6\)"),
        ({n: torch.zeros(2, 9, 5, 0, 6) for n in "kv"}, r"at least 1; .*\(2, 9, 5, 0, 6\)"),
        ({"q": torch.zeros(2, 7, 4, 0)}, r"at least 1; found \(2, 7, 4, 0\)"),
    ],
)
def test_wrong_inputs_are_named(change: dict[str, Tensor], message: str) -> None:
    inputs = make(Case(dtype=torch.float32))._replace(**change)
    with pytest.raises(ValueError, match=message):
        chunk_attention(*inputs)
