"""Launches the Triton kernels: plain functions on tensors, the same arguments as `cpu.py`.

Triton launches on the current device, which need not be that of the tensors.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import torch
from torch import Tensor

from ..backends import BackendUnavailable
from ..configs import (
    PIECE,
    backward_chunks_config,
    backward_queries_config,
    chunk_passes,
    forward_config,
)
from ..launching import Target, last_contiguous, padded, precision, target_of
from ..paged_decode import gpu as paged_decode
from ..pairs import pieces_of, sorted_pairs
from . import device
from .cpu import Gradients


class Given(NamedTuple):
    """What a backward gets, laid out as the kernels read it; see `chunk_attention`."""

    grad: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    indices: Tensor
    weights: Tensor
    scale: float


def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor,
    weights: Tensor,
    scale: float,
    target: Target | None = None,
) -> Tensor:
    """Return the output [B, T, H, D] in q's dtype."""
    q, k, v = q.contiguous(), last_contiguous(k), last_contiguous(v)
    batch, tokens, heads, dim = q.shape
    chunks, size, groups = k.shape[1:4]
    per_group = heads // groups
    target = target or target_of(q)
    if q.numel() == 0:
        return torch.empty_like(q)
    if tokens == 1 and min(chunks, indices.shape[3]):
        # A program per KV head would leave the GPU empty: its slots are spread over many. That form
        # holds more at once: chunks too large for it take the other.
        with suppress(BackendUnavailable):
            return paged_decode.forward_unpaged(
                q[:, 0], k, v, indices[:, 0], weights[:, 0], scale, target
            )[:, None]
    config = forward_config(target, size, dim, per_group, q.dtype)
    out = torch.empty_like(q)
    grid = (batch * tokens, groups, -(-per_group // config.rows))
    with torch.cuda.device_of(q):
        device.forward_kernel[grid](
            q, k, v, indices.contiguous(), weights.contiguous(), out,
            scale, tokens, groups, indices.shape[3],
            *k.stride()[:4], *v.stride()[:4],
            R=per_group, S=size, D=dim,
            RP=config.rows, SP=padded(size), DP=padded(dim),
            TRANSPOSED=config.transposed, PRECISION=precision(target),
            num_warps=config.num_warps, num_stages=config.num_stages,
        )  # fmt: skip
    return out


def backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor,
    weights: Tensor,
    scale: float,
    target: Target | None = None,
) -> Gradients:
    """Return gradients; the in-chunk softmax is recomputed, the forward saves nothing.

    dk and dv of chunks that many tokens chose are sums of atomic additions, unless
    `torch.use_deterministic_algorithms` is on: then one program adds them in the order of tokens.
    """
    given = Given(
        grad.contiguous(), q.contiguous(), last_contiguous(k), last_contiguous(v),
        indices.contiguous(), weights.contiguous(), scale,
    )  # fmt: skip
    target = target or target_of(q)
    dq, dw = backward_queries(given, target)
    dk, dv = backward_chunks(given, target)
    return Gradients(dq, dk, dv, dw)


def backward_queries(given: Given, target: Target) -> tuple[Tensor, Tensor]:
    """Return dq and dw."""
    grad, q, k, v, indices, weights, scale = given
    batch, tokens, heads, dim = q.shape
    groups, size = k.shape[3], k.shape[2]
    per_group = heads // groups
    config = backward_queries_config(target, size, dim, per_group, q.dtype)
    blocks = -(-per_group // config.rows)
    dq, dw = torch.empty_like(q), weights.new_zeros(blocks, *weights.shape)
    if q.numel() == 0:
        return dq, dw[0]
    with torch.cuda.device_of(q):
        device.backward_queries_kernel[(batch * tokens, groups, blocks)](
            grad, q, k, v, indices, weights, dq, dw,
            scale, tokens, groups, indices.shape[3],
            *k.stride()[:4], *v.stride()[:4],
            R=per_group, S=size, D=dim,
            RP=config.rows, SP=padded(size), DP=padded(dim),
            PRECISION=precision(target), num_warps=config.num_warps, num_stages=config.num_stages,
        )  # fmt: skip
    return dq, dw.sum(0) if blocks > 1 else dw[0]


def backward_chunks(given: Given, target: Target) -> tuple[Tensor, Tensor]:
    """Return dk and dv."""
    grad, q, k, v, indices, weights, scale = given
    batch, tokens, heads, dim = q.shape
    chunks, size, groups = k.shape[1:4]
    per_group = heads // groups
    config = backward_chunks_config(target, size, dim, q.dtype)
    ordered = torch.are_deterministic_algorithms_enabled()
    # Added up in float32 by many programs, or written once by one.
    total = k.dtype if ordered else torch.float32
    dk = torch.zeros(k.shape, dtype=total, device=k.device)
    dv = torch.zeros(v.shape, dtype=total, device=v.device)
    if q.numel() == 0:
        return dk.to(k.dtype), dv.to(v.dtype)
    pairs = sorted_pairs(indices, chunks)
    pieces = pieces_of(pairs, PIECE)
    count = chunks if ordered else pieces.chunk.shape[1]
    unit = min(per_group, config.rows)
    with torch.cuda.device_of(q):
        for want_k, want_v in chunk_passes(target, size, dim, q.dtype):
            device.backward_chunks_kernel[(count, batch * groups)](
                grad, q, k, v, weights, pairs.order, pairs.first, pieces.chunk, pieces.first,
                dk, dv, scale, tokens, groups, indices.shape[3], chunks,
                pairs.order.shape[1], pieces.chunk.shape[1],
                *k.stride()[:4], *v.stride()[:4],
                R=per_group, S=size, D=dim, SP=padded(size), DP=padded(dim),
                N=config.rows, RU=unit, PIECE=0 if ordered else PIECE,
                PRECISION=precision(target, config.exact),
                TRANSPOSED=config.transposed, WANT_K=want_k, WANT_V=want_v,
                num_warps=config.num_warps, num_stages=config.num_stages,
            )  # fmt: skip
    return dk.to(k.dtype), dv.to(v.dtype)
