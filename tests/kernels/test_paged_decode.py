"""`paged_decode` in PyTorch: against its reference and `chunk_attention`, errors, what is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels import gathering
from hsa_memory.kernels.chunk_attention import chunk_attention
from hsa_memory.kernels.paged_decode import (
    PageMissing,
    decode_workspace,
    missing_pages,
    paged_decode,
    paged_decode_reference,
)

FP32, FP64, BF16, FP16 = torch.float32, torch.float64, torch.bfloat16, torch.float16


class Case(NamedTuple):
    """Sizes of one call."""

    batch: int = 3
    heads: int = 4
    kv_heads: int = 2
    dim: int = 6
    size: int = 5
    chunks: int = 9
    top_k: int = 4
    dtype: torch.dtype = FP64
    stored: torch.dtype | None = None
    """Of the pool; None is `dtype`."""
    empty: float = 0.3
    """Share of empty slots."""


class Inputs(NamedTuple):
    q: Tensor
    pool: Tensor
    page_table: Tensor
    indices: Tensor
    weights: Tensor


def make(case: Case) -> Inputs:
    """Sessions of falling lengths, their chunks on shuffled pages; the pool has pages to spare."""
    pages = case.batch * case.chunks + 3
    table = torch.randperm(pages)[: case.batch * case.chunks].view(case.batch, case.chunks)
    slots = (case.batch, case.kv_heads, case.top_k)
    order = torch.rand(*slots[:2], max(case.chunks, case.top_k)).argsort(-1)[..., : case.top_k]
    indices = order.masked_fill(torch.rand(slots) < case.empty, -1)
    for row in range(case.batch):
        length = max(case.chunks - 2 * row, 1)
        table[row, length:] = -1
        indices[row, indices[row] >= length] = -1
    return Inputs(
        torch.randn(case.batch, case.heads, case.dim, dtype=case.dtype),
        torch.randn(pages, 2, case.size, case.kv_heads, case.dim).to(case.stored or case.dtype),
        table,
        indices,
        torch.rand(slots, dtype=FP64 if case.dtype == FP64 else FP32),
    )


def side_by_side(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Keys and values as `chunk_attention` takes them [B, C, S, G, D]; 0 where there is no page."""
    tiles = inputs.pool[inputs.page_table.clamp(min=0).long()]
    gone = (inputs.page_table < 0)[:, :, None, None, None, None]
    tiles = tiles.masked_fill(gone, 0)
    return tiles[:, :, 0], tiles[:, :, 1]


