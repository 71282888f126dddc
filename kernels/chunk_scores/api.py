"""Public operator, validation, and the seam where a device adds its kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..backends import require_one_device, resolve
from ..gathering import exact_dtype, fits
from . import cpu


def chunk_scores(
    q: Tensor,
    k: Tensor,
    indices: Tensor,
    *,
    scale: float | None = None,
    backend: str | None = None,
) -> Tensor:
    """Score chosen chunks by their best matching tokens.

    `out[t, g, i, r] = logsumexp_s(scale * q[t, g * R + r] . k[c_i, s, g])` with
    `c_i = indices[t, g, i]`.

    Args:
        q: queries [B, T, H, D], R = H / G per KV head; float64, float32, bfloat16 or
            float16.
        k: keys of all chunks [B, C, S, G, D] in the dtype of `q` or bfloat16, all finite; C may
            be 0.
        indices: chosen chunks [B, T, G, K], int64 in [0, C); -1 marks an empty slot. Others are an
            error on the CPU; on a GPU nobody looks, for that would wait for it.
        scale: factor on the products; default 1 / sqrt(D).
        backend: "torch" or "triton"; default Triton on a GPU and PyTorch elsewhere.

    Returns:
        [B, T, G, K, R], float32 (float64 for float64 inputs); 0 for empty slots. Differentiable in
        q and k.

    Raises:
        ValueError: if shapes, dtypes or devices do not fit together.
        BackendUnavailable: if the backend cannot run here.
    """
    _validate(q, k, indices)
    chosen = resolve(backend, q)
    if k.shape[1] == 0 or indices.shape[3] == 0:
        return q.new_zeros(_shape(q, k, indices), dtype=exact_dtype(q))
    factor = q.shape[3] ** -0.5 if scale is None else scale
    # As in `chunk_attention`: no custom op, no compiler to import, where nothing is differentiated.
    plain = chosen == "torch" and not torch.is_grad_enabled()
    if plain and not torch.compiler.is_compiling():
        return cpu.forward(q, k, indices, factor)
    result: Tensor = _forward(q, k.to(q.dtype), indices, factor, chosen)
    return result


def _shape(q: Tensor, k: Tensor, indices: Tensor) -> tuple[int, ...]:
    return (*indices.shape, q.shape[2] // k.shape[3])


def _validate(q: Tensor, k: Tensor, indices: Tensor) -> None:
    if q.dim() != 4 or k.dim() != 5 or indices.dim() != 4:
        raise ValueError(
            "expected q [B, T, H, D], k [B, C, S, G, D], indices [B, T, G, K]; found "
            f"{tuple(q.shape)}, {tuple(k.shape)}, {tuple(indices.shape)}"
        )
    batch, tokens, heads, dim = q.shape
    size, groups = k.shape[2:4]
    if not (heads and dim and size and groups):
        raise ValueError(
            f"H, S, G and D must be at least 1; found {tuple(q.shape)} and {tuple(k.shape)}"
        )
    if k.shape[0] != batch or k.shape[4] != dim or heads % groups:
        raise ValueError(
            f"k must be [{batch}, C, S, G, {dim}] with G dividing {heads}; found {tuple(k.shape)}"
        )
    if indices.shape[:3] != (batch, tokens, groups):
        raise ValueError(
            f"indices must be [{batch}, {tokens}, {groups}, K]; found {tuple(indices.shape)}"
        )
    if not fits(q, k) or indices.dtype != torch.int64:
        raise ValueError(
            "k must have the dtype of q or be bfloat16, and indices be int64; found "
            f"{q.dtype}, {k.dtype}, {indices.dtype}"
        )
    require_one_device(q=q, k=k, indices=indices)


def _kernels(backend: str) -> Any:
    if backend == "triton":
        from . import gpu

        return gpu
    return cpu


@torch.library.custom_op("hsa_memory::chunk_scores", mutates_args=())
def _forward(q: Tensor, k: Tensor, indices: Tensor, scale: float, backend: str = "torch") -> Tensor:
    result: Tensor = _kernels(backend).forward(q, k, indices, scale)
    return result


@_forward.register_fake
def _(q: Tensor, k: Tensor, indices: Tensor, scale: float, backend: str = "torch") -> Tensor:
    return q.new_empty(_shape(q, k, indices), dtype=exact_dtype(q))


@torch.library.custom_op("hsa_memory::chunk_scores_backward", mutates_args=())
def _backward(
    grad: Tensor, q: Tensor, k: Tensor, indices: Tensor, scale: float, backend: str = "torch"
) -> tuple[Tensor, Tensor]:
    g = _kernels(backend).backward(grad, q, k, indices, scale)
    return g.q, g.k


@_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, indices: Tensor, scale: float, backend: str = "torch"
) -> tuple[Tensor, Tensor]:
    dq, dk = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k))
    return dq, dk


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.scale, ctx.backend = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    dq, dk = _backward(grad.contiguous(), *ctx.saved_tensors, ctx.scale, ctx.backend)
    return dq, dk, None, None, None


_forward.register_autograd(_differentiate, setup_context=_save)
