"""A session's chunks on disk as the model reads them: landmarks mapped, K/V fetched and cached.

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

from hsa_memory.model import ChunkKV
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


class StoredChunks:
    """The first `num_chunks` chunks of a session, a `ChunkSource` that counts what it reads."""

    def __init__(
        self, engine: Engine, store: SessionStore, cache: ChunkCache, num_chunks: int
    ) -> None:
        self._engine = engine
        self._store = store
        self._cache = cache
        self._num_chunks = num_chunks
        self._landmarks: Tensor | None = None
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
        """Landmarks [C, R, E], backed by the mapped file."""
        if self._landmarks is None:
            config = self._engine.config
            rows = self._store.landmarks()[: self._num_chunks]
            shape = (len(rows), config.hsa_num_kv_heads, config.retrieval_dim)
            self._landmarks = _borrow(rows).view(self._engine.dtype).view(shape)
        return self._landmarks

    def gather(self, chunk_ids: Tensor) -> ChunkKV:
        """Return K and V [1, n, S, G, D] of the given chunks.

        Raises:
            CorruptChunk: naming those that cannot be trusted.
        """
        config = self._engine.config
        rows = self._cache.gather(chunk_ids.numpy(), self._fetch)
        both = torch.from_numpy(rows).view(self._engine.dtype)
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


def chunk_rows(landmarks: Tensor, kv: ChunkKV) -> tuple[Rows, Rows]:
    """Lay out chunks [1, C, ...] as the store keeps them: landmark rows, and K then V."""
    both = torch.stack([kv.k[0], kv.v[0]], dim=1)  # [C, 2, S, G, D]
    return _bytes(landmarks[0]), _bytes(both)


def _bytes(x: Tensor) -> Rows:
    raw: Rows = x.contiguous().view(torch.uint8).reshape(len(x), -1).numpy()
    return raw


class _Writable:
    """Says of a read-only array that it may be written: torch has no read-only tensors."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        interface = rows.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def _borrow(rows: Rows) -> Tensor:
    """A tensor over the bytes of `rows`, which nobody must write to."""
    if not len(rows):
        return torch.empty(rows.shape, dtype=torch.uint8)
    return torch.from_numpy(np.asarray(_Writable(rows)))
