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
_LONG_SECONDS = 1.0
# A GPU of a lower clock only sleeps longer.
_CYCLES_PER_SECOND = 2e9
_LONGEST_SLEEP = 20e-3
_CALLS = 20

Work = Callable[[], object]


class Rates(NamedTuple):
    """What this GPU reaches: the floors of all kernels rest on it."""

    bytes_per_second: float
    """Of a copy between two places of its memory, read and written bytes together."""
    flops: float
    """Of a large product in bfloat16."""


class Clock:
    """Times work on a device. Launching is not part of it: the GPU sleeps until all is queued."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        on_gpu = device.type == "cuda"
        self._flushed = torch.empty(
            _FLUSHED_BYTES if on_gpu else 0, dtype=torch.int8, device=device
        )

    def seconds(self, work: Work, most: int = 30) -> float:
        """Median of up to `most` runs, none of whose data is in a cache when it starts.

        The first two runs do not count. What takes long is measured once; without a GPU
        everything is.
        """
        if self.device.type != "cuda":
            started = time.perf_counter()
            work()
            return time.perf_counter() - started
        work()
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        launching = time.perf_counter() - started
        torch.cuda.synchronize()
        once = self._between_events(work, launching)
        if once > _LONG_SECONDS:
            return once
        runs = max(3, min(most, int(_ENOUGH_SECONDS / max(once, 1e-6))))
        return statistics.median(self._between_events(work, launching) for _ in range(runs))

    def graph_seconds(self, work: Work) -> float:
        """Median time of one of many calls within a CUDA graph: the caches hold what the call
        before left there, as in a decoding loop."""
        if self.device.type != "cuda":
            return self.seconds(work)
        return self._replayed(work)

    def cold_graph_seconds(self, work: Work) -> float:
        """As `graph_seconds`, with nothing in the caches: other memory is written before every
        call, and what that takes alone is subtracted."""
        if self.device.type != "cuda":
            return self.seconds(work)

        def flushed() -> None:
            self._flushed.zero_()
            work()

        return max(self._replayed(flushed) - self._replayed(self._flushed.zero_), 0.0)

    def _replayed(self, work: Work) -> float:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(_CALLS):
                work()

        def replay() -> None:
            # Several: what it takes to start a graph is shared by all of its calls.
            for _ in range(3):
                graph.replay()

        replay()
        times = [self._between_events(replay, 1e-3, flush=False) for _ in range(15)]
        return statistics.median(times) / (3 * _CALLS)

    def _between_events(self, work: Work, launching: float, flush: bool = True) -> float:
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        if flush:
            self._flushed.zero_()
        sleep = min(2 * launching + 2e-4, _LONGEST_SLEEP)
        torch.cuda._sleep(int(sleep * _CYCLES_PER_SECOND))
        before.record()
        work()
        after.record()
        after.synchronize()
        return float(before.elapsed_time(after)) / 1e3

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
