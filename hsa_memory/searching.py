"""Search: the model's own retrieval over all chunks, refined to messages.

Letters: L HSA layers, C chunks, R retrieval heads, E their dimensions, N chunks found, S chunk
size, G KV heads, D head dim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import cast

import torch
from torch import Tensor

from hsa_memory.model import ChunkKV, ChunkMemory
from hsa_memory.model.attention import HSALayer, HSAQuery
from hsa_memory.storage import Turn

from .filters import Filter, Metadata, allowed_turns, touched_chunks
from .fork import Fork, Source
from .messages import as_message
from .provenance import Share, attention_in_chunks, attribute, char_spans
from .threads import threads_for
from .types import Hit, SearchResult


def search(source: Source, query: str, k: int, filter: Filter, metadata: Metadata) -> SearchResult:
    """Return the `k` messages that the reader's retrieval ranks highest."""
    started = perf_counter()
    fork = Fork.of_history(source)
    prompt = fork.engine.question(query)
    shares = find(source, fork, prompt, k, filter, metadata)
    hits = tuple(as_hit(fork, share) for share in shares)
    diagnostics = fork.finish()
    stats = fork.stats(perf_counter() - started, prompt=len(prompt))
    window = max(0, fork.engine.config.retrieval_reach + 1 - len(prompt))
    stats = replace(stats, window_tokens=min(stats.window_tokens, window))
    return SearchResult(hits=hits, stats=stats, diagnostics=diagnostics)


def as_hit(fork: Fork, share: Share) -> Hit:
    """A share of the retrieval as the API shows it."""
    return Hit(
        message=as_message(share.turn),
        score=share.weight,
        spans=char_spans(fork.engine, share),
        chunk_ids=tuple(share.chunk_ids),
    )


@threads_for()
@torch.inference_mode()
def find(
    source: Source, fork: Fork, prompt: list[int], k: int, filter: Filter, metadata: Metadata
) -> list[Share]:
    """Return the shares of the best `k` messages.

    The score of a chunk is its share of the retrieval softmax over all allowed chunks, as the token
    that starts the answer computes it, averaged over HSA layers and retrieval heads; those that the
    reader would choose share theirs as it would fuse them. Within a chunk it is divided among
    messages by the attention of that token to the chunk's tokens.
    """
    if not fork.num_tokens:
        return []
    memory, tail = _with_unfinished_chunks(fork)
    num_chunks = memory.num_source_chunks + memory.landmarks.shape[1]
    open_turns, open_chunks = _allowed(source, fork, filter, metadata, num_chunks)
    if memory.mask is not None:
        beyond = num_chunks - len(memory.mask)
        open_chunks = open_chunks & torch.nn.functional.pad(memory.mask, (0, beyond), value=True)
    if not open_chunks.any():
        return []
    queries = fork.queries(torch.tensor([prompt], device=fork.engine.device))
    by_layer = _chunk_shares(queries, memory, open_chunks)
    if fork.engine.config.rerank_heads or fork.engine.config.recency:
        _rerank(fork, queries, memory, by_layer, tail)
    ranked = by_layer.mean((0, 1)).masked_fill(~open_chunks, -1.0)
    masses: dict[int, Tensor] = {}
    shares: list[Share] = []
    # As many chunks as the reader chooses, more when more messages are wanted.
    least = fork.engine.config.top_k
    while len(shares) < k and (left := int((ranked >= 0).sum())):
        best = ranked.topk(min(max(least, 2 * (k - len(shares))), left))
        masses |= _token_masses(fork, queries, memory, best.indices, best.values, tail)
        shares = attribute(masses, fork.engine.config.chunk_size, fork.locate, open_turns)
        ranked[best.indices] = -1.0
        _leave_out_inside(ranked, shares, fork.engine.config.chunk_size)
    return shares[:k]


