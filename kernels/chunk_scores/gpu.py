"""Launches the Triton kernels: plain functions on tensors, the same arguments as `cpu.py`.

Triton launches on the current device, which need not be that of the tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..configs import PIECE, backward_chunks_config, backward_queries_config
from ..launching import Target, last_contiguous, padded, precision, target_of
from ..pairs import pieces_of, sorted_pairs
from . import device
from .cpu import Gradients


def forward(
    q: Tensor, k: Tensor, indices: Tensor, scale: float, target: Target | None = None
) -> Tensor:
    """Return the scores [B, T, G, K, R] in float32."""
    if q.shape[1] == 1 < indices.shape[3]:
        # A program per KV head would leave the GPU empty: each slot becomes a token.
        q, indices = q.expand(-1, indices.shape[3], -1, -1), indices.transpose(1, 3)
        return forward(q, k, indices, scale, target).transpose(1, 3).contiguous()
    q, k, indices = q.contiguous(), last_contiguous(k), indices.contiguous()
    batch, tokens, heads, dim = q.shape
    groups, size = k.shape[3], k.shape[2]
    rows = heads // groups
    target = target or target_of(q)
    config = backward_queries_config(target, size, dim, rows, q.dtype, tiles=1)
    out = torch.zeros(*indices.shape, rows, dtype=torch.float32, device=q.device)
    if out.numel() == 0:
        return out
    with torch.cuda.device_of(q):
        device.forward_kernel[(batch * tokens, groups, -(-rows // config.rows))](
            q, k, indices, out, scale, tokens, groups, indices.shape[3], *k.stride()[:4],
            R=rows, S=size, D=dim,
            RP=config.rows, SP=padded(size), DP=padded(dim),
            PRECISION=precision(target), num_warps=config.num_warps, num_stages=config.num_stages,
        )  # fmt: skip
    return out


def backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    indices: Tensor,
    scale: float,
    target: Target | None = None,
) -> Gradients:
    """Return gradients; those of k are added up as in chunk attention."""
    grad, q, indices = grad.contiguous(), q.contiguous(), indices.contiguous()
    k = last_contiguous(k)
    batch, tokens, heads, dim = q.shape
    chunks, size, groups = k.shape[1:4]
    rows = heads // groups
    target = target or target_of(q)
    ordered = torch.are_deterministic_algorithms_enabled()
    dq = torch.empty_like(q)
    # Added up in float32 by many programs, or written once by one.
    dk = torch.zeros(k.shape, dtype=k.dtype if ordered else torch.float32, device=k.device)
    if q.numel() == 0:
        return Gradients(dq, dk.to(k.dtype))
    config = backward_queries_config(target, size, dim, rows, q.dtype, tiles=1)
    with torch.cuda.device_of(q):
        device.backward_queries_kernel[(batch * tokens, groups, -(-rows // config.rows))](
            grad, q, k, indices, dq, scale, tokens, groups, indices.shape[3], *k.stride()[:4],
            R=rows, S=size, D=dim,
            RP=config.rows, SP=padded(size), DP=padded(dim),
            PRECISION=precision(target), num_warps=config.num_warps, num_stages=config.num_stages,
        )  # fmt: skip
    pairs = sorted_pairs(indices, chunks)
    pieces = pieces_of(pairs, PIECE)
    count = chunks if ordered else pieces.chunk.shape[1]
    config = backward_chunks_config(target, size, dim, q.dtype)
    with torch.cuda.device_of(q):
        device.backward_chunks_kernel[(count, batch * groups)](
            grad, q, k, pairs.order, pairs.first, pieces.chunk, pieces.first, dk,
            scale, tokens, groups, indices.shape[3], chunks,
            pairs.order.shape[1], pieces.chunk.shape[1], *k.stride()[:4],
            R=rows, S=size, D=dim, SP=padded(size), DP=padded(dim),
            N=config.rows, RU=min(rows, config.rows), PIECE=0 if ordered else PIECE,
            PRECISION=precision(target, config.exact), TRANSPOSED=config.transposed,
            num_warps=config.num_warps, num_stages=config.num_stages,
        )  # fmt: skip
    return Gradients(dq, dk.to(k.dtype))
