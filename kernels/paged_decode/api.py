"""Public operator, validation, and the seam where a device adds its kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..backends import require_one_device, resolve
from ..gathering import exact_dtype, fits
from .pages import Pool, split_pool

PAGE_DTYPES = (torch.int32, torch.int64)


def paged_decode(
    q: Tensor,
    pool: Pool,
    page_table: Tensor,
    indices: Tensor,
    weights: Tensor,
    *,
    scale: float | None = None,
    splits: int | None = None,
    out: Tensor | None = None,
    workspace: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Attend inside each chosen chunk, for one new token per session, where chunks lie on pages.

    `out[b, h] = sum_i weights[b, g, i] * softmax_s(scale * q[b, h] . k[p_i, s, g]) v[p_i, s, g]`
    with `p_i = page_table[b, indices[b, g, i]]` and `g` the KV head of `h`: `chunk_attention`, with
    keys and values read from where they lie. Sessions of different lengths share a batch. Only the
    pages of chosen chunks are read; others may hold anything.

    It has no gradient. On a GPU nothing waits for the device, and shapes alone decide what is
    launched, so that it can be captured in a CUDA graph; with `out` and `workspace` it allocates
    nothing.

    Args:
        q: queries [B, H, D]; float64, float32, bfloat16 or float16.
        pool: pages [P, 2, S, G, D], keys before values, or a pair of [P, S, G, D]; H a multiple of
            G; in the dtype of `q`, or bfloat16, converted where they are used. Any strides.
        page_table: page of every chunk of every session [B, C], int32 or int64; -1 where a chunk is
            on no page, or where a session has less than C chunks.
        indices: chosen chunks [B, G, K], int64 in [0, C); -1 marks an empty slot.
        weights: fusion weights [B, G, K], float32 (float64 with float64 inputs); those of empty
            slots are ignored.
        scale: factor on the scores; default 1 / sqrt(D).
        splits: parts into which the GPU kernels cut a session's slots, which run side by side and
            are then added, always in one order; K / 32 or more. Default: what fills the GPU.
            PyTorch has no use for it.
        out: [B, H, D] contiguous, in the dtype of `q`; what to write to. Default: new.
        workspace: float32 [splits, B, H, D] contiguous, from `decode_workspace`: the parts of the
            sum. Its first size then is `splits`. Default: new.
        backend: "torch" or "triton"; default Triton on a GPU and PyTorch elsewhere.

    Returns:
        [B, H, D] in the dtype of `q`, `out` if given; zeros where a session has no chunk.

    Raises:
        ValueError: if shapes or dtypes do not fit together, or gradients are wanted.
        PageMissing: a ValueError; if a chosen chunk is on no page and PyTorch runs. Triton leaves
            such slots out, for to look would wait for the GPU: see `missing_pages`.
        BackendUnavailable: if the backend cannot run here.
    """
    k_pool, v_pool = split_pool(pool)
    _validate(q, k_pool, v_pool, page_table, indices, weights)
    _validate_memory(q, out, workspace, splits)
    if torch.is_grad_enabled() and any(x.requires_grad for x in (q, k_pool, v_pool, weights)):
        raise ValueError(
            "paged_decode has no gradient: call it under torch.no_grad(), or use chunk_attention"
        )
    chosen = resolve(backend, q)
    # Of an int Triton would make another kernel.
    factor = q.shape[2] ** -0.5 if scale is None else float(scale)
    parts = splits or 0 if workspace is None else workspace.shape[0]
    inputs = (q, k_pool, v_pool, page_table, indices, weights)
    if torch.compiler.is_compiling():
        if out is None and workspace is None:
            result: Tensor = _decode(*inputs, factor, parts, chosen)
            return result
        out = torch.empty_like(q, memory_format=torch.contiguous_format) if out is None else out
        _decode_into(*inputs, out, workspace, factor, parts, chosen)
        return out
    # A custom op costs microseconds per call, and imports torch's compiler at the first; without
    # gradients it has nothing to add where nothing is compiled.
    out = torch.empty_like(q, memory_format=torch.contiguous_format) if out is None else out
    _run(*inputs, out, workspace, factor, parts, chosen)
    return out


def decode_workspace(q: Tensor, indices: Tensor, *, splits: int | None = None) -> Tensor:
    """Return memory for `paged_decode(..., workspace=)`, float32 [splits, B, H, D].

    Args:
        q, indices: as for `paged_decode`; only shapes and device matter.
        splits: parts of the sum; default what fills the GPU, 1 elsewhere.
    """
    if not splits and q.is_cuda:
        splits = _kernels("triton").splits_for(q, indices)
    return torch.empty(splits or 1, *q.shape, dtype=torch.float32, device=q.device)


