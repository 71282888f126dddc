"""CPU kernels, closed-form in both directions; fed as `kernels/gathering.py` says."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..gathering import (
    Copies,
    dense_tiles,
    exact_dtype,
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
    """Gradients of `chunk_scores`, shaped like q and k."""

    q: Tensor
    k: Tensor


def forward(q: Tensor, k: Tensor, indices: Tensor, scale: float) -> Tensor:
    """Return the scores [B, T, G, K, R]."""
    out = q.new_empty(_shape(q, indices), dtype=exact_dtype(q))
    if is_dense(k, indices):
        k = k.to(q.dtype)
        for at, reach in dense_tiles(q, k, indices):
            every = _core_forward(q[at], k[reach], scale)  # [1, T, G, C, R]
            out[at] = every.gather(3, _by_head(readable(indices[at]), out))
    else:
        keys = Copies(q, k, indices)
        for tile in tiles(q, k, indices):
            chosen = keys.of(readable(indices[:, tile]))
            scores = _core_forward(per_token(q[:, tile]), chosen, scale)
            out[:, tile] = scores.reshape(out[:, tile].shape)
    return out.masked_fill_((indices < 0)[..., None], 0.0)


def backward(grad: Tensor, q: Tensor, k: Tensor, indices: Tensor, scale: float) -> Gradients:
    """Return gradients; the scores are computed again, the forward saves nothing."""
    grad = grad.masked_fill((indices < 0)[..., None], 0.0)
    dq, dk = (x.new_zeros(x.shape, dtype=exact_dtype(x)) for x in (q, k))
    dense = is_dense(k, indices)
    for at, reach in dense_tiles(q, k, indices) if dense else ():
        every = grad.new_zeros(*grad[at].shape[:3], k[reach].shape[1], grad.shape[4])
        every.scatter_add_(3, _by_head(readable(indices[at]), grad), grad[at])
        g = _core_backward(every, q[at], k[reach], scale)
        dq[at] = g.q
        dk[reach] += g.k
    for some in () if dense else readers(q, k, indices):
        g = _core_backward(some.slots(grad), some.queries(q), some.chunks(k), scale)
        some.add_queries(dq, g.q)
        some.add_chunks(dk, g.k)
    return Gradients(dq.to(q.dtype), dk.to(k.dtype))


def _core_forward(q: Tensor, k: Tensor, scale: float) -> Tensor:
    """q [N, T, H, D] and k [N, C, S, G, D] to [N, T, G, C, R]."""
    scores: Tensor = products(q, k).mul_(scale).logsumexp(-1)  # [N, G, T, R, C]
    return scores.permute(0, 2, 1, 4, 3)


def _core_backward(grad: Tensor, q: Tensor, k: Tensor, scale: float) -> Gradients:
    """Gradients of `_core_forward` from `grad` [N, T, G, C, R]; k's in exact dtype."""
    p = torch.softmax(products(q, k).mul_(scale), dim=-1)  # [N, G, T, R, C, S]
    p.mul_(grad.permute(0, 2, 1, 4, 3)[..., None])
    return Gradients(mix(p, k, q).mul_(scale), transpose_mix(p, q, k).mul_(scale))


def _shape(q: Tensor, indices: Tensor) -> tuple[int, ...]:
    return (*indices.shape, q.shape[2] // indices.shape[2])


def _by_head(chosen: Tensor, like: Tensor) -> Tensor:
    """[B, T, G, K] to [B, T, G, K, R]."""
    return chosen[..., None].expand(*chosen.shape, like.shape[4])
