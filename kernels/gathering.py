"""How CPU kernels reach the chosen chunks: all of them, those of a token, or one after the other.

*Dense*: when the chosen chunks cover much of the memory, score all of it and keep what was chosen.
*Gather*: otherwise copy just the chosen chunks and treat every query token as a batch of its own.
*By chunk*, for gradients: take a chunk once, and copy the tokens that chose it. What they add to
its gradient is then one product, where the gather would add each token's part to memory.
Tiles keep memory bounded whatever the length; going by chunk also takes some integers per
token and chosen chunk.

Letters: B batch, T query tokens, H query heads, G KV heads, R query heads per KV head, D head dim,
C chunks, S chunk size, K chosen chunks; N = B (dense), B*T (gather) or chunks (by chunk, where the
tokens of each are L).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .pairs import pieces_of, sorted_pairs

# Dense costs C chunks per token, gather K plus the copy of K chunks; the copy costs about three
# times the product on the CPUs this was measured on.
DENSE_ADVANTAGE = 4
TILE_VALUES = 1 << 23
DENSE_TILE_VALUES = 1 << 20
# Copies of this part of a tile stay in the processor's cache and in memory that is in use already.
COPIED_PART = 16
# A GPU wants few and large tiles.
GPU_TILE_VALUES = 1 << 28

# Tokens that read a chunk, taken at a time; more waste on chunks that few read.
READERS = 32

At = tuple[slice, slice]


def products(q: Tensor, k: Tensor) -> Tensor:
    """Products of every query with every key in exact dtype, [N, G, T, R, C, S]."""
    _, chunks, size, groups, _ = k.shape
    rows = rows_of(q, groups)
    product = torch.matmul(rows, columns_of(k).transpose(-1, -2)).to(exact_dtype(q))
    return product.reshape(q.shape[0], groups, q.shape[1], -1, chunks, size)


def mix(p: Tensor, v: Tensor, like: Tensor) -> Tensor:
    """Sum of v weighted by p [N, G, T, R, C, S], shaped as `like` [N, T, H, D]."""
    n, groups, tokens = p.shape[:3]
    flat = p.to(v.dtype).reshape(n, groups, tokens * p.shape[3], -1)
    out = torch.matmul(flat, columns_of(v))
    return out.reshape(n, groups, tokens, -1, v.shape[4]).transpose(1, 2).reshape(like.shape)


def transpose_mix(p: Tensor, q: Tensor, like: Tensor) -> Tensor:
    """Sum over queries of p^T q, shaped as `like` [N, C, S, G, D], in exact dtype."""
    n, chunks, size, groups, dim = like.shape
    flat = p.to(q.dtype).reshape(n, groups, -1, chunks * size)
    out = torch.matmul(flat.transpose(-1, -2), rows_of(q, groups)).to(exact_dtype(q))
    return out.reshape(n, groups, chunks, size, dim).permute(0, 2, 3, 1, 4)


def rows_of(q: Tensor, groups: int) -> Tensor:
    """[N, T, H, D] to [N, G, T*R, D]."""
    n, tokens, heads, dim = q.shape
    by_group = q.reshape(n, tokens, groups, heads // groups, dim).transpose(1, 2)
    return by_group.reshape(n, groups, -1, dim)


def columns_of(k: Tensor) -> Tensor:
    """[N, C, S, G, D] to [N, G, C*S, D]."""
    n, chunks, size, groups, dim = k.shape
    return k.permute(0, 3, 1, 2, 4).reshape(n, groups, chunks * size, dim)


class Copies:
    """Copies of the chosen chunks of `k` [B, C, S, G, D] in the dtype of `q`, for one tile of
    tokens after the other in the same memory: to touch new memory costs more than the copy."""

    def __init__(self, q: Tensor, k: Tensor, indices: Tensor) -> None:
        tokens = min(_tile_tokens(q, k, indices), q.shape[1])
        self._k = k
        shape = (k.shape[0] * tokens * indices.shape[3], *k.shape[2:])
        self._rows = k.new_empty(shape) if k.shape[3] == 1 else None
        self._converted = None if k.dtype == q.dtype else q.new_empty(shape)

    def of(self, chosen: Tensor) -> Tensor:
        """Copy `chosen` [B, T, G, K] to [B*T, K, S, G, D], valid until the next call."""
        copied = gather_chunks(self._k, chosen, self._rows)
        if self._converted is None:
            return copied
        return self._converted[: copied.shape[0] * copied.shape[1]].view(copied.shape).copy_(copied)


def gather_chunks(k: Tensor, chosen: Tensor, buffer: Tensor | None = None) -> Tensor:
    """Copy chunks: k [B, C, S, G, D], chosen [B, T, G, K] to [B*T, K, S, G, D].

    Args:
        buffer: [at least B*T*K, S, G, D], memory to copy to where that is possible. Default: new.
    """
    if chosen.shape[2] == 1:
        offsets = torch.arange(k.shape[0], device=k.device)[:, None, None] * k.shape[1]
        rows = (chosen[:, :, 0] + offsets).flatten()
        # Whole rows: several times faster than indexing with a tensor.
        out = None if buffer is None else buffer[: len(rows)]
        copied = torch.index_select(k.flatten(0, 1), 0, rows, out=out)
        return copied.reshape(-1, chosen.shape[3], *k.shape[2:])
    rows = torch.arange(k.shape[0], device=k.device)[:, None, None, None]
    kv_head = torch.arange(k.shape[3], device=k.device)[None, None, :, None]
    picked = k.transpose(2, 3)[rows, chosen, kv_head]  # [B, T, G, K, S, D]
    return picked.permute(0, 1, 3, 4, 2, 5).flatten(0, 1)


class Readers(NamedTuple):
    """Chunks of one row and KV head, each with up to L = `READERS` (token, slot) that chose it."""

    row: int
    heads: slice
    """Query heads of the KV head."""
    group: int
    chunk: Tensor
    """[N]; a chunk with many readers comes several times."""
    token: Tensor
    """[N, L]"""
    slot: Tensor
    """[N, L]"""
    is_reader: Tensor
    """[N, L]; where False, token and slot are those of the chunk's last reader."""

    def queries(self, x: Tensor) -> Tensor:
        """Take [B, T, H, D] to [N, L, R, D]."""
        return x[self.row, self.token, self.heads]

    def chunks(self, x: Tensor) -> Tensor:
        """Take [B, C, S, G, D] to [N, 1, S, 1, D]."""
        return x[self.row, self.chunk, :, self.group][:, None, :, None]

    def slots(self, x: Tensor) -> Tensor:
        """Take [B, T, G, K, ...] to [N, L, 1, 1, ...]; 0 for what is no reader."""
        taken = x[self.row, self.token, self.group, self.slot]
        mask = self.is_reader.reshape(*self.is_reader.shape, *(1,) * (taken.dim() - 2))
        return (taken * mask)[:, :, None, None]

    def add_queries(self, total: Tensor, part: Tensor) -> None:
        """Add what `queries` would take, in place; those of no readers must be 0."""
        of_row = total[self.row, :, self.heads]
        of_row.index_add_(0, self.token.flatten(), part.flatten(0, 1).to(total.dtype))

    def add_chunks(self, total: Tensor, part: Tensor) -> None:
        """Add what `chunks` would take, in place."""
        total[self.row, :, :, self.group].index_add_(0, self.chunk, part[:, 0, :, 0])

    def put_slots(self, total: Tensor, part: Tensor) -> None:
        """Write what `slots` would take, in place, where it was 0."""
        at = torch.tensor(self.row), self.token, torch.tensor(self.group), self.slot
        total.index_put_(at, part[:, :, 0, 0] * self.is_reader, accumulate=True)


