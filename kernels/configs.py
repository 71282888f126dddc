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
    """Whether keys times queries are computed, not queries times keys."""
    exact: bool = False
    """Whether float32 products run without tensor cores, which want the operands cut in two."""


def forward_config(target: Target, size: int, dim: int, heads: int, dtype: torch.dtype) -> Config:
    """Choose how to launch the forward for chunks of `size` tokens and `heads` per KV head."""
    rows = min(padded(heads), 16 if _huge(size, dim, dtype) else 64)
    tile = 2 * padded(size) * padded(dim) * dtype.itemsize
    stages = stages_within(target, tile, rows * padded(dim) * dtype.itemsize)
    transposed = target.wgmma and dtype.itemsize == 2 and padded(size) >= 64
    return Config(rows, 8 if _large(target, size, dim, dtype) else 4, stages, transposed)


def backward_queries_config(
    target: Target, size: int, dim: int, heads: int, dtype: torch.dtype, tiles: int = 2
) -> Config:
    """Choose how to launch `backward_queries_kernel`; `tiles` of a chunk are read, keys and
    values or keys alone."""
    rows = min(padded(heads), 16 if _huge(size, dim, dtype) else 32)
    tile = tiles * padded(size) * padded(dim) * dtype.itemsize
    stages = stages_within(target, tile, 2 * rows * padded(dim) * dtype.itemsize)
    # Masks take registers.
    masked = target.wgmma and target.capability < 100 and padded(dim) > max(dim, 64)
    wide = target.vendor == "cuda" and tiles == 2 and padded(size) * padded(dim) > 64 * 128
    return Config(rows, 8 if masked or wide or _large(target, size, dim, dtype) else 4, stages)


def backward_chunks_config(target: Target, size: int, dim: int, dtype: torch.dtype) -> Config:
    """Choose how to launch `backward_chunks_kernel`."""
    if target.vendor == "cuda" and _huge(size, dim, dtype):
        # Cut for tensor cores, keys and values would need more than all shared memory.
        return Config(16, 16, 1, exact=True)
    rows = 64 if target.capability >= 100 and padded(dim) <= 64 else 32
    if target.vendor == "hip" or dtype.itemsize == 4 or padded(size) * padded(dim) > 64 * 128:
        rows = 16
    tile = 2 * rows * padded(dim) * dtype.itemsize
    fixed = 2 * padded(size) * padded(dim) * dtype.itemsize
    warps = 8 if padded(size) * padded(dim) > 64 * 64 or dtype.itemsize == 4 else 4
    # Wide keys as columns lie in half as many registers, but few of their products are wgmma.
    wide = padded(dim) > 64 or target.capability >= 100
    transposed = not (wide and _large(target, size, dim, dtype))
    return Config(rows, warps, stages_within(target, tile, fixed), transposed)


def chunk_passes(
    target: Target, size: int, dim: int, dtype: torch.dtype
) -> tuple[tuple[bool, bool], ...]:
    """Return which of (dk, dv) every launch of a backward over chunks computes: both at once, but
    for chunks where sums and operands do not fit the registers together."""
    values = padded(size) * padded(dim)
    if target.wgmma or target.vendor == "hip":
        apart = dtype.itemsize == 4 and values > 64 * 64
    else:
        apart = values > (32 * 64 if dtype.itemsize == 4 else 64 * 128)
    return ((True, False), (False, True)) if apart else ((True, True),)


def _huge(size: int, dim: int, dtype: torch.dtype) -> bool:
    """Whether a chunk's float32 keys take a quarter of a processor's registers, or more."""
    return dtype.itemsize == 4 and padded(size) * padded(dim) > 64 * 128


def _large(target: Target, size: int, dim: int, dtype: torch.dtype) -> bool:
    """Whether a chunk's keys are too many for the registers of four warps."""
    fits = target.vendor == "hip" or padded(size) * padded(dim) <= 64 * 64
    return dtype.itemsize == 4 and not fits
