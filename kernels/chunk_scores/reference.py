"""The oracle: slow, obvious, any float dtype. Letters as in `chunk_attention/reference.py`."""

import torch
from torch import Tensor


def chunk_scores_reference(q: Tensor, k: Tensor, indices: Tensor, scale: float) -> Tensor:
    """Compute `out[t, g, i, r] = logsumexp_s(scale * q[t, g * R + r] . K[c_i, s, g])`.

    Arguments are those of `chunk_scores`. Differentiable through autograd.
    """
    batch, tokens, heads, dim = q.shape
    groups = indices.shape[2]
    rows = torch.arange(batch, device=q.device)[:, None, None, None]
    kv_head = torch.arange(groups, device=q.device)[None, None, :, None]
    keys = k.transpose(2, 3)[rows, indices.clamp(min=0), kv_head]  # [B, T, G, K, S, D]
    queries = q.reshape(batch, tokens, groups, heads // groups, dim)
    scores = torch.einsum("btgrd,btgksd->btgkrs", queries, keys) * scale
    return scores.logsumexp(-1).masked_fill((indices < 0)[..., None], 0.0)
