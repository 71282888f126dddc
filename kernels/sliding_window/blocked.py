"""Blocked sliding-window attention in plain PyTorch, for every device and for autograd.

Queries are cut into blocks; each block sees one contiguous run of keys. The cost is linear in
length and no [T, T] mask exists. On CPUs with bf16 matrix units this form is faster than SDPA.

Letters: B batch, T query tokens, P earlier tokens whose keys are given, H heads, G KV heads,
R = H / G, D head dim, N blocks, Q block length, J = Q + window - 1 keys per block.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_BLOCKS = (32, 128)


def forward(
    q: Tensor, k: Tensor, v: Tensor, window: int, scale: float, first_key: Tensor | None
) -> Tensor:
    """Return [B, T, H, D]."""
    batch, tokens, heads, dim = q.shape
    groups = k.shape[2]
    block = min(tokens, max(_BLOCKS[0], min(window, _BLOCKS[1])))
    num_blocks = -(-tokens // block)
    missing = num_blocks * block - tokens
    lead = window - 1 - (k.shape[1] - tokens)  # keys to add (or drop, if negative) in front
    q = F.pad(q, (0, 0, 0, 0, 0, missing))
    k = F.pad(k, (0, 0, 0, 0, lead, missing)).unfold(1, block + window - 1, block)
    v = F.pad(v, (0, 0, 0, 0, lead, missing)).unfold(1, block + window - 1, block)
    # k, v: [B, N, G, D, J]
    rows = q.view(batch, num_blocks, block, groups, heads // groups, dim)
    rows = rows.permute(0, 1, 3, 4, 2, 5).reshape(batch, num_blocks, groups, -1, dim)
    scores = torch.matmul(rows * scale, k)  # [B, N, G, R*Q, J]
    bias = _bias(q, num_blocks, block, window, lead, first_key)
    scores = scores.view(batch, num_blocks, groups, -1, block, scores.shape[-1]) + bias
    mixing = torch.softmax(scores, dim=-1).view(*rows.shape[:-1], -1)
    out = torch.matmul(mixing, v.transpose(-1, -2))  # [B, N, G, R*Q, D]
    out = out.view(batch, num_blocks, groups, -1, block, dim).permute(0, 1, 4, 2, 3, 5)
    return out.reshape(batch, num_blocks * block, heads, dim)[:, :tokens]


def _bias(
    like: Tensor, num_blocks: int, block: int, window: int, lead: int, first_key: Tensor | None
) -> Tensor:
    """Additive mask [B or 1, N or 1, 1, 1, Q, J]: 0 inside the window, very negative outside."""
    device = like.device
    offset = torch.arange(block + window - 1, device=device)
    query = torch.arange(block, device=device)[:, None]
    allowed = (offset >= query) & (offset < query + window)  # [Q, J]
    if first_key is None and lead <= 0:
        # No key had to be added: all blocks look alike.
        mask = allowed[None, None]
    else:
        key_at = torch.arange(num_blocks, device=device)[:, None] * block + offset - lead  # [N, J]
        exists = (key_at >= 0)[None] if first_key is None else key_at >= first_key[:, None, None]
        mask = allowed[None, None] & exists[:, :, None]  # [B, N, Q, J]
    # A query before the first key sees nothing; a finite minimum keeps its row free of NaN.
    minimum = torch.finfo(like.dtype).min / 2
    bias = torch.zeros(mask.shape, dtype=like.dtype, device=device).masked_fill_(~mask, minimum)
    return bias[:, :, None, None]
