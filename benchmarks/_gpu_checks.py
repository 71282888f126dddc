"""Are the kernels right on this GPU? At real sizes, against float64 in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from _gpu_cases import HEADS, SIZE, Case, Inputs, Row, make
from _gpu_timing import random
from torch import Tensor

from hsa_memory.kernels.chunk_attention import chunk_attention
from hsa_memory.kernels.chunk_scores import chunk_scores
from hsa_memory.kernels.landmark_topk import TopK, landmark_topk
from hsa_memory.kernels.landmark_topk.quantized import quantize_landmarks
from hsa_memory.kernels.paged_decode import paged_decode
from hsa_memory.kernels.sliding_window import (
    sliding_window_attention,
    sliding_window_attention_reference,
)

NEAR = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
# What two searches may differ by in a score of about 5.
NEAR_SCORES = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 1e-3}


class WrongResult(Exception):
    """An operator computes something else than it should: nothing of it is worth a time."""


def judge(what: str, dtype: torch.dtype, errors: dict[str, float], most: float = 1.0) -> Row:
    """Return a row of errors relative to the size of each result.

    Args:
        most: how many times what is allowed to our kernels.

    Raises:
        WrongResult: naming those that are too large.
    """
    wrong = {name: value for name, value in errors.items() if not value <= most * NEAR[dtype]}
    if wrong:
        allowed = f"{most * NEAR[dtype]:g}"
        raise WrongResult(f"{what}, {dtype}: relative errors {wrong}, allowed {allowed}")
    return {"what": what, "dtype": str(dtype).removeprefix("torch."), "errors": errors}


def error_of(ours: Tensor, theirs: Tensor) -> float:
    """Size of the difference relative to the size of what is right; NaN stays NaN."""
    exact = theirs.detach().double()
    return float((ours.detach().double() - exact).norm() / exact.norm().clamp(min=1e-30))


def all_of(case: Case, device: torch.device, dtype: torch.dtype, backend: str) -> Row:
    """Chunk attention and chunk scores with all gradients, and a paged decode."""
    inputs = make(case, device, dtype)
    errors = both_operators(inputs, backend)
    last = slice(case.tokens - 1, None)
    q, indices, weights = (x[:, last][:, 0] for x in (inputs.q, inputs.indices, inputs.weights))
    pages = torch.randperm(case.chunks, device=device)
    pool = torch.empty(case.chunks, 2, SIZE, case.groups, case.dim, dtype=dtype, device=device)
    pool[pages] = torch.stack((inputs.k[0], inputs.v[0]), dim=1)
    with torch.no_grad():
        ours = paged_decode(q, pool, pages[None], indices, weights, backend=backend)
        exact = (x.double() for x in (inputs.q[:, last], inputs.k, inputs.v))
        theirs = chunk_attention(
            *exact, inputs.indices[:, last], inputs.weights[:, last].double(), backend="torch"
        )
        alone = (inputs.q[:, last], inputs.k, inputs.v, inputs.indices[:, last])
        token = chunk_attention(*alone, inputs.weights[:, last], backend=backend)
        found = chunk_scores(alone[0], inputs.k, alone[3], backend=backend)
        right = chunk_scores(*(x.double() for x in alone[:2]), alone[3], backend="torch")
    errors["paged decode"] = error_of(ours, theirs[:, 0])
    errors |= {"one token": error_of(token, theirs), "one token's scores": error_of(found, right)}
    return judge(f"all operators at {tuple(case)}", dtype, errors)


def both_operators(inputs: Inputs, backend: str) -> dict[str, float]:
    """Errors of chunk attention and chunk scores, and of all their gradients."""
    errors = compared(
        lambda *x, which: chunk_attention(*x, backend=which), tuple(inputs), "qkv w", backend
    )
    found = compared(
        lambda *x, which: chunk_scores(*x, backend=which),
        (inputs.q, inputs.k, inputs.indices),
        "qk ",
        backend,
    )
    return errors | {f"scores {name}": value for name, value in found.items()}


def compared(
    run: Callable[..., Tensor], inputs: tuple[Tensor, ...], names: str, backend: str
) -> dict[str, float]:
    """Errors of the output of `run(*inputs, which=backend)` and of its gradients.

    Args:
        names: a letter for each input; a space for those without a gradient.
    """
    both = []
    grad = None
    for which, exact in ((backend, False), ("torch", True)):
        leaves = [
            (x.double() if exact else x.clone()).requires_grad_() if x.is_floating_point() else x
            for x in inputs
        ]
        out = run(*leaves, which=which)
        grad = torch.randn_like(out) if grad is None else grad
        wanted = [x for x in leaves if x.requires_grad]
        found = torch.autograd.grad(out, wanted, grad.to(out.dtype))
        both.append([out.detach(), *found])
    kinds = ["forward", *(f"d{name}" for name in names if name != " ")]
    return {kind: error_of(a, b) for kind, a, b in zip(kinds, *both, strict=True)}


def landmarks(
    case: Case, chunks: int, device: torch.device, dtype: torch.dtype, backend: str
) -> Row:
    """Search `chunks` landmarks with and without int8: the chunks found, and their scores.

    Raises:
        WrongResult: if a slot's score is not that of the exact search, beyond rounding, or not
            that of the chunk in the slot.
    """
    q = random(1, case.tokens, case.groups, case.dim, device=device, dtype=dtype)
    marks = random(1, chunks, case.groups, case.dim, device=device, dtype=dtype)
    # Of one token all; of more, the first sees none.
    visible = torch.linspace(chunks, 0, case.tokens, device=device).long().flip(0)[None]
    with torch.no_grad():
        exact = landmark_topk(q.double(), marks.double(), visible, case.top_k, backend="torch")
        missed = {}
        for name in ("float", "int8"):
            quantized = quantize_landmarks(marks) if name == "int8" else None
            ours = landmark_topk(
                q, marks, visible, case.top_k, quantized=quantized, backend=backend
            )
            missed[name] = _missed(ours, exact, q, marks, NEAR_SCORES[dtype])
    what = f"{chunks:,} landmarks, {case.tokens} tokens, k {case.top_k}, D {case.dim}"
    if any(missed.values()):
        raise WrongResult(f"search of {what}, {dtype}: wrong slots {missed}")
    return {"what": what, "dtype": str(dtype).removeprefix("torch."), "missed": missed}


def _missed(ours: TopK, exact: TopK, q: Tensor, marks: Tensor, most: float) -> int:
    there = exact.indices >= 0
    # What is no number is not near either.
    near = (ours.scores.double() - exact.scores).abs() <= most
    wrong = int((~near & there).sum()) + int(((ours.indices >= 0) != there).sum())
    head = torch.arange(q.shape[2], device=q.device)[None, None, :, None]
    chosen = marks[0][ours.indices.clamp(min=0), head].double()  # [1, T, R, K, E]
    told = (q.double()[..., None, :] * chosen).sum(-1) * q.shape[3] ** -0.5
    own = (ours.scores.double() - told).abs() <= most
    # The same chunk twice is wrong even if its score is right both times.
    ordered = ours.indices.sort(dim=-1).values
    twice = ((ordered[..., 1:] == ordered[..., :-1]) & (ordered[..., 1:] >= 0)).sum()
    return wrong + int((~own & there).sum()) + int(twice)


def window(tokens: int, earlier: int, width: int, device: torch.device, dtype: torch.dtype) -> Row:
    """Both forms of sliding-window attention with all gradients, keys before the first included."""
    groups, dim = 2, 64
    q = random(2, tokens, HEADS, dim, device=device, dtype=dtype)
    k, v = (random(2, earlier + tokens, groups, dim, device=device, dtype=dtype) for _ in range(2))
    errors = {}
    for name in ("sdpa", "blocked"):
        for padding in (0, earlier // 2):
            first = torch.tensor([0, padding], device=device) if padding else None

            def run(
                q: Tensor, k: Tensor, v: Tensor, which: str, first: Tensor | None = first
            ) -> Tensor:
                if which == "torch":
                    return sliding_window_attention_reference(q, k, v, width, dim**-0.5, first)
                return sliding_window_attention(
                    q, k, v, window=width, first_key=first, backend=which
                )

            found = compared(run, (q, k, v), "qkv", name)
            errors |= {f"{name} {kind}, padding {padding}": e for kind, e in found.items()}
        one = sliding_window_attention(q[:, -1:], k, v, window=width, backend=name)
        exact = (x.double() for x in (q[:, -1:], k, v))
        theirs = sliding_window_attention_reference(*exact, width, dim**-0.5)
        errors[f"{name} one token"] = error_of(one, theirs)
    # PyTorch's own products round where PyTorch wants.
    return judge(f"sliding window of {width}, {tokens:,} tokens", dtype, errors, most=4.0)
