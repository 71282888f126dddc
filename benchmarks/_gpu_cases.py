"""What is checked and timed on a GPU: inputs, our operators, and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from _gpu_timing import NARROW, Clock, Rates, random
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from hsa_memory.kernels.chunk_attention import chunk_attention
from hsa_memory.kernels.landmark_topk import landmark_topk
from hsa_memory.kernels.paged_decode import decode_workspace, paged_decode

HEADS, SIZE = 16, 64
# Full attention of more tokens than this is not waited for; FlexAttention is compiled for each.
_LONGEST_FULL = 1 << 18
_FLEX_TOKENS = (1 << 13, 1 << 15, 1 << 17)
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
    """Seconds that a forward needs to move all it reads at the speed of memory, and to multiply it.

    It reads the keys and values of every chosen chunk, once per token. The first is no lower bound
    where they come out of a cache; the second is.
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
    """Seconds of each direction; None for a backward that the memory has no room for."""
    with torch.no_grad():
        row: Row = {"forward": clock.seconds(lambda: run(*inputs)), "backward": None}
    leaves = [x.detach().requires_grad_() if x.is_floating_point() else x for x in inputs]
    wanted = [x for x in leaves if x.requires_grad]
    try:
        out = run(*leaves)
        grad = torch.randn_like(out)
        row["backward"] = clock.seconds(
            lambda: torch.autograd.grad(out, wanted, grad, retain_graph=True)
        )
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
    return row


def full_attention(case: Case, clock: Clock) -> Row:
    """The same heads looking at all earlier tokens: FlashAttention by SDPA, and FlexAttention.

    Each is told by name or not at all: PyTorch would choose another where one cannot run.
    """
    shape = (1, HEADS, case.tokens, case.dim), (1, case.groups, case.tokens, case.dim)
    q, k, v = (random(*s, device=clock.device) for s in (shape[0], shape[1], shape[1]))
    row: Row = {"tokens": case.tokens, "dim": case.dim, "groups": case.groups}
    if case.tokens > _LONGEST_FULL:
        return row

    def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    if clock.device.type != "cuda":
        row["SDPA"] = forward_and_backward(causal, (q, k, v), clock)
        return row
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION):
        with sdpa_kernel(backend):
            row[f"SDPA {backend.name}"] = _if_it_runs(causal, (q, k, v), clock)
    if case.tokens in _FLEX_TOKENS:
        row["FlexAttention"] = _if_it_runs(_flex(case.tokens), (q, k, v), clock)
    return row


def _if_it_runs(run: Callable[..., Tensor], inputs: tuple[Tensor, ...], clock: Clock) -> Row:
    try:
        return forward_and_backward(run, inputs, clock)
    except RuntimeError as error:
        # What ours is compared with must not end the measurement.
        return {"failed": str(error)[:300]}


def _flex(tokens: int) -> Callable[..., Tensor]:
    from torch._functorch import config
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    # One compilation for every shape, and none that is given up for another way silently.
    torch._dynamo.reset()
    # The same graph is timed again and again.
    config.donated_buffer = False
    mask = torch.compile(create_block_mask)(
        lambda b, h, q, kv: q >= kv, None, None, tokens, tokens, device="cuda"
    )
    run = torch.compile(flex_attention, dynamic=False, fullgraph=True)
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
