"""From chunks back to messages: who said what an answer or a search rests on.

Letters: N chunks, S chunk size, R retrieval heads, G KV heads (as many), H query heads, D head dim,
K top-k.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from hsa_memory.storage import Turn

from .engine import Engine


class Passage(NamedTuple):
    """A run of a message's tokens in a stream of tokens."""

    turn: Turn
    position: int
    """Stream position of the first of them."""
    first: int
    """Index of the first of them in the message."""
    num_tokens: int


Locate = Callable[[Sequence[tuple[int, int]]], list[list[Passage]]]
"""For each range (start, stop) of stream positions, the passages that have a token in it."""


@dataclass
class Share:
    """What fell on one message."""

    turn: Turn
    weight: float = 0.0
    chunk_ids: list[int] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    """Runs of the message's tokens in those chunks."""


def attention_in_chunks(query: Tensor, keys: Tensor) -> Tensor:
    """Softmax of `query` [H, D] within each chunk of `keys` [N, S, G, D], averaged over the heads
    that share a KV head: [G, N, S]."""
    heads, dim = query.shape
    groups = keys.shape[2]
    by_group = query.float().view(groups, heads // groups, dim)
    scores = torch.einsum("grd,nsgd->grns", by_group, keys.float()) * dim**-0.5
    mass: Tensor = scores.softmax(-1).mean(1)
    return mass


def attribute(
    masses: Mapping[int, Tensor],
    chunk_size: int,
    locate: Locate,
    keep: Callable[[Turn], bool] = lambda turn: True,
) -> list[Share]:
    """Divide the weight of chunks among the messages they hold.

    Args:
        masses: chunk id -> weight [S] of each of its tokens.
        chunk_size: tokens per chunk.
        locate: the stream of tokens that the chunks are made of.
        keep: messages that count; what falls on the others of a chunk goes to those.

    Returns:
        One share per message, by falling weight.
    """
    shares: dict[int, Share] = {}
    chunks = sorted(masses)
    found = locate([(c * chunk_size, c * chunk_size + len(masses[c])) for c in chunks])
    for chunk, passages in zip(chunks, found, strict=True):
        mass, start = masses[chunk], chunk * chunk_size
        parts = []
        for passage in passages:
            low = max(start, passage.position)
            high = min(start + len(mass), passage.position + passage.num_tokens)
            parts.append((passage, low, high, float(mass[low - start : high - start].sum())))
        kept = [part for part in parts if keep(part[0].turn)]
        total, rest = sum(part[3] for part in parts), sum(part[3] for part in kept)
        for passage, low, high, weight in kept:
            share = shares.setdefault(passage.turn.seq, Share(passage.turn))
            share.weight += weight * total / rest if rest else 0.0
            share.chunk_ids.append(chunk)
            shift = passage.first - passage.position
            share.ranges.append((low + shift, high + shift))
    return sorted(shares.values(), key=lambda share: (-share.weight, share.turn.seq))


def char_spans(engine: Engine, share: Share) -> tuple[tuple[int, int], ...]:
    """Character ranges of the message's text that the share's tokens touch, joined and sorted."""
    spans: list[tuple[int, int]] = []
    for first, stop in sorted(share.ranges):
        start, end = _char_span(engine, share.turn, first, stop)
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        elif start < end:
            spans.append((start, end))
    return tuple(spans)


def _char_span(engine: Engine, turn: Turn, first: int, stop: int) -> tuple[int, int]:
    tokens = turn.tokens
    start = int(engine.characters[tokens[:first]].sum())
    end = start + int(engine.characters[tokens[first:stop]].sum())
    inside = first < stop and bool(engine.continues[tokens[first]])
    return max(0, start - inside), end
