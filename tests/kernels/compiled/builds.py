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
from hsa_memory.kernels.launching import TARGETS

from . import Case


class Sizes(NamedTuple):
    """Sizes of a model's attention to chunks."""

    dim: int = 64
    size: int = 64
    heads: int = 16
    groups: int = 1
    dtype: torch.dtype = torch.bfloat16

    def __str__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{dtype} D={self.dim} S={self.size} H={self.heads}/{self.groups}"


# Those of large models, and at the end those of the bundled one.
SIZES = (
    Sizes(),
    Sizes(dim=128, heads=32, groups=2),
    Sizes(dtype=torch.float16),
    Sizes(dtype=torch.float32),
    Sizes(size=32, heads=4),
    Sizes(size=32, heads=4, dtype=torch.float32),
)
TOKENS, CHUNKS, SLOTS = 64, 64, 16
SCALE = 0.125


def attending() -> Iterator[Case]:
    """chunk_attention: forward, and backward with and without atomic additions."""
    for sizes in SIZES:
        yield Case(f"chunk_attention forward {sizes}", attention_forward(sizes))
        yield Case(f"chunk_attention backward {sizes}", attention_backward(sizes))
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


def scoring() -> Iterator[Case]:
    """chunk_scores: forward, and backward with and without atomic additions."""
    for sizes in (SIZES[0], SIZES[1], SIZES[-2], SIZES[-1]):
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
    kv = (1, CHUNKS, sizes.size, sizes.groups, sizes.dim)
    slots = (1, TOKENS, sizes.groups, SLOTS)
    return (
        torch.zeros(1, TOKENS, sizes.heads, sizes.dim, dtype=sizes.dtype),
        torch.zeros(kv, dtype=sizes.dtype),
        torch.zeros(kv, dtype=sizes.dtype),
        torch.zeros(slots, dtype=torch.int64),
        torch.zeros(slots),
    )


CASES = [*attending(), *scoring()]
