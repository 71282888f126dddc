"""CPU kernels, closed-form in both directions.

One core, three ways to feed it (`kernels/gathering.py`, which also says what N is). Other letters
as in `reference.py`; R = query heads per KV head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..gathering import (
    Copies,
    dense_tiles,
    is_dense,
    mix,
    per_token,
    products,
    readable,
    readers,
    tiles,
    transpose_mix,
)


class Gradients(NamedTuple):
    """Gradients of `chunk_attention`, shaped like q, k, v and weights."""

    q: Tensor
    k: Tensor
    v: Tensor
    weights: Tensor


def forward(
    q: Tensor, k: Tensor, v: Tensor, indices: Tensor, weights: Tensor, scale: float
) -> Tensor:
    """Return the output [B, T, H, D] in q's dtype."""
    weights = _masked(weights, indices)
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    if is_dense(k, indices):
        k, v = k.to(q.dtype), v.to(q.dtype)
        for at, reach in dense_tiles(q, k, indices):
            chosen = readable(indices[at])
            fusion = _scatter_weights(weights[at], chosen, k[reach].shape[1])
            out[at] = _core_forward(q[at], k[reach], v[reach], fusion, scale)
        return out
    keys, values = Copies(q, k, indices), Copies(q, v, indices)
    for tile in tiles(q, k, indices):
        chosen = readable(indices[:, tile])
        queries, fusion = per_token(q[:, tile]), per_token(weights[:, tile])
        result = _core_forward(queries, keys.of(chosen), values.of(chosen), fusion, scale)
        out[:, tile] = result.reshape(out[:, tile].shape)
    return out


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, indices: Tensor, weights: Tensor, scale: float
) -> Gradients:
    """Return gradients; the in-chunk softmax is recomputed, the forward saves nothing."""
    weights = _masked(weights, indices)
    dq, dk, dv, dw = (x.new_zeros(x.shape, dtype=weights.dtype) for x in (q, k, v, weights))
    dense = is_dense(k, indices)
    for at, reach in dense_tiles(q, k, indices) if dense else ():
        chosen = readable(indices[at])
        fusion = _scatter_weights(weights[at], chosen, k[reach].shape[1])
        g = _core_backward(grad[at], q[at], k[reach], v[reach], fusion, scale)
        dq[at], dw[at] = g.q, g.weights.gather(3, chosen)
        dk[reach] += g.k
        dv[reach] += g.v
    for some in () if dense else readers(q, k, indices):
        g = _core_backward(
            some.queries(grad),
            some.queries(q),
            some.chunks(k),
            some.chunks(v),
            some.slots(weights),
            scale,
        )
        some.add_queries(dq, g.q)
        some.add_chunks(dk, g.k)
        some.add_chunks(dv, g.v)
        some.put_slots(dw, g.weights)
    dw = dw.masked_fill(indices < 0, 0)
    return Gradients(dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype), dw)


def _core_forward(q: Tensor, k: Tensor, v: Tensor, fusion: Tensor, scale: float) -> Tensor:
    """q [N, T, H, D], k and v [N, C, S, G, D], fusion [N, T, G, C] to [N, T, H, D]."""
    mixing = _in_chunk(q, k, scale).mul_(_spread(fusion))
    return mix(mixing, v, q)


def _core_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, fusion: Tensor, scale: float
) -> Gradients:
    """Gradients of `_core_forward`, those of its fusion as `weights`; k and v in exact dtype."""
    p = _in_chunk(q, k, scale)  # [N, G, T, R, C, S]
    dp = products(grad, v)
    # A chunk's delta is both the gradient of its weight and the correction of its softmax.
    delta = (p * dp).sum(-1, keepdim=True)
    weighted = p * _spread(fusion)
    d_scores = dp.sub_(delta).mul_(weighted)
    return Gradients(
        mix(d_scores, k, q).mul_(scale),
        transpose_mix(d_scores, q, k).mul_(scale),
        transpose_mix(weighted, grad, v),
        delta.squeeze(-1).sum(3).transpose(1, 2),
    )


def _in_chunk(q: Tensor, k: Tensor, scale: float) -> Tensor:
    """Softmax within each chunk, [N, G, T, R, C, S]."""
    return torch.softmax(products(q, k).mul_(scale), dim=-1)


def _spread(fusion: Tensor) -> Tensor:
    """[N, T, G, C] to [N, G, T, 1, C, 1]."""
    return fusion.transpose(1, 2)[:, :, :, None, :, None]


def _scatter_weights(weights: Tensor, chosen: Tensor, chunks: int) -> Tensor:
    """[B, T, G, K] to [B, T, G, C]; empty slots add 0 to some chunk."""
    return weights.new_zeros(*weights.shape[:3], chunks).scatter_add(3, chosen, weights)


def _masked(weights: Tensor, indices: Tensor) -> Tensor:
    return weights.masked_fill(indices < 0, 0)
