"""A session's chunks on disk as the model reads them: landmarks at hand, K/V fetched and kept.

Letters: C chunks, S chunk size, R retrieval heads, E their dimensions, G KV heads, D head dim.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsa_memory.model import ChunkKV, ChunkMemory
from hsa_memory.storage import CorruptChunk, SessionStore

from .engine import Engine
from .precision import Precision, Rows, precision_of
from .tiers import Tiers

# Rows read at once: whole segments of the store, which it verifies by one digest each.
_LANDMARKS_PART = 65_536


class Landmarks:
    """Landmarks of a session on the model's device and in its number format, converted once and
    then extended. All of them: each search scores every one."""

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
        return torch.empty(shape, dtype=self._engine.dtype, device=self._engine.device)

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
                # To a GPU as they lie on disk, converted there.
                values = torch.from_numpy(self._read(first, stop)).to(new.device)
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
        tiers: Tiers,
        num_chunks: int,
    ) -> None:
        self._engine = engine
        self._store = store
        self._landmarks = landmarks
        self._tiers = tiers
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
        engine, config, count = self._engine, self._engine.config, len(chunk_ids)
        per_chunk = (2, config.chunk_size, config.hsa_num_kv_heads, config.head_dim)
        shape = (count + room, *per_chunk)
        both = torch.empty(shape, dtype=engine.disk_dtype, device=engine.device)
        self._tiers.gather(chunk_ids.numpy(), self._fetch, self._precision, both[:count])
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
    return landmarks.view(torch.uint8).flatten(1).cpu().numpy(), precision.encode(kv)
