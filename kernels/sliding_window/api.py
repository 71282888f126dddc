"""Public operator and validation."""

from __future__ import annotations

import torch
from torch import Tensor

from . import blocked, sdpa

FORMS = {"blocked": blocked.forward, "sdpa": sdpa.forward}


def sliding_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    window: int,
    scale: float | None = None,
    first_key: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Attend causally to the last `window` tokens, the query's own included.

    Args:
        q: queries [B, T, H, D] of the newest T tokens.
        k: keys [B, P + T, G, D]: P earlier tokens, then those of the queries; G divides H.
        v: values, as `k`. Keys and values must be finite, those never seen included.
        window: tokens a query sees, itself included; at least 1.
        scale: factor on the scores; default 1 / sqrt(D).
        first_key: [B] int64; keys before this index are padding and never seen. Default: none.
        backend: "sdpa", PyTorch's own attention, or "blocked", products and a softmax; both run on
            every device. Default: "sdpa" on a GPU and "blocked" elsewhere.

    Returns:
        [B, T, H, D] in the dtype of `q`. Cost and memory are linear in T. Differentiable. Rows of
        queries that are themselves padding hold finite values without meaning.

    Raises:
        ValueError: if shapes or dtypes do not fit together, `window` < 1, or there is no backend
            of that name.
    """
    _validate(q, k, v, window, first_key)
    if backend not in (None, *FORMS):
        raise ValueError(f"backend must be one of {', '.join(FORMS)}; found {backend!r}")
    if q.shape[1] == 0:
        return torch.empty_like(q)
    factor = q.shape[3] ** -0.5 if scale is None else scale
    run = FORMS[backend or ("sdpa" if q.is_cuda else "blocked")]
    # Full attention is a window of any size from there on.
    return run(q, k, v, min(window, k.shape[1]), factor, first_key)


def _validate(q: Tensor, k: Tensor, v: Tensor, window: int, first_key: Tensor | None) -> None:
    fits = (
        q.dim() == 4
        and k.dim() == 4
        and k.shape == v.shape
        and (k.shape[0], k.shape[3]) == (q.shape[0], q.shape[3])
        and k.shape[1] >= q.shape[1]
        and q.shape[2] % k.shape[2] == 0
    )
    if not fits or window < 1:
        raise ValueError(
            "expected q [B, T, H, D], k and v [B, P + T, G, D] with G dividing H, window >= 1; "
            f"found {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}, window {window}"
        )
    if not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"q, k, v must share a dtype; found {q.dtype}, {k.dtype}, {v.dtype}")
    if first_key is not None and first_key.shape != q.shape[:1]:
        raise ValueError(f"first_key must be [{len(q)}]; found {tuple(first_key.shape)}")
