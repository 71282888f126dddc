"""One thread for small work: more gain little there, and wait for one another on a busy machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_SMALL_TOKENS = 512


@contextmanager
def threads_for(num_tokens: int = 1) -> Iterator[None]:
    """Let torch use one thread inside, if the work is that of few tokens.

    OpenMP threads meet at a barrier after each operator. With two idle cores, two of them took 46
    to 81 ms for a search and one 60 to 68; with another process on one core, two took 2 seconds.
    """
    before = torch.get_num_threads()
    if num_tokens > _SMALL_TOKENS or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