CASES = [
    Case(),
    Case(batch=1, kv_heads=1),
    Case(batch=8, kv_heads=1, heads=5, dim=3, size=1),
    Case(top_k=13, chunks=6),
    Case(top_k=40, chunks=50, heads=6, kv_heads=3),
    Case(empty=0.9),
    Case(empty=1.0),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("page_dtype", [torch.int32, torch.int64])
def test_the_output_is_that_of_the_reference(
    case: Case, scale: float | None, page_dtype: torch.dtype
) -> None:
    inputs = make(case)
    inputs = inputs._replace(page_table=inputs.page_table.to(page_dtype))
    factor = case.dim**-0.5 if scale is None else scale
    expected = paged_decode_reference(*inputs, factor)
    torch.testing.assert_close(paged_decode(*inputs, scale=scale), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_output_is_that_of_chunk_attention(case: Case) -> None:
    inputs = make(case)
    k, v = side_by_side(inputs)
    expected = chunk_attention(
        inputs.q[:, None], k, v, inputs.indices[:, None], inputs.weights[:, None]
    )
    torch.testing.assert_close(paged_decode(*inputs), expected[:, 0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [FP32, BF16, FP16])
@pytest.mark.parametrize("stored", [None, BF16])
def test_low_precision_stays_near_the_exact_result(
    dtype: torch.dtype, stored: torch.dtype | None
) -> None:
    inputs = make(Case(dtype=dtype, stored=stored, dim=16, size=16))
    exact = inputs._replace(
        q=inputs.q.double(), pool=inputs.pool.double(), weights=inputs.weights.double()
    )
    found, expected = paged_decode(*inputs), paged_decode_reference(*exact, 0.25)
    assert found.dtype == dtype
    assert (found.double() - expected).norm() <= 8 * torch.finfo(dtype).eps * expected.norm()


@pytest.mark.parametrize("kv_heads", [1, 2])
def test_tiles_of_one_session_change_nothing(
    monkeypatch: pytest.MonkeyPatch, kv_heads: int
) -> None:
    inputs = make(Case(kv_heads=kv_heads, dtype=FP32, stored=BF16))
    whole = paged_decode(*inputs)
    monkeypatch.setattr(gathering, "TILE_VALUES", 1)
    torch.testing.assert_close(paged_decode(*inputs), whole)


def test_only_the_pages_of_chosen_chunks_are_copied(
    largest_tensor: Callable[[Callable[[], object]], int],
) -> None:
    inputs = make(Case(batch=1, chunks=400))
    pool = inputs.pool.numel()
    inputs = inputs._replace(page_table=inputs.page_table.to(torch.int32))
    views = (inputs.pool[:, 0].clone(), inputs.pool[:, 1].clone())
    most = largest_tensor(lambda: paged_decode(inputs.q, views, *inputs[2:]))
    # Views of the pool aside, the largest tensor there is.
    assert most <= pool // 2
    for page in set(range(len(inputs.pool))) - set(
        inputs.page_table[0, inputs.indices.clamp(min=0)].flatten().tolist()
    ):
        inputs.pool[page] = float("nan")
    assert not paged_decode(*inputs).isnan().any()


def test_pages_that_nobody_chose_do_not_leak() -> None:
    inputs = make(Case(empty=0.5))
    inputs.indices[1, 0] = -1
    clean = paged_decode(*inputs)
    poison = torch.ones(inputs.pool.shape[0], 2, dtype=torch.bool)
    for row in range(3):
        for head in range(2):
            chosen = inputs.indices[row, head]
            poison[inputs.page_table[row, chosen[chosen >= 0]], head] = False
    assert poison[0].any()
    inputs.pool.transpose(1, 3)[poison] = float("nan")
    loud = inputs.weights.masked_fill(inputs.indices < 0, float("nan"))
    assert torch.equal(paged_decode(*inputs._replace(weights=loud)), clean)
    assert torch.equal(clean[1, :2], torch.zeros_like(clean[1, :2]))


@pytest.mark.parametrize("change", ["no chunks", "no slots", "no sessions"])
def test_nothing_chosen_gives_zeros(change: str) -> None:
    inputs = make(Case(empty=1.0, batch=0 if change == "no sessions" else 3))
    if change == "no chunks":
        inputs = inputs._replace(page_table=inputs.page_table[:, :0], pool=inputs.pool[:0])
    if change == "no slots":
        inputs = inputs._replace(indices=inputs.indices[..., :0], weights=inputs.weights[..., :0])
    out = torch.full_like(inputs.q, 3)
    assert paged_decode(*inputs, out=out) is out
    assert torch.equal(out, torch.zeros_like(inputs.q))


def test_a_pool_may_be_two_tensors_of_any_strides() -> None:
    inputs = make(Case())
    k = inputs.pool[:, 0].transpose(1, 2).contiguous().transpose(1, 2)
    v = inputs.pool[:, 1].permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)
    found = paged_decode(inputs.q, (k, v), *inputs[2:])
    torch.testing.assert_close(found, paged_decode(*inputs))


def test_a_token_that_sees_one_page_gets_plain_softmax_attention() -> None:
    q, pool = torch.randn(1, 1, 4), torch.randn(3, 2, 5, 1, 4)
    table, one = torch.tensor([[-1, 2]]), torch.ones(1, 1, 1)
    out = paged_decode(q, pool, table, torch.ones(1, 1, 1, dtype=torch.int64), one)
    p = torch.softmax(pool[2, 0, :, 0] @ q[0, 0] / 2, dim=0)
    torch.testing.assert_close(out[0, 0], p @ pool[2, 1, :, 0])


@pytest.mark.parametrize(
    ("page", "chunk", "message"),
    [
        (-1, 4, "session 1, KV head 1: chunk 4 has no page"),
        (30, 4, "session 1, KV head 1: chunk 4 is said to be on page 30 of a pool of 30"),
        (0, 9, "session 1, KV head 1: chunk 9 is not among the 9 chunks of the page table"),
    ],
)
def test_a_chosen_chunk_without_a_page_is_named(page: int, chunk: int, message: str) -> None:
    inputs = make(Case(empty=1.0))
    inputs.indices[1, 1, 2] = chunk
    inputs.page_table[1, 4] = page
    with pytest.raises(PageMissing, match=message) as caught:
        paged_decode(*inputs)
    assert (caught.value.session, caught.value.kv_head, caught.value.chunk) == (1, 1, chunk)
    missing = missing_pages(inputs.pool, inputs.page_table, inputs.indices)
    assert missing.nonzero().tolist() == [[1, 1, 2]]
    assert isinstance(caught.value, ValueError)


def test_gradients_are_refused_where_they_are_wanted() -> None:
    inputs = make(Case())
    inputs.q.requires_grad_()
    with pytest.raises(ValueError, match="no gradient.*no_grad.*chunk_attention"):
        paged_decode(*inputs)
    with torch.no_grad():
        assert not paged_decode(*inputs).requires_grad


@pytest.mark.parametrize("splits", [1, 3])
def test_the_custom_operators_keep_their_contract(splits: int) -> None:
    q, pool, *rest = make(Case(heads=2, kv_heads=1, dim=2, size=2))
    inputs = (q, pool[:, 0], pool[:, 1], *rest)
    torch.library.opcheck(torch.ops.hsa_memory.paged_decode.default, (*inputs, 0.5))
    out, workspace = torch.empty_like(q), decode_workspace(q, rest[1], splits=splits)
    into = torch.ops.hsa_memory.paged_decode_into.default
    torch.library.opcheck(into, (*inputs, out, workspace, 0.5, splits, "torch"))
    torch.library.opcheck(into, (*inputs, out, None, 0.5, splits, "torch"))


def test_it_compiles_into_one_graph() -> None:
    inputs = make(Case())
    expected = paged_decode(*inputs)
    run = torch.compile(paged_decode, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(run(*inputs), expected)
    out = torch.zeros_like(inputs.q)
    run(*inputs, out=out)
    torch.testing.assert_close(out, expected)
    inputs.indices[0, 0, 0] = 11
    with pytest.raises(PageMissing, match="chunk 11"):
        run(*inputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": torch.zeros(3, 4)}, r"found \(3, 4\)"),
        ({"q": torch.zeros(3, 3, 6)}, r"G dividing 3; found \(30, 5, 2, 6\)"),
        ({"pool": torch.zeros(30, 3, 5, 2, 6)}, r"\[P, 2, S, G, D\]; found \(30, 3, 5, 2, 6\)"),
        ({"pool": torch.zeros(30, 2, 0, 2, 6)}, r"D > 0.*found \(30, 0, 2, 6\)"),
        (
            {"q": torch.zeros(3, 4, 0), "pool": torch.zeros(30, 2, 5, 2, 0)},
            r"D > 0.*found \(30, 5, 2, 0\)",
        ),
        (
            {"pool": (torch.zeros(3, 5, 2, 6), torch.zeros(3, 5, 2, 7))},
            r"\(3, 5, 2, 6\) and \(3, 5, 2, 7\)",
        ),
        ({"pool": torch.zeros(30, 2, 5, 2, 6, dtype=FP16)}, "dtype of q or be bfloat16.*float16"),
        ({"page_table": torch.zeros(2, 9, dtype=torch.int64)}, r"\[3, C\].*found \(2, 9\)"),
        ({"page_table": torch.zeros(3, 9)}, "int32 or int64.*float32"),
        ({"indices": torch.zeros(3, 2, 4, dtype=torch.int32)}, "indices int64.*int32"),
        ({"weights": torch.zeros(3, 2, 5)}, r"\(3, 2, 4\) and \(3, 2, 5\)"),
        ({"weights": torch.zeros(3, 2, 4, dtype=BF16)}, "weights must be .*float32"),
        (
            {"weights": torch.zeros(3, 2, 4, device="meta")},
            "one device; found q on cpu.* weights on meta",
        ),
        ({"out": torch.zeros(3, 4, 7)}, r"out must be \(3, 4, 6\), contiguous.*\(3, 4, 7\)"),
        ({"out": torch.zeros(4, 3, 6).transpose(0, 1)}, "out must be .*contiguous"),
        ({"splits": 0}, "splits must be at least 1; found 0"),
        ({"workspace": torch.zeros(2, 3, 4, 5)}, r"\[splits, 3, 4, 6\].*found \(2, 3, 4, 5\)"),
        ({"workspace": torch.zeros(2, 3, 4, 6), "splits": 3}, r"\[3, 3, 4, 6\].*found \(2, 3, 4"),
    ],
)
def test_wrong_inputs_are_named(change: dict[str, Any], message: str) -> None:
    inputs = make(Case(dtype=FP32))._asdict() | change
    with pytest.raises(ValueError, match=message):
        paged_decode(**inputs)
