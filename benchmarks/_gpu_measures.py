"""What is timed on a GPU: our operators, and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _gpu_cases import HEADS, SIZE, Case, Inputs, Row, attention_floor, make
from _gpu_timing import Clock, Rates, random
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from hsa_memory.kernels.chunk_attention import chunk_attention
from hsa_memory.kernels.chunk_scores import chunk_scores
from hsa_memory.kernels.landmark_topk import landmark_topk
from hsa_memory.kernels.landmark_topk.quantized import quantize_landmarks
from hsa_memory.kernels.paged_decode import decode_workspace, paged_decode
from hsa_memory.model import HSAConfig, HSATransformer
from hsa_memory.model.attention import fusion_weights

# Full attention of more tokens than this is not waited for.
_LONGEST_FULL = 1 << 18
_LONGEST_PLAIN = 1 << 15
# Where int8 may pay for a decode: enough landmarks to be bound by their bytes.
_INT8_TOKENS, _INT8_SLOTS = 1 << 24, 32


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


def if_it_runs(run: Callable[..., Tensor], inputs: tuple[Tensor, ...], clock: Clock) -> Row:
    """As `forward_and_backward`: what ours is compared with must not end the measurement."""
    try:
        return forward_and_backward(run, inputs, clock)
    except RuntimeError as error:
        return {"failed": str(error)[:300]}


def attention(case: Case, clock: Clock, rates: Rates, backend: str) -> Row:
    """Forward and backward of `chunk_attention`, and of plain PyTorch where it is not too long."""
    inputs = make(case, clock.device)
    row = _with_floors(case, inputs, rates)
    for name, which in _backends(case, backend):
        row[name] = forward_and_backward(
            lambda *x, w=which: chunk_attention(*x, backend=w), inputs, clock
        )
    return row


def scores(case: Case, clock: Clock, rates: Rates, backend: str) -> Row:
    """Forward and backward of `chunk_scores`: it reads the keys only."""
    inputs = make(case, clock.device)
    row = _with_floors(case, inputs, rates)
    row["bytes_floor"], row["flops_floor"] = row["bytes_floor"] / 2, row["flops_floor"] / 2
    for name, which in _backends(case, backend):
        row[name] = forward_and_backward(
            lambda q, k, indices, w=which: chunk_scores(q, k, indices, backend=w),
            (inputs.q, inputs.k, inputs.indices),
            clock,
        )
    return row


def _with_floors(case: Case, inputs: Inputs, rates: Rates) -> Row:
    moved, multiplied = attention_floor(case, rates, int((inputs.indices >= 0).sum()))
    return {**case._asdict(), "bytes_floor": moved, "flops_floor": multiplied}


def _backends(case: Case, backend: str) -> list[tuple[str, str]]:
    both = [("ours", backend), ("plain PyTorch", "torch")]
    # The slowest of all: once for every length.
    shown = case.tokens <= _LONGEST_PLAIN and case.top_k <= 16 and case.groups == 1
    return both if shown else both[:1]


def search(case: Case, clock: Clock, backend: str, rates: Rates) -> Row:
    """`landmark_topk` of a whole prefill, beside int8, and a matrix of scores with torch.topk.

    Int8 is a search without gradients. The host waits for it, which is in its time, and random
    landmarks are its worst case: their scores differ least.
    """
    q, landmarks, visible = _landmarks(case, clock.device)
    row: Row = dict(case._asdict())
    row["flops_floor"] = case.tokens * case.groups * case.chunks * case.dim / rates.flops

    def run(which: str) -> Callable[..., Tensor]:
        return lambda *x: landmark_topk(*x, visible, case.slots, backend=which).scores

    row["ours"] = forward_and_backward(run(backend), (q, landmarks), clock)
    quantized = quantize_landmarks(landmarks)
    with torch.no_grad():
        row["int8"] = clock.seconds(
            lambda: landmark_topk(
                q, landmarks, visible, case.slots, quantized=quantized, backend=backend
            )
        )
    if case.tokens <= 2 * _LONGEST_PLAIN:
        row["plain PyTorch"] = forward_and_backward(run("torch"), (q, landmarks), clock)
    return row


def _landmarks(case: Case, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    q = random(1, case.tokens, case.groups, case.dim, device=device)
    landmarks = random(1, case.chunks, case.groups, case.dim, device=device)
    return q, landmarks, (torch.arange(case.tokens, device=device) // SIZE)[None]


def crossover(case: Case, top_ks: list[int], clock: Clock, backend: str) -> Row:
    """A whole layer of ours, search, weights and chunk attention, beside full attention.

    Both directions of all of it, for several numbers of chosen chunks. Full attention is the same
    heads looking at all earlier tokens, each implementation told by name: PyTorch would choose
    another where one cannot run.
    """
    case = case._replace(tokens=case.chunks * SIZE)
    row: Row = {"tokens": case.tokens, "dim": case.dim, "groups": case.groups, "ours": {}}
    q, k, v = _full_inputs(case, clock.device)
    if clock.device.type != "cuda":
        row["SDPA FLASH_ATTENTION"] = forward_and_backward(_causal, (q, k, v), clock)
    elif case.tokens <= _LONGEST_FULL:
        for which in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION):
            with sdpa_kernel(which):
                row[f"SDPA {which.name}"] = if_it_runs(_causal, (q, k, v), clock)
    looking, landmarks, visible = _landmarks(case, clock.device)
    k, v = (x.transpose(1, 2).unflatten(1, (case.chunks, SIZE)).contiguous() for x in (k, v))
    inputs = (q.transpose(1, 2).contiguous(), k, v, looking, landmarks)
    for top_k in top_ks:

        def layer(
            q: Tensor, k: Tensor, v: Tensor, look: Tensor, marks: Tensor, top_k: int = top_k
        ) -> Tensor:
            found = landmark_topk(look, marks, visible, top_k, backend=backend)
            weights = fusion_weights(found.scores)
            return chunk_attention(q, k, v, found.indices, weights, backend=backend)

        row["ours"][str(top_k)] = forward_and_backward(layer, inputs, clock)
    return row


def _full_inputs(case: Case, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    tokens = case.chunks * SIZE
    q = random(1, HEADS, tokens, case.dim, device=device)
    k, v = (random(1, case.groups, tokens, case.dim, device=device) for _ in range(2))
    return q, k, v


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def flex(case: Case, clock: Clock) -> Row:
    """FlexAttention over all earlier tokens; compiled for this one length."""
    row: Row = {"tokens": case.tokens, "dim": case.dim, "groups": case.groups}
    if clock.device.type == "cuda":
        run = compiled_flex(case.tokens, lambda b, h, q, kv: q >= kv, clock.device)
        row["FlexAttention"] = if_it_runs(run, _full_inputs(case, clock.device), clock)
    return row


def compiled_flex(
    tokens: int, mask: Callable[..., Any], device: torch.device
) -> Callable[..., Tensor]:
    """FlexAttention of queries [1, H, tokens, D] with as many keys, for one mask."""
    from torch._functorch import config
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    # One compilation for every shape, and none that is given up for another way silently.
    torch._dynamo.reset()
    # The same graph is timed again and again.
    config.donated_buffer = False
    blocks = torch.compile(create_block_mask)(mask, None, None, tokens, tokens, device=device)
    run = torch.compile(flex_attention, dynamic=False, fullgraph=True)
    return lambda q, k, v: run(q, k, v, block_mask=blocks, enable_gqa=True)


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
        row["step"] = clock.graph_seconds(step)
        row["cold_step"] = clock.cold_graph_seconds(step)
        row["search"] = clock.graph_seconds(find)
        row["attention"] = clock.graph_seconds(lambda: attend(found.indices[:, 0], weights))
        if case.tokens < _INT8_TOKENS or case.top_k != _INT8_SLOTS:
            return row
        # No graph can hold it: the host waits for what it finds.
        quantized = quantize_landmarks(landmarks)
        row["int8_search"] = clock.seconds(
            lambda: landmark_topk(
                looking, landmarks, visible, case.slots, quantized=quantized, backend=backend
            )
        )
    return row


def model(config: HSAConfig, tokens: int, clock: Clock) -> Row:
    """Tokens per second of the whole model with random weights, one sequence."""
    dtype = torch.bfloat16 if clock.device.type == "cuda" else torch.float32
    net = HSATransformer(config).to(clock.device, dtype).eval()
    text = torch.randint(config.vocab_size, (1, tokens), device=clock.device)
    step = 1 << 13
    with torch.inference_mode():

        def ingest() -> Any:
            state = net.start(1)
            for first in range(0, tokens, step):
                state = net.ingest(text[:, first : first + step], state)
            return state

        def prefill() -> Any:
            state = net.start(1)
            for first in range(0, tokens, step):
                state = net(text[:, first : first + step], state, last_only=True).state
            return state

        ingested = clock.seconds(ingest, most=5)
        filled = clock.seconds(prefill, most=5)
        state = net(text[:, -1:], ingest()).state
        token = clock.seconds(lambda: net(text[:, :1], state), most=20)
    return {
        "tokens": tokens,
        "ingest_tokens_per_second": tokens / ingested,
        "prefill_tokens_per_second": tokens / filled,
        "decode_tokens_per_second": 1 / token,
    }
