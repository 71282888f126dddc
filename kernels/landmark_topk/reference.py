"""The oracle: all scores at once, any float dtype."""

import torch
from torch import Tensor


def landmark_topk_reference(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    scale: float,
    chunk_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return scores and indices [B, T, R, K] as `landmark_topk` does; differentiable scores."""
    chunks = landmarks.shape[1]
    scores = torch.einsum("btre,bcre->btrc", q, landmarks) * scale
    allowed = torch.arange(chunks, device=q.device) < visible[:, :, None, None]
    if chunk_mask is not None:
        allowed = allowed & chunk_mask[:, None, None, :]
    scores = scores.masked_fill(~allowed, float("-inf"))
    best, indices = scores.sort(dim=-1, descending=True, stable=True)
    best, indices = best[..., :top_k], indices[..., :top_k]
    return best, indices.masked_fill(best == float("-inf"), -1)
