"""From chunk ids of sessions to pages of the pool, and what is said where there is no page."""

from __future__ import annotations

import torch
from torch import Tensor

Pool = Tensor | tuple[Tensor, Tensor]


class PageMissing(ValueError):
    """A session chose a chunk whose keys and values are on no page of the pool.

    Args:
        session: row of the batch.
        kv_head: KV head that chose it.
        chunk: id of the chunk.
        why: what is wrong with it.
    """

    def __init__(self, session: int, kv_head: int, chunk: int, why: str) -> None:
        super().__init__(f"session {session}, KV head {kv_head}: chunk {chunk} {why}")
        self.session = session
        self.kv_head = kv_head
        self.chunk = chunk


def split_pool(pool: Pool) -> tuple[Tensor, Tensor]:
    """Return keys and values [P, S, G, D] each, as views."""
    if isinstance(pool, Tensor):
        if pool.dim() != 5 or pool.shape[1] != 2:
            raise ValueError(f"expected a pool [P, 2, S, G, D]; found {tuple(pool.shape)}")
        return pool[:, 0], pool[:, 1]
    k_pool, v_pool = pool
    return k_pool, v_pool


def pages_of(page_table: Tensor, indices: Tensor) -> Tensor:
    """Return the page of every slot [B, G, K], int64; -1 for empty slots and missing pages."""
    batch, chunks = page_table.shape
    if chunks == 0:
        return torch.full_like(indices, -1)
    known = (indices >= 0) & (indices < chunks)
    at = indices.clamp(0, chunks - 1).flatten(1)
    pages = page_table.gather(1, at).view(indices.shape).to(torch.int64)
    return pages.masked_fill(~known, -1)


def missing_pages(pool: Pool, page_table: Tensor, indices: Tensor) -> Tensor:
    """Say which slots chose a chunk that is on no page; nothing waits for the GPU.

    The GPU kernels leave such slots out. Where that must not happen, look before decoding:
    `missing_pages(pool, page_table, indices).any()`.

    Args:
        pool, page_table, indices: as for `paged_decode`.

    Returns:
        bool [B, G, K], False for empty slots.
    """
    pages = pages_of(page_table, indices)
    return (indices >= 0) & ((pages < 0) | (pages >= split_pool(pool)[0].shape[0]))


def require_pages(pages: Tensor, count: int, page_table: Tensor, indices: Tensor) -> None:
    """Raise `PageMissing` for the first chosen chunk without one of the `count` pages."""
    missing = (indices >= 0) & ((pages < 0) | (pages >= count))
    if not bool(missing.any()):
        return
    session, kv_head, slot = missing.nonzero()[0].tolist()
    chunk = int(indices[session, kv_head, slot])
    if chunk >= page_table.shape[1]:
        why = f"is not among the {page_table.shape[1]} chunks of the page table"
    elif pages[session, kv_head, slot] < 0:
        why = "has no page: it is not resident"
    else:
        why = f"is said to be on page {int(pages[session, kv_head, slot])} of a pool of {count}"
    raise PageMissing(session, kv_head, chunk, why)
