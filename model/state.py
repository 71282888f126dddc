"""What a model carries from one call to the next: windows, unfinished chunks, the memory.

Letters: B batch, C chunks, S chunk size, R retrieval heads, E their dimensions, G KV heads, D head
dim, h hidden size. A row is one sequence of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from hsa_memory.kernels.landmark_topk import TopK, landmark_topk


class WindowCache(NamedTuple):
    """Roped keys and values [B, P, G, D] of a layer's last P < window tokens, newest last."""

    k: Tensor
    v: Tensor


class ChunkKV(NamedTuple):
    """Keys and values [B, C, S, G, D] of chunks, shared by all HSA layers."""

    k: Tensor
    v: Tensor


class ChunkSource(Protocol):
    """Finished chunks kept elsewhere (a session on disk): one row, gathered on demand."""

    @property
    def num_chunks(self) -> int:
        """Chunks available."""

    @property
    def landmarks(self) -> Tensor:
        """Landmarks [C, R, E], on the model's device."""

    def gather(self, chunk_ids: Tensor, room: int = 0) -> ChunkKV:
        """Return K and V [1, n + room, S, G, D] on the model's device: those of `chunk_ids` (int64
        [n] on the CPU, sorted), then room for the caller to fill. In the model's number format or
        bfloat16, to which the chunks that a memory holds beside its source are rounded then."""


@dataclass(frozen=True)
class ChunkMemory:
    """The chunks of the past: first those of `source`, then those held as tensors."""

    landmarks: Tensor
    """[B, C, R, E] of the chunks held here."""
    kv: ChunkKV
    """[B, C, S, G, D] of the chunks held here."""
    source: ChunkSource | None = None
    """Chunks that come before them; needs B = 1."""
    mask: Tensor | None = None
    """[number of chunks in source] bool; False hides a chunk of the source. Default: none."""

    @property
    def num_source_chunks(self) -> int:
        """Chunks in the source."""
        return 0 if self.source is None else self.source.num_chunks

    def find(self, q: Tensor, visible: Tensor, top_k: int, noise: Tensor | None = None) -> TopK:
        """Return the best chunks, numbered from the start of the sequence."""
        first = self.num_source_chunks
        held = partial(landmark_topk, q, self.landmarks, visible - first, top_k, noise=noise)
        if self.source is None:
            return held()
        mask = None if self.mask is None else self.mask[None]
        stored = landmark_topk(q, self.source.landmarks[None], visible, top_k, chunk_mask=mask)
        if self.landmarks.shape[1] == 0:
            return stored
        return _merged(stored, held(), first, top_k)

    def gather(self, indices: Tensor) -> tuple[ChunkKV, Tensor]:
        """Return the K and V that hold the chosen chunks and `indices` renumbered into them."""
        if self.source is None:
            return self.kv, indices
        # What was chosen is needed on the CPU, where its places are known: it waits for a GPU.
        found = torch.unique(indices)
        chosen = found.cpu()
        chosen = chosen[chosen >= 0]
        found = found[len(found) - len(chosen) :]  # sorted: -1 comes first
        stored = chosen[chosen < self.num_source_chunks]
        kv = self.source.gather(stored, room=len(chosen) - len(stored))
        held = found[len(stored) :] - self.num_source_chunks
        for x, own in zip(kv, self.kv, strict=True):
            x[:, len(stored) :] = own[:, held]
        local = torch.searchsorted(found, indices)
        return kv, torch.where(indices < 0, -1, local)

    def append(
        self, landmarks: Tensor, kv: ChunkKV, held: tuple[int, ...], new: tuple[int, ...]
    ) -> ChunkMemory:
        """Return a memory with `new[b]` more chunks after the `held[b]` of row b."""
        return replace(
            self,
            landmarks=append_rows(self.landmarks, landmarks, held, new),
            kv=ChunkKV(
                append_rows(self.kv.k, kv.k, held, new), append_rows(self.kv.v, kv.v, held, new)
            ),
        )


@dataclass(frozen=True)
class State:
    """Everything a sequence needs to go on; values are never changed in place.

    `upper` is empty after an ingest: the next full forward rebuilds the upper windows from
    `recent`, which always holds as many lower outputs as can influence the next token.
    """

    lengths: tuple[int, ...]
    """Tokens seen per row."""
    lower: tuple[WindowCache, ...]
    """One per lower layer."""
    pending: Tensor
    """[B, < S + A, h] lower outputs from the first unfinished chunk on, oldest first; A is
    `HSAConfig.encoder_lookahead`."""
    recent: Tensor
    """[B, <= upper_reach, h] lower outputs of the last tokens, newest last."""
    memory: ChunkMemory
    """All finished chunks."""
    upper: tuple[WindowCache, ...] = field(default=())
    """One per windowed attention of the upper decoder, or none when stale."""

    @property
    def is_ragged(self) -> bool:
        """Whether rows differ in length."""
        return len(set(self.lengths)) > 1


def _merged(stored: TopK, held: TopK, first: int, top_k: int) -> TopK:
    """The best of chunks found in a source and among those from chunk `first` on."""
    indices = torch.where(held.indices < 0, -1, held.indices + first)
    scores = torch.cat([stored.scores, held.scores], dim=-1)
    # Of equal ones the first, as each of the two has chosen already.
    best, slot = scores.sort(dim=-1, descending=True, stable=True)
    slot = slot[..., :top_k]
    found = torch.cat([stored.indices, indices], dim=-1).gather(-1, slot)
    return TopK(best[..., :top_k], found)


def append_rows(
    old: Tensor, new: Tensor, old_lengths: tuple[int, ...], new_lengths: tuple[int, ...]
) -> Tensor:
    """Join rows [B, n, ...] end to end; what lies beyond a row's length is dropped, zero-padded."""
    if len(set(old_lengths)) == 1 and len(set(new_lengths)) == 1:
        if old_lengths[0] == 0:
            return new[:, : new_lengths[0]]
        if new_lengths[0] == 0:
            return old[:, : old_lengths[0]]
        return torch.cat([old[:, : old_lengths[0]], new[:, : new_lengths[0]]], dim=1)
    rows = [
        torch.cat([old[b, :held], new[b, :added]])
        for b, (held, added) in enumerate(zip(old_lengths, new_lengths, strict=True))
    ]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def last_rows(x: Tensor, keep: int, cut: tuple[int, ...]) -> Tensor:
    """Drop `cut[b]` entries at the end of each row, then keep the last `keep` (front-padded)."""
    if len(set(cut)) == 1:
        stop = x.shape[1] - cut[0]
        return x[:, max(0, stop - keep) : stop]
    longest = x.shape[1] - min(cut)
    padded = torch.nn.functional.pad(x, (0, 0) * (x.dim() - 2) + (longest, 0))
    rows = [
        row[row.shape[0] - c - longest : row.shape[0] - c]
        for row, c in zip(padded, cut, strict=True)
    ]
    return torch.stack(rows)[:, -min(keep, longest) :] if keep else torch.stack(rows)[:, :0]
