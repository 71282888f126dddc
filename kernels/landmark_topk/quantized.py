"""Landmarks in int8: what they are, what their scores are worth, and the search of the CPU.

A score from int8 comes with a bound of its error, so the search is exact: a landmark is left out
only if its best possible score is below the worst possible scores of `top_k` others. What is left
is scored from the landmarks themselves.

With l = s v + a and q = t u + b (s, t scales, u, v whole numbers up to 127, a and b what rounding
left over): q.l = s t u.v + q.a + s b.v, where |q.a| <= s/2 |q|_1 and |b.v| <= 127 |b|_1. Scale and
bound of the error are thus both multiples of s: `s * (t * (u.v) + slack)` is an upper bound.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from ..gathering import exact_dtype
from . import cpu

_LARGEST = 127
# Landmarks per group whose best lower bound counts; few enough that no two of the best are likely
# to share a group.
_GROUP = 64
# Part of the landmarks that may be candidates before a search of all is cheaper.
_MOST = 0.25


class Quantized(NamedTuple):
    """Landmarks in int8, `values * scales`; made by `quantize_landmarks`."""

    values: Tensor
    """[B, C, R, E] int8."""
    scales: Tensor
    """[B, C, R] float32, a scale per landmark and head."""


def quantize_landmarks(landmarks: Tensor) -> Quantized:
    """Round landmarks to int8 with one scale per landmark and head, for `landmark_topk`.

    Args:
        landmarks: [B, C, R, E], any float dtype.

    Raises:
        ValueError: if landmarks are not [B, C, R, E].
    """
    if landmarks.dim() != 4:
        raise ValueError(f"expected landmarks [B, C, R, E]; found {tuple(landmarks.shape)}")
    return Quantized(*_round(landmarks.detach().float()))


class QuantizedQueries(NamedTuple):
    """Queries times the factor on the scores, in int8."""

    values: Tensor
    """[B, T, R, E] int8."""
    scales: Tensor
    """[B, T, R] float32."""
    slack: Tensor
    """[B, T, R] float32: what a score can be off by, as a multiple of the landmark's scale."""


def quantize_queries(q: Tensor, scale: float) -> QuantizedQueries:
    """Round queries [B, T, R, E] times `scale` to int8, with the bound of the scores' errors."""
    scaled = q.float() * scale
    values, scales = _round(scaled)
    left = (scaled - values * scales[..., None]).abs().sum(-1)
    total = scaled.abs().sum(-1)
    # Floats round as well: the scores that are compared, once to q's dtype and E times in float32;
    # the scales and the bounds themselves, a few times.
    floats = torch.finfo(q.dtype).eps + (q.shape[3] + 16) * torch.finfo(torch.float32).eps
    slack = 0.5 * total + _LARGEST * left + floats * (_LARGEST + 1) * total
    return QuantizedQueries(values, scales, slack)


def _round(x: Tensor) -> tuple[Tensor, Tensor]:
    if x.shape[-1] == 0:
        return x.to(torch.int8), x.new_zeros(x.shape[:-1])
    # A scale below the normal numbers would lose the digits that the bounds count on.
    scales = (x.abs().amax(-1) / _LARGEST).clamp(min=1e-30)
    values = (x / scales[..., None]).round_().clamp_(-_LARGEST, _LARGEST)
    return values.to(torch.int8), scales


