"""Are the kernels right on this GPU? At real sizes, against float64 in plain PyTorch."""

from __future__ import annotations

import torch
from _gpu_cases import SIZE, Case, make
from _gpu_timing import random
from torch import Tensor

from hsa_memory.kernels.chunk_attention import chunk_attention
from hsa_memory.kernels.landmark_topk import landmark_topk
from hsa_memory.kernels.paged_decode import paged_decode

NEAR = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


def check(case: Case, device: torch.device, dtype: torch.dtype, backend: str) -> dict[str, float]:
    """Errors of all operators relative to the size of each result.

    Raises:
        SystemExit: naming those that are too large.
    """
    errors = _attention(case, device, dtype, backend)
    errors["paged_decode"] = _decode(case, device, dtype, backend)
    wrong = {name: value for name, value in errors.items() if not value <= NEAR[dtype]}
    missed = _search(case, case.chunks, device, dtype, backend)
    # So many landmarks that groups are searched; and the form of a decode.
    wide = case._replace(tokens=case.tokens // 16, top_k=min(case.top_k, 4))
    missed += _search(wide, 64 * case.slots * 16, device, dtype, backend)
    missed += _search(wide._replace(tokens=1), 64 * case.slots * 16, device, dtype, backend)
    if wrong or missed:
        raise SystemExit(f"WRONG at {case}, {dtype}: {wrong}; {missed} wrong chunks found")
    return errors


def _attention(
    case: Case, device: torch.device, dtype: torch.dtype, backend: str
) -> dict[str, float]:
    inputs = make(case, device, dtype)
    grad = torch.randn_like(inputs.q)
    both = []
    for which, exact in ((backend, False), ("torch", True)):
        leaves = [
            (x.double() if exact else x.clone()).requires_grad_() if x.is_floating_point() else x
            for x in inputs
        ]
        out = chunk_attention(*leaves, backend=which)
        wanted = [x for x in leaves if x.requires_grad]
        found = torch.autograd.grad(out, wanted, grad.to(out.dtype))
        both.append([out.detach(), *found])
    names = ("forward", "dq", "dk", "dv", "dw")
    return {n: _error(a, b) for n, a, b in zip(names, *both, strict=True)}


def _decode(case: Case, device: torch.device, dtype: torch.dtype, backend: str) -> float:
    inputs = make(case, device, dtype)
    last = slice(case.tokens - 1, None)
    q, indices, weights = (x[:, last][:, 0] for x in (inputs.q, inputs.indices, inputs.weights))
    pages = torch.randperm(case.chunks, device=device)
    pool = torch.empty(case.chunks, 2, SIZE, case.groups, case.dim, dtype=dtype, device=device)
    pool[pages] = torch.stack((inputs.k[0], inputs.v[0]), dim=1)
    with torch.no_grad():
        ours = paged_decode(q, pool, pages[None], indices, weights, backend=backend)
        exact = [x[:, last].double() for x in (inputs.q, inputs.weights)]
        k, v = inputs.k.double(), inputs.v.double()
        theirs = chunk_attention(exact[0], k, v, inputs.indices[:, last], exact[1], backend="torch")
    return _error(ours, theirs[:, 0])


def _search(case: Case, chunks: int, device: torch.device, dtype: torch.dtype, backend: str) -> int:
    """Slots whose score is not that of the exact search, beyond rounding."""
    q = random(1, case.tokens, case.groups, case.dim, device=device, dtype=dtype)
    landmarks = random(1, chunks, case.groups, case.dim, device=device, dtype=dtype)
    visible = torch.linspace(0, chunks, case.tokens, device=device).long()[None]
    if case.tokens == 1:
        visible += chunks
    with torch.no_grad():
        ours = landmark_topk(q, landmarks, visible, case.top_k, backend=backend)
        exact = landmark_topk(q.double(), landmarks.double(), visible, case.top_k, backend="torch")
    finite = exact.scores.isfinite()
    apart = (ours.scores.double() - exact.scores)[finite].abs()
    near = apart <= (1e-5 if dtype == torch.float32 else 1e-3)
    # Not "further apart": what is no number is not near either.
    return int((~near).sum()) + int(((ours.indices >= 0) != finite).sum())


def _error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.double() - theirs).norm() / theirs.norm().clamp(min=1e-30))
