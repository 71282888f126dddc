"""Launches the Triton kernels. Whatever depends on values happens on the device."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from ..backends import BackendUnavailable
from ..launching import KB, Target, padded, target_of
from .device import MOST_SLOTS, decode_kernel, sum_kernel

SLOTS: int = MOST_SLOTS.value
# tl.dot wants 16 heads; more of them, or more scores, would not fit the registers.
LEAST, MOST_HEADS, MOST_SCORES = 16, 64, 64 * 128
# Larger tiles are spread over more than 4 warps: they would not fit the registers.
WARP_BYTES = 64 * 128 * 2
SUM_SPLITS, SUM_VALUES = 32, 64


class Config(NamedTuple):
    """How `decode_kernel` is compiled."""

    transposed: bool
    block_heads: int
    block_size: int
    block_dim: int
    num_warps: int
    num_stages: int


def config(
    target: Target, dim: int, size: int, rows: int, dtype: torch.dtype, stored: torch.dtype
) -> Config:
    """Return the form of `decode_kernel` for chunks of one shape on one kind of GPU.

    Args:
        target: the GPU.
        dim, size, rows: head dim, chunk size, query heads per KV head.
        dtype, stored: of the queries and of the pool.

    Raises:
        BackendUnavailable: if a chunk does not fit the memory of a processor.
    """
    block_size, block_dim = padded(size), padded(dim)
    # Float32 products run without tensor cores, and need more registers.
    at_once = LEAST if stored == torch.float32 else MOST_SCORES // block_size
    most_heads = max(min(padded(rows), MOST_HEADS, at_once), LEAST)
    transposed = (
        target.wgmma
        and dtype == stored != torch.float32
        and rows > LEAST // 2
        and block_size >= 64
        and block_dim >= 64
    )
    tile = block_size * block_dim * stored.itemsize
    # Float32 beside bfloat16 is cut into three of those.
    cut = dtype == torch.float32 != stored
    itemsize = 3 * stored.itemsize if cut else dtype.itemsize
    warps = 4 if tile <= WARP_BYTES else 8 if tile <= 2 * WARP_BYTES else 16
    for stages in range(2 if target.vendor == "hip" else 3, 0, -1):
        block_heads = most_heads
        while block_heads >= LEAST:
            # Tiles; queries and probabilities; barriers.
            needed = _tiles_held(stages, transposed, target) * tile + KB // 2
            needed += block_heads * (block_size + block_dim) * itemsize
            if needed <= target.shared:
                return Config(transposed, block_heads, block_size, block_dim, warps, stages)
            block_heads //= 2
    raise BackendUnavailable(
        f"a chunk of {size} tokens with {dim} values each needs {needed // KB} KiB of shared "
        f"memory, this GPU has {target.shared // KB}; backend='torch' takes it"
    )


def _tiles_held(stages: int, transposed: bool, target: Target) -> int:
    """Return how many tiles of keys or values the compiler keeps in shared memory at once."""
    if stages == 1 and target.vendor == "hip":
        return 1
    # Transposed, the tile that is being multiplied is read from shared memory.
    return 2 * (stages if transposed else max(stages - 1, 1))


def choose_splits(programs: int, top_k: int, processors: int) -> int:
    """Return how many parts let `programs` fill the processors with at most one each."""
    wanted = min(max(processors // max(programs, 1), 1), max(top_k, 1))
    slots = min(-(-top_k // wanted), SLOTS)
    return -(-top_k // max(slots, 1))


def splits_for(q: Tensor, indices: Tensor) -> int:
    """Return `choose_splits` for these inputs and the GPU that they lie on."""
    batch, groups, top_k = indices.shape
    blocks = -(-q.shape[1] // max(groups * MOST_HEADS, 1))
    return max(choose_splits(batch * groups * blocks, top_k, _processors(q.device)), 1)


def forward(
    q: Tensor,
    k_pool: Tensor,
    v_pool: Tensor,
    page_table: Tensor,
    indices: Tensor,
    weights: Tensor,
    out: Tensor,
    workspace: Tensor | None,
    scale: float,
    splits: int,
) -> None:
    """Write the output [B, H, D] to `out`; `splits` 0 chooses. Two launches, or one without splits.

    Raises:
        ValueError: if `splits` are too few for a program to hold its slots.
    """
    batch, heads, dim = q.shape
    num_pages, size, groups, _ = k_pool.shape
    num_chunks, top_k = page_table.shape[1], indices.shape[2]
    if not min(num_pages, num_chunks, top_k, out.numel()):
        out.zero_()
        return
    splits = splits or splits_for(q, indices)
    if splits * SLOTS < top_k:
        raise ValueError(
            f"{top_k} chosen chunks need at least {-(-top_k // SLOTS)} splits; found {splits}"
        )
    form = config(target_of(q), dim, size, heads // groups, q.dtype, k_pool.dtype)
    if splits == 1:
        workspace = None
    elif workspace is None:
        workspace = torch.empty(splits, *q.shape, dtype=torch.float32, device=q.device)
    # Triton launches on the current device.
    with torch.cuda.device_of(q):
        launch(q, k_pool, v_pool, page_table, indices, weights, out, workspace, scale, form)


def forward_unpaged(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor,
    weights: Tensor,
    scale: float,
    target: Target | None = None,
) -> Tensor:
    """Return `forward` for sessions with keys and values [B, C, S, G, D] of their own."""
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    heads, dim = q.shape[1:]
    size, groups = k.shape[2:4]
    form = config(target or target_of(q), dim, size, heads // groups, q.dtype, k.dtype)
    splits = splits_for(q, indices)
    parts = None
    if splits > 1:
        parts = torch.empty(splits, *q.shape, dtype=torch.float32, device=q.device)
    with torch.cuda.device_of(q):
        launch(q, k, v, None, indices, weights, out, parts, scale, form)
    return out


def launch(
    q: Tensor,
    k_pool: Tensor,
    v_pool: Tensor,
    page_table: Tensor | None,
    indices: Tensor,
    weights: Tensor,
    out: Tensor,
    parts: Tensor | None,
    scale: float,
    form: Config,
) -> None:
    """Launch the kernels in one form; `parts` [splits, B, H, D], None is one split.

    Without a page table the pool is [B, C, S, G, D], pages of each session.
    """
    batch, heads, dim = q.shape
    num_pages, size, groups, _ = k_pool.shape[-4:]
    num_chunks = num_pages if page_table is None else page_table.shape[1]
    pages_at = (0, 0) if page_table is None else page_table.stride()
    rows = heads // groups
    splits = 1 if parts is None else parts.shape[0]
    decode_kernel[(batch * groups * -(-rows // form.block_heads) * splits,)](
        q,
        k_pool,
        v_pool,
        page_table,
        indices,
        weights,
        out if parts is None else parts,
        scale,
        batch,
        num_pages,
        num_chunks,
        indices.shape[2],
        splits,
        *q.stride(),
        *_strides(k_pool, page_table),
        *_strides(v_pool, page_table),
        *pages_at,
        *indices.stride(),
        *weights.stride(),
        GROUPS=groups,
        HEADS=rows,
        SIZE=size,
        DIM=dim,
        BLOCK_HEADS=form.block_heads,
        BLOCK_SIZE=form.block_size,
        BLOCK_DIM=form.block_dim,
        TRANSPOSED=form.transposed,
        num_warps=form.num_warps,
        num_stages=form.num_stages,
    )
    if parts is not None:
        sum_kernel[(-(-out.numel() // SUM_VALUES),)](
            parts, out, splits, out.numel(), BLOCK_SPLITS=SUM_SPLITS, BLOCK_VALUES=SUM_VALUES
        )


def _strides(pool: Tensor, page_table: Tensor | None) -> tuple[int, ...]:
    """Strides of sessions, which share what has a page table, then those of a page."""
    return pool.stride() if page_table is None else (0, *pool.stride())


@lru_cache
def _processors(device: torch.device) -> int:
    if device.type == "cpu":
        return 1
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
