"""Are the kernels right where a tensor has more values than 32 bits can count?

Only some tokens are compared, against float64 over copies of the chunks that those chose.
"""

from __future__ import annotations

import torch
from _gpu_cases import HEADS, SIZE, Case, Row, choose, make
from _gpu_checks import WrongResult, both_operators, error_of, judge
from _gpu_timing import random
from torch import Tensor

from hsa_memory.kernels.chunk_attention import chunk_attention
from hsa_memory.kernels.chunk_scores import chunk_scores
from hsa_memory.kernels.paged_decode import paged_decode


def many_tokens(case: Case, device: torch.device, dtype: torch.dtype, backend: str) -> Row:
    """Chunk attention of a whole text, queries and output far beyond 2^31 values at 16M tokens."""
    inputs = make(case, device, dtype)
    with torch.no_grad():
        out = chunk_attention(*inputs, backend=backend)
    at = _spread(case.tokens, (1 << 31) // (HEADS * case.dim)).to(device)
    q, indices, weights, found = (x[:, at] for x in (inputs.q, inputs.indices, inputs.weights, out))
    k, v, local = _copies(inputs.k, inputs.v, indices)
    with torch.no_grad():
        exact = chunk_attention(q.double(), k, v, local, weights.double(), backend="torch")
    errors = {"forward": error_of(found, exact)}
    return judge(f"{len(at)} of {case.tokens:,} tokens, {out.numel():,} values", dtype, errors)


def many_chunks(
    case: Case, tokens: int, device: torch.device, dtype: torch.dtype, backend: str
) -> Row:
    """Every operator that reads chunks, some of them last in a pool of `case.chunks` pages."""
    torch.manual_seed(0)
    pool = random(case.chunks, 2, SIZE, case.groups, case.dim, device=device, dtype=dtype)
    k, v = pool[None, :, 0], pool[None, :, 1]
    visible = torch.full((tokens,), case.chunks, device=device)
    indices, weights = (x[None] for x in choose(visible, case.groups, case.slots))
    ends = torch.arange(case.chunks, case.chunks - tokens, -1, device=device) - 1
    indices[..., 0] = ends.clamp(min=0)[None, :, None]
    q = random(1, tokens, HEADS, case.dim, device=device, dtype=dtype)
    near_k, near_v, local = _copies(k, v, indices)
    grad = torch.randn_like(q)

    leaves = [x.detach().requires_grad_() for x in (q, k, v, weights)]
    out = chunk_attention(*leaves[:3], indices, leaves[3], backend=backend)
    dq, dk, dv, dw = torch.autograd.grad(out, leaves, grad)
    exact = [x.detach().requires_grad_() for x in (q.double(), near_k, near_v, weights.double())]
    theirs = chunk_attention(*exact[:3], local, exact[3], backend="torch")
    wanted = torch.autograd.grad(theirs, exact, grad.double())
    used = indices.unique()
    found = (out, dq, dk[:, used], dv[:, used], dw)
    names = ("forward", "dq", "dk", "dv", "dw")
    errors = {n: error_of(a, b) for n, a, b in zip(names, found, (theirs, *wanted), strict=True)}
    _nothing_elsewhere(dk, used, "dk")
    _nothing_elsewhere(dv, used, "dv")
    del out, dk, dv, found, leaves

    with torch.no_grad():
        second = chunk_scores(q, k, indices, backend=backend)
        errors["scores"] = error_of(
            second, chunk_scores(q.double(), near_k, local, backend="torch")
        )
        # A session for each token; their chunks lie on pages in any order.
        pages = torch.randperm(case.chunks, device=device)
        place = torch.empty_like(pages)
        place[pages] = torch.arange(case.chunks, device=device)
        sessions = pages[None].expand(tokens, -1)
        decoded = paged_decode(q[0], pool, sessions, place[indices[0]], weights[0], backend=backend)
        errors["paged decode"] = error_of(decoded, theirs[0])
    return judge(f"{case.chunks:,} chunks, {pool.numel():,} values", dtype, errors)


def long_gradients(case: Case, device: torch.device, dtype: torch.dtype, backend: str) -> Row:
    """All gradients of chunk attention and chunk scores where float64 of everything has room."""
    errors = both_operators(make(case, device, dtype), backend)
    return judge(f"gradients at {tuple(case)}", dtype, errors)


def _spread(tokens: int, boundary: int) -> Tensor:
    """Tokens at the start, at the end, on both sides of `boundary`, and some between."""
    ends = [0, tokens, min(boundary, tokens)]
    near = [torch.arange(max(0, n - 32), min(tokens, n + 32)) for n in ends]
    return torch.cat((*near, torch.randint(tokens, (64,)))).unique()


def _copies(k: Tensor, v: Tensor, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return float64 copies of the chosen chunks, and the indices among those."""
    used = indices[indices >= 0].unique()
    place = torch.searchsorted(used, indices)
    local = place.clamp(max=max(len(used) - 1, 0)).masked_fill(indices < 0, -1)
    return k[:, used].double(), v[:, used].double(), local


def _nothing_elsewhere(grad: Tensor, used: Tensor, name: str) -> None:
    """Raise `WrongResult` if a chunk that nobody chose has a gradient."""
    total = grad.abs().amax(dim=(2, 3, 4))[0]
    total[used] = 0
    # Not "greater": what is no number is wrong as well.
    if not bool((total == 0).all()):
        raise WrongResult(f"{name} of chunks that no token chose: {int((total != 0).sum())}")
