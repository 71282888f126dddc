"""A session's chunks on disk as the model reads them: landmarks at hand, K/V fetched and cached.

Letters: C chunks, S chunk size, R retrieval heads, E their dimensions, G KV heads, D head dim.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsa_memory.model import ChunkKV, ChunkMemory
from hsa_memory.storage import CorruptChunk, SessionStore

from .engine import Engine
from .precision import Precision, Rows, precision_of

Fetch = Callable[[NDArray[np.int64], Rows], None]
# Rows read at once: whole segments of the store, which it verifies by one digest each.
_LANDMARKS_PART = 65_536
# To touch new memory costs more than the copy: the cache grows seldom.
_FIRST_ROWS = 512


class ChunkCache:
    """The chunks used last, bounded by bytes; thread-safe.

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
            self._place = np.full(0, -1, np.int32)  # of each chunk in `_rows`, or -1
            self._rows: Rows = np.empty((0, self._row_bytes), np.uint8)
            self._chunk = np.empty(0, np.int64)  # that each row holds
            self._used = np.empty(0, np.int64)  # when each row was asked for last
            self._count = self._now = 0

    def gather(self, ids: NDArray[np.int64], fetch: Fetch, out: Rows) -> None:
        """Write the rows of `ids` [n], all different, to `out` [n, row_bytes]; `fetch` writes those
        that are not here."""
        with self._lock:
            places = self._places(ids)
            here = places >= 0
            self._now += 1
            self._used[places[here]] = self._now
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

    def _places(self, ids: NDArray[np.int64]) -> NDArray[np.int32]:
        most = int(ids.max(initial=-1))
        if most >= len(self._place):
            room = np.full(most + 1 + most // 2, -1, np.int32)
            room[: len(self._place)] = self._place
            self._place = room
        places: NDArray[np.int32] = self._place[ids]
        return places

    def _keep(self, ids: NDArray[np.int64], rows: Rows) -> None:
        with self._lock:
            # Another thread may have fetched the same.
            new = np.flatnonzero(self._places(ids) < 0)[: self._capacity]
            places = self._room(len(new))
            self._rows[places] = rows if len(new) == len(rows) else rows[new]
            self._chunk[places] = ids[new]
            self._used[places] = self._now
            self._place[ids[new]] = places

    def _room(self, count: int) -> NDArray[np.int64]:
        """Return places [count] for new rows, of those used longest ago if there are no others."""
        wanted = min(self._count + count, self._capacity)
        if wanted > len(self._rows):
            size = min(max(wanted, 2 * len(self._rows), _FIRST_ROWS), self._capacity)
            # Torch's memory: numpy asks for huge pages, and zeroing those costs milliseconds.
            rows = torch.empty((size, self._row_bytes), dtype=torch.uint8).numpy()
            rows[: self._count] = self._rows[: self._count]
            self._chunk, self._used = np.resize(self._chunk, size), np.resize(self._used, size)
            self._rows = rows  # last: its length says how far all of them have grown
        free = np.arange(self._count, wanted)
        oldest = np.argsort(self._used[: self._count], kind="stable")[: count - len(free)]
        self._place[self._chunk[oldest]] = -1
        self._count = wanted
        return np.concatenate([free, oldest])


class Landmarks:
    """Landmarks of a session in the model's number format, converted once and then extended."""

    def __init__(self, engine: Engine, store: SessionStore) -> None:
        self._engine = engine
        self._store = store
        self._rows = self._room(0)
        self._count = 0
        self.damaged: set[int] = set()
        """Chunks whose landmark is not what was written; zeros stand in its place."""

    def _room(self, rows: int) -> Tensor:
        config = self._engine.config
        shape = (rows, config.hsa_num_kv_heads, config.retrieval_dim)
        return torch.empty(shape, dtype=self._engine.dtype)

    @torch.inference_mode()
    def upto(self, count: int) -> Tensor:
        """Return the landmarks [count, R, E] of the first `count` chunks, at most the published."""
        if count > self._count:
            if count > len(self._rows):
                grown = self._room(max(count, 2 * self._count))
                grown[: self._count] = self._rows[: self._count]
                self._rows = grown
            while self._count < count:
                first = self._count
                stop = min(first // _LANDMARKS_PART * _LANDMARKS_PART + _LANDMARKS_PART, count)
                new = self._rows[first:stop]
                values = torch.from_numpy(self._read(first, stop))
                new.copy_(values.view(self._engine.disk_dtype).view(new.shape))
                self._count = stop
        return self._rows[:count]

    def _read(self, first: int, stop: int) -> Rows:
        try:
            return self._store.landmarks(first, stop)
        except CorruptChunk as error:
            bad = sorted(error.chunk_ids)
        self.damaged.update(bad)
        rows = np.zeros((stop - first, self._store.layout.landmark_bytes), np.uint8)
        for start, end in zip([first, *(chunk + 1 for chunk in bad)], [*bad, stop], strict=True):
            rows[start - first : end - first] = self._store.landmarks(start, end)
        return rows

    def clear(self) -> None:
        """Forget everything."""
        self._count = 0
        self.damaged.clear()


class StoredChunks:
    """The first `num_chunks` chunks of a session, a `ChunkSource` that counts what it reads."""

    def __init__(
        self,
        engine: Engine,
        store: SessionStore,
        landmarks: Landmarks,
        cache: ChunkCache,
        num_chunks: int,
    ) -> None:
        self._engine = engine
        self._store = store
        self._landmarks = landmarks
        self._cache = cache
        self._num_chunks = num_chunks
        self._precision = precision_of(store.layout.dtype)
        self.chunks_read = 0
        """Chunks fetched from disk through this object."""

    @property
    def num_chunks(self) -> int:
        """Chunks available."""
        return self._num_chunks

    @property
    def bytes_read(self) -> int:
        """Bytes fetched from disk through this object."""
        return self.chunks_read * self._store.layout.kv_bytes

    @property
    def landmarks(self) -> Tensor:
        """Landmarks [C, R, E]; zeros for the chunks of `damaged`."""
        return self._landmarks.upto(self._num_chunks)

    def damaged(self) -> list[int]:
        """Chunks whose landmark on disk is not what was written, ascending."""
        self._landmarks.upto(self._num_chunks)
        return sorted(chunk for chunk in self._landmarks.damaged if chunk < self._num_chunks)

    def gather(self, chunk_ids: Tensor, room: int = 0) -> ChunkKV:
        """See `ChunkSource.gather`; bfloat16, to be converted where it is used.

        Raises:
            CorruptChunk: naming those that cannot be trusted.
        """
        config, count = self._engine.config, len(chunk_ids)
        per_chunk = (2, config.chunk_size, config.hsa_num_kv_heads, config.head_dim)
        both = torch.empty(count + room, *per_chunk, dtype=self._engine.disk_dtype)
        ids = chunk_ids.numpy()
        self._precision.read(both[:count], lambda rows: self._cache.gather(ids, self._fetch, rows))
        return ChunkKV(both[None, :, 0], both[None, :, 1])

    def _fetch(self, ids: NDArray[np.int64], out: Rows) -> None:
        # A reader may still ask for chunks that its writer has taken back to encode them again.
        gone = ids[ids >= self._store.published]
        if len(gone):
            raise CorruptChunk("chunks are being encoded again", chunk_ids=gone.tolist())
        self._store.gather(ids, out)
        self.chunks_read += len(ids)


def chunk_rows(engine: Engine, precision: Precision, memory: ChunkMemory) -> tuple[Rows, Rows]:
    """Lay out the chunks held by a memory as the store keeps them: landmark rows, and K then V."""
    landmarks = memory.landmarks[0].to(engine.disk_dtype).contiguous()
    kv = ChunkKV(memory.kv.k[0], memory.kv.v[0])
    return landmarks.view(torch.uint8).flatten(1).numpy(), precision.encode(kv)
