"""Every call that is compiled ahead of time: what ships, at the sizes that matter.

A case is named after its operator first, then its sizes; it calls the operator's launchers for a
target, with tensors of the CPU. D is the head dimension, S the chunk size, H the query heads and KV
heads. A kernel that is the same in several cases is listed with the first of them.

Sizes that a kernel gets as numbers should be as divisible as real ones: Triton compiles another
kernel for those that 16 divides, and for 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from hsa_memory.kernels.chunk_attention import gpu as chunk_attention
from hsa_memory.kernels.chunk_scores import gpu as chunk_scores
from hsa_memory.kernels.landmark_topk import gpu as landmark_topk
from hsa_memory.kernels.landmark_topk.quantized import quantize_landmarks
from hsa_memory.kernels.launching import TARGETS
from hsa_memory.kernels.paged_decode import gpu as paged_decode

from . import Case


class Sizes(NamedTuple):
    """Sizes of a model's attention to chunks."""

    dim: int = 64
    size: int = 64
    heads: int = 16
    groups: int = 1
    dtype: torch.dtype = torch.bfloat16
    slots: int = 16
    tokens: int = 64
    chunks: int = 64

    def __str__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        name = f"{dtype} D={self.dim} S={self.size} H={self.heads}/{self.groups}"
        letters = {"K": "slots", "T": "tokens", "C": "chunks"}
        usual = Sizes._field_defaults
        odd = {k: v for k, v in letters.items() if getattr(self, v) != usual[v]}
        return " ".join([name, *(f"{k}={getattr(self, v)}" for k, v in odd.items())])


# Those of large models, and at the end those of the bundled one.
SIZES = (
    Sizes(),
    Sizes(dim=128, heads=32, groups=2),
    Sizes(dtype=torch.float32),
    Sizes(size=32, heads=4),
    Sizes(size=32, heads=4, dtype=torch.float32),
)
WIDE = Sizes(dim=128, heads=32, groups=2, dtype=torch.float32)
LONG = Sizes(size=128)
LARGE = Sizes(dim=128, size=128)
LARGEST = Sizes(dim=128, size=128, dtype=torch.float32)
# Each unlike the first of SIZES in one thing: float16, numbers of heads that are no power of two or
# fill no product, a dimension that is padded, a number of slots that 16 does not divide, and 1.
ODD = (
    Sizes(dtype=torch.float16),
    Sizes(heads=12),
    Sizes(heads=80),
    Sizes(dim=80),
    Sizes(slots=33),
    Sizes(slots=1, tokens=1, chunks=1),
)
# What walks slots is the same for any number of them and has no row for these. What walks pairs may
# have one: Triton knows whether 16 divides the number of pieces.
MANY_SLOTS = tuple(Sizes(slots=slots) for slots in (32, 64, 256))
CHUNKS = 64
SCALE = 0.125


def attending() -> Iterator[Case]:
    """chunk_attention: forward, and backward with and without atomic additions."""
    for sizes in (*SIZES, WIDE, LONG, LARGE, *ODD, *MANY_SLOTS):
        yield Case(f"chunk_attention forward {sizes}", attention_forward(sizes))
        yield Case(f"chunk_attention backward {sizes}", attention_backward(sizes))
    # One token runs the kernels of a decode, without a page table.
    for sizes in (SIZES[0], SIZES[2], LARGE):
        sizes = sizes._replace(tokens=1)
        yield Case(f"chunk_attention forward {sizes}", attention_forward(sizes))
    # Its gradient of queries spills.
    yield Case(f"chunk_attention forward {LARGEST}", attention_forward(LARGEST))
    yield Case(f"chunk_attention backward of chunks {LARGEST}", backward_of_chunks(LARGEST))
    for sizes in (SIZES[0], SIZES[-1]):
        yield Case(f"chunk_attention ordered {sizes}", ordered(attention_backward(sizes)))


def attention_forward(sizes: Sizes) -> Callable[[str], object]:
    """A call of the forward."""
    return lambda target: chunk_attention.forward(*inputs(sizes), SCALE, TARGETS[target])


def attention_backward(sizes: Sizes) -> Callable[[str], object]:
    """A call of the backward."""

    def run(target: str) -> object:
        given = inputs(sizes)
        return chunk_attention.backward(given[0], *given, SCALE, TARGETS[target])

    return run


def backward_of_chunks(sizes: Sizes) -> Callable[[str], object]:
    """The part of a backward that computes dk and dv."""

    def run(target: str) -> object:
        tensors = inputs(sizes)
        given = chunk_attention.Given(tensors[0], *tensors, SCALE)
        return chunk_attention.backward_chunks(given, TARGETS[target])

    return run


def scoring() -> Iterator[Case]:
    """chunk_scores: forward, and backward with and without atomic additions."""
    for sizes in (*SIZES[:2], *SIZES[-2:], WIDE, LONG, LARGE, *ODD[-2:], *MANY_SLOTS):
        yield Case(f"chunk_scores forward {sizes}", scores_forward(sizes))
        yield Case(f"chunk_scores backward {sizes}", scores_backward(sizes))
    yield Case(f"chunk_scores ordered {SIZES[0]}", ordered(scores_backward(SIZES[0])))


def scores_forward(sizes: Sizes) -> Callable[[str], object]:
    """A call of the forward."""

    def run(target: str) -> object:
        q, k, _, indices, _ = inputs(sizes)
        return chunk_scores.forward(q, k, indices, SCALE, TARGETS[target])

    return run


