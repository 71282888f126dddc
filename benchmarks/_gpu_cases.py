"""What is checked and timed on a GPU: inputs, our operators, and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from _gpu_timing import NARROW, Clock, Rates, random
from torch import Tensor

from hsa_memory.kernels.chunk_attention import chunk_attention
from hsa_memory.kernels.landmark_topk import landmark_topk
from hsa_memory.kernels.paged_decode import decode_workspace, paged_decode

HEADS, SIZE = 16, 64
# Full attention of more tokens than this is not waited for.
_LONGEST_FULL = 1 << 18
Row = dict[str, Any]


class Case(NamedTuple):
    """Sizes of one measurement: one layer, one sequence."""

    tokens: int
    top_k: int
    dim: int
    groups: int

    @property
    def chunks(self) -> int:
        """Chunks of the sequence."""
        return max(1, self.tokens // SIZE)

    @property
    def slots(self) -> int:
        """Chunks that a token can choose."""
        return min(self.top_k, self.chunks)


class Inputs(NamedTuple):
    """Arguments of `chunk_attention`."""

    q: Tensor
    k: Tensor
    v: Tensor
    indices: Tensor
    weights: Tensor


def make(case: Case, device: torch.device, dtype: torch.dtype = NARROW) -> Inputs:
    """Every token chooses chunks before it at random: the worst case for caches."""
    torch.manual_seed(0)
    kv = (1, case.chunks, SIZE, case.groups, case.dim)
    visible = torch.arange(case.tokens, device=device) // SIZE
    slots = (1, case.tokens, case.groups, case.slots)
    chosen = (torch.rand(slots, device=device) * visible[None, :, None, None]).long()
    chosen = chosen.masked_fill((visible == 0)[None, :, None, None], -1)
    q = random(1, case.tokens, HEADS, case.dim, device=device, dtype=dtype)
    k, v = (random(*kv, device=device, dtype=dtype) for _ in range(2))
    return Inputs(q, k, v, chosen, torch.rand(slots, device=device).softmax(-1))


def attention_floor(case: Case, rates: Rates) -> tuple[float, float]:
    """Least seconds of a forward: to move what it reads once, and to multiply it.

    What it reads is the keys and values of every chosen chunk, once per token; that they may come
    out of a cache faster than from memory is not counted on.
    """
    tiles = case.tokens * case.groups * case.slots * SIZE * case.dim * 2 * 2
    rows = 2 * case.tokens * HEADS * case.dim * 2
    flops = 4 * case.tokens * HEADS * case.slots * SIZE * case.dim
    return (tiles + rows) / rates.bytes_per_second, flops / rates.flops


def attention(case: Case, clock: Clock, rates: Rates, backend: str) -> Row:
    """Forward and backward of `chunk_attention`, and of plain PyTorch where it is not too long."""
    inputs = make(case, clock.device)
    moved, multiplied = attention_floor(case, rates)
    row: Row = {**case._asdict(), "bytes_floor": moved, "flops_floor": multiplied}
    for name, which in (("ours", backend), ("plain PyTorch", "torch")):
        if which == "torch" and case.tokens > 1 << 15:
            continue
        row[name] = forward_and_backward(
            lambda *x, w=which: chunk_attention(*x, backend=w), inputs, clock
        )
    return row


def forward_and_backward(
    run: Callable[..., Tensor], inputs: tuple[Tensor, ...], clock: Clock
) -> Row:
    """Seconds of each direction."""
    with torch.no_grad():
        forward = clock.seconds(lambda: run(*inputs))
    leaves = [x.detach().requires_grad_() if x.is_floating_point() else x for x in inputs]
    wanted = [x for x in leaves if x.requires_grad]
    out = run(*leaves)
    grad = torch.randn_like(out)
    backward = clock.seconds(lambda: torch.autograd.grad(out, wanted, grad, retain_graph=True))
    return {"forward": forward, "backward": backward}


def full_attention(case: Case, clock: Clock) -> Row:
    """The same heads looking at all earlier tokens: FlashAttention by SDPA, and FlexAttention."""
    shape = (1, HEADS, case.tokens, case.dim), (1, case.groups, case.tokens, case.dim)
    q, k, v = (random(*s, device=clock.device) for s in (shape[0], shape[1], shape[1]))
    row: Row = {"tokens": case.tokens, "dim": case.dim, "groups": case.groups}
    if case.tokens > _LONGEST_FULL:
        return row

    def flash(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    row["SDPA"] = forward_and_backward(flash, (q, k, v), clock)
    if clock.device.type == "cuda":
        row["FlexAttention"] = forward_and_backward(_flex(case.tokens), (q, k, v), clock)
    return row


def _flex(tokens: int) -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    mask = create_block_mask(lambda b, h, q, kv: q >= kv, None, None, tokens, tokens, device="cuda")
    run = torch.compile(flex_attention)
    return lambda q, k, v: run(q, k, v, block_mask=mask, enable_gqa=True)


def search(case: Case, clock: Clock, rates: Rates, backend: str) -> Row:
    """`landmark_topk` of a whole prefill, beside a full matrix of scores and torch.topk."""
    q = random(1, case.tokens, case.groups, case.dim, device=clock.device)
    landmarks = random(1, case.chunks, case.groups, case.dim, device=clock.device)
    visible = (torch.arange(case.tokens, device=clock.device) // SIZE)[None]
    row: Row = dict(case._asdict())
    row["flops_floor"] = case.tokens * case.groups * case.chunks * case.dim / rates.flops
    with torch.no_grad():
        row["ours"] = clock.seconds(
            lambda: landmark_topk(q, landmarks, visible, case.slots, backend=backend)
        )
        if case.tokens <= 1 << 16:
            row["plain PyTorch"] = clock.seconds(
                lambda: landmark_topk(q, landmarks, visible, case.slots, backend="torch")
            )
    return row


def decode(case: Case, clock: Clock, rates: Rates, backend: str) -> Row:
    """One token of one session, one layer: search, weights, attention; in a CUDA graph.

    The pool holds the pages of all chunks, in any order.
    """
    device = clock.device
    q = random(1, HEADS, case.dim, device=device)
    looking = random(1, 1, case.groups, case.dim, device=device)
    landmarks = random(1, case.chunks, case.groups, case.dim, device=device)
    pool = random(case.chunks, 2, SIZE, case.groups, case.dim, device=device)
    pages = torch.randperm(case.chunks, device=device)[None]
    visible = torch.full((1, 1), case.chunks, device=device)
    out = torch.empty_like(q)
    moved = case.chunks * case.groups * case.dim * 2
    moved += case.groups * case.slots * SIZE * case.dim * 4
    row: Row = {**case._asdict(), "bytes_floor": moved / rates.bytes_per_second}
    with torch.no_grad():
        found = landmark_topk(looking, landmarks, visible, case.slots, backend=backend)
        workspace = decode_workspace(q, found.indices[:, 0])

        def find() -> Tensor:
            return landmark_topk(looking, landmarks, visible, case.slots, backend=backend).indices

        def attend(indices: Tensor, weights: Tensor) -> None:
            paged_decode(
                q, pool, pages, indices, weights, out=out, workspace=workspace, backend=backend
            )

        def step() -> None:
            best = landmark_topk(looking, landmarks, visible, case.slots, backend=backend)
            attend(best.indices[:, 0], best.scores[:, 0].softmax(-1))

        weights = found.scores[:, 0].softmax(-1)
        row["search"] = clock.graph_seconds(find)
        row["attention"] = clock.graph_seconds(lambda: attend(found.indices[:, 0], weights))
        row["step"] = clock.graph_seconds(step)
    return row


def cases(
    lengths: list[int], slots: list[int], dims: list[int], groups: list[int]
) -> Iterator[Case]:
    """Every combination."""
    for tokens in lengths:
        for top_k in slots:
            for dim in dims:
                for count in groups:
                    yield Case(tokens, top_k, dim, count)
