"""One thread and one seed, so that a failure repeats; a recorder of what an operator allocates."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# For the package `compiled`.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _repeatable() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


class _Largest(TorchDispatchMode):
    """Remembers the most values that any tensor had while it was active."""

    values = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            # A view or an expanded tensor is as large as what it is stored in.
            if isinstance(leaf, torch.Tensor):
                stored = leaf.untyped_storage().nbytes() // leaf.element_size()
                self.values = max(self.values, min(leaf.numel(), stored))
        return result


@pytest.fixture
def largest_tensor() -> Callable[[Callable[[], object]], int]:
    """Return a function that runs another one and says how many values its largest tensor had."""

    def measure(run: Callable[[], object]) -> int:
        with _Largest() as recorder:
            run()
        return recorder.values

    return measure
