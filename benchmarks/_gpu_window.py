"""Sliding-window attention in all its forms: ours to choose from, PyTorch's compiled one beside."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import torch
from _gpu_cases import HEADS, Row
from _gpu_measures import compiled_flex, if_it_runs
from _gpu_timing import Clock, random
from torch import Tensor

from hsa_memory.kernels.sliding_window import sdpa, sliding_window_attention

GROUPS, DIM = 2, 64


def sliding_window(tokens: int, width: int, blocks: list[int], clock: Clock) -> Row:
    """Both directions over a text, and one token of a session whose window is full.

    Args:
        blocks: lengths of the SDPA form's blocks to try beside its own choice.
    """
    device = clock.device
    q = random(1, tokens, HEADS, DIM, device=device)
    k, v = (random(1, tokens, GROUPS, DIM, device=device) for _ in range(2))
    row: Row = {"tokens": tokens, "window": width, "dim": DIM, "groups": GROUPS, "forms": {}}
    forms = row["forms"]
    for name in ("sdpa", "blocked"):
        forms[name] = if_it_runs(
            lambda q, k, v, name=name: sliding_window_attention(
                q, k, v, window=width, backend=name
            ),
            (q, k, v),
            clock,
        )
        with torch.no_grad(), suppress(RuntimeError):
            forms[name]["token"] = clock.graph_seconds(
                lambda name=name: sliding_window_attention(
                    q[:, -1:], k, v, window=width, backend=name
                )
            )
    for block in blocks:

        def run(q: Tensor, k: Tensor, v: Tensor, block: int = block) -> Tensor:
            return sdpa.forward(q, k, v, width, DIM**-0.5, None, block=block)

        forms[f"sdpa, blocks of {block}"] = if_it_runs(run, (q, k, v), clock)
    if device.type == "cuda":
        by_head = tuple(x.transpose(1, 2).contiguous() for x in (q, k, v))
        try:
            flex = compiled_flex(tokens, lambda b, h, i, j: (i >= j) & (i - j < width), device)
            forms["FlexAttention, compiled"] = if_it_runs(flex, by_head, clock)
        except (RuntimeError, subprocess.SubprocessError) as error:
            forms["FlexAttention, compiled"] = {"failed": str(error)[:300]}
    return row
