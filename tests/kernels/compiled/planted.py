"""A small kernel that compiles well, and the ways in which one may get worse."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
import triton
import triton.language as tl

from . import Case


@triton.jit
def product_kernel(X, Y, OUT, K, BK: tl.constexpr, N: tl.constexpr):
    """[64, K] times [K, N]."""
    o_m, o_n = tl.arange(0, 64), tl.arange(0, N)
    acc = tl.zeros([64, N], tl.float32)
    for start in range(0, K, BK):
        o_k = start + tl.arange(0, BK)
        b_x = tl.load(X + o_m[:, None] * K + o_k[None, :])
        b_y = tl.load(Y + o_k[:, None] * N + o_n[None, :])
        acc = tl.dot(b_x, b_y, acc)
    tl.store(OUT + o_m[:, None] * N + o_n[None, :], acc.to(OUT.dtype.element_ty))


def product(*, step: int = 64, **options: int) -> Callable[[str], object]:
    """Launch it."""

    def run(target: str) -> None:
        x, y = (torch.empty(shape, dtype=torch.bfloat16) for shape in [(64, 1024), (1024, 64)])
        out = torch.empty(64, 64, dtype=torch.bfloat16)
        for _ in range(2):
            product_kernel[(1,)](x, y, out, 1024, BK=step, N=64, **options)

    return run


def dies(target: str) -> None:
    """End the process as the compiler's own assertions do."""
    os.abort()


CASES = [
    Case("good", product(num_warps=4, num_stages=3)),
    Case("does not compile", product(step=8, num_warps=4, num_stages=3)),
    Case("dies", dies),
    Case("no wgmma", product(num_warps=2, num_stages=3)),
    Case("no pipeline", product(num_warps=4, num_stages=1)),
    Case("spills", product(num_warps=2, num_stages=3, maxnreg=64)),
]