def _validate(
    q: Tensor, k: Tensor, v: Tensor, page_table: Tensor, indices: Tensor, weights: Tensor
) -> None:
    if q.dim() != 3 or k.dim() != 4 or page_table.dim() != 2 or indices.dim() != 3:
        raise ValueError(
            "expected q [B, H, D], pages [P, S, G, D] of keys and of values, page_table [B, C], "
            f"indices [B, G, K]; found {tuple(q.shape)}, {tuple(k.shape)}, "
            f"{tuple(page_table.shape)}, {tuple(indices.shape)}"
        )
    batch, heads, dim = q.shape
    _, size, groups, _ = k.shape
    if k.shape != v.shape or k.shape[3] != dim or not (size and groups and dim) or heads % groups:
        raise ValueError(
            f"pages of keys and of values must be [P, S, G, {dim}], S, G and D > 0, G dividing "
            f"{heads}; found {tuple(k.shape)} and {tuple(v.shape)}"
        )
    if (
        page_table.shape[0] != batch
        or indices.shape[:2] != (batch, groups)
        or weights.shape != indices.shape
    ):
        raise ValueError(
            f"page_table must be [{batch}, C], indices and weights [{batch}, {groups}, K]; found "
            f"{tuple(page_table.shape)}, {tuple(indices.shape)} and {tuple(weights.shape)}"
        )
    if k.dtype != v.dtype or not fits(q, k):
        raise ValueError(
            f"the pool must have the dtype of q or be bfloat16; found {q.dtype}, {k.dtype}, "
            f"{v.dtype}"
        )
    if page_table.dtype not in PAGE_DTYPES or indices.dtype != torch.int64:
        raise ValueError(
            "page_table must be int32 or int64, and indices int64; found "
            f"{page_table.dtype} and {indices.dtype}"
        )
    exact = exact_dtype(q)
    if weights.dtype != exact:
        raise ValueError(f"weights must be {exact} beside {q.dtype}; found {weights.dtype}")
    require_one_device(
        q=q, keys=k, values=v, page_table=page_table, indices=indices, weights=weights
    )


def _validate_memory(
    q: Tensor, out: Tensor | None, workspace: Tensor | None, splits: int | None
) -> None:
    if splits is not None and splits < 1:
        raise ValueError(f"splits must be at least 1; found {splits}")
    if out is not None and (
        out.shape != q.shape
        or out.dtype != q.dtype
        or out.device != q.device
        or not out.is_contiguous()
    ):
        raise ValueError(
            f"out must be {tuple(q.shape)}, contiguous, {q.dtype} on {q.device}; found "
            f"{tuple(out.shape)}, {out.dtype} on {out.device}"
        )
    if workspace is None:
        return
    if (
        workspace.shape[1:] != q.shape
        or workspace.dim() != 4
        or workspace.shape[0] != (splits or workspace.shape[0] or 1)
        or workspace.dtype != torch.float32
        or workspace.device != q.device
        or not workspace.is_contiguous()
    ):
        raise ValueError(
            f"workspace must be [{splits or 'splits'}, {', '.join(map(str, q.shape))}], "
            f"contiguous, torch.float32 on {q.device}; found {tuple(workspace.shape)}, "
            f"{workspace.dtype} on {workspace.device}"
        )


def _kernels(backend: str) -> Any:
    if backend == "triton":
        from . import gpu

        return gpu
    from . import cpu

    return cpu


def _run(
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
    backend: str,
) -> None:
    inputs = (q, k_pool, v_pool, page_table, indices, weights)
    _kernels(backend).forward(*inputs, out, workspace, scale, splits)


_decode_into = torch.library.custom_op(
    "hsa_memory::paged_decode_into", _run, mutates_args=("out", "workspace")
)


@_decode_into.register_fake
def _(
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
    backend: str,
) -> None:
    return None


@torch.library.custom_op("hsa_memory::paged_decode", mutates_args=())
def _decode(
    q: Tensor,
    k_pool: Tensor,
    v_pool: Tensor,
    page_table: Tensor,
    indices: Tensor,
    weights: Tensor,
    scale: float,
    splits: int = 0,
    backend: str = "torch",
) -> Tensor:
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    _run(q, k_pool, v_pool, page_table, indices, weights, out, None, scale, splits, backend)
    return out


@_decode.register_fake
def _(
    q: Tensor,
    k_pool: Tensor,
    v_pool: Tensor,
    page_table: Tensor,
    indices: Tensor,
    weights: Tensor,
    scale: float,
    splits: int = 0,
    backend: str = "torch",
) -> Tensor:
    return torch.empty_like(q, memory_format=torch.contiguous_format)
