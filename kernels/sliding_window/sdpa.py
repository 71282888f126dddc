"""Sliding-window attention by PyTorch's own attention, for GPUs: scores are never written out.

Queries are cut into blocks, each against one contiguous run of keys. The query heads of a KV head
are the rows of one product, so keys are not copied per head. Blocks far from the first key share
one mask; no [T, T] mask exists, and the cost is linear in length.

Letters: B batch, T query tokens, P earlier tokens whose keys are given, H heads, G KV heads,
R = H / G, D head dim, N blocks, Q block length, J keys of a block's run.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

_BLOCKS = (32, 256)
# A mask whose rows are no multiple of this is copied by PyTorch at every call.
_ALIGNED = 16
# CUDA's limit for an axis of a grid: PyTorch puts the blocks on one.
_MOST_BLOCKS = 65535
_MOST_MASK = 1 << 28
# What takes both a mask and blocks of keys that overlap; the second where sizes are odd.
_MASKED = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: int,
    scale: float,
    first_key: Tensor | None,
    block: int | None = None,
) -> Tensor:
    """Return [B, T, H, D]; `block` query tokens share a run of keys, default by the window."""
    tokens = q.shape[1]
    size = block or max(_BLOCKS[0], min(_aligned(window), _BLOCKS[1]))
    if tokens <= size:
        return _one_block(q, k, v, window, scale, first_key)
    return _blocks(q, k, v, window, scale, first_key, size)


def _one_block(
    q: Tensor, k: Tensor, v: Tensor, window: int, scale: float, first_key: Tensor | None
) -> Tensor:
    tokens = q.shape[1]
    unseen = max(k.shape[1] - (window - 1 + tokens), 0)
    k, v = k[:, unseen:], v[:, unseen:]
    bias = None
    if tokens > 1 or first_key is not None:
        exists = None
        if first_key is not None:
            key_at = torch.arange(unseen, unseen + k.shape[1], device=q.device)
            exists = (key_at >= first_key[:, None])[:, None]  # [B, 1, J]
        bias = _bias(q, tokens, k.shape[1], window, exists)
    return _attend(q[:, None], k[:, None], v[:, None], bias, scale)[:, 0]


def _blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: int,
    scale: float,
    first_key: Tensor | None,
    size: int,
) -> Tensor:
    batch, tokens, heads, _ = q.shape
    num_blocks = -(-tokens // size)
    run = _aligned(size + window - 1)
    missing = num_blocks * size - tokens
    lead = run - size - (k.shape[1] - tokens)  # keys to add (or drop, if negative) in front
    q = F.pad(q, (0, 0, 0, 0, 0, missing)).unflatten(1, (num_blocks, size))
    k, v = (
        F.pad(x, (0, 0, 0, 0, lead, missing)).unfold(1, run, size).permute(0, 1, 4, 2, 3)
        for x in (k, v)
    )  # [B, N, J, G, D]
    shared = _bias(q, size, run, window)
    # Blocks with a mask of their own: those that reach a key that was added, or may be padding.
    special = num_blocks if first_key is not None else min(num_blocks, max(0, -(-lead // size)))
    masks = batch * (heads // k.shape[3]) * size * run
    at_once = max(1, min(_MOST_BLOCKS // batch, _MOST_MASK // masks))
    out = []
    for start, stop in _parts(special, num_blocks, at_once, max(1, _MOST_BLOCKS // batch)):
        bias = shared
        if start < special:
            block_at = torch.arange(start, stop, device=q.device)[:, None] * size
            key_at = block_at + torch.arange(run, device=q.device) - lead  # [N, J]
            exists = (key_at >= 0)[None]
            if first_key is not None:
                exists = key_at >= first_key[:, None, None].clamp(min=0)
            bias = _bias(q, size, run, window, exists)
        at = slice(start, stop)
        out.append(_attend(q[:, at], k[:, at], v[:, at], bias, scale))
    return torch.cat(out, dim=1).flatten(1, 2)[:, :tokens]


def _parts(special: int, total: int, special_step: int, step: int) -> list[tuple[int, int]]:
    """Cut the blocks [0, special) and [special, total) into parts of so many blocks at most."""
    firsts = range(0, special, special_step)
    others = range(special, total, step)
    return [(n, min(n + special_step, special)) for n in firsts] + [
        (n, min(n + step, total)) for n in others
    ]


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """q [B, N, Q, H, D], k and v [B, N, J, G, D], bias [B or 1, N or 1, Q, J] to q's shape."""
    batch, blocks, size, heads, dim = q.shape
    groups = k.shape[3]
    rows = q.unflatten(3, (groups, -1)).permute(0, 1, 3, 4, 2, 5)  # [B, N, G, R, Q, D]
    k, v = (x.transpose(2, 3).flatten(0, 1) for x in (k, v))
    if bias is not None:
        # One mask of all blocks stays one.
        count = (1, 1) if bias.shape[:2] == (1, 1) else (batch, blocks)
        bias = bias[:, :, None].expand(*count, heads // groups, -1, -1)
        bias = bias.reshape(-1, 1, heads // groups * size, bias.shape[-1])
    flat = rows.reshape(-1, groups, heads // groups * size, dim)
    if bias is not None and q.is_cuda:
        with sdpa_kernel(_MASKED):
            out = F.scaled_dot_product_attention(flat, k, v, attn_mask=bias, scale=scale)
    else:
        out = F.scaled_dot_product_attention(flat, k, v, attn_mask=bias, scale=scale)
    return out.view(rows.shape).permute(0, 1, 4, 2, 3, 5).reshape(q.shape)


def _bias(like: Tensor, size: int, run: int, window: int, exists: Tensor | None = None) -> Tensor:
    """Additive mask [B or 1, N or 1, Q, J] of queries that are the last of a run of keys.

    Args:
        exists: bool [B or 1, N or 1, J], False for keys that nobody sees. Default: all are there.
    """
    query = torch.arange(run - size, run, device=like.device)[:, None]
    key = torch.arange(run, device=like.device)
    allowed = ((key <= query) & (key > query - window))[None, None]
    if exists is not None:
        # A query that is padding sees itself: of a row that sees nothing, kernels that compute
        # their probabilities twice make NaN.
        allowed = allowed & (exists[:, :, None] | (key == query))
    bias = torch.zeros(allowed.shape, dtype=like.dtype, device=like.device)
    # Not infinite: of a tile of keys a row may see none, and a difference of infinities is NaN.
    return bias.masked_fill_(~allowed, torch.finfo(like.dtype).min / 2)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
