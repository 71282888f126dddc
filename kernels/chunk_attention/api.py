"""Public operator, validation, and the seam where a device adds its kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..backends import require_one_device, resolve
from ..gathering import exact_dtype, fits
from . import cpu


def chunk_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor,
    weights: Tensor,
    *,
    scale: float | None = None,
    backend: str | None = None,
) -> Tensor:
    """Attend inside each chosen chunk and fuse the results by the retrieval weights.

    `out[t, h] = sum_i weights[t, g, i] * softmax_s(scale * q[t, h] . k[c_i, s, g]) v[c_i, s, g]`
    with `c_i = indices[t, g, i]` and `g` the KV head of `h`: the paper's section 2.2. There are no
    positions and no softmax across chunks.

    Args:
        q: queries [B, T, H, D]; float64, float32, bfloat16 or float16.
        k: keys of all chunks [B, C, S, G, D], H a multiple of G; in the dtype of `q`, or bfloat16
            as a store keeps them, converted where they are used. C may be 0. All must be finite: a
            chunk that no token chose may still be read, with weight 0.
        v: values, as `k`.
        indices: chosen chunks [B, T, G, K], int64 in [0, C); -1 marks an empty slot. Others are an
            error on the CPU; on a GPU nobody looks, for that would wait for it.
        weights: fusion weights [B, T, G, K], float32 (float64 with float64 inputs); those of empty
            slots are ignored.
        scale: factor on the scores; default 1 / sqrt(D).
        backend: "torch" or "triton"; default Triton on a GPU and PyTorch elsewhere.

    Returns:
        [B, T, H, D] in the dtype of `q`; zeros where a token has no chunk. Differentiable in q, k,
        v and weights.

    Raises:
        ValueError: if shapes, dtypes or devices do not fit together.
        BackendUnavailable: if the backend cannot run here.
    """
    _validate(q, k, v, indices, weights)
    chosen = resolve(backend, q)
    if k.shape[1] == 0 or indices.shape[3] == 0:
        return torch.zeros_like(q)
    factor = q.shape[3] ** -0.5 if scale is None else scale
    # The first call of a custom op imports torch's compiler, seconds in a fresh process; without
    # gradients the operator has nothing to add on the CPU.
    plain = chosen == "torch" and not torch.is_grad_enabled()
    if plain and not torch.compiler.is_compiling():
        return cpu.forward(q, k, v, indices, weights, factor)
    result: Tensor = _forward(q, k.to(q.dtype), v.to(q.dtype), indices, weights, factor, chosen)
    return result


def _validate(q: Tensor, k: Tensor, v: Tensor, indices: Tensor, weights: Tensor) -> None:
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
    if k.shape != v.shape or k.shape[0] != batch or k.shape[4] != dim or heads % groups:
        raise ValueError(
            f"k and v must be [{batch}, C, S, G, {dim}] with G dividing {heads}; "
            f"found {tuple(k.shape)} and {tuple(v.shape)}"
        )
    if indices.shape[:3] != (batch, tokens, groups) or weights.shape != indices.shape:
        raise ValueError(
            f"indices and weights must be [{batch}, {tokens}, {groups}, K]; "
            f"found {tuple(indices.shape)} and {tuple(weights.shape)}"
        )
    if k.dtype != v.dtype or not fits(q, k) or indices.dtype != torch.int64:
        raise ValueError(
            "k and v must share the dtype of q or be bfloat16, and indices be int64; found "
            f"{q.dtype}, {k.dtype}, {v.dtype}, {indices.dtype}"
        )
    exact = exact_dtype(q)
    if weights.dtype != exact:
        raise ValueError(f"weights must be {exact} beside {q.dtype}; found {weights.dtype}")
    require_one_device(q=q, k=k, v=v, indices=indices, weights=weights)


def _kernels(backend: str) -> Any:
    if backend == "triton":
        # Triton takes seconds to import, and reads TRITON_INTERPRET when it is.
        from . import gpu

        return gpu
    return cpu


@torch.library.custom_op("hsa_memory::chunk_attention", mutates_args=())
def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor,
    weights: Tensor,
    scale: float,
    backend: str = "torch",
) -> Tensor:
    result: Tensor = _kernels(backend).forward(q, k, v, indices, weights, scale)
    return result


@_forward.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor,
    weights: Tensor,
    scale: float,
    backend: str = "torch",
) -> Tensor:
    return torch.empty_like(q, memory_format=torch.contiguous_format)


@torch.library.custom_op("hsa_memory::chunk_attention_backward", mutates_args=())
def _backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor,
    weights: Tensor,
    scale: float,
    backend: str = "torch",
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = _kernels(backend).backward(grad, q, k, v, indices, weights, scale)
    return g.q, g.k, g.v, g.weights


@_backward.register_fake
def _(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor,
    weights: Tensor,
    scale: float,
    backend: str = "torch",
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dq, dk, dv, dw = (
        torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k, v, weights)
    )
    return dq, dk, dv, dw


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.scale, ctx.backend = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    dq, dk, dv, dw = _backward(grad.contiguous(), *ctx.saved_tensors, ctx.scale, ctx.backend)
    return dq, dk, dv, None, dw, None, None


_forward.register_autograd(_differentiate, setup_context=_save)