def readers(q: Tensor, k: Tensor, indices: Tensor) -> Iterator[Readers]:
    """Yield who reads which chunk, some chunks at a time; each filled slot once."""
    per_group, chunks, slots = q.shape[2] // k.shape[3], k.shape[1], indices.shape[3]
    pairs = sorted_pairs(indices, chunks)
    pieces = pieces_of(pairs, READERS)
    most = DENSE_TILE_VALUES if q.is_cpu else GPU_TILE_VALUES
    step = max(1, most // (READERS * per_group * k.shape[2]))
    lane = torch.arange(READERS, device=q.device)
    for number in range(len(pairs.order)):
        row, group = divmod(number, k.shape[3])
        heads = slice(group * per_group, (group + 1) * per_group)
        chunk = pieces.chunk[number].long()
        within = torch.arange(len(chunk), device=q.device) - pieces.first[number][chunk]
        if q.is_cpu:
            # A GPU would have to be waited for: there, pieces that are not needed have no readers.
            needed = chunk < chunks
            chunk, within = chunk[needed], within[needed]
        first, last = (F.pad(pairs.first[number], (0, 1), value=0)[chunk + n] for n in (0, 1))
        at = (first + within * READERS)[:, None] + lane
        is_reader = at < last[:, None]
        # What is no reader must not bring in what other chunks' readers hold: 0 * inf is NaN.
        at = at.minimum(last[:, None] - 1).clamp(min=0)
        pair = pairs.order[number][at.long()].long()
        found = chunk.clamp(max=chunks - 1), pair // slots, pair % slots, is_reader
        for some in zip(*(x.split(step) for x in found), strict=True):
            if len(some[0]):
                yield Readers(row, heads, group, *some)


def per_token(x: Tensor) -> Tensor:
    """[B, T, ...] to [B*T, 1, ...]."""
    return x.flatten(0, 1).unsqueeze(1)


def readable(indices: Tensor) -> Tensor:
    """Let empty slots read a chunk that the token reads anyway, or chunk 0 if it has none."""
    return indices.where(indices >= 0, indices.amax(-1, keepdim=True)).clamp(min=0)


def exact_dtype(x: Tensor) -> torch.dtype:
    """The dtype in which scores are computed: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def fits(q: Tensor, k: Tensor) -> bool:
    """Whether keys may have this dtype beside the queries."""
    return k.dtype in (q.dtype, torch.bfloat16)


def is_dense(k: Tensor, indices: Tensor) -> bool:
    return k.shape[1] <= DENSE_ADVANTAGE * indices.shape[3]


def dense_tiles(q: Tensor, k: Tensor, indices: Tensor) -> Iterator[tuple[At, At]]:
    """Cut one row's query tokens into tiles whose scores stay in the processor's cache.

    Each comes with the row's chunks up to the last one that the tile chose: with strict causality
    that leaves out half of all products.
    """
    batch, tokens, heads, _ = q.shape
    most = DENSE_TILE_VALUES if q.is_cpu else GPU_TILE_VALUES
    step = max(1, most // (heads * k.shape[1] * k.shape[2]))
    for row in range(batch):
        for start in range(0, tokens, step):
            tile = slice(start, min(start + step, tokens))
            # To look would wait for a GPU.
            reach = int(indices[row, tile].max()) + 1 if q.is_cpu else k.shape[1]
            yield (slice(row, row + 1), tile), (slice(row, row + 1), slice(0, max(reach, 1)))


def tiles(q: Tensor, k: Tensor, indices: Tensor) -> Iterator[slice]:
    """Cut the query tokens so that a tile's copies stay within `TILE_VALUES`."""
    step = _tile_tokens(q, k, indices)
    for start in range(0, q.shape[1], step):
        yield slice(start, min(start + step, q.shape[1]))


def _tile_tokens(q: Tensor, k: Tensor, indices: Tensor) -> int:
    batch, _, heads, dim = q.shape
    _, _, size, groups, _ = k.shape
    values = indices.shape[3] * size * max(2 * groups * dim, heads)
    most = TILE_VALUES // COPIED_PART if q.is_cpu else GPU_TILE_VALUES
    return max(1, most // max(batch * values, 1))
