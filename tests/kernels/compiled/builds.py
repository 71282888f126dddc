"""Every call that is compiled ahead of time: what ships, at the sizes that matter.

A case is named after its operator first, then its sizes; it calls the operator's launchers for a
target, with tensors of the CPU. D is the head dimension, S the chunk size, H the query heads and KV
heads. A kernel that is the same in several cases is listed with the first of them.

Sizes that a kernel gets as numbers should be as divisible as real ones: Triton compiles another
kernel for those that 16 divides, and for 1.
"""

from __future__ import annotations

from . import Case

CASES: list[Case] = []
