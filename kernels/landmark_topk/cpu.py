"""PyTorch kernels: tiles of query tokens, so memory is never queries x landmarks."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from ..gathering import GPU_TILE_VALUES, exact_dtype

TILE_VALUES = 1 << 22
# Copies of this part of a tile stay in the processor's cache.
_COPIED_PART = 16
# Landmarks per slot beyond which copies of the chosen ones are cheaper than products with all.
_DENSE_ADVANTAGE = 24


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
    chunk_ids = torch.arange(chunks, device=q.device)
    step = max(1, TILE_VALUES // max(1, batch * heads * chunks))
    for start in range(0, tokens, step):
        tile = slice(start, min(start + step, tokens))
        dots = _products(q[:, tile], landmarks).to(exact).mul_(scale)
        hidden = chunk_ids >= visible[:, None, tile, None]
        if chunk_mask is not None:
            hidden = hidden | ~chunk_mask[:, None, None, :]
        ranked = dots if noise is None else dots + noise[:, tile].transpose(1, 2)
        best, chosen = _best(ranked.masked_fill_(hidden, float("-inf")), top_k)
        empty = best == float("-inf")
        kept = best
        if noise is not None:
            kept = dots.gather(-1, chosen).masked_fill(empty, float("-inf"))
        scores[:, tile] = kept.transpose(1, 2)
        indices[:, tile] = chosen.masked_fill(empty, -1).transpose(1, 2)
    return scores, indices


def _products(q: Tensor, landmarks: Tensor) -> Tensor:
    """Products of every query with every landmark, [B, R, T, C]."""
    if q.dtype != torch.bfloat16 or not q.is_cpu:
        return torch.matmul(q.transpose(1, 2), landmarks.permute(0, 2, 3, 1))
    # The batched product of bfloat16 takes many times longer where there is but one query.
    products = q.new_empty(q.shape[0], q.shape[2], q.shape[1], landmarks.shape[1])
    for row, head in itertools.product(range(q.shape[0]), range(q.shape[2])):
        products[row, head] = torch.nn.functional.linear(q[row, :, head], landmarks[row, :, head])
    return products


def _best(scores: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Return the best scores [..., top_k] and their places; of equal ones the lowest places."""
    best, chosen = scores.topk(min(top_k + 1, scores.shape[-1]), dim=-1)
    equal = (best[..., 1:] == best[..., :-1]) & (best[..., 1:] > float("-inf"))
    best, chosen = best[..., :top_k], chosen[..., :top_k]
    tied = equal.any(-1)
    if top_k > 0 and bool(tied.any()):
        # PyTorch's choice among equals is any, and so is their order.
        best, chosen = best.clone(), chosen.clone()
        best[tied], chosen[tied] = _lowest(scores[tied], best[tied][:, -1:], top_k)
    return best, chosen


def _lowest(scores: Tensor, least: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """As `_best`, for scores [N, C] whose last chosen ones [N, 1] are known."""
    above, equal = scores > least, scores == least
    free = top_k - above.sum(-1, keepdim=True)
    chosen = (above | (equal & (equal.cumsum(-1) <= free))).nonzero()[:, 1].view(-1, top_k)
    best, order = scores.gather(-1, chosen).sort(dim=-1, descending=True, stable=True)
    return best, chosen.gather(-1, order)


def backward(
    grad: Tensor, q: Tensor, landmarks: Tensor, indices: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Return the gradients of q and landmarks from that of the scores."""
    dense = q.is_cpu and landmarks.shape[1] <= _DENSE_ADVANTAGE * indices.shape[3]
    return (dense_backward if dense else gathered_backward)(grad, q, landmarks, indices, scale)


def dense_backward(
    grad: Tensor, q: Tensor, landmarks: Tensor, indices: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Return the gradients of q and landmarks, by products with all landmarks."""
    batch, tokens, heads, _ = q.shape
    chunks = landmarks.shape[1]
    dq = torch.empty_like(q, memory_format=torch.contiguous_format)
    d_landmarks = torch.zeros_like(landmarks, dtype=exact_dtype(q)).permute(0, 2, 1, 3)
    grad = grad.masked_fill(indices < 0, 0) * scale
    rows = landmarks.transpose(1, 2)  # [B, R, C, E]
    step = max(1, TILE_VALUES // max(1, batch * heads * chunks))
    for start in range(0, tokens, step):
        tile = slice(start, min(start + step, tokens))
        dense = grad.new_zeros(batch, grad[:, tile].shape[1], heads, chunks)
        dense.scatter_add_(3, indices[:, tile].clamp(min=0), grad[:, tile])
        by_head = dense.transpose(1, 2).to(q.dtype)  # [B, R, T, C]
        dq[:, tile] = torch.matmul(by_head, rows).transpose(1, 2)
        d_landmarks += torch.matmul(by_head.transpose(-1, -2), q[:, tile].transpose(1, 2))
    return dq, d_landmarks.transpose(1, 2).to(landmarks.dtype).contiguous()


def gathered_backward(
    grad: Tensor, q: Tensor, landmarks: Tensor, indices: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Return the gradients of q and landmarks, by copies of the chosen landmarks.

    On a GPU the order of the sums, and with it their rounding, is only fixed while
    `torch.use_deterministic_algorithms` is on.
    """
    batch, tokens, heads, dim = q.shape
    chunks = landmarks.shape[1]
    exact = exact_dtype(q)
    dq = torch.zeros_like(q, memory_format=torch.contiguous_format)
    rows = landmarks.reshape(-1, dim)  # [B*C*R, E]
    d_rows = torch.zeros_like(rows, dtype=exact)
    grad = grad.to(exact).masked_fill(indices < 0, 0) * scale
    row = torch.arange(batch, device=q.device)[:, None, None, None] * chunks
    head = torch.arange(heads, device=q.device)[:, None]
    places = (row + indices.clamp(min=0)) * heads + head  # [B, T, R, K]
    # A GPU wants few and large steps.
    most = TILE_VALUES // _COPIED_PART if q.is_cpu else GPU_TILE_VALUES
    step = max(1, most // max(1, batch * heads * indices.shape[3] * dim))
    for start in range(0, tokens if places.numel() else 0, step):
        tile = slice(start, min(start + step, tokens))
        at, g = places[:, tile].flatten(), grad[:, tile]
        chosen = rows.index_select(0, at).view(*g.shape, dim).to(exact)
        dq[:, tile] = torch.matmul(g.unsqueeze(-2), chosen).squeeze(-2)
        d_rows.index_add_(0, at, (g.unsqueeze(-1) * q[:, tile].unsqueeze(-2)).flatten(0, -2))
    return dq, d_rows.to(landmarks.dtype).view(landmarks.shape)
