"""What is measured on a GPU: sizes, inputs, and the least time they take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from _gpu_timing import NARROW, Rates, random
from torch import Tensor

HEADS, SIZE = 16, 64
# Choices that are drawn at once.
_DRAWN = 1 << 25
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


def cases(
    lengths: list[int], slots: list[int], dims: list[int], groups: list[int]
) -> Iterator[Case]:
    """Every combination."""
    for tokens in lengths:
        for top_k in slots:
            for dim in dims:
                for count in groups:
                    yield Case(tokens, top_k, dim, count)


def make(case: Case, device: torch.device, dtype: torch.dtype = NARROW) -> Inputs:
    """Every token chooses chunks before it at random: the worst case for caches."""
    torch.manual_seed(0)
    kv = (1, case.chunks, SIZE, case.groups, case.dim)
    visible = torch.arange(case.tokens, device=device) // SIZE
    indices, weights = choose(visible, case.groups, case.slots)
    q = random(1, case.tokens, HEADS, case.dim, device=device, dtype=dtype)
    k, v = (random(*kv, device=device, dtype=dtype) for _ in range(2))
    return Inputs(q, k, v, indices[None], weights[None])


def choose(visible: Tensor, groups: int, slots: int) -> tuple[Tensor, Tensor]:
    """Draw chunks as a search among random landmarks finds them.

    Args:
        visible: [T]; token t chooses among the chunks [0, visible[t]).

    Returns:
        Chunks [T, groups, slots], all different, those with the largest weights first, -1 at the
        end; and their weights. Memory is that of the result.
    """
    shape = (len(visible), groups, slots)
    indices = torch.empty(shape, dtype=torch.int64, device=visible.device)
    weights = torch.empty(shape, device=visible.device)
    step = max(1, _DRAWN // (groups * slots))
    for start in range(0, len(visible), step):
        tile = slice(start, start + step)
        chosen = _different(visible[tile], groups, slots)
        scores = torch.rand(chosen.shape, device=chosen.device).masked_fill_(chosen < 0, -1.0)
        scores, order = scores.sort(dim=-1, descending=True)
        indices[tile] = chosen.gather(-1, order)
        shares = scores.masked_fill(scores < 0, torch.finfo(scores.dtype).min).softmax(-1)
        weights[tile] = shares.masked_fill_(scores < 0, 0.0)
    return indices, weights


def _different(visible: Tensor, groups: int, slots: int) -> Tensor:
    """Floyd's way to draw without replacement, one slot of all tokens after the other."""
    chosen = torch.full((len(visible), groups, slots), -1, device=visible.device)
    for slot in range(slots):
        last = (visible - slots + slot)[:, None]
        drawn = torch.rand(len(visible), groups, device=visible.device) * (last + 1)
        drawn = drawn.long().minimum(last)
        # Taken already: then the last one, which no slot before could choose.
        taken = (chosen[..., :slot] == drawn[..., None]).any(-1)
        chosen[..., slot] = torch.where(taken, last, drawn).masked_fill(last < 0, -1)
    return chosen


def attention_floor(case: Case, rates: Rates, pairs: int | None = None) -> tuple[float, float]:
    """Seconds that a forward needs to move all it reads at the speed of memory, and to multiply it.

    It reads the keys and values of every chosen chunk, once per token. The first is no lower bound
    where they come out of a cache; the second is.

    Args:
        pairs: chunks that all tokens and KV heads chose together; default: every slot is filled.
    """
    chosen = case.tokens * case.groups * case.slots if pairs is None else pairs
    tiles = chosen * SIZE * case.dim * 2 * 2
    rows = 2 * case.tokens * HEADS * case.dim * 2
    flops = 4 * chosen * (HEADS // case.groups) * SIZE * case.dim
    return (tiles + rows) / rates.bytes_per_second, flops / rates.flops
