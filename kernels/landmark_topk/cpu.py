"""CPU kernel: scores in tiles of query tokens, so memory is never queries x landmarks."""

from __future__ import annotations

import torch
from torch import Tensor

from ..gathering import exact_dtype

_TILE_VALUES = 1 << 22


def forward(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    scale: float,
    chunk_mask: Tensor | None,
    noise: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return scores [B, T, R, K] (float32 or float64) and indices (int64, -1 for empty)."""
    batch, tokens, heads, _ = q.shape
    chunks = landmarks.shape[1]
    exact = exact_dtype(q)
    scores = torch.empty(batch, tokens, heads, top_k, dtype=exact, device=q.device)
    indices = torch.empty(batch, tokens, heads, top_k, dtype=torch.int64, device=q.device)
    columns = landmarks.permute(0, 2, 3, 1)  # [B, R, E, C]
    chunk_ids = torch.arange(chunks, device=q.device)
    step = max(1, _TILE_VALUES // max(1, batch * heads * chunks))
    for start in range(0, tokens, step):
        tile = slice(start, min(start + step, tokens))
        dots = torch.matmul(q[:, tile].transpose(1, 2), columns).to(exact).mul_(scale)
        hidden = chunk_ids >= visible[:, None, tile, None]
        if chunk_mask is not None:
            hidden = hidden | ~chunk_mask[:, None, None, :]
        ranked = dots if noise is None else dots + noise[:, tile].transpose(1, 2)
        best, chosen = ranked.masked_fill_(hidden, float("-inf")).topk(top_k, dim=-1)
        empty = best == float("-inf")
        kept = best
        if noise is not None:
            kept = dots.gather(-1, chosen).masked_fill(empty, float("-inf"))
        scores[:, tile] = kept.transpose(1, 2)
        indices[:, tile] = chosen.masked_fill(empty, -1).transpose(1, 2)
    return scores, indices


def backward(
    grad: Tensor, q: Tensor, landmarks: Tensor, indices: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Return the gradients of q and landmarks from that of the scores."""
    batch, tokens, heads, _ = q.shape
    chunks = landmarks.shape[1]
    dq = torch.empty_like(q)
    d_landmarks = torch.zeros_like(landmarks, dtype=exact_dtype(q)).permute(0, 2, 1, 3)
    grad = grad.masked_fill(indices < 0, 0) * scale
    rows = landmarks.transpose(1, 2)  # [B, R, C, E]
    step = max(1, _TILE_VALUES // max(1, batch * heads * chunks))
    for start in range(0, tokens, step):
        tile = slice(start, min(start + step, tokens))
        dense = grad.new_zeros(batch, grad[:, tile].shape[1], heads, chunks)
        dense.scatter_add_(3, indices[:, tile].clamp(min=0), grad[:, tile])
        by_head = dense.transpose(1, 2).to(q.dtype)  # [B, R, T, C]
        dq[:, tile] = torch.matmul(by_head, rows).transpose(1, 2)
        d_landmarks += torch.matmul(by_head.transpose(-1, -2), q[:, tile].transpose(1, 2))
    return dq, d_landmarks.transpose(1, 2).to(landmarks.dtype).contiguous()
