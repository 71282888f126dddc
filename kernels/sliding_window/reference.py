"""The oracle: one full mask, any float dtype."""

import torch
from torch import Tensor


def sliding_window_attention_reference(
    q: Tensor, k: Tensor, v: Tensor, window: int, scale: float, first_key: Tensor | None = None
) -> Tensor:
    """Compute what `sliding_window_attention` computes, with a [T, P + T] mask."""
    tokens, heads, keys = q.shape[1], q.shape[2], k.shape[1]
    repeat = heads // k.shape[2]
    k, v = k.repeat_interleave(repeat, dim=2), v.repeat_interleave(repeat, dim=2)
    query_at = torch.arange(keys - tokens, keys, device=q.device)[:, None]
    key_at = torch.arange(keys, device=q.device)[None, :]
    allowed = (key_at <= query_at) & (key_at > query_at - window)
    allowed = allowed[None, None]
    if first_key is not None:
        allowed = allowed & (key_at >= first_key[:, None, None, None])
    scores = torch.einsum("bthd,bshd->bhts", q, k) * scale
    probabilities = torch.softmax(scores.masked_fill(~allowed, float("-inf")), dim=-1)
    return torch.einsum("bhts,bshd->bthd", probabilities.nan_to_num(0.0), v)
