"""Public operator, validation, and the seam where a device adds its kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..backends import require_one_device, resolve
from ..gathering import exact_dtype
from . import cpu
from . import quantized as int8
from .quantized import Quantized


class TopK(NamedTuple):
    """Scores [B, T, R, K] (-inf for empty slots) and chunk indices (-1 for empty), best first.

    Empty slots come last. With noise, "best" means with the noise added.
    """

    scores: Tensor
    indices: Tensor


def landmark_topk(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    *,
    scale: float | None = None,
    chunk_mask: Tensor | None = None,
    noise: Tensor | None = None,
    quantized: Quantized | None = None,
    backend: str | None = None,
) -> TopK:
    """Find the `top_k` chunks whose landmarks score highest for each query (paper section 2.2).

    Args:
        q: retrieval queries [B, T, R, E]; R retrieval heads of E dimensions.
        landmarks: [B, C, R, E], same dtype; C may be 0.
        visible: [B, T] int64; token t sees the chunks [0, visible[t]): strict chunk causality.
        top_k: chunks per query; with fewer visible chunks the rest of the slots are empty.
        scale: factor on the scores; default 1 / sqrt(E).
        chunk_mask: [B, C] bool; False hides a chunk from every query.
        noise: [B, T, R, C] added for the choice only, not to the returned scores (training).
        quantized: the same landmarks from `quantize_landmarks`, a quarter of the bytes to search
            through. What is found is the same, but for scores that only rounding tells apart. Not
            together with `noise`; on a GPU the host waits for the search.
        backend: "torch" or "triton"; default Triton on a GPU and PyTorch elsewhere.

    Returns:
        `TopK` with K = min(top_k, C); scores are float32 (float64 for float64 inputs) and
        differentiable in q and landmarks. Of chunks that score alike the first are chosen.

    Raises:
        ValueError: if shapes or dtypes do not fit together or `top_k` is negative.
        BackendUnavailable: if the backend cannot run here.
    """
    _validate(q, landmarks, visible, top_k, chunk_mask, noise)
    values, scales = (None, None) if quantized is None else quantized
    require_one_device(
        q=q, landmarks=landmarks, visible=visible, chunk_mask=chunk_mask, noise=noise,
        values=values, scales=scales,
    )  # fmt: skip
    if quantized is not None:
        _validate_quantized(quantized, landmarks, noise)
    chosen = resolve(backend, q)
    factor = q.shape[3] ** -0.5 if scale is None else scale
    slots = min(top_k, landmarks.shape[1])
    # The first call of a custom op imports torch's compiler, seconds in a fresh process; without
    # gradients the operator has nothing to add on the CPU.
    plain = chosen == "torch" and not torch.is_grad_enabled()
    run = _search if plain and not torch.compiler.is_compiling() else _forward
    scores, indices = run(
        q, landmarks, visible, slots, factor, chunk_mask, noise, values, scales, chosen
    )
    return TopK(scores, indices)


def _validate(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    chunk_mask: Tensor | None,
    noise: Tensor | None,
) -> None:
    if q.dim() != 4 or landmarks.dim() != 4 or q.shape[0] != landmarks.shape[0]:
        raise ValueError(
            "expected q [B, T, R, E] and landmarks [B, C, R, E]; found "
            f"{tuple(q.shape)} and {tuple(landmarks.shape)}"
        )
    if q.shape[2:] != landmarks.shape[2:] or visible.shape != q.shape[:2] or top_k < 0:
        raise ValueError(
            f"heads and dimensions must agree, visible be [B, T], top_k >= 0; found q "
            f"{tuple(q.shape)}, landmarks {tuple(landmarks.shape)}, visible "
            f"{tuple(visible.shape)}, top_k {top_k}"
        )
    if q.dtype != landmarks.dtype:
        raise ValueError(
            f"q and landmarks must share a dtype; found {q.dtype} and {landmarks.dtype}"
        )
    batch, chunks = landmarks.shape[:2]
    if chunk_mask is not None and (
        chunk_mask.shape != (batch, chunks) or chunk_mask.dtype != torch.bool
    ):
        raise ValueError(
            f"chunk_mask must be bool [{batch}, {chunks}]; found {chunk_mask.dtype} "
            f"{tuple(chunk_mask.shape)}"
        )
    if noise is not None and noise.shape != (*q.shape[:3], chunks):
        raise ValueError(f"noise must be {[*q.shape[:3], chunks]}; found {tuple(noise.shape)}")


def _validate_quantized(quantized: Quantized, landmarks: Tensor, noise: Tensor | None) -> None:
    values, scales = quantized
    if noise is not None:
        raise ValueError("noise is for training, quantized landmarks are for searching: give one")
    if values.shape != landmarks.shape or scales.shape != landmarks.shape[:3]:
        raise ValueError(
            f"quantized must be values {list(landmarks.shape)} and scales "
            f"{list(landmarks.shape[:3])}; found {tuple(values.shape)} and {tuple(scales.shape)}"
        )
    if values.dtype != torch.int8 or scales.dtype != torch.float32:
        raise ValueError(
            f"quantized must be int8 and float32; found {values.dtype} and {scales.dtype}"
        )


def _search(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    scale: float,
    chunk_mask: Tensor | None,
    noise: Tensor | None,
    values: Tensor | None,
    scales: Tensor | None,
    backend: str,
) -> tuple[Tensor, Tensor]:
    plain = (q, landmarks, visible, top_k, scale, chunk_mask)
    quantized = None if values is None or scales is None else Quantized(values, scales)
    if backend == "triton":
        from . import gpu

        if quantized is not None:
            return gpu.forward_quantized(*plain, quantized)
        return gpu.forward(*plain, noise)
    # Outside the CPU torch has no product of one int8 query.
    if quantized is not None and q.is_cpu:
        return int8.forward(*plain, quantized)
    return cpu.forward(*plain, noise)


@torch.library.custom_op("hsa_memory::landmark_topk", mutates_args=())
def _forward(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    scale: float,
    chunk_mask: Tensor | None,
    noise: Tensor | None,
    values: Tensor | None = None,
    scales: Tensor | None = None,
    backend: str = "torch",
) -> tuple[Tensor, Tensor]:
    return _search(q, landmarks, visible, top_k, scale, chunk_mask, noise, values, scales, backend)


@_forward.register_fake
def _(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    scale: float,
    chunk_mask: Tensor | None,
    noise: Tensor | None,
    values: Tensor | None = None,
    scales: Tensor | None = None,
    backend: str = "torch",
) -> tuple[Tensor, Tensor]:
    shape = (*q.shape[:3], top_k)
    scores = torch.empty(shape, dtype=exact_dtype(q), device=q.device)
    return scores, torch.empty(shape, dtype=torch.int64, device=q.device)


@torch.library.custom_op("hsa_memory::landmark_topk_backward", mutates_args=())
def _backward(
    grad: Tensor,
    q: Tensor,
    landmarks: Tensor,
    indices: Tensor,
    scale: float,
    backend: str = "torch",
) -> tuple[Tensor, Tensor]:
    if backend == "triton":
        from . import gpu

        return gpu.backward(grad, q, landmarks, indices, scale)
    return cpu.backward(grad, q, landmarks, indices, scale)


@_backward.register_fake
def _(
    grad: Tensor,
    q: Tensor,
    landmarks: Tensor,
    indices: Tensor,
    scale: float,
    backend: str = "torch",
) -> tuple[Tensor, Tensor]:
    contiguous = torch.contiguous_format
    return (
        torch.empty_like(q, memory_format=contiguous),
        torch.empty_like(landmarks, memory_format=contiguous),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, landmarks, _, _, ctx.scale, *_, ctx.backend = inputs
    ctx.save_for_backward(q, landmarks, output[1])
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    dq, d_landmarks = _backward(grad.contiguous(), *ctx.saved_tensors, ctx.scale, ctx.backend)
    return dq, d_landmarks, *(None,) * 8


_forward.register_autograd(_differentiate, setup_context=_save)
