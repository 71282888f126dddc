"""The Triton kernels of chunk attention against the float64 reference, on inputs as rounded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hsa_memory.kernels import pairs
from hsa_memory.kernels.chunk_attention import chunk_attention, chunk_attention_reference, gpu
from hsa_memory.kernels.launching import TARGETS

NEAR = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
"""The largest error relative to the size of the whole tensor."""


class Case(NamedTuple):
    """Sizes of one call."""

    batch: int = 1
    tokens: int = 4
    heads: int = 16
    kv_heads: int = 1
    dim: int = 64
    chunks: int = 6
    size: int = 64
    top_k: int = 3
    empty: float = 0.3
    """Share of empty slots."""


class Inputs(NamedTuple):
    q: Tensor
    k: Tensor
    v: Tensor
    indices: Tensor
    weights: Tensor


ODD = Case(batch=2, tokens=5, heads=6, kv_heads=2, dim=20, chunks=7, size=33)
CASES = [
    Case(),
    ODD,
    Case(heads=2, kv_heads=2, dim=128, size=32, tokens=2),
    Case(heads=3, size=1, dim=3),
    Case(heads=80, dim=16, size=16, tokens=2),
    Case(tokens=1, chunks=1, top_k=1, size=128, empty=0.0),
    Case(top_k=9, chunks=4, size=16, dim=16),
    Case(empty=1.0, size=16, dim=16),
    Case(tokens=5, heads=4, kv_heads=2, top_k=1, size=16, dim=16),
    Case(tokens=2, heads=3, dim=72, size=40),
    # Keys too large to be cut in two for tensor cores.
    Case(tokens=2, heads=3, kv_heads=1, dim=100, size=100, chunks=3, top_k=2),
]


def make(case: Case, dtype: torch.dtype, device: torch.device) -> Inputs:
    torch.manual_seed(0)
    kv = (case.batch, case.chunks, case.size, case.kv_heads, case.dim)
    slots = (case.batch, case.tokens, case.kv_heads, case.top_k)
    order = torch.rand(*slots[:3], max(case.chunks, case.top_k)).argsort(-1)[..., : case.top_k]
    hidden = (torch.rand(slots) < case.empty) | (order >= case.chunks)
    inputs = Inputs(
        torch.randn(case.batch, case.tokens, case.heads, case.dim).to(dtype),
        torch.randn(kv).to(dtype),
        torch.randn(kv).to(dtype),
        order.masked_fill(hidden, -1),
        torch.rand(slots),
    )
    return Inputs(*(x.to(device) for x in inputs))


def expected(inputs: Inputs, grad: Tensor, scale: float) -> list[Tensor]:
    exact = [x.double() if x.is_floating_point() else x for x in inputs]
    leaves = [x.requires_grad_() if x.is_floating_point() else x for x in exact]
    out = chunk_attention_reference(*leaves, scale)
    out.backward(grad.double())
    return [out.detach(), *(x.grad for x in leaves if x.grad is not None)]


def found(inputs: Inputs, grad: Tensor, **options: object) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    out = chunk_attention(*leaves, backend="triton", **options)
    out.backward(grad)
    return [out.detach(), *(x.grad for x in leaves if x.grad is not None)]


def assert_near(ours: list[Tensor], theirs: list[Tensor], dtype: torch.dtype) -> None:
    assert len(ours) == len(theirs) == 5
    for name, a, b in zip(("out", "dq", "dk", "dv", "dw"), ours, theirs, strict=True):
        assert a.shape == b.shape
        error = (a.double() - b).norm() / b.norm().clamp(min=1e-30)
        assert error <= NEAR[dtype], (name, float(error))


@pytest.fixture
def ordered() -> Iterator[None]:
    """Sums in one order only."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_output_and_gradients_are_those_of_the_reference(case: Case, device) -> None:
    inputs = make(case, torch.float32, device)
    grad = torch.randn_like(inputs.q)
    assert_near(found(inputs, grad), expected(inputs, grad, case.dim**-0.5), torch.float32)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", [Case(tokens=3), ODD], ids=str)
