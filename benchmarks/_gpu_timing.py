"""Times on a GPU, and the least time that moving bytes and multiplying takes there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# Triton's interpreter takes bfloat16 for whole numbers.
NARROW = torch.bfloat16 if torch.cuda.is_available() else torch.float16
# More than the second-level cache of any GPU so far.
_FLUSHED_BYTES = 256 << 20
_ENOUGH_SECONDS = 0.3


class Rates(NamedTuple):
    """What this GPU reaches: the floors of all kernels rest on it."""

    bytes_per_second: float
    """Of a copy between two places of its memory, read and written bytes together."""
    flops: float
    """Of a large product in bfloat16."""


class Clock:
    """Times work on a device; nothing of it is in the GPU's caches when it starts."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        on_gpu = device.type == "cuda"
        self._flushed = torch.empty(
            _FLUSHED_BYTES if on_gpu else 0, dtype=torch.int8, device=device
        )

    def seconds(self, work: Callable[[], object], most: int = 30) -> float:
        """Median of up to `most` runs after two that do not count; one run without a GPU."""
        if self.device.type != "cuda":
            started = time.perf_counter()
            work()
            return time.perf_counter() - started
        work()
        once = self._once(work)
        runs = max(3, min(most, int(_ENOUGH_SECONDS / max(once, 1e-6))))
        return statistics.median(self._once(work) for _ in range(runs))

    def _once(self, work: Callable[[], object]) -> float:
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self._flushed.zero_()
        before.record()
        work()
        after.record()
        after.synchronize()
        return float(before.elapsed_time(after)) / 1e3

    def graph_seconds(self, work: Callable[[], object], replays: int = 50) -> float:
        """Median time of one call within a CUDA graph, with warm caches as in a decoding loop."""
        if self.device.type != "cuda":
            return self.seconds(work)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        times = []
        for _ in range(replays):
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            before.record()
            # Many in a row: one replay is shorter than what it takes to start it.
            for _ in range(20):
                graph.replay()
            after.record()
            after.synchronize()
            times.append(float(before.elapsed_time(after)) / 20e3)
        return statistics.median(times)

    def rates(self) -> Rates:
        """Measure the GPU itself."""
        size, side = (1 << 30, 8192) if self.device.type == "cuda" else (1 << 16, 64)
        source = torch.empty(size, dtype=torch.int8, device=self.device)
        target = torch.empty_like(source)
        copy = self.seconds(lambda: target.copy_(source))
        a = torch.randn(side, side, device=self.device, dtype=NARROW)
        product = self.seconds(lambda: a @ a)
        return Rates(2 * size / copy, 2 * side**3 / product)


def random(*shape: int, device: torch.device, dtype: torch.dtype = NARROW) -> Tensor:
    """Normal values; made in the dtype itself, so that nothing larger is ever there."""
    return torch.randn(shape, device=device, dtype=dtype)
