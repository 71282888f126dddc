"""The tiers of a session's K/V above the disk: the device of the model, and the host's memory.

All tiers keep rows as they lie on disk. Where the model runs on the CPU there is the host tier
alone. To a GPU a row goes from the disk through host tier and pinned buffer to the device tier. It
is decoded there, each time it is used: that costs less than to move and to keep twice the bytes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .precision import Precision, Rows

Fetch = Callable[[NDArray[np.int64], Rows], None]
Ids = NDArray[np.int64]
_log = logging.getLogger(__name__)
# To touch new memory costs more than the copy: a tier grows seldom.
_FIRST_ROWS = 512
# Bytes of the pinned buffer: a search's rows at once; for more of them it is used several times.
_FIRST_PINNED, _MOST_PINNED = 1 << 20, 16 << 20


class Slots:
    """Which chunk lies in which row of a tier, and which row was used longest ago.

    Args:
        capacity: most rows.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.size = 0
        """Rows that there is memory for."""
        self._place = np.full(0, -1, np.int32)  # of each chunk, or -1
        self._chunk = np.empty(0, np.int64)  # that each row holds
        self._used = np.empty(0, np.int64)  # when each row was asked for last
        self._count = self._now = 0

    def find(self, ids: Ids) -> NDArray[np.int32]:
        """Return the rows [n] of chunks, -1 for those that are not here."""
        most = int(ids.max(initial=-1))
        if most >= len(self._place):
            room = np.full(most + 1 + most // 2, -1, np.int32)
            room[: len(self._place)] = self._place
            self._place = room
        places: NDArray[np.int32] = self._place[ids]
        return places

    def use(self, places: NDArray[np.int32]) -> None:
        """Note that these rows are asked for now."""
        self._now += 1
        self._used[places] = self._now

    def size_for(self, count: int) -> int:
        """Return for how many rows there should be memory before `count` are added."""
        wanted = min(self._count + count, self.capacity)
        if wanted <= self.size:
            return self.size
        return min(max(wanted, 2 * self.size, _FIRST_ROWS), self.capacity)

    def grow(self, size: int) -> None:
        """Note that there is memory for so many rows."""
        self._chunk, self._used = np.resize(self._chunk, size), np.resize(self._used, size)
        self.size = size  # last: it says how far all of them have grown

    def free(self, count: int) -> Ids:
        """Return rows [count] for new chunks, taken from those used longest ago if there are no
        others."""
        wanted = min(self._count + count, self.size)
        free = np.arange(self._count, wanted)
        oldest = np.argsort(self._used[: self._count], kind="stable")[: count - len(free)]
        self._place[self._chunk[oldest]] = -1
        self._count = wanted
        return np.concatenate([free, oldest])

    def fill(self, places: Ids, ids: Ids) -> None:
        """Note that chunks are in those rows now."""
        self._chunk[places] = ids
        self._used[places] = self._now
        self._place[ids] = places


class HostTier:
    """The chunks used last in the host's memory, bounded by bytes; thread-safe.

    Args:
        max_bytes: most bytes to keep; less than a row keeps nothing.
        row_bytes: bytes of one chunk.
    """

    def __init__(self, max_bytes: int, row_bytes: int) -> None:
        self._capacity = max_bytes // row_bytes
        self._row_bytes = row_bytes
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._slots = Slots(self._capacity)
            self._rows: Rows = np.empty((0, self._row_bytes), np.uint8)

    def gather(self, ids: Ids, fetch: Fetch, out: Rows) -> None:
        """Write the rows of `ids` [n], all different, to `out` [n, row_bytes]; `fetch` writes those
        that are not here."""
        with self._lock:
            places = self._slots.find(ids)
            here = places >= 0
            self._slots.use(places[here])
            if here.all():
                self._rows.take(places, axis=0, out=out, mode="clip")
                return
            out[here] = self._rows[places[here]]
        missing = ids[~here]
        fetched = (
            out if len(missing) == len(ids) else np.empty((len(missing), self._row_bytes), np.uint8)
        )
        fetch(missing, fetched)
        self._keep(missing, fetched)
        if fetched is not out:
            out[~here] = fetched

    def _keep(self, ids: Ids, rows: Rows) -> None:
        with self._lock:
            slots = self._slots
            # Another thread may have fetched the same.
            new = np.flatnonzero(slots.find(ids) < 0)[: self._capacity]
            self._grow(slots.size_for(len(new)))
            places = slots.free(len(new))
            self._rows[places] = rows if len(new) == len(rows) else rows[new]
            slots.fill(places, ids[new])

    def _grow(self, size: int) -> None:
        if size > self._slots.size:
            # Torch's memory: numpy asks for huge pages, and zeroing those costs milliseconds.
            rows = torch.empty((size, self._row_bytes), dtype=torch.uint8).numpy()
            held = self._slots.size  # not of `_rows`, which an interrupt may have left larger
            rows[:held] = self._rows[:held]
            self._rows = rows
            self._slots.grow(size)


class PinnedBuffer:
    """Host memory that a GPU reads by itself, through which rows go there; thread-safe.

    One for all sessions of an engine: to pin memory takes long, and pinned memory is scarce.

    Args:
        device: a GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._bytes = torch.empty(0, dtype=torch.uint8)
        self._copied = torch.cuda.Event()

    def copy(self, ids: Ids, fetch: Fetch, out: Tensor) -> None:
        """Let `fetch` write the rows of `ids` [n], a part after the other, and copy them to `out`
        [n, row_bytes], uint8 on the device. Returns before the last copy is over."""
        row_bytes = out.shape[1]
        with self._lock:
            step = self._room(len(ids), row_bytes)
            for first in range(0, len(ids), step):
                part = out[first : first + step]
                rows = self._bytes[: len(part) * row_bytes].view(len(part), row_bytes)
                # Waits for the copy of what is there still, of another call as a rule.
                self._copied.synchronize()
                fetch(ids[first : first + step], rows.numpy())
                try:
                    part.copy_(rows, non_blocking=True)
                finally:
                    # Also if interrupted: the copy may have begun.
                    self._copied.record(torch.cuda.current_stream(self._device))

    def _room(self, count: int, row_bytes: int) -> int:
        """Return how many rows of `count` fit at once, one at least."""
        step = max(1, min(count, _MOST_PINNED // row_bytes))
        if step * row_bytes > len(self._bytes):
            size = max(step * row_bytes, 2 * len(self._bytes), _FIRST_PINNED)
            size = max(step * row_bytes, min(size, _MOST_PINNED))
            self._copied.synchronize()
            self._bytes = _pinned(size)
        return step


def _pinned(size: int) -> Tensor:
    try:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)
    except RuntimeError as error:
        # A limit of the system; from other memory a copy is slower, and just as right.
        _log.warning("no host memory can be pinned for the GPU: %s", error)
        return torch.empty(size, dtype=torch.uint8)


class DeviceTier:
    """The chunks used last in the memory of a GPU, bounded by bytes; thread-safe.

    What it does there is queued on the device's current stream; that of the model has to be the
    same. Where the GPU's memory runs out it grows no more, or gives up half of its bytes. While it
    grows, the old rows and the new are there together.

    Args:
        max_bytes: most bytes to keep; less than a row keeps nothing.
        row_bytes: bytes of one chunk.
        buffer: the way there.
        device: the GPU.
    """

    def __init__(
        self, max_bytes: int, row_bytes: int, buffer: PinnedBuffer, device: torch.device
    ) -> None:
        self._capacity = max_bytes // row_bytes
        self._row_bytes = row_bytes
        self._buffer = buffer
        self._device = device
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything, and give the memory back."""
        with self._lock:
            self._forget()

    def shrink(self) -> bool:
        """Forget everything, to keep half as many rows from now on; False if there were none."""
        with self._lock:
            had = self._slots.size
            if had:
                self._capacity = had // 2
                self._forget()
            return had > 0

    def _forget(self) -> None:
        self._slots = Slots(self._capacity)
        self._rows = self._new(0)

    def _new(self, count: int) -> Tensor:
        return torch.empty(count, self._row_bytes, dtype=torch.uint8, device=self._device)

    @torch.inference_mode()
    def gather(self, ids: Ids, fetch: Fetch) -> Tensor:
        """Return the rows [n, row_bytes] of `ids` [n], all different, uint8 on the device; `fetch`
        writes those that are not here to the host's memory."""
        while True:
            try:
                with self._lock:
                    return self._gather(ids, fetch)
            except torch.OutOfMemoryError:
                if not self.shrink():
                    raise

    def _gather(self, ids: Ids, fetch: Fetch) -> Tensor:
        slots = self._slots
        places = slots.find(ids)
        here = places >= 0
        slots.use(places[here])
        if here.all():
            (rows,) = self._moved(places)
            return self._rows.index_select(0, rows)
        missing = ids[~here]
        fetched = self._new(len(missing))
        self._buffer.copy(missing, fetch, fetched)
        if here.any():
            rows, old, new = self._moved(places[here], np.flatnonzero(here), np.flatnonzero(~here))
            out = self._new(len(ids))
            out.index_copy_(0, old, self._rows.index_select(0, rows))
            out.index_copy_(0, new, fetched)
        else:
            out = fetched
        self._keep(missing, fetched)
        return out

    def _keep(self, ids: Ids, rows: Tensor) -> None:
        slots = self._slots
        self._grow(slots.size_for(len(ids)))
        ids = ids[: slots.size]
        if not len(ids):
            return
        places = slots.free(len(ids))
        (there,) = self._moved(places)
        self._rows.index_copy_(0, there, rows[: len(ids)])
        slots.fill(places, ids)

    def _grow(self, size: int) -> None:
        if size <= self._slots.size:
            return
        try:
            rows = self._new(size)
        except torch.OutOfMemoryError:
            # What it has is enough to go on. To ask again at every call would cost a wait each.
            self._slots.capacity = self._slots.size
            return
        held = self._slots.size  # not of `_rows`, which an interrupt may have left larger
        rows[:held].copy_(self._rows[:held])
        self._rows = rows
        self._slots.grow(size)

    def _moved(self, *arrays: NDArray[np.signedinteger]) -> tuple[Tensor, ...]:
        """Copy arrays of numbers to the device, all at once and without waiting for it."""
        joined = torch.from_numpy(np.concatenate(arrays).astype(np.int64))
        # CUDA copies memory that is not pinned aside before it returns.
        there = joined.to(self._device, non_blocking=True)
        return tuple(torch.split(there, [len(array) for array in arrays]))


class Tiers:
    """Where the K/V of a session's chunks are looked for before the disk.

    Args:
        host: in the host's memory.
        device: on the model's GPU; None where the model is on the CPU.
    """

    def __init__(self, host: HostTier, device: DeviceTier | None = None) -> None:
        self._host = host
        self._device = device

    def clear(self) -> None:
        """Forget everything."""
        self._host.clear()
        if self._device is not None:
            self._device.clear()

    def shrink(self) -> bool:
        """Give memory of the GPU back; False if there is none to give."""
        return self._device is not None and self._device.shrink()

    def gather(self, ids: Ids, fetch: Fetch, precision: Precision, out: Tensor) -> None:
        """Write the keys and values of `ids` [n], all different, to `out` [n, 2, S, G, D], bfloat16
        on the model's device; `fetch` reads rows from disk."""

        def fill(ids: Ids, rows: Rows) -> None:
            self._host.gather(ids, fetch, rows)

        if self._device is None:
            precision.read(out, lambda rows: fill(ids, rows))
        else:
            precision.decode(self._device.gather(ids, fill), out)
