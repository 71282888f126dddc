"""CPU kernels, closed-form in both directions.

One core, two ways to feed it. *Dense*: when the chosen chunks cover much of the memory, score all
of it, with weight 0 for what was not chosen. *Gather*: otherwise copy just the chosen chunks and
treat every query token as a batch of its own, a tile of tokens at a time, so that memory stays
bounded whatever the length.

Letters as in `reference.py`; N = B (dense) or B*T (gather), R = query heads per KV head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

# Dense costs C chunks per token, gather K plus the copy of K chunks; the copy costs about three
# times the product on the CPUs this was measured on.
_DENSE_ADVANTAGE = 4
_TILE_VALUES = 1 << 23
_DENSE_TILE_VALUES = 1 << 20
# Copies of this part of a tile stay in the processor's cache and in memory that is in use already.
_COPIED_PART = 16


At = tuple[slice, slice]


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
    out = torch.empty_like(q)
    if _is_dense(k, indices):
        for at, reach in _dense_tiles(q, k, indices):
            chosen = _readable(indices[at])
            fusion = _scatter_weights(weights[at], chosen, k[reach].shape[1])
            out[at] = _core_forward(q[at], k[reach], v[reach], fusion, scale)
        return out
    for tile in _tiles(q, k, indices):
        chosen = _readable(indices[:, tile])
        keys, values = _gather(k, chosen), _gather(v, chosen)
        queries, fusion = _per_token(q[:, tile]), _per_token(weights[:, tile])
        result = _core_forward(queries, keys, values, fusion, scale)
        out[:, tile] = result.reshape(out[:, tile].shape)
    return out


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, indices: Tensor, weights: Tensor, scale: float
) -> Gradients:
    """Return gradients; the in-chunk softmax is recomputed, the forward saves nothing."""
    weights = _masked(weights, indices)
    exact = weights.dtype
    dq, dw = torch.empty_like(q), torch.empty_like(weights)
    dk, dv = torch.zeros_like(k, dtype=exact), torch.zeros_like(v, dtype=exact)
    dense = _is_dense(k, indices)
    for at, reach in _dense_tiles(q, k, indices) if dense else ():
        chosen = _readable(indices[at])
        fusion = _scatter_weights(weights[at], chosen, k[reach].shape[1])
        g = _core_backward(grad[at], q[at], k[reach], v[reach], fusion, scale)
        dq[at], dw[at] = g.q, g.weights.gather(3, chosen)
        dk[reach] += g.k
        dv[reach] += g.v
    for tile in () if dense else _tiles(q, k, indices):
        chosen = _readable(indices[:, tile])
        g = _core_backward(
            _per_token(grad[:, tile]),
            _per_token(q[:, tile]),
            _gather(k, chosen),
            _gather(v, chosen),
            _per_token(weights[:, tile]),
            scale,
        )
        dq[:, tile] = g.q.reshape(dq[:, tile].shape)
        dw[:, tile] = g.weights.reshape(dw[:, tile].shape)
        _scatter_add(dk, chosen, g.k)
        _scatter_add(dv, chosen, g.v)
    dw = dw.masked_fill(indices < 0, 0)
    return Gradients(dq, dk.to(k.dtype), dv.to(v.dtype), dw)


def _core_forward(q: Tensor, k: Tensor, v: Tensor, fusion: Tensor, scale: float) -> Tensor:
    """q [N, T, H, D], k and v [N, C, S, G, D], fusion [N, T, G, C] to [N, T, H, D]."""
    mixing = _in_chunk(q, k, scale).mul_(_spread(fusion))
    return _mix(mixing, v, q)


def _core_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, fusion: Tensor, scale: float
) -> Gradients:
    """Gradients of `_core_forward`, those of its fusion as `weights`; k and v in exact dtype."""
    p = _in_chunk(q, k, scale)  # [N, G, T, R, C, S]
    dp = _dot(grad, v)
    # A chunk's delta is both the gradient of its weight and the correction of its softmax.
    delta = (p * dp).sum(-1, keepdim=True)
    weighted = p * _spread(fusion)
    d_scores = dp.sub_(delta).mul_(weighted)
    return Gradients(
        _mix(d_scores, k, q).mul_(scale),
        _transpose_mix(d_scores, q, k).mul_(scale),
        _transpose_mix(weighted, grad, v),
        delta.squeeze(-1).sum(3).transpose(1, 2),
    )


def _in_chunk(q: Tensor, k: Tensor, scale: float) -> Tensor:
    """Softmax within each chunk, [N, G, T, R, C, S]."""
    return torch.softmax(_dot(q, k).mul_(scale), dim=-1)


def _dot(q: Tensor, k: Tensor) -> Tensor:
    """Products of every query with every key in exact dtype, [N, G, T, R, C, S]."""
    _, chunks, size, groups, _ = k.shape
    rows = _rows(q, groups)
    product = torch.matmul(rows, _columns(k).transpose(-1, -2)).to(_exact(q))
    return product.reshape(q.shape[0], groups, q.shape[1], -1, chunks, size)


def _mix(p: Tensor, v: Tensor, like: Tensor) -> Tensor:
    """Sum of v weighted by p [N, G, T, R, C, S], shaped as `like` [N, T, H, D]."""
    n, groups, tokens = p.shape[:3]
    flat = p.to(v.dtype).reshape(n, groups, tokens * p.shape[3], -1)
    out = torch.matmul(flat, _columns(v))
    return out.reshape(n, groups, tokens, -1, v.shape[4]).transpose(1, 2).reshape(like.shape)


def _transpose_mix(p: Tensor, q: Tensor, like: Tensor) -> Tensor:
    """Sum over queries of p^T q, shaped as `like` [N, C, S, G, D], in exact dtype."""
    n, chunks, size, groups, dim = like.shape
    flat = p.to(q.dtype).reshape(n, groups, -1, chunks * size)
    out = torch.matmul(flat.transpose(-1, -2), _rows(q, groups)).to(_exact(q))
    return out.reshape(n, groups, chunks, size, dim).permute(0, 2, 3, 1, 4)


def _rows(q: Tensor, groups: int) -> Tensor:
    """[N, T, H, D] to [N, G, T*R, D]."""
    n, tokens, heads, dim = q.shape
    by_group = q.reshape(n, tokens, groups, heads // groups, dim).transpose(1, 2)
    return by_group.reshape(n, groups, -1, dim)


def _columns(k: Tensor) -> Tensor:
    """[N, C, S, G, D] to [N, G, C*S, D]."""
    n, chunks, size, groups, dim = k.shape
    return k.permute(0, 3, 1, 2, 4).reshape(n, groups, chunks * size, dim)


def _spread(fusion: Tensor) -> Tensor:
    """[N, T, G, C] to [N, G, T, 1, C, 1]."""
    return fusion.transpose(1, 2)[:, :, :, None, :, None]


def _gather(k: Tensor, chosen: Tensor) -> Tensor:
    """Copy chunks: k [B, C, S, G, D], chosen [B, T, G, K] to [B*T, K, S, G, D]."""
    if chosen.shape[2] == 1:
        flat = k.flatten(0, 1)
        offsets = torch.arange(k.shape[0], device=k.device)[:, None, None] * k.shape[1]
        # Whole rows: several times faster than indexing with a tensor.
        rows: Tensor = flat.index_select(0, (chosen[:, :, 0] + offsets).flatten())
        return rows.reshape(-1, chosen.shape[3], *k.shape[2:])
    rows = torch.arange(k.shape[0], device=k.device)[:, None, None, None]
    kv_head = torch.arange(k.shape[3], device=k.device)[None, None, :, None]
    picked = k.transpose(2, 3)[rows, chosen, kv_head]  # [B, T, G, K, S, D]
    return picked.permute(0, 1, 3, 4, 2, 5).flatten(0, 1)


def _scatter_add(total: Tensor, chosen: Tensor, grad: Tensor) -> None:
    """Add grad [B*T, K, S, G, D] to the chunks it was gathered from, in place."""
    rows = torch.arange(total.shape[0], device=total.device)[:, None, None, None]
    kv_head = torch.arange(total.shape[3], device=total.device)[None, None, :, None]
    by_slot = grad.unflatten(0, chosen.shape[:2]).permute(0, 1, 4, 2, 3, 5)
    total.transpose(2, 3).index_put_((rows, chosen, kv_head), by_slot, accumulate=True)


def _scatter_weights(weights: Tensor, chosen: Tensor, chunks: int) -> Tensor:
    """[B, T, G, K] to [B, T, G, C]; empty slots add 0 to some chunk."""
    return weights.new_zeros(*weights.shape[:3], chunks).scatter_add(3, chosen, weights)


def _per_token(x: Tensor) -> Tensor:
    """[B, T, ...] to [B*T, 1, ...]."""
    return x.flatten(0, 1).unsqueeze(1)


def _masked(weights: Tensor, indices: Tensor) -> Tensor:
    return weights.masked_fill(indices < 0, 0)


def _readable(indices: Tensor) -> Tensor:
    """Let empty slots read a chunk that the token reads anyway, or chunk 0 if it has none."""
    return indices.where(indices >= 0, indices.amax(-1, keepdim=True)).clamp(min=0)


def _exact(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _is_dense(k: Tensor, indices: Tensor) -> bool:
    return k.shape[1] <= _DENSE_ADVANTAGE * indices.shape[3]


def _dense_tiles(q: Tensor, k: Tensor, indices: Tensor) -> Iterator[tuple[At, At]]:
    """Cut one row's query tokens into tiles whose scores stay in the processor's cache.

    Each comes with the row's chunks up to the last one that the tile chose: with strict causality
    that leaves out half of all products.
    """
    batch, tokens, heads, _ = q.shape
    step = max(1, _DENSE_TILE_VALUES // (heads * k.shape[1] * k.shape[2]))
    for row in range(batch):
        for start in range(0, tokens, step):
            tile = slice(start, min(start + step, tokens))
            reach = int(indices[row, tile].max()) + 1
            yield (slice(row, row + 1), tile), (slice(row, row + 1), slice(0, max(reach, 1)))


def _tiles(q: Tensor, k: Tensor, indices: Tensor) -> Iterator[slice]:
    """Cut the query tokens so that a tile's copies stay within `_TILE_VALUES`."""
    batch, tokens, heads, dim = q.shape
    _, _, size, groups, _ = k.shape
    values = indices.shape[3] * size * max(2 * groups * dim, heads)
    step = max(1, _TILE_VALUES // max(batch * values * _COPIED_PART, 1))
    for start in range(0, tokens, step):
        yield slice(start, min(start + step, tokens))
