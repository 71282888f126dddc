"""`sliding_window_attention` against its reference, and that it is linear in length."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels.sliding_window import (
    sdpa,
    sliding_window_attention,
    sliding_window_attention_reference,
)


@pytest.fixture(params=["blocked", "sdpa"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each form."""
    return str(request.param)


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
    Case(70, earlier=9, window=1 << 40),
    Case(131, earlier=1, window=130, batch=1),
    # Keys of several blocks are there, exactly as many as the first block sees, and more.
    Case(300, window=40, batch=1, dim=2),
    Case(140, earlier=39, window=40, dim=2),
    Case(140, earlier=200, window=40, dim=2),
    Case(40, earlier=9, padded=True),
    Case(2, earlier=4, padded=True),
    Case(70, window=90, padded=True, batch=3),
    Case(300, earlier=11, window=40, padded=True, dim=2),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_output_and_gradients_are_those_of_the_reference(case: Case, backend: str) -> None:
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
            q, k, v, window=case.window, scale=0.3, first_key=first_key, backend=backend
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
def test_low_precision_stays_near_the_exact_result(dtype: torch.dtype, backend: str) -> None:
    inputs = make(Case(100, earlier=11, window=17, dim=16), dtype)
    grad = torch.randn_like(inputs[0])
    found = gradients(
        lambda q, k, v: sliding_window_attention(q, k, v, window=17, backend=backend), inputs, grad
    )
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


def test_keys_outside_the_window_have_no_influence(backend: str) -> None:
    q, k, v = make(Case(80, earlier=10, window=6))
    out = sliding_window_attention(q, k, v, window=6, backend=backend)
    for changed in (0, 30, 89):
        other = v.clone()
        other[:, changed] += 1
        moved = (
            (sliding_window_attention(q, k, other, window=6, backend=backend) != out)
            .any(-1)
            .any(-1)
        )
        at = torch.arange(80) + 10
        assert torch.equal(moved, ((at >= changed) & (at < changed + 6)).expand(2, -1))


def test_padding_keys_have_no_influence(backend: str) -> None:
    q, k, v = make(Case(20, earlier=8, window=9))
    first_key = torch.tensor([3, 8])
    out = sliding_window_attention(q, k, v, window=9, first_key=first_key, backend=backend)
    padding = (torch.arange(28) < first_key[:, None])[:, :, None, None]
    k, v = k.masked_fill(padding, 1e3), v.masked_fill(padding, -1e3)
    assert torch.equal(
        out, sliding_window_attention(q, k, v, window=9, first_key=first_key, backend=backend)
    )


def test_no_tokens_give_no_output(backend: str) -> None:
    q, k, v = make(Case(0, earlier=4))
    assert sliding_window_attention(q, k, v, window=3, backend=backend).shape == (2, 0, 4, 6)


def test_memory_grows_linearly_with_length(
    largest_tensor: Callable[[Callable[[], object]], int], backend: str
) -> None:
    def most(tokens: int) -> int:
        q, k, v = make(Case(tokens, window=16, batch=1, heads=1, kv_heads=1, dim=2))
        leaves = [x.requires_grad_() for x in (q, k, v)]
        return largest_tensor(
            lambda: sliding_window_attention(*leaves, window=16, backend=backend).sum().backward()
        )

    assert most(4096) <= 2.1 * most(2048)
    assert most(4096) < 4096 * 4096 / 16


def test_gradients_are_those_of_finite_differences(backend: str) -> None:
    q, k, v = (x.requires_grad_() for x in make(Case(4, 2, window=3, batch=1, heads=2, dim=2)))
    assert torch.autograd.gradcheck(
        lambda q, k, v: sliding_window_attention(q, k, v, window=3, backend=backend), (q, k, v)
    )


def test_it_compiles_into_one_graph(backend: str) -> None:
    q, k, v = make(Case(40, earlier=5))
    run = torch.compile(sliding_window_attention, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(
        run(q, k, v, window=5, backend=backend),
        sliding_window_attention(q, k, v, window=5, backend=backend),
    )


def test_wrong_inputs_are_named(backend: str) -> None:
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
            sliding_window_attention(*tensors, window=window, first_key=first_key, backend=backend)


def test_a_form_that_is_not_there_is_named() -> None:
    q, k, v = make(Case(3))
    with pytest.raises(ValueError, match="one of blocked, sdpa; found 'flex'"):
        sliding_window_attention(q, k, v, window=2, backend="flex")


def test_away_from_a_gpu_the_blocks_are_the_default() -> None:
    q, k, v = make(Case(60, window=7), torch.float32)
    default = sliding_window_attention(q, k, v, window=7)
    named = sliding_window_attention(q, k, v, window=7, backend="blocked")
    other = sliding_window_attention(q, k, v, window=7, backend="sdpa")
    assert torch.equal(default, named)
    assert not torch.equal(default, other)


@pytest.mark.parametrize("block", [1, 5, 16, 64, 101])
@pytest.mark.parametrize("most", [1, 2, 6, 1000])
def test_blocks_of_any_length_and_in_any_number_of_parts_give_the_same(
    block: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdpa, "_MOST_BLOCKS", most)
    q, k, v = make(Case(101, earlier=7, window=21, batch=2))
    whole = sliding_window_attention_reference(q, k, v, 21, 0.3)
    torch.testing.assert_close(sdpa.forward(q, k, v, 21, 0.3, None, block=block), whole)
    first_key = torch.tensor([0, 15])
    padded = sliding_window_attention_reference(q, k, v, 21, 0.3, first_key)
    found = sdpa.forward(q, k, v, 21, 0.3, first_key, block=block)
    # The first 8 queries of the second row are padding.
    torch.testing.assert_close(found[0], padded[0])
    torch.testing.assert_close(found[1, 8:], padded[1, 8:])


def test_one_token_with_a_full_window_needs_no_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = make(Case(1, earlier=40, window=7))
    expected = sliding_window_attention_reference(q, k, v, 7, 0.3)
    monkeypatch.delattr(sdpa, "_bias")
    torch.testing.assert_close(sdpa.forward(q, k, v, 7, 0.3, None), expected)
