"""What launchers of Triton kernels share: what a GPU offers, and sizes padded to powers of two."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

KB = 1024


class Target(NamedTuple):
    """What decides how a kernel is launched."""

    vendor: str
    """"cuda" or "hip"."""
    capability: int
    """Compute capability as one number, 90 for 9.0; 0 on AMD."""
    shared: int
    """Bytes of shared memory that one program may have."""

    @property
    def wgmma(self) -> bool:
        """Whether matrix products of 64 rows may run as one instruction of four warps."""
        return self.vendor == "cuda" and 90 <= self.capability < 120


# Targets that kernels are compiled for ahead of time, by name.
TARGETS = {
    "sm_80": Target("cuda", 80, 163 * KB),
    "sm_90": Target("cuda", 90, 227 * KB),
    "sm_100": Target("cuda", 100, 227 * KB),
    "gfx942": Target("hip", 0, 64 * KB),
}


def target_of(x: Tensor) -> Target:
    """Return what the GPU of a tensor offers; in Triton's interpreter, that of an H100."""
    if not x.is_cuda:
        return TARGETS["sm_90"]
    return _target(x.device)


@lru_cache
def _target(device: torch.device) -> Target:
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip is not None:
        return TARGETS["gfx942"]
    shared = properties.shared_memory_per_block_optin  # type: ignore[attr-defined]
    return Target("cuda", 10 * properties.major + properties.minor, shared)


def padded(size: int, least: int = 16) -> int:
    """Return the power of two a size is padded to; products need at least 16."""
    return max(least, 1 << (size - 1).bit_length())


def stages_within(target: Target, tile_bytes: int, fixed_bytes: int = 0) -> int:
    """Return how many steps of a loop may have their tiles in shared memory at once: 1 to 3.

    Three let the copies of two steps run while one is computed.
    """
    return max(1, min(3, (target.shared - fixed_bytes) // max(tile_bytes, 1)))


def precision(target: Target, exact: bool = False) -> str:
    """Return how float32 products are computed, as PyTorch's own are: in TF32 if that is allowed.

    Otherwise from three products of TF32, as exact as float32's own, which no tensor core computes.

    Args:
        exact: compute float32's own products.
    """
    if target.vendor == "hip" or exact:
        return "ieee"
    # Where PyTorch has both switches, to ask the older may raise.
    switch = getattr(torch.backends.cuda.matmul, "fp32_precision", None)
    fast = torch.backends.cuda.matmul.allow_tf32 if switch is None else switch == "tf32"
    return "tf32" if fast else "tf32x3"


def last_contiguous(x: Tensor) -> Tensor:
    """Return `x`, or a copy of it if the values of a row do not lie side by side."""
    return x if x.stride(-1) == 1 else x.contiguous()
