"""The Triton kernels of `paged_decode`: dtypes, sizes, empty memory, what must not be read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from hsa_memory.kernels.launching import KB, TARGETS, Target
from hsa_memory.kernels.paged_decode import (
    decode_workspace,
    missing_pages,
    paged_decode,
    paged_decode_reference,
)

pytest.importorskip("triton", reason="triton is not installed")
from hsa_memory.kernels.backends import BackendUnavailable  # noqa: E402
from hsa_memory.kernels.paged_decode import gpu  # noqa: E402

FP32, FP16, BF16 = torch.float32, torch.float16, torch.bfloat16
TOLERANCE = {FP32: 1e-5, FP16: 2e-3, BF16: 1e-2}


class Case(NamedTuple):
    """Sizes of one call."""

    batch: int = 2
    heads: int = 4
    kv_heads: int = 2
    dim: int = 16
    size: int = 16
    chunks: int = 7
    top_k: int = 5
    splits: int | None = 2
    dtype: torch.dtype = FP32
    stored: torch.dtype = FP32
    empty: float = 0.2
    """Share of empty slots."""


class Inputs(NamedTuple):
    q: Tensor
    pool: Tensor
    page_table: Tensor
    indices: Tensor
    weights: Tensor


def make(case: Case, device: torch.device) -> Inputs:
    """Sessions of falling lengths, their chunks on shuffled pages; the pool has pages to spare."""
    lengths = [max(case.chunks - 2 * row, 1) for row in range(case.batch)]
    pages = case.batch * case.chunks + 3
    table = torch.randperm(pages)[: case.batch * case.chunks].view(case.batch, case.chunks)
    slots = (case.batch, case.kv_heads, case.top_k)
    wide = max(case.chunks, case.top_k)
    indices = torch.rand(*slots[:2], wide).argsort(-1)[..., : case.top_k]
    indices[torch.rand(slots) < case.empty] = -1
    for row, length in enumerate(lengths):
        table[row, length:] = -1
        indices[row, indices[row] >= length] = -1
    pool = torch.randn(pages, 2, case.size, case.kv_heads, case.dim).to(case.stored)
    inputs = Inputs(
        torch.randn(case.batch, case.heads, case.dim).to(case.dtype),
        pool,
        table.to(torch.int32),
        indices,
        torch.rand(slots),
    )
    return Inputs(*(x.to(device) for x in inputs))


def expected(inputs: Inputs, scale: float | None = None) -> Tensor:
    q, pool, table, indices, weights = inputs
    factor = q.shape[2] ** -0.5 if scale is None else scale
    return paged_decode_reference(
        q.double(), pool.double(), table.long(), indices, weights.double(), factor
    )


def error(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


CASES = [
    Case(),
    Case(splits=None),
    Case(splits=1),
    Case(batch=1, kv_heads=1, heads=3, splits=9),
    Case(heads=10, dim=24, size=9, top_k=6, chunks=8, splits=3),
    Case(heads=7, kv_heads=1, dim=5, size=1),
    Case(batch=1, kv_heads=1, heads=70, top_k=3, splits=2),
    Case(batch=3, top_k=1, splits=1),
    Case(batch=1, kv_heads=1, size=32, dim=64),
    Case(batch=1, kv_heads=1, size=64, dim=64, top_k=3),
    Case(batch=1, kv_heads=1, size=128, dim=128, top_k=2, splits=1),
    Case(batch=1, kv_heads=1, size=48, dim=80, top_k=3),
    Case(batch=1, kv_heads=1, chunks=45, top_k=41, splits=2, empty=0.0),
    Case(empty=0.9, batch=5),
    Case(heads=5, kv_heads=1, stored=BF16, size=20, dim=40),
    Case(dtype=FP16, stored=FP16, heads=6, size=24),
    Case(dtype=FP16, stored=BF16),
    Case(dtype=BF16, stored=BF16, batch=1, kv_heads=1, heads=16, size=64, dim=64, splits=1),
    Case(dtype=BF16, stored=BF16, heads=6, dim=33, size=19),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_output_is_that_of_the_reference(case: Case, device: torch.device) -> None:
    inputs = make(case, device)
    found = paged_decode(*inputs, splits=case.splits, backend="triton")
    assert found.dtype == case.dtype
    assert error(found, expected(inputs)) <= TOLERANCE[case.dtype]


TRANSPOSED = [
    Case(dtype=BF16, stored=BF16, batch=1, kv_heads=1, heads=16, size=64, dim=64, top_k=3),
    Case(dtype=FP16, stored=FP16, heads=22, size=50, dim=40, splits=1),
]


@pytest.mark.parametrize("case", TRANSPOSED, ids=str)
def test_keys_may_be_the_rows_of_the_product(
    monkeypatch: pytest.MonkeyPatch, case: Case, device: torch.device
) -> None:
    plain = gpu.config
    monkeypatch.setattr(gpu, "config", lambda *a: plain(*a)._replace(transposed=True))
    inputs = make(case, device)
    found = paged_decode(*inputs, splits=case.splits, backend="triton")
    assert error(found, expected(inputs)) <= TOLERANCE[case.dtype]


def test_the_scale_and_long_page_ids_are_taken(device: torch.device) -> None:
    inputs = make(Case(), device)
    inputs = inputs._replace(page_table=inputs.page_table.long())
    found = paged_decode(*inputs, scale=0.7, splits=2, backend="triton")
    assert error(found, expected(inputs, 0.7)) <= 1e-5


def test_a_pool_may_be_two_tensors_of_any_strides(device: torch.device) -> None:
    inputs = make(Case(), device)
    q, pool, table, indices, weights = inputs
    k = pool[:, 0].transpose(1, 2).contiguous().transpose(1, 2)
    v = pool[:, 1].permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)
    assert not k.is_contiguous()
    assert v.stride(3) != 1
    spread = torch.stack([q, q], -1)[..., 0]
    found = paged_decode(
        spread, (k, v), table, indices.mT.contiguous().mT, weights, backend="triton"
    )
    assert error(found, expected(inputs)) <= 1e-5


def test_pages_that_nobody_chose_do_not_leak(device: torch.device) -> None:
    inputs = make(Case(batch=3, empty=0.5), device)
    inputs.indices[1, 0] = -1
    clean = paged_decode(*inputs, splits=2, backend="triton")
    poison = torch.ones(inputs.pool.shape[0], 2, dtype=torch.bool, device=device)
    for row in range(3):
        for head in range(2):
            chosen = inputs.indices[row, head]
            poison[inputs.page_table[row, chosen[chosen >= 0]].long(), head] = False
    assert poison[0].any()
    inputs.pool.transpose(1, 3)[poison] = float("nan")
    loud = inputs._replace(
        weights=inputs.weights.masked_fill(inputs.indices < 0, float("nan")),
    )
    assert torch.equal(paged_decode(*loud, splits=2, backend="triton"), clean)
    assert torch.equal(clean[1, :2], torch.zeros_like(clean[1, :2]))


@pytest.mark.parametrize("case", [Case(chunks=0), Case(top_k=0), Case(batch=0), Case(empty=1.0)])
def test_nothing_chosen_gives_zeros(case: Case, device: torch.device) -> None:
    inputs = make(case._replace(chunks=1), device)
    if case.chunks == 0:
        inputs = inputs._replace(page_table=inputs.page_table[:, :0], pool=inputs.pool[:0])
        inputs.indices.fill_(-1)
    out = paged_decode(*inputs, backend="triton")
    assert torch.equal(out, torch.zeros_like(inputs.q))


def test_chunks_without_a_page_are_left_out_and_can_be_found(device: torch.device) -> None:
    inputs = make(Case(empty=0.0, chunks=9, batch=1), device)
    bad = inputs._replace(
        page_table=inputs.page_table.clone(), indices=inputs.indices.clone().contiguous()
    )
    bad.page_table[0, inputs.indices[0, 0, 1]] = -1
    bad.page_table[0, inputs.indices[0, 0, 2]] = inputs.pool.shape[0]
    bad.indices[0, 0, 0] = 9
    bad.indices[0, 1, 0] = 1 << 40
    missing = missing_pages(bad.pool, bad.page_table, bad.indices)
    assert missing[0, 0, :3].all()
    assert missing[0, 1, 0]
    found = paged_decode(*bad, splits=2, backend="triton")
    good = inputs._replace(indices=bad.indices.masked_fill(missing, -1))
    assert error(found, expected(good)) <= 1e-5


@pytest.mark.parametrize("apart", ["pages", "tokens"])
def test_addresses_beyond_two_to_the_31(apart: str, device: torch.device, tmp_path: Path) -> None:
    size, dim = 16, 16
    # An eighth more, so that the last token of a page lies beyond it on its own.
    pages = (1 << 31) // (2 * size * dim) * 9 // 8
    values = pages * 2 * size * dim
    if device.type == "cpu":
        # A file of zeros that takes no place on the disk.
        storage = torch.from_file(str(tmp_path / "pool"), shared=True, size=values, dtype=FP16)
    else:
        storage = torch.zeros(values, dtype=FP16, device=device)
    if apart == "pages":
        pool = storage.view(pages, 2, size, 1, dim)
    else:
        pool = storage.view(size, pages, 2, 1, dim).permute(1, 2, 0, 3, 4)
    ids = torch.tensor([pages - 1, 3, pages - 2], device=device)
    pool[ids] = torch.randn(3, 2, size, 1, dim, device=device).half()
    q = torch.randn(1, 2, dim, device=device).half()
    indices = torch.tensor([[[0, 1, 2]]], device=device)
    weights = torch.rand(1, 1, 3, device=device)
    found = paged_decode(q, pool, ids[None], indices, weights, splits=2, backend="triton")
    near = Inputs(q, pool[ids], torch.arange(3, device=device)[None], indices, weights)
    assert error(found, expected(near)) <= TOLERANCE[FP16]


def test_heads_beyond_two_to_the_31(device: torch.device, tmp_path: Path) -> None:
    if device.type != "cpu":
        pytest.skip("13 GB of weights: the interpreter has them in a file that takes no place")
    inputs = make(Case(batch=1, heads=4, kv_heads=4, top_k=3, empty=0.0), device)
    apart = 1 << 30
    storage = torch.from_file(str(tmp_path / "weights"), shared=True, size=3 * apart + 3)
    weights = storage.as_strided((1, 4, 3), (3 * apart + 3, apart, 1)).copy_(inputs.weights)
    found = paged_decode(*inputs._replace(weights=weights), splits=1, backend="triton")
    assert error(found, expected(inputs)) <= TOLERANCE[FP32]


def test_a_whole_scale_needs_no_other_kernel(
    monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    given: list[object] = []
    monkeypatch.setattr(gpu, "launch", lambda *arguments: given.extend(arguments))
    paged_decode(*make(Case(), device), scale=1, backend="triton")
    # Triton compiles again for an int, and once more for this one.
    assert [type(x) for x in given if isinstance(x, int | float)] == [float]


def test_it_writes_where_it_is_told_and_the_same_bits_every_time(device: torch.device) -> None:
    inputs = make(Case(batch=3, chunks=20, top_k=17), device)
    out = torch.full_like(inputs.q, float("nan"))
    workspace = decode_workspace(inputs.q, inputs.indices, splits=5).fill_(float("nan"))
    first = paged_decode(*inputs, out=out, workspace=workspace, backend="triton")
    assert first is out
    assert error(out, expected(inputs)) <= 1e-5
    again = paged_decode(*inputs, splits=5, backend="triton")
    assert torch.equal(again, first)


def test_too_few_splits_are_an_error(device: torch.device) -> None:
    inputs = make(Case(chunks=45, top_k=41), device)
    with pytest.raises(ValueError, match="41 chosen chunks need at least 2 splits; found 1"):
        paged_decode(*inputs, splits=1, backend="triton")


def test_a_compiled_graph_calls_the_kernels(device: torch.device) -> None:
    inputs = make(Case(), device)
    run = torch.compile(
        lambda *a: paged_decode(*a, splits=2, backend="triton"), fullgraph=True, backend="aot_eager"
    )
    assert torch.equal(run(*inputs), paged_decode(*inputs, splits=2, backend="triton"))


@pytest.mark.parametrize(
    ("programs", "top_k", "processors", "splits"),
    [(1, 32, 132, 32), (8, 32, 132, 16), (132, 32, 132, 1), (500, 64, 132, 2), (1, 40, 8, 8)],
)
def test_splits_fill_the_gpu(programs: int, top_k: int, processors: int, splits: int) -> None:
    assert gpu.choose_splits(programs, top_k, processors) == splits


SMALL = Target("cuda", 89, 99 * KB)
"""A GPU with little memory per processor."""


def test_the_form_follows_the_gpu_and_the_sizes() -> None:
    hopper = gpu.config(TARGETS["sm_90"], 64, 64, 16, BF16, BF16)
    assert hopper.transposed
    assert hopper.num_warps == 4
    assert hopper.num_stages == 3
    assert not gpu.config(TARGETS["sm_90"], 64, 64, 8, BF16, BF16).transposed
    assert not gpu.config(TARGETS["sm_80"], 64, 64, 16, BF16, BF16).transposed
    assert not gpu.config(TARGETS["sm_90"], 64, 64, 16, FP32, BF16).transposed
    assert gpu.config(SMALL, 128, 128, 16, BF16, BF16).num_stages < 3
    assert gpu.config(TARGETS["sm_80"], 128, 128, 64, FP32, FP32).block_heads < 64
    with pytest.raises(BackendUnavailable, match="a chunk of 512 tokens .* 99; backend='torch'"):
        gpu.config(SMALL, 128, 512, 16, BF16, BF16)


@pytest.mark.gpu
def test_a_cuda_graph_replays_it_on_new_values(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("CUDA graphs need a GPU")
    case = Case(batch=3, dtype=BF16, stored=BF16, heads=32, size=64, dim=64)
    inputs, other = make(case, device), make(case, device)
    out = torch.empty_like(inputs.q)
    workspace = decode_workspace(inputs.q, inputs.indices)
    paged_decode(*inputs, out=out, workspace=workspace)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        before = torch.cuda.memory_allocated()
        paged_decode(*inputs, out=out, workspace=workspace)
        assert torch.cuda.memory_allocated() == before
    for old, new in zip(inputs, other, strict=True):
        old.copy_(new)
    out.fill_(float("nan"))
    graph.replay()
    torch.cuda.synchronize()
    assert error(out, expected(other)) <= TOLERANCE[BF16]
