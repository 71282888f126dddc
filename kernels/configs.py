"""How the kernels that walk chunks are launched: one place for all of them, the same on every call.

The choices rest on what compiles without spills and with its copies overlapped (see
`docs/compiled_kernels.md`), not on times: there is no autotuning.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from .launching import Target, padded, stages_within

# Pairs of one program of a backward over chunks: popular chunks are shared by many programs.
PIECE = 256


class Config(NamedTuple):
    """How a kernel is launched."""

    rows: int
    """Query heads (columns of several tokens, for `backward_chunks_kernel`) of one product."""
    num_warps: int
    num_stages: int
    transposed: bool = False


def forward_config(target: Target, size: int, dim: int, heads: int, dtype: torch.dtype) -> Config:
    """Choose how to launch the forward for chunks of `size` tokens and `heads` per KV head."""
    rows = min(padded(heads), 64)
    tile = 2 * padded(size) * padded(dim) * dtype.itemsize
    stages = stages_within(target, tile, rows * padded(dim) * dtype.itemsize)
    narrow = dtype.itemsize == 2
    return Config(rows, 4, stages, target.wgmma and narrow and padded(size) >= 64)


def backward_queries_config(
    target: Target, size: int, dim: int, heads: int, dtype: torch.dtype
) -> Config:
    """Choose how to launch `backward_queries_kernel`."""
    rows = min(padded(heads), 32)
    tile = 2 * padded(size) * padded(dim) * dtype.itemsize
    return Config(rows, 4, stages_within(target, tile, 2 * rows * padded(dim) * dtype.itemsize))


def backward_chunks_config(target: Target, size: int, dim: int, dtype: torch.dtype) -> Config:
    """Choose how to launch `backward_chunks_kernel`."""
    rows = 64 if target.capability >= 100 and padded(dim) <= 64 else 32
    if target.vendor == "hip" or dtype.itemsize == 4 or padded(size) * padded(dim) > 64 * 128:
        rows = 16
    tile = 2 * rows * padded(dim) * dtype.itemsize
    fixed = 2 * padded(size) * padded(dim) * dtype.itemsize
    warps = 8 if padded(size) * padded(dim) > 64 * 64 or dtype.itemsize == 4 else 4
    return Config(rows, warps, stages_within(target, tile, fixed))


def chunk_passes(dim: int, dtype: torch.dtype) -> tuple[tuple[bool, bool], ...]:
    """Return which of (dk, dv) every launch of a backward over chunks computes: both at once, but
    for wide float32, whose sums and operands do not fit the registers together."""
    if dtype.itemsize == 4 and padded(dim) > 64:
        return (True, False), (False, True)
    return ((True, True),)
