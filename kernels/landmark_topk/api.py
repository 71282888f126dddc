"""Public operator, validation, and the seam where a device adds its kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..gathering import exact_dtype
from . import cpu


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

    Returns:
        `TopK` with K = min(top_k, C); scores are float32 (float64 for float64 inputs) and
        differentiable in q and landmarks.

    Raises:
        ValueError: if shapes or dtypes do not fit together or `top_k` is negative.
    """
    _validate(q, landmarks, visible, top_k, chunk_mask, noise)
    factor = q.shape[3] ** -0.5 if scale is None else scale
    slots = min(top_k, landmarks.shape[1])
    # The first call of a custom op imports torch's compiler, seconds in a fresh process; without
    # gradients the operator has nothing to add on the CPU.
    run = cpu.forward if q.is_cpu and not torch.is_grad_enabled() else _forward
    scores, indices = run(q, landmarks, visible, slots, factor, chunk_mask, noise)
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


@torch.library.custom_op("hsa_memory::landmark_topk", mutates_args=(), device_types="cpu")
def _forward(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    scale: float,
    chunk_mask: Tensor | None,
    noise: Tensor | None,
) -> tuple[Tensor, Tensor]:
    return cpu.forward(q, landmarks, visible, top_k, scale, chunk_mask, noise)


@_forward.register_fake
def _(
    q: Tensor,
    landmarks: Tensor,
    visible: Tensor,
    top_k: int,
    scale: float,
    chunk_mask: Tensor | None,
    noise: Tensor | None,
) -> tuple[Tensor, Tensor]:
    shape = (*q.shape[:3], top_k)
    scores = torch.empty(shape, dtype=exact_dtype(q), device=q.device)
    return scores, torch.empty(shape, dtype=torch.int64, device=q.device)


@torch.library.custom_op("hsa_memory::landmark_topk_backward", mutates_args=(), device_types="cpu")
def _backward(
    grad: Tensor, q: Tensor, landmarks: Tensor, indices: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    return cpu.backward(grad, q, landmarks, indices, scale)


@_backward.register_fake
def _(
    grad: Tensor, q: Tensor, landmarks: Tensor, indices: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(q), torch.empty_like(landmarks)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, landmarks, _, _, ctx.scale, _, _ = inputs
    ctx.save_for_backward(q, landmarks, output[1])
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    dq, d_landmarks = _backward(grad.contiguous(), *ctx.saved_tensors, ctx.scale)
    return dq, d_landmarks, None, None, None, None, None


_forward.register_autograd(_differentiate, setup_context=_save)
