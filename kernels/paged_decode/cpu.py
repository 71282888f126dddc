"""PyTorch: copy the chosen pages, nothing else, and attend on the copies."""

from __future__ import annotations

import torch
from torch import Tensor

from ..gathering import Copies, mix, per_token, products, readable, tiles
from .pages import pages_of, require_pages


def forward(
    q: Tensor,
    k_pool: Tensor,
    v_pool: Tensor,
    page_table: Tensor,
    indices: Tensor,
    weights: Tensor,
    out: Tensor,
    workspace: Tensor | None,
    scale: float,
    splits: int,
) -> None:
    """Write the output [B, H, D] to `out`; `workspace` and `splits` are for GPUs.

    To `gathering`, the pool is one long session whose chunks are pages and whose query tokens are
    the batch.
    """
    pages = pages_of(page_table, indices)
    require_pages(pages, k_pool.shape[0], page_table, indices)
    if not min(k_pool.shape[0], indices.shape[2], out.numel()):
        out.zero_()
        return
    q, k, v, chosen, result = q[None], k_pool[None], v_pool[None], pages[None], out[None]
    fusion = weights.masked_fill(indices < 0, 0)[None]
    keys, values = Copies(q, k, chosen), Copies(q, v, chosen)
    for tile in tiles(q, k, chosen):
        at = readable(chosen[:, tile])
        p = torch.softmax(products(per_token(q[:, tile]), keys.of(at)).mul_(scale), dim=-1)
        by_slot = per_token(fusion[:, tile]).transpose(1, 2)  # [N, G, 1, K]
        p = p.mul_(by_slot[:, :, :, None, :, None])
        result[:, tile] = mix(p, values.of(at), per_token(q[:, tile])).transpose(0, 1)
    # What has no chunk at all read some page, which may hold anything.
    nothing = (pages < 0).all(-1)[:, :, None, None]
    out.view(*nothing.shape[:2], -1, out.shape[2]).masked_fill_(nothing, 0)
