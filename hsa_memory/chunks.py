"""A session's chunks on disk as the model reads them: landmarks at hand, K/V fetched and cached.

Letters: C chunks, S chunk size, R retrieval heads, E their dimensions, G KV heads, D head dim.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsa_memory.model import ChunkKV, ChunkMemory
from hsa_memory.storage import CorruptChunk, SessionStore

from .engine import Engine

Rows = NDArray[np.uint8]


class ChunkCache:
    """The chunks read last, bounded by bytes; thread-safe.

    Args:
        max_bytes: most bytes to keep; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._rows: OrderedDict[int, Rows] = OrderedDict()
        self._lock = threading.Lock()

    def gather(self, ids: NDArray[np.int64], fetch: Callable[[NDArray[np.int64]], Rows]) -> Rows:
        """Return the rows of `ids` [n], calling `fetch` once for those that are not here."""
        with self._lock:
            found = {i: self._rows[i] for i in ids.tolist() if i in self._rows}
            for i in found:
                self._rows.move_to_end(i)
        missing = np.array([i for i in ids.tolist() if i not in found], np.int64)
        fetched = fetch(missing)
        if not found:
            self._keep(missing, fetched)
            return fetched
        out = np.empty((len(ids), fetched.shape[1]), np.uint8)
        new = iter(fetched)
        for row, i in zip(out, ids.tolist(), strict=True):
            row[:] = found[i] if i in found else next(new)
        self._keep(missing, fetched)
        return out

    def _keep(self, ids: NDArray[np.int64], rows: Rows) -> None:
        fits = self._max_bytes // max(1, rows.shape[1])
        with self._lock:
            for i, row in zip(ids.tolist()[:fits], rows, strict=False):
                # A copy: a view would keep the whole array of this fetch alive.
                self._rows[i] = row.copy()
                self._bytes += len(row)
            while self._bytes > self._max_bytes:
                _, row = self._rows.popitem(last=False)
                self._bytes -= len(row)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._rows.clear()
            self._bytes = 0


class Landmarks:
    """Landmarks of a session in the model's number format, converted once and then extended."""

    def __init__(self, engine: Engine, store: SessionStore) -> None:
        self._engine = engine
        self._store = store
        self._rows = self._room(0)
        self._count = 0

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
            new = self._store.landmarks()[self._count : count].copy()
            values = torch.from_numpy(new).view(self._engine.disk_dtype)
            self._rows[self._count : count] = values.view(self._rows[self._count : count].shape)
            self._count = count
        return self._rows[:count]

    def clear(self) -> None:
        """Forget everything."""
        self._count = 0


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
        self.chunks_read = 0
        """Chunks fetched from disk through this object."""

    @property
    def num_chunks(self) -> int:
        """Chunks available."""
        return self._num_chunks

    @property
    def bytes_read(self) -> int:
        """Bytes fetched from disk through this object."""
        return self.chunks_read * self._engine.layout.kv_bytes

    @property
    def landmarks(self) -> Tensor:
        """Landmarks [C, R, E]."""
        return self._landmarks.upto(self._num_chunks)

    def gather(self, chunk_ids: Tensor) -> ChunkKV:
        """Return K and V [1, n, S, G, D] of the given chunks.

        Raises:
            CorruptChunk: naming those that cannot be trusted.
        """
        config = self._engine.config
        rows = self._cache.gather(chunk_ids.numpy(), self._fetch)
        flat = (
            torch.from_numpy(rows.reshape(-1)) if len(rows) else torch.empty(0, dtype=torch.uint8)
        )
        both = flat.view(self._engine.disk_dtype).to(self._engine.dtype)
        shape = (len(rows), 2, config.chunk_size, config.hsa_num_kv_heads, config.head_dim)
        k, v = both.view(shape)[None].unbind(2)
        return ChunkKV(k, v)

    def _fetch(self, ids: NDArray[np.int64]) -> Rows:
        # A reader whose writer has rolled back may look for chunks that are being written anew.
        gone = ids[ids >= self._store.published]
        if len(gone):
            raise CorruptChunk("chunks are being encoded again", chunk_ids=gone.tolist())
        rows = self._store.gather(ids)
        self.chunks_read += len(ids)
        return rows


def chunk_rows(engine: Engine, memory: ChunkMemory) -> tuple[Rows, Rows]:
    """Lay out the chunks held by a memory as the store keeps them: landmark rows, and K then V."""
    both = torch.stack([memory.kv.k[0], memory.kv.v[0]], dim=1)  # [C, 2, S, G, D]

    def raw(x: Tensor) -> Rows:
        values = x.to(engine.disk_dtype).contiguous().view(torch.uint8)
        rows: Rows = values.reshape(len(x), -1).numpy()
        return rows

    return raw(memory.landmarks[0]), raw(both)
