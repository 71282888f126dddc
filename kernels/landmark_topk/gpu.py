"""Launchers of the Triton kernels (`device.py` says what a key is).

For a few tokens, a decode: the best of every span of landmarks, then the best of those. Two
launches at a million tokens.

For more, the best groups first, then the best of their landmarks. The k groups whose best landmarks
are best hold the k best landmarks: of every other group, k distinct landmarks beat the best one. So
the scores of all landmarks stay on the chip, and only one key per group and those of the candidates
go to memory.

What is compiled depends on `Config` or `SpanConfig`, E, R, and on which of mask, noise and scales
are there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..launching import Target, last_contiguous, padded, stages_within, target_of
from . import device, selecting
from .cpu import gathered_backward as backward
from .quantized import Quantized, quantize_queries

__all__ = ["Config", "backward", "config", "forward", "forward_quantized"]

# Keys of one tile of query tokens, 8 bytes each.
_TILE_KEYS = 1 << 25
_GROUPS = (16, 32, 64, 128)
# Groups of 16 that are looked into after a scan in int8, for each slot: the bounds let several
# times as many landmarks through as there are slots.
_QUANTIZED_GROUPS = 8
# Landmarks that a program of a prefill scores, one tile of them after the other.
_SPAN_TILES = 16
# Programs per processor that a decode is split into.
_WAVES = 4
# Where there is no GPU, kernels are interpreted, or compiled ahead of time, as for this one.
_H100_PROCESSORS = 132
# Query tokens that look at every landmark by themselves.
_SPAN_TOKENS = 4
_SPANS = (128, 256, 512)


class Config(NamedTuple):
    """How the kernels are compiled and launched; the same tile for both."""

    rows: int
    """Query tokens of a tile."""
    columns: int
    """Landmarks of a tile."""
    depth: int
    """Dimensions of one product."""
    group: int
    """Landmarks per group; 1 where groups would not save anything."""
    options: dict[str, int | bool]
    """num_warps, num_stages and what else the compiler takes."""


class SpanConfig(NamedTuple):
    """How `best_of_spans_kernel` is compiled and launched."""

    columns: int
    """Landmarks of a span."""
    depth: int
    """Dimensions that are loaded at once."""
    num_warps: int


class _Inputs(NamedTuple):
    q: Tensor
    landmarks: Tensor
    visible: Tensor
    mask: Tensor | None
    noise: Tensor | None
    scale: float


class _Bounds(NamedTuple):
    """What makes a scan in int8: queries with scales and slacks, landmarks with scales."""

    q: Tensor
    q_scale: Tensor
    slack: Tensor
    landmarks: Quantized


def config(
    target: Target, dim: int, tokens: int, group: int, dtype: torch.dtype, noise: bool = False
) -> Config:
    """Say how the kernels run.

    Args:
        target: the GPU.
        dim: E, dimensions of a landmark.
        tokens: query tokens T; few are a decode, which is bound by the reading of landmarks.
        group: landmarks per group, from `group_size`; fewer where a tile has fewer.
        dtype: of the scan, int8 for quantized landmarks.
        noise: whether there is noise.
    """
    rows, columns = 16 if tokens <= 16 else 64, 128
    # Where the products of 64 rows leave too few registers for 128 columns.
    narrow = target.vendor == "cuda" and rows > 16 and not target.wgmma
    if dtype == torch.int8 and target.capability >= 100:
        narrow = True
    if narrow or group == 1 or noise or dim > 128:
        columns = 64
    depth = min(padded(dim, 32 if dtype == torch.int8 else 16), 128)
    if dtype == torch.float32:
        # Without tensor cores the operands of a whole product lie in registers.
        rows, columns, depth = 16, 32, 16
    group = min(group, columns)
    # All of a tile's landmarks, and its queries again where they are more than one product takes.
    blocks = -(-dim // depth)
    tile = blocks * depth * (columns + (rows if blocks > 1 else 0)) * dtype.itemsize
    if target.vendor == "hip":
        # One shape of instruction for every product, so that all of them round alike.
        stages = 2 if tile <= target.shared // 2 else 1
        options = {"num_stages": stages, "matrix_instr_nonkdim": 16}
    else:
        # Beside them: the queries, and the scores on their way to other threads.
        fixed = rows * (depth * dtype.itemsize + 4 * columns)
        options = {"num_stages": stages_within(target, tile, fixed)}
    if noise:
        # The noise would be added within a multiplication here, and after it there.
        options["enable_fp_fusion"] = False
    return Config(rows, columns, depth, group, {"num_warps": 4, **options})


def group_size(chunks: int, top_k: int) -> int:
    """Return the size for which maxima and candidates together are fewest, or 1 for no groups."""
    if chunks <= 2 * _GROUPS[0] * top_k:
        return 1
    return min(_GROUPS, key=lambda size: chunks // size + top_k * size)


def span_config(dim: int, rows: int, chunks: int, top_k: int, processors: int) -> SpanConfig:
    """Say how a decode reads landmarks: in spans that fill the GPU, and then in longer ones.

    Args:
        dim: E, dimensions of a landmark.
        rows: query tokens times retrieval heads.
        chunks, top_k: landmarks, and how many of them are looked for.
        processors: of the GPU.
    """
    wanted = chunks * rows // (2 * processors)
    columns = next((span for span in _SPANS if span >= wanted), _SPANS[-1])
    # Twice as long if one program can then choose from the keys of all.
    if 0 < -(-chunks // columns) * padded(top_k) - selecting.MOST_KEYS <= selecting.MOST_KEYS:
        columns = min(2 * columns, _SPANS[-1])
    columns = max(columns, padded(top_k))
    return SpanConfig(columns, min(padded(dim), 32), columns // 32)


def forward(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    scale: float,
    chunk_mask: Tensor | None,
    noise: Tensor | None,
    target: Target | None = None,
) -> tuple[Tensor, Tensor]:
    """Return scores [B, T, R, K] (float32) and indices (int64, -1 for empty)."""
    found = selecting.empty(q, top_k)
    if 0 in found.scores.shape:
        return found
    inputs = _inputs(q, landmarks, visible, chunk_mask, noise, scale)
    if q.shape[1] <= _SPAN_TOKENS and top_k <= selecting.MOST_SLOTS and noise is None:
        spans = _span_form(inputs, top_k)
        keys = -(-landmarks.shape[1] // spans.columns) * padded(top_k, 2)
        if q[..., 0].numel() * keys <= _TILE_KEYS:
            selecting.select(
                _best_of_spans(inputs, spans, top_k), top_k, found, slice(0, q.shape[1])
            )
            return found
    size = group_size(landmarks.shape[1], top_k)
    target = target or target_of(q)
    form = config(target, q.shape[3], q.shape[1], size, q.dtype, noise is not None)
    for tile in _tiles(q, landmarks, form, top_k):
        _search(inputs, form, tile, top_k, found)
    return found


def forward_quantized(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    scale: float,
    chunk_mask: Tensor | None,
    quantized: Quantized,
    target: Target | None = None,
) -> tuple[Tensor, Tensor]:
    """As `forward`, but the groups are chosen by upper bounds of their scores, from int8.

    Whether the bounds ruled out all other groups is known to the host only after the scan; where
    they did not, the tile of query tokens is searched again without int8.
    """
    tokens, dim, chunks = q.shape[1], q.shape[3], landmarks.shape[1]
    most = _QUANTIZED_GROUPS * top_k
    if 0 in (*q.shape[:3], top_k) or group_size(chunks, most) == 1:
        return forward(q, landmarks, visible, top_k, scale, chunk_mask, None, target)
    found = selecting.empty(q, top_k)
    inputs = _inputs(q, landmarks, visible, chunk_mask, None, scale)
    target = target or target_of(q)
    exact = config(target, dim, tokens, group_size(chunks, top_k), q.dtype)
    looked, scan = (config(target, dim, tokens, _GROUPS[0], x) for x in (q.dtype, torch.int8))
    queries = quantize_queries(q, scale)
    values, scales = (x.contiguous() for x in quantized)
    bounds = _Bounds(*queries, Quantized(values, scales))
    for tile in _tiles(q, landmarks, scan, most):
        best = selecting.best(_maxima(inputs, scan, tile, bounds), most + 1)
        keys = selecting.best(
            _candidates(inputs, looked, tile, best[..., :most].contiguous()), top_k
        )
        selecting.write(keys, found, tile)
        # The upper halves of keys compare as their scores do.
        bound, worst = best[..., most] >> 32, keys[..., -1] >> 32
        if not bool(((bound < worst) | (bound == selecting.NOTHING)).all()):
            _search(inputs, exact, tile, top_k, found)
    return found


def _inputs(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    chunk_mask: Tensor | None,
    noise: Tensor | None,
    scale: float,
) -> _Inputs:
    return _Inputs(
        q.contiguous(),
        last_contiguous(landmarks),
        visible.contiguous(),
        None if chunk_mask is None else chunk_mask.contiguous().view(torch.uint8),
        None if noise is None else noise.contiguous(),
        scale,
    )


def _tiles(q: Tensor, landmarks: Tensor, form: Config, slots: int) -> list[slice]:
    """Cut the query tokens so that the keys of a tile stay within `_TILE_KEYS`."""
    batch, tokens, heads, _ = q.shape
    groups = -(-landmarks.shape[1] // form.group)
    keys = batch * heads * max(groups, min(slots, groups) * form.group)
    step = max(1, _TILE_KEYS // max(keys, 1))
    if step > form.rows:
        step -= step % form.rows
    return [slice(start, min(start + step, tokens)) for start in range(0, tokens, step)]


def _search(inputs: _Inputs, form: Config, tile: slice, top_k: int, found: selecting.Found) -> None:
    """Find the best landmarks of a tile of query tokens, best first."""
    keys = _maxima(inputs, form, tile)
    if form.group > 1:
        keys = _candidates(inputs, form, tile, selecting.best(keys, min(top_k, keys.shape[-1])))
    if inputs.noise is None:
        selecting.select(keys, top_k, found, tile)
        return
    # The noise was for the choice only.
    chosen = selecting.best(keys, top_k)
    keys = _candidates(inputs._replace(noise=None), form._replace(group=1), tile, chosen)
    selecting.write(keys, found, tile)


def _span_form(inputs: _Inputs, top_k: int) -> SpanConfig:
    batch, tokens, heads, dim = inputs.q.shape
    rows, chunks = batch * tokens * heads, inputs.landmarks.shape[1]
    return span_config(dim, rows, chunks, top_k, _processors(inputs.q))


def _best_of_spans(inputs: _Inputs, form: SpanConfig, top_k: int) -> Tensor:
    """Return keys [B, R, T, N], the `top_k` best among them."""
    q, landmarks, visible, mask, _, scale = inputs
    batch, tokens, heads, dim = q.shape
    chunks = landmarks.shape[1]
    spans, slots = -(-chunks // form.columns), padded(top_k, 2)
    out = torch.empty(batch, heads, tokens, spans * slots, dtype=torch.int64, device=q.device)
    with torch.cuda.device_of(q):
        device.best_of_spans_kernel[(spans, tokens, batch * heads)](
            q, landmarks, visible, mask, out, scale, tokens, chunks, *landmarks.stride()[:3],
            R=heads, E=dim, BE=form.depth, BN=form.columns, KP=slots, num_warps=form.num_warps,
        )  # fmt: skip
    return out


def _maxima(inputs: _Inputs, form: Config, tile: slice, bounds: _Bounds | None = None) -> Tensor:
    """Return a key for each group, [B, R, t, groups]: its best score or, with bounds, more."""
    q, landmarks, *rest = inputs[:5]
    if bounds is not None:
        q, landmarks = bounds.q, bounds.landmarks.values
    batch, tokens, heads, dim = q.shape
    chunks, count = landmarks.shape[1], tile.stop - tile.start
    groups = -(-chunks // form.group)
    out = torch.empty(batch, heads, count, groups, dtype=torch.int64, device=q.device)
    row_tiles, span = -(-count // form.rows), form.columns * _SPAN_TILES
    if row_tiles * batch * heads < _processors(q) * _WAVES:
        spans = max(1, _processors(q) * _WAVES // (row_tiles * batch * heads))
        tiles = -(-chunks // form.columns)
        span = min(span, -(-tiles // spans) * form.columns)
    # The second axis of a grid is short.
    span = max(span, -(-chunks // (65535 * form.columns)) * form.columns)
    scales = (None,) * 3 if bounds is None else (*bounds[1:3], bounds.landmarks.scales)
    with torch.cuda.device_of(q):
        device.group_maxima_kernel[(row_tiles, -(-chunks // span), batch * heads)](
            q, landmarks, *rest, *scales, out, inputs.scale, tile.start, count, tokens, chunks,
            groups, span, *landmarks.stride()[:3], **_constants(form, heads, dim),
        )  # fmt: skip
    return out


def _candidates(inputs: _Inputs, form: Config, tile: slice, groups: Tensor) -> Tensor:
    """Return the keys [B, R, t, N * group] of all landmarks of the groups with these keys."""
    q, landmarks = inputs[:2]
    batch, tokens, heads, dim = q.shape
    count, slots = groups.shape[2:]
    wide = slots * form.group
    out = torch.empty(batch, heads, count, wide, dtype=torch.int64, device=q.device)
    with torch.cuda.device_of(q):
        device.candidates_kernel[(count, -(-wide // form.columns), batch * heads)](
            *inputs[:5], groups, out, inputs.scale, tile.start, count, tokens, landmarks.shape[1],
            slots, *landmarks.stride()[:3], **_constants(form, heads, dim),
        )  # fmt: skip
    return out


def _constants(form: Config, heads: int, dim: int) -> dict[str, Any]:
    sizes = {"BE": form.depth, "BM": form.rows, "BN": form.columns, "GS": form.group}
    return {"R": heads, "E": dim, **sizes, **form.options}


def _processors(q: Tensor) -> int:
    if not q.is_cuda:
        return _H100_PROCESSORS
    return torch.cuda.get_device_properties(q.device).multi_processor_count
