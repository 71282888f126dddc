"""Memory for arrays of many megabytes.

Most of the time of reading into fresh memory goes into faulting it in, page by page.
"""

from __future__ import annotations

import mmap
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

_HUGE_PAGE = 2 << 20


def untouched(size: int) -> NDArray[np.uint8]:
    """Zeros [size] that cost nothing until they are touched, 4 KB at a time: numpy asks for huge
    pages, and to zero those takes longer than to read the few places that are needed."""
    return np.frombuffer(mmap.mmap(-1, size, mmap.MAP_PRIVATE), np.uint8)


def filled_at_once(count: int, row_bytes: int) -> NDArray[np.uint8]:
    """An array [count, row_bytes] of any content, all of which is about to be written.

    A large one lies in huge pages where the system has them; to fill 128 MB of it takes a third of
    the time that it takes with what numpy asks for.
    """
    size = count * row_bytes
    if size < 2 * _HUGE_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty((count, row_bytes), np.uint8)
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE)
    with suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8).reshape(count, row_bytes)
