"""`sliding_window_attention` against its reference, and that it is linear in length."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels.sliding_window import (
    sliding_window_attention,
    sliding_window_attention_reference,
)


class Case(NamedTuple):
    """Sizes of one call."""

    tokens: int
    earlier: int = 0
    window: int = 5
    batch: int = 2
    heads: int = 4
    kv_heads: int = 2
    dim: int = 6
    padded: bool = False


def make(case: Case, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    kv = (case.batch, case.earlier + case.tokens, case.kv_heads, case.dim)
    return (
        torch.randn(case.batch, case.tokens, case.heads, case.dim, dtype=dtype),
        torch.randn(kv, dtype=dtype),
        torch.randn(kv, dtype=dtype),
    )


def gradients(
    run: Callable[[Tensor, Tensor, Tensor], Tensor], inputs: tuple[Tensor, ...], grad: Tensor
) -> list[Tensor]:
    q, k, v = (x.detach().clone().requires_grad_() for x in inputs)
    out = run(q, k, v)
    out.backward(grad)
    return [out.detach(), *(x.grad for x in (q, k, v) if x.grad is not None)]


CASES = [
    Case(1),
    Case(1, earlier=4),
    Case(1, earlier=40, window=7),
    Case(31),
    Case(33, window=1),
    Case(33, earlier=3, window=64),
    Case(97, earlier=20, window=9, kv_heads=1),
    Case(70, window=70),
    Case(70, window=200, heads=3, kv_heads=3),
    Case(131, earlier=1, window=130, batch=1),
    Case(40, earlier=9, padded=True),
    Case(2, earlier=4, padded=True),
    Case(70, window=90, padded=True, batch=3),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_output_and_gradients_are_those_of_the_reference(case: Case) -> None:
    inputs = make(case)
    first_key = None
    if case.padded:
        first_key = torch.arange(case.batch) * min(case.earlier + case.tokens - 1, 7)
    grad = torch.randn_like(inputs[0])
    if first_key is not None:
        # Queries that are padding themselves have values without meaning.
        at = torch.arange(case.tokens) + case.earlier
        grad = grad * (at >= first_key[:, None])[:, :, None, None]
    found = gradients(
        lambda q, k, v: sliding_window_attention(
            q, k, v, window=case.window, scale=0.3, first_key=first_key
        ),
        inputs,
        grad,
    )
    expected = gradients(
        lambda q, k, v: sliding_window_attention_reference(
            q, k, v, case.window, 0.3, first_key=first_key
        ),
        inputs,
        grad,
    )
    assert found[0].isfinite().all()
    meant = grad != 0
    torch.testing.assert_close(found[0][meant], expected[0][meant], rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_low_precision_stays_near_the_exact_result(dtype: torch.dtype) -> None:
    inputs = make(Case(100, earlier=11, window=17, dim=16), dtype)
    grad = torch.randn_like(inputs[0])
    found = gradients(lambda q, k, v: sliding_window_attention(q, k, v, window=17), inputs, grad)
    expected = gradients(
        lambda q, k, v: sliding_window_attention_reference(q, k, v, 17, 0.25),
        tuple(x.double() for x in inputs),
        grad.double(),
    )
    # Relative to the size of the whole tensor, in units of the dtype's resolution.
    most = 8 * torch.finfo(dtype).eps
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == dtype
        assert (ours.double() - theirs).norm() <= most * theirs.norm()


def test_keys_outside_the_window_have_no_influence() -> None:
    q, k, v = make(Case(80, earlier=10, window=6))
    out = sliding_window_attention(q, k, v, window=6)
    for changed in (0, 30, 89):
        other = v.clone()
        other[:, changed] += 1
        moved = (sliding_window_attention(q, k, other, window=6) != out).any(-1).any(-1)
        at = torch.arange(80) + 10
        assert torch.equal(moved, ((at >= changed) & (at < changed + 6)).expand(2, -1))


def test_padding_keys_have_no_influence() -> None:
    q, k, v = make(Case(20, earlier=8, window=9))
    first_key = torch.tensor([3, 8])
    out = sliding_window_attention(q, k, v, window=9, first_key=first_key)
    padding = (torch.arange(28) < first_key[:, None])[:, :, None, None]
    k, v = k.masked_fill(padding, 1e3), v.masked_fill(padding, -1e3)
    assert torch.equal(out, sliding_window_attention(q, k, v, window=9, first_key=first_key))


def test_no_tokens_give_no_output() -> None:
    q, k, v = make(Case(0, earlier=4))
    assert sliding_window_attention(q, k, v, window=3).shape == (2, 0, 4, 6)


def test_memory_grows_linearly_with_length(
    largest_tensor: Callable[[Callable[[], object]], int],
) -> None:
    def most(tokens: int) -> int:
        q, k, v = make(Case(tokens, window=16, batch=1, heads=1, kv_heads=1, dim=2))
        leaves = [x.requires_grad_() for x in (q, k, v)]
        return largest_tensor(lambda: sliding_window_attention(*leaves, window=16).sum().backward())

    assert most(4096) <= 2.1 * most(2048)
    assert most(4096) < 4096 * 4096 / 16


def test_gradients_are_those_of_finite_differences() -> None:
    q, k, v = (x.requires_grad_() for x in make(Case(4, 2, window=3, batch=1, heads=2, dim=2)))
    assert torch.autograd.gradcheck(
        lambda q, k, v: sliding_window_attention(q, k, v, window=3), (q, k, v)
    )


def test_it_compiles_into_one_graph() -> None:
    q, k, v = make(Case(40, earlier=5))
    run = torch.compile(sliding_window_attention, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(run(q, k, v, window=5), sliding_window_attention(q, k, v, window=5))


def test_wrong_inputs_are_named() -> None:
    q, k, v = make(Case(8, earlier=2), torch.float32)
    wrong = [
        ((q, k, v), 0, None, "window 0"),
        ((q, k[:, :7], v[:, :7]), 5, None, r"\(2, 7, 2, 6\)"),
        ((q, k, v[..., :5]), 5, None, r"\(2, 10, 2, 5\)"),
        ((q[:, :, :3], k, v), 5, None, r"\(2, 8, 3, 6\)"),
        ((q[:1], k, v), 5, None, r"\(1, 8, 4, 6\)"),
        ((q[0], k, v), 5, None, r"\(8, 4, 6\)"),
        ((q, k.double(), v), 5, None, "torch.float64"),
        ((q, k, v), 5, torch.zeros(3, dtype=torch.long), r"\[2\]; found \(3,\)"),
    ]
    for tensors, window, first_key, message in wrong:
        with pytest.raises(ValueError, match=message):
            sliding_window_attention(*tensors, window=window, first_key=first_key)