def scores_backward(sizes: Sizes) -> Callable[[str], object]:
    """A call of the backward."""

    def run(target: str) -> object:
        q, k, _, indices, _ = inputs(sizes)
        grad = torch.zeros(*indices.shape, sizes.heads // sizes.groups)
        return chunk_scores.backward(grad, q, k, indices, SCALE, TARGETS[target])

    return run


def ordered(run: Callable[[str], object]) -> Callable[[str], object]:
    """The call where PyTorch was asked for results that repeat."""

    def deterministic(target: str) -> object:
        torch.use_deterministic_algorithms(True)
        try:
            return run(target)
        finally:
            torch.use_deterministic_algorithms(False)

    return deterministic


def inputs(sizes: Sizes) -> tuple[torch.Tensor, ...]:
    """q, k, v, indices and weights."""
    kv = (1, sizes.chunks, sizes.size, sizes.groups, sizes.dim)
    slots = (1, sizes.tokens, sizes.groups, sizes.slots)
    return (
        torch.zeros(1, sizes.tokens, sizes.heads, sizes.dim, dtype=sizes.dtype),
        torch.zeros(kv, dtype=sizes.dtype),
        torch.zeros(kv, dtype=sizes.dtype),
        torch.zeros(slots, dtype=torch.int64),
        torch.zeros(slots),
    )


def searching() -> Iterator[Case]:
    """landmark_topk: many tokens, several and one, with noise, few landmarks, and int8."""
    for dtype in (torch.bfloat16, torch.float32):
        name = f"landmark_topk {str(dtype).removeprefix('torch.')} E=128"
        yield Case(f"{name} T=64", searched(dtype, 64))
        yield Case(f"{name} T=8", searched(dtype, 8))
        yield Case(f"{name} T=1", searched(dtype, 1))
    # Spans of other lengths.
    yield Case("landmark_topk bfloat16 E=128 T=1 C=2^16", searched(torch.bfloat16, 1, 1 << 16))
    yield Case(
        "landmark_topk bfloat16 E=64 T=1 C=2^18", searched(torch.bfloat16, 1, 1 << 18, dim=64)
    )
    yield Case(
        "landmark_topk bfloat16 E=1024 T=1 k=64", searched(torch.bfloat16, 1, dim=1024, top_k=64)
    )
    wide = searched(torch.bfloat16, 1, top_k=256)
    yield Case("landmark_topk bfloat16 E=128 T=1 k=256", wide)
    yield Case("landmark_topk bfloat16 E=128 T=64 C=512", searched(torch.bfloat16, 64, 512))
    noisy = searched(torch.bfloat16, 64, noise=True)
    yield Case("landmark_topk bfloat16 E=128 T=64 noise", noisy)
    for tokens in (64, 8):
        yield Case(f"landmark_topk int8 E=128 T={tokens}", searched_in_int8(tokens))


def searched(
    dtype: torch.dtype,
    tokens: int,
    chunks: int = 16384,
    *,
    dim: int = 128,
    top_k: int = 32,
    noise: bool = False,
) -> Callable[[str], object]:
    """A search for some of the landmarks."""

    def run(target: str) -> object:
        q = torch.zeros(1, tokens, 1, dim, dtype=dtype)
        landmarks = torch.zeros(1, chunks, 1, dim, dtype=dtype)
        seen = torch.full((1, tokens), chunks)
        added = torch.zeros(1, tokens, 1, chunks) if noise else None
        return landmark_topk.forward(q, landmarks, seen, top_k, SCALE, None, added, TARGETS[target])

    return run


def searched_in_int8(tokens: int) -> Callable[[str], object]:
    """The same with quantized landmarks."""

    def run(target: str) -> object:
        q = torch.zeros(1, tokens, 1, 128, dtype=torch.bfloat16)
        landmarks = torch.zeros(1, 16384, 1, 128, dtype=torch.bfloat16)
        seen, small = torch.full((1, tokens), 16384), quantize_landmarks(landmarks)
        return landmark_topk.forward_quantized(
            q, landmarks, seen, 32, SCALE, None, small, TARGETS[target]
        )

    return run


def decoding() -> Iterator[Case]:
    """paged_decode: queries as the pool and float32 queries beside bfloat16, split and not."""
    for sizes in (SIZES[0], SIZES[1], SIZES[-2], SIZES[-1]):
        yield Case(f"paged_decode {sizes}", decoded(sizes, sizes.dtype, 4))
    yield Case(f"paged_decode {SIZES[0]}, one split", decoded(SIZES[0], torch.bfloat16, 1))
    yield Case(f"paged_decode {SIZES[-1]}, bfloat16 pool", decoded(SIZES[-1], torch.bfloat16, 4))


def decoded(sizes: Sizes, stored: torch.dtype, splits: int) -> Callable[[str], object]:
    """One token each of 16 sessions."""

    def run(target: str) -> None:
        q = torch.zeros(16, sizes.heads, sizes.dim, dtype=sizes.dtype)
        pool = torch.zeros(CHUNKS, sizes.size, sizes.groups, sizes.dim, dtype=stored)
        table = torch.zeros(16, CHUNKS, dtype=torch.int32)
        indices = torch.zeros(16, sizes.groups, 32, dtype=torch.int64)
        weights, out = torch.zeros(indices.shape), torch.zeros_like(q)
        parts = torch.zeros(splits, *q.shape) if splits > 1 else None
        rows = sizes.heads // sizes.groups
        form = paged_decode.config(TARGETS[target], sizes.dim, sizes.size, rows, q.dtype, stored)
        paged_decode.launch(q, pool, pool.clone(), table, indices, weights, out, parts, SCALE, form)

    return run


CASES = [*attending(), *scoring(), *searching(), *decoding()]