def test_low_precision_stays_near_the_exact_result(case: Case, dtype, device) -> None:
    inputs = make(case, dtype, device)
    grad = torch.randn_like(inputs.q)
    ours = found(inputs, grad, scale=0.3)
    assert_near(ours, expected(inputs, grad, 0.3), dtype)
    assert [x.dtype for x in ours] == [*[dtype] * 4, torch.float32]


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_form_of_the_kernels_gives_the_same(target: str, dtype, device) -> None:
    inputs = make(Case(tokens=3), dtype, device)
    grad = torch.randn_like(inputs.q)
    out = gpu.forward(*inputs, 0.125, TARGETS[target])
    g = gpu.backward(grad, *inputs, 0.125, TARGETS[target])
    assert_near([out, *g], expected(inputs, grad, 0.125), dtype)


@pytest.mark.parametrize("top_k", [33, 64, 200])
def test_any_number_of_slots_in_any_order(top_k: int, device) -> None:
    case = Case(tokens=2, heads=3, dim=16, size=16, chunks=9, top_k=top_k)
    inputs = make(case, torch.float32, device)
    # Whole blocks of slots are empty: all but three of one token, the first 32 of the other.
    slot = torch.arange(top_k, device=device)
    used = torch.stack(((slot == 1) | (slot == 40) | (slot == 199), (slot > 31) & (slot % 3 > 0)))
    chunks = torch.randint(9, inputs.indices.shape).to(device)
    inputs = inputs._replace(indices=chunks.where(used[None, :, None], -1))
    grad = torch.randn_like(inputs.q)
    ours = found(inputs, grad)
    assert_near(ours, expected(inputs, grad, 0.25), torch.float32)
    assert torch.equal(ours[4][0, :, 0] != 0, used)


def test_rows_of_more_pairs_than_int32_counts(monkeypatch, device) -> None:
    monkeypatch.setattr(pairs, "INT32_MAX", 1)
    inputs = make(Case(tokens=3, size=16, dim=16), torch.float32, device)
    assert pairs.sorted_pairs(inputs.indices, 6).order.dtype == torch.int64
    grad = torch.randn_like(inputs.q)
    assert_near(found(inputs, grad), expected(inputs, grad, 0.25), torch.float32)


