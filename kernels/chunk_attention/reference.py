"""The oracle: slow, obvious, any float dtype.

Letters: B batch, T query tokens, H query heads, G KV heads, D head dim, C chunks, S chunk size,
K chosen chunks.
"""

import torch
from torch import Tensor


def chunk_attention_reference(
    q: Tensor, k: Tensor, v: Tensor, indices: Tensor, weights: Tensor, scale: float
) -> Tensor:
    """Compute `out[t, h] = sum_i w[t, i] * softmax_s(scale * q[t, h] . K[c_i, s]) V[c_i]`.

    This is the paper's section 2.2: softmax within each chunk, no positions, fusion by `weights`.
    Arguments are those of `chunk_attention`. Differentiable through autograd.
    """
    batch, tokens, heads, dim = q.shape
    groups, top_k = indices.shape[2], indices.shape[3]
    rows = torch.arange(batch, device=q.device)[:, None, None, None]
    kv_head = torch.arange(groups, device=q.device)[None, None, :, None]
    chosen = indices.clamp(min=0)
    keys = k.transpose(2, 3)[rows, chosen, kv_head]  # [B, T, G, K, S, D]
    values = v.transpose(2, 3)[rows, chosen, kv_head]  # [B, T, G, K, S, D]
    queries = q.reshape(batch, tokens, groups, heads // groups, dim)
    scores = torch.einsum("btghd,btgksd->btghks", queries, keys) * scale
    in_chunk = torch.softmax(scores, dim=-1)
    weight = (weights * (indices >= 0)).to(q.dtype).reshape(batch, tokens, groups, 1, top_k, 1)
    out = torch.einsum("btghks,btgksd->btghd", in_chunk * weight, values)
    return out.reshape(batch, tokens, heads, dim)