def forward(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    scale: float,
    chunk_mask: Tensor | None,
    quantized: Quantized,
) -> tuple[Tensor, Tensor]:
    """Return what `cpu.forward` returns, from fewer bytes."""
    batch, tokens, heads, _ = q.shape
    scores = torch.empty(batch, tokens, heads, top_k, dtype=exact_dtype(q), device=q.device)
    indices = torch.empty(batch, tokens, heads, top_k, dtype=torch.int64, device=q.device)
    if top_k == 0:
        return scores, indices
    queries = quantize_queries(q, scale)
    step = max(1, cpu.TILE_VALUES // max(1, landmarks.shape[1]))
    for row, head in itertools.product(range(batch), range(heads)):
        here = (slice(row, row + 1), slice(None), slice(head, head + 1))
        mask = None if chunk_mask is None else chunk_mask[here[:2]]
        kept = Quantized(*(x[here] for x in quantized))
        for start in range(0, tokens, step):
            at = (here[0], slice(start, min(start + step, tokens)), here[2])
            near = _candidates(
                QuantizedQueries(*(x[at] for x in queries)), kept, visible[at[:2]], mask, top_k
            )
            if near is None:
                found = cpu.forward(
                    q[at], landmarks[here], visible[at[:2]], top_k, scale, mask, None
                )
            else:
                found = _rescore(q[at], landmarks[here], near, top_k, scale)
            scores[at], indices[at] = found
    return scores, indices


def _candidates(
    queries: QuantizedQueries,
    landmarks: Quantized,
    visible: Tensor,
    mask: Tensor | None,
    top_k: int,
) -> Tensor | None:
    """Return the pairs [P, 2] of query and landmark that may be among the best, in order.

    Args:
        queries, landmarks: of one row and head, values [1, T, 1, E] and [1, C, 1, E].
        visible, mask: of the row, [1, T] and [1, C].

    Returns:
        None if there are so many that a search of all landmarks is cheaper.
    """
    limit = min(max(int(visible.amax()), 0), landmarks.values.shape[1])
    if limit == 0:
        return visible.new_empty(0, 2)
    values, scales = (x[0, :limit, 0] for x in landmarks)
    tokens, steps, slack = (x[0, :, 0] for x in queries)
    slack = slack[:, None]
    count = len(tokens)
    lower = slack.new_empty(count, -(-limit // _GROUP) * _GROUP)
    lower[:, limit:] = float("-inf")
    seen = lower[:, :limit].copy_(torch._int_mm(tokens, values.t()))
    seen.mul_(steps[:, None]).sub_(slack).mul_(scales)
    if count > 1:
        seen.masked_fill_(torch.arange(limit) >= visible[0, :, None], float("-inf"))
    if mask is not None:
        seen.masked_fill_(~mask[:, :limit], float("-inf"))
    most = min(_MOST * count * limit, cpu.TILE_VALUES / max(1, values.shape[1]))
    return _reaching(lower.view(count, -1, _GROUP), slack, scales, top_k, most)


def _reaching(
    lower: Tensor, slack: Tensor, scales: Tensor, top_k: int, most: float
) -> Tensor | None:
    """Pairs whose upper bounds reach what `top_k` landmarks of the query are sure to reach.

    None if they are more than `most`.

    Args:
        lower: lower bounds [T, groups, _GROUP], -inf for hidden landmarks.
        slack: [T, 1].
        scales: [C].
    """
    count, groups, _ = lower.shape
    scales = torch.nn.functional.pad(scales, (0, groups * _GROUP - len(scales)))
    scales = scales.view(groups, _GROUP)
    best = lower.amax(-1)  # [T, groups]
    sure = best if groups >= top_k else lower.flatten(1)
    lowest = torch.finfo(lower.dtype).min
    # Hidden landmarks reach no score.
    least = torch.full_like(slack, lowest)
    if sure.shape[1] >= top_k:
        least = sure.topk(top_k).values[:, -1:].clamp(min=lowest)
    # A group at a time, to read as little as possible twice.
    rows, near = (torch.addcmul(best, slack, scales.amax(-1), value=2) >= least).nonzero(
        as_tuple=True
    )
    upper = torch.addcmul(lower[rows, near], slack[rows], scales[near], value=2)
    found, place = (upper >= least[rows]).nonzero(as_tuple=True)
    if len(found) > most:
        return None
    return torch.stack((rows[found], near[found] * _GROUP + place), 1)


def _rescore(
    q: Tensor, landmarks: Tensor, pairs: Tensor, top_k: int, scale: float
) -> tuple[Tensor, Tensor]:
    """Return the best of the pairs by their true scores, [1, T, 1, top_k]."""
    exact = exact_dtype(q)
    q, landmarks = q[0, :, 0], landmarks[0, :, 0]
    rows, places = pairs.unbind(1)
    products = q[rows].to(exact).mul_(landmarks[places].to(exact)).sum(-1)
    # A matrix product would round to this dtype too.
    scores = products.to(q.dtype).to(exact).mul_(scale)
    counts = torch.bincount(rows, minlength=q.shape[0])
    width = max(int(counts.amax()), top_k)
    slots = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows]
    best = scores.new_full((q.shape[0], width), float("-inf"))
    chosen = places.new_full((q.shape[0], width), -1)
    best[rows, slots], chosen[rows, slots] = scores, places
    # Places ascend, so of equal scores the lowest comes first.
    best, order = best.sort(dim=-1, descending=True, stable=True)
    best, chosen = best[:, :top_k], chosen.gather(1, order[:, :top_k])
    chosen = chosen.masked_fill(best == float("-inf"), -1)
    return best[None, :, None], chosen[None, :, None]