class Asked(TorchDispatchMode):
    """Counts the bytes of every tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self._held: dict[int, Tensor] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> object:
        made = func(*args, **(kwargs or {}))
        for x in tree_leaves(args):
            if isinstance(x, Tensor):
                self._held.setdefault(x.untyped_storage().data_ptr(), x)
        for x in tree_leaves(made):
            if isinstance(x, Tensor) and x.untyped_storage().data_ptr() not in self._held:
                self._held[x.untyped_storage().data_ptr()] = x
                self.bytes += x.untyped_storage().nbytes()
        return made


def test_the_memory_of_a_backward_grows_with_the_length(monkeypatch, device) -> None:
    nothing = defaultdict(lambda: lambda *args, **options: None)
    idle = SimpleNamespace(backward_queries_kernel=nothing, backward_chunks_kernel=nothing)
    monkeypatch.setattr(gpu, "device", idle)
    asked = []
    for tokens in (512, 1024):
        case = Case(tokens=tokens, heads=4, dim=16, chunks=tokens // 16, size=16, top_k=8)
        inputs = make(case, torch.bfloat16, device)
        with Asked() as count:
            g = gpu.backward(inputs.q, *inputs, 0.25, TARGETS["sm_90"])
        asked.append(count.bytes - sum(x.nbytes for x in g))
    # As docs/kernels.md says: two float32 sums a key, 21 bytes a pair; and the pieces.
    per_token = 8 * 16 + 21 * 8
    assert per_token * 1024 <= asked[1] <= 1.1 * per_token * 1024
    assert abs(asked[1] - 2 * asked[0]) <= 64


def test_a_chunk_that_everybody_chose_is_added_up_by_many_programs(monkeypatch, device) -> None:
    monkeypatch.setattr(gpu, "PIECE", 2)
    inputs = make(Case(tokens=9, size=16, dim=16, chunks=3, empty=0.1), torch.float32, device)
    grad = torch.randn_like(inputs.q)
    assert_near(found(inputs, grad), expected(inputs, grad, 0.25), torch.float32)


@pytest.mark.parametrize("case", [ODD, Case(tokens=9, size=16, dim=16, chunks=3)], ids=str)
def test_sums_in_order_are_the_same_bit_for_bit(case: Case, device, ordered: None) -> None:
    inputs = make(case, torch.bfloat16, device)
    grad = torch.randn_like(inputs.q)
    ours = found(inputs, grad)
    assert_near(ours, expected(inputs, grad, case.dim**-0.5), torch.bfloat16)
    for once, again in zip(ours, found(inputs, grad), strict=True):
        assert torch.equal(once, again)


def test_keys_and_values_may_be_bfloat16_and_lie_apart(device) -> None:
    inputs = make(Case(tokens=2, size=16, dim=32), torch.float32, device)
    stored = torch.stack((inputs.k, inputs.v), dim=2).bfloat16()  # [B, C, 2, S, G, D]
    k, v = stored.unbind(2)
    with torch.no_grad():
        out = chunk_attention(inputs.q, k, v, *inputs[3:], backend="triton")
    wide = inputs._replace(k=k.float(), v=v.float())
    theirs = expected(wide, torch.zeros_like(inputs.q), 32**-0.5)[0]
    assert (out.double() - theirs).norm() <= 1e-5 * theirs.norm()


def test_a_chunk_that_no_token_chose_is_not_read(device) -> None:
    inputs = make(Case(tokens=3, size=16, dim=16, chunks=9, empty=0.4), torch.float32, device)
    indices = inputs.indices.where(inputs.indices > 0, -1)
    indices[..., 0] = indices[..., 0].clamp(min=1)
    inputs = inputs._replace(indices=indices)
    unused = torch.ones(9, dtype=torch.bool, device=device)
    unused[indices[indices >= 0]] = False
    assert unused[0]
    poison = unused[None, :, None, None, None]
    poisoned = inputs._replace(
        k=inputs.k.masked_fill(poison, float("nan")), v=inputs.v.masked_fill(poison, float("nan"))
    )
    grad = torch.randn_like(inputs.q)
    for ours, theirs in zip(found(poisoned, grad), found(inputs, grad), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


def test_weights_of_empty_slots_are_ignored(device) -> None:
    inputs = make(Case(tokens=2, size=16, dim=16), torch.float32, device)
    loud = inputs._replace(weights=inputs.weights.masked_fill(inputs.indices < 0, float("inf")))
    grad = torch.randn_like(inputs.q)
    for ours, theirs in zip(found(loud, grad), found(inputs, grad), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


def test_nothing_chosen_gives_zeros_and_no_gradient(device) -> None:
    inputs = make(Case(tokens=2, size=16, dim=16, empty=1.0), torch.float32, device)
    for x in found(inputs, torch.ones_like(inputs.q)):
        assert torch.equal(x, torch.zeros_like(x))


def test_no_tokens_give_no_output(device) -> None:
    inputs = make(Case(tokens=0, size=16, dim=16), torch.float32, device)
    assert [x.abs().sum() for x in found(inputs, torch.ones_like(inputs.q))] == [0] * 5


def test_the_operators_keep_their_contract(device) -> None:
    inputs = make(Case(tokens=2, heads=2, size=4, dim=4, chunks=3), torch.float32, device)
    leaves = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]
    options = {"atol": 1e-4, "rtol": 1e-4}
    forward = torch.ops.hsa_memory.chunk_attention.default
    torch.library.opcheck(forward, (*leaves, 0.5, "triton"), **options)
    plain = [x.detach() for x in leaves]
    backward = torch.ops.hsa_memory.chunk_attention_backward.default
    grad = torch.randn_like(inputs.q)
    torch.library.opcheck(backward, (grad, *plain, 0.5, "triton"), **options)


def test_it_compiles_into_one_graph(device) -> None:
    inputs = make(Case(tokens=2, heads=2, size=4, dim=4), torch.float32, device)
    run = torch.compile(chunk_attention, fullgraph=True, backend="aot_eager")
    ours, theirs = (call(*inputs, backend="triton") for call in (run, chunk_attention))
    torch.testing.assert_close(ours, theirs)


def test_float64_is_refused_with_the_reason(device) -> None:
    inputs = make(Case(tokens=1, size=4, dim=4), torch.float64, device)
    with pytest.raises(RuntimeError, match="found torch.float64; backend='torch' takes it"):
        chunk_attention(*inputs._replace(weights=inputs.weights.double()), backend="triton")
