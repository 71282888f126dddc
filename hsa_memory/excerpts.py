"""Answers under a filter: allowed messages alone, read again in a memory of their own.

A chunk on disk holds tokens of several messages, each read with what came before it. Hiding chunks
could neither keep a short message out nor let its neighbour in, so a filtered question is asked of
a fresh history that holds only allowed messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from hsa_memory.storage import Turn

from .engine import Engine
from .filters import Filter, Metadata
from .fork import Fork, Source
from .provenance import Passage, Share
from .searching import find

_BUDGET_TOKENS = 4096
_WHOLE_TOKENS = 1024
_MAX_MESSAGES = 256


def fork_of_excerpts(
    source: Source, history: Fork, prompt: list[int], filter: Filter, metadata: Metadata
) -> Fork:
    """Return a fork that knows only the best allowed messages, up to 4,096 tokens of them."""
    shares = find(source, history, prompt, _MAX_MESSAGES, filter, metadata)
    stream, passages = _lay_out(history.engine, _choose(shares))
    model = history.engine.model
    state = model.start(1)
    if stream:
        with torch.inference_mode():
            state = model.ingest(torch.tensor([stream], device=history.engine.device), state)

    def locate(ranges: Sequence[tuple[int, int]]) -> list[list[Passage]]:
        return [
            [p for p in passages if p.position < stop and p.position + p.num_tokens > start]
            for start, stop in ranges
        ]

    fork = Fork(source, state, len(stream), locate)
    fork.stored, fork.bad, fork.told = history.stored, history.bad, history.told
    fork.costs = replace(history.costs, prefilled_history=len(stream))
    return fork


def _choose(shares: list[Share]) -> list[tuple[Turn, int, int]]:
    """Return runs of tokens (message, first, stop), the best messages first, within the budget."""
    chosen: list[tuple[Turn, int, int]] = []
    left = _BUDGET_TOKENS
    for share in shares:
        size = len(share.turn.tokens)
        # Of a long message only what was found, role and end token aside.
        runs = [(0, size)] if size <= _WHOLE_TOKENS else _joined(share.ranges)
        for first, stop in runs:
            if stop - first + 2 <= left:
                chosen.append((share.turn, first, stop))
                left -= stop - first + 2
    return chosen


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, stop in sorted(ranges):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((first, stop))
    return joined


def _lay_out(
    engine: Engine, chosen: list[tuple[Turn, int, int]]
) -> tuple[list[int], list[Passage]]:
    """Return the stream of tokens of the runs in order of time, and where each run lies in it."""
    stream: list[int] = []
    passages = []
    for turn, first, stop in sorted(chosen, key=lambda run: (run[0].seq, run[1])):
        if first:
            stream.append(engine.tokenizer.role_id(turn.role))
        passages.append(Passage(turn, len(stream), first, stop - first))
        stream += turn.tokens[first:stop].tolist()
        if stop < len(turn.tokens):
            stream.append(engine.tokenizer.end_id)
    return stream, passages