def _leave_out_inside(ranked: Tensor, shares: list[Share], chunk_size: int) -> None:
    """Mark the chunks [C] that hold nothing but a message that is found already: one long message
    can take the best chunks by the thousand."""
    for share in shares:
        start, stop = share.turn.token_start, share.turn.token_start + len(share.turn.tokens)
        ranked[-(-start // chunk_size) : stop // chunk_size] = -1.0


def _with_unfinished_chunks(fork: Fork) -> tuple[ChunkMemory, int]:
    """Return the memory with the tokens after the last finished chunk as chunks, and the number of
    tokens of the last one if it is not whole, else 0."""
    pending, memory = fork.state.pending, fork.state.memory
    size, lookahead = fork.engine.config.chunk_size, fork.engine.config.encoder_lookahead
    for first in range(0, pending.shape[1], size):
        own = pending[:, first : first + size]
        ahead = pending[:, first + size : first + size + lookahead]
        landmarks, kv = fork.engine.model.encoder(own[:, None], ahead[:, None])
        padding = (0, 0, 0, 0, 0, size - own.shape[1])
        padded = ChunkKV(*(torch.nn.functional.pad(x, padding) for x in kv))
        memory = memory.append(landmarks, padded, (memory.landmarks.shape[1],), (1,))
    return memory, pending.shape[1] % size


def _allowed(
    source: Source, fork: Fork, filter: Filter, metadata: Metadata, num_chunks: int
) -> tuple[Callable[[Turn], bool], Tensor]:
    """Return which messages may be found, and which chunks [C] hold a token of one."""
    if filter.is_open:
        every = torch.ones(num_chunks, dtype=torch.bool, device=fork.engine.device)
        return lambda turn: not turn.forgotten, every
    with source.lock:
        index = source.store.turn_index()
        allowed = allowed_turns(filter, index, metadata)
    chunks = touched_chunks(index, allowed, fork.engine.config.chunk_size, num_chunks)

    def is_allowed(turn: Turn) -> bool:
        # Messages that were added since the snapshot are not part of it.
        return not turn.forgotten and turn.seq < len(allowed) and bool(allowed[turn.seq])

    return is_allowed, torch.from_numpy(chunks).to(fork.engine.device)


def _chunk_shares(queries: tuple[HSAQuery, ...], memory: ChunkMemory, allowed: Tensor) -> Tensor:
    """Share [L, R, C] of each chunk in the retrieval of the last token."""
    query = torch.stack([query.retrieval[0, -1] for query in queries])  # [L, R, E]
    parts = [memory.landmarks[0]]
    if memory.source is not None:
        parts.insert(0, memory.source.landmarks)
    scores = torch.cat([torch.einsum("lre,cre->lrc", query, part) for part in parts], dim=-1)
    scores = scores.float() * query.shape[-1] ** -0.5
    shares: Tensor = scores.masked_fill(~allowed, float("-inf")).softmax(-1)
    return shares


def _rerank(
    fork: Fork, queries: tuple[HSAQuery, ...], memory: ChunkMemory, shares: Tensor, tail: int
) -> None:
    """Divide anew, in place, what the best chunks of each layer have of the shares [L, R, C]."""
    values, places = _best(shares, min(fork.engine.config.top_k, shares.shape[-1]))
    last = shares.shape[-1] - 1
    for layer, query in enumerate(queries):
        reader = cast(HSALayer, fork.engine.model.upper.hsa[layer])
        # Chunks that are not allowed have no part in it, nor have damaged ones.
        index = places[layer].masked_fill(values[layer] <= 0, -1)[None, None]
        kv, local = fork.gather(memory, index)
        found = values[layer].log()
        if reader.rerank is not None:
            extra = reader.rerank.scores(query.rerank, kv.k, local)
            if tail:
                short = reader.rerank.scores(query.rerank, kv.k[:, :, :tail], local)
                extra = torch.where(index == last, short, extra)
            found = found + extra[0, 0]
        found = found.masked_fill(local[0, 0] < 0, float("-inf"))
        if reader.recency is not None:
            found += reader.recency.scores(query.recency, found[None, None], index)[0, 0]
        fused = found.softmax(-1)
        total = values[layer].sum(-1, keepdim=True)
        shares[layer].scatter_(-1, places[layer], fused.nan_to_num(0.0) * total)


def _best(shares: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the largest `count` of shares [..., C] and their places; of equal ones the first, as
    the reader chooses."""
    best, places = shares.topk(min(count + 1, shares.shape[-1]))
    # Among those that have no share any will do.
    equal = (best[..., 1:] == best[..., :-1]) & (best[..., 1:] > 0)
    if not bool(equal.any()):
        return best[..., :count], places[..., :count]
    # What is not negative is ordered as its bits are.
    keys = shares.view(torch.int32).long() << 32
    keys -= torch.arange(shares.shape[-1], device=shares.device)
    places = keys.topk(count).indices
    return shares.gather(-1, places), places


def _token_masses(
    fork: Fork,
    queries: tuple[HSAQuery, ...],
    memory: ChunkMemory,
    chunks: Tensor,
    shares: Tensor,
    tail: int,
) -> dict[int, Tensor]:
    """Divide the shares [N] of chunks among their tokens by the last token's attention."""
    kv, local = fork.gather(memory, chunks)
    keys = kv.k[0]  # [gathered, S, G, D]
    last = memory.num_source_chunks + memory.landmarks.shape[1] - 1
    by_layer = [attention_in_chunks(query.attention[0, -1], keys) for query in queries]
    # What follows divides it token by token: on the CPU, not with a wait for each.
    attention = torch.stack(by_layer).mean((0, 1)).cpu()  # [gathered, S]
    masses = {}
    for chunk, place, share in zip(chunks.tolist(), local.tolist(), shares.tolist(), strict=True):
        if place < 0:
            continue
        mass = attention[place]
        if tail and chunk == last:
            mass = mass[:tail] / mass[:tail].sum()
        masses[chunk] = mass * share
    return masses
