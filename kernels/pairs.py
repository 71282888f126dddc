"""The (token, slot) pairs of a selection, sorted by the chunk they chose: who reads which chunk."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

INT32_MAX = 2**31 - 1


class Pairs(NamedTuple):
    """Pairs by chunk, for each row and KV head; a pair is `token * K + slot`. Letters as in
    `gathering.py`. int32, or int64 where a row has too many pairs or chunks for it."""

    order: Tensor
    """[B*G, T*K]: the pairs of chunk 0, of chunk 1, ...; empty slots last."""
    first: Tensor
    """[B*G, C + 1]: where the pairs of a chunk begin in `order`; then where the last end."""


class Pieces(NamedTuple):
    """Lists of pairs cut into pieces of equal length: no program has a long one to itself."""

    chunk: Tensor
    """[B*G, N]: whose pairs a piece holds; C for pieces that are not needed."""
    first: Tensor
    """[B*G, C + 1]: the first piece of a chunk."""


def sorted_pairs(indices: Tensor, chunks: int) -> Pairs:
    """Sort the pairs of `indices` [B, T, G, K]; the order within a chunk is that of the tokens.

    Nothing is read back from the GPU.
    """
    batch, tokens, groups, slots = indices.shape
    narrow = max(tokens * slots, chunks) <= INT32_MAX
    dtype = torch.int32 if narrow else torch.int64
    flat = indices.permute(0, 2, 1, 3).to(dtype, copy=True, memory_format=torch.contiguous_format)
    flat = flat.view(batch * groups, tokens * slots)
    found, order = flat.masked_fill_(flat < 0, chunks).sort(dim=-1, stable=True)
    bounds = torch.arange(chunks + 1, dtype=dtype, device=indices.device)
    bounds = bounds.expand(batch * groups, -1).contiguous()
    return Pairs(order.to(dtype), torch.searchsorted(found, bounds, out_int32=narrow))


def pieces_of(pairs: Pairs, length: int) -> Pieces:
    """Cut the lists into pieces of `length` pairs; as many as there could be at most."""
    dtype = pairs.first.dtype
    chunks = pairs.first.shape[1] - 1
    counts = pairs.first.diff(dim=1)
    ends = ((counts + length - 1) // length).cumsum(dim=1, dtype=dtype)
    num_pairs = pairs.order.shape[1]
    most = num_pairs // length + min(chunks, num_pairs)
    wanted = torch.arange(most, dtype=dtype, device=counts.device).expand(len(counts), -1)
    narrow = dtype == torch.int32
    chunk = torch.searchsorted(ends, wanted.contiguous(), right=True, out_int32=narrow)
    return Pieces(chunk, torch.nn.functional.pad(ends, (1, 0)))
