"""Launches the choice of the best keys and the writing of what they say (see `device.py`)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..launching import padded
from . import device

# Keys that one program chooses from, and slots that it can fill; at most half as many.
MOST_KEYS, MOST_SLOTS = 4096, 512
# The upper half of a key of -inf.
NOTHING = device.EMPTY.value >> 32


class Found(NamedTuple):
    """What a search writes to."""

    scores: Tensor
    """[B, T, R, K] float32."""
    indices: Tensor
    """[B, T, R, K] int64."""


def empty(q: Tensor, top_k: int) -> Found:
    """Return room for the slots of queries [B, T, R, E]."""
    shape = (*q.shape[:3], top_k)
    scores = torch.empty(shape, dtype=torch.float32, device=q.device)
    return Found(scores, torch.empty(shape, dtype=torch.int64, device=q.device))


def best(keys: Tensor, top_k: int) -> Tensor:
    """Return the best keys [..., top_k] of [..., N], best first."""
    if top_k > MOST_SLOTS:
        return keys.topk(top_k).values
    return _best_of_parts(_narrowed(keys, top_k), top_k)


def select(keys: Tensor, top_k: int, found: Found, tile: slice) -> None:
    """Write the best of the keys [B, R, t, N] of a tile of query tokens where they belong."""
    if top_k > MOST_SLOTS:
        write(best(keys, top_k), found, tile)
    else:
        _launch(_narrowed(keys, top_k), top_k, None, found, tile)


def _narrowed(keys: Tensor, top_k: int) -> Tensor:
    """Return no more keys than one program chooses from, the best among them."""
    while keys.shape[-1] > MOST_KEYS:
        keys = _best_of_parts(keys, top_k)
    return keys


def _best_of_parts(keys: Tensor, top_k: int) -> Tensor:
    """Return the best keys [..., parts * top_k] of every `MOST_KEYS`."""
    parts = -(-keys.shape[-1] // MOST_KEYS)
    out = torch.empty(*keys.shape[:-1], parts * top_k, dtype=torch.int64, device=keys.device)
    _launch(keys, top_k, out, None, slice(0, 0))
    return out


def write(keys: Tensor, found: Found, tile: slice) -> None:
    """Write keys [B, R, t, K] where they belong, in the order that they have."""
    _launch(keys, keys.shape[-1], None, found, tile, select=False)


def _launch(
    keys: Tensor,
    top_k: int,
    out: Tensor | None,
    found: Found | None,
    tile: slice,
    *,
    select: bool = True,
) -> None:
    width = keys.shape[-1]
    rows = keys.numel() // width
    slots = padded(top_k) if select else min(padded(width), MOST_KEYS)
    columns = max(min(padded(width), MOST_KEYS), slots)
    at_once = min(max(1024 // columns, 1), padded(rows, 1))
    scores, indices = (None, None) if found is None else found
    tokens = 0 if found is None else found.scores.shape[1]
    with torch.cuda.device_of(keys):
        device.select_kernel[(-(-rows // at_once), -(-width // columns))](
            keys, out, scores, indices, rows, width, top_k, tile.start, tile.stop - tile.start,
            tokens, R=keys.shape[1], BR=at_once, BW=columns, KP=slots, SELECT=select,
            num_warps=4 if columns * at_once <= 1024 else 8,
        )  # fmt: skip
