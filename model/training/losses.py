"""Training losses: next token, and those that teach to find and to copy (DESIGN.md, "Training").

Letters: B batch, L tokens, C chunks, S chunk size, R retrieval heads, E retrieval dimensions, G KV
heads, H query heads, D head dim, P supervised positions, N chunks of the bank.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from hsa_memory.kernels.chunk_scores import chunk_scores_reference

from ..attention import HSALayer, HSATrace
from ..config import HSAConfig
from ..state import ChunkMemory
from ..transformer import HSATransformer


class Losses(NamedTuple):
    """Loss terms (scalars with gradient) and accuracies in [0, 1] (NaN when nothing to count)."""

    text: Tensor
    retrieval: Tensor
    rerank: Tensor
    fusion: Tensor
    pointer: Tensor
    value: Tensor
    answer_accuracy: Tensor
    retrieval_accuracy: Tensor
    rerank_accuracy: Tensor
    fusion_accuracy: Tensor
    pointer_accuracy: Tensor


class Supervision(NamedTuple):
    """Tokens that the next one is copied for, from a chunk that they can see, all [P] int64."""

    row: Tensor
    position: Tensor
    """Among the tokens that passed the whole model."""
    chunk: Tensor
    offset: Tensor
    seen: Tensor
    """Chunks that the token can see."""


class Bank(NamedTuple):
    """Chunks of past batches, without gradient, as distractors."""

    landmarks: Tensor
    """[N, R, E] float32."""
    keys: Tensor
    """[N, S, G, D] bfloat16."""

    @classmethod
    def empty(cls, config: HSAConfig) -> Bank:
        """A bank without chunks."""
        heads = config.hsa_num_kv_heads
        keys = torch.zeros(0, config.chunk_size, heads, config.head_dim, dtype=torch.bfloat16)
        return cls(torch.zeros(0, heads, config.retrieval_dim), keys)

    def first(self, count: int) -> Bank:
        """The newest `count` chunks."""
        return Bank(self.landmarks[:count], self.keys[:count])

    def with_newer(self, memory: ChunkMemory, chosen: Tensor) -> Bank:
        """Put the chunks `chosen` [B, C] bool in front."""
        landmarks = memory.landmarks[chosen].detach().float().cpu()
        keys = memory.kv.k[chosen].detach().to(torch.bfloat16).cpu()
        return Bank(torch.cat([landmarks, self.landmarks]), torch.cat([keys, self.keys]))


def supervision(
    source: Tensor, chunk_size: int, *, lookahead: int = 0, first: int = 0
) -> Supervision:
    """Select from `source` [B, L] (index of the copied token, or -1) what HSA could have found.

    The first `first` tokens of each row passed the lower half of the model only.
    """
    before = torch.arange(first, source.shape[1], device=source.device)
    seen = (before - lookahead).clamp(min=0) // chunk_size
    found = source[:, first:].long()
    row, at = ((found >= 0) & (found // chunk_size < seen)).nonzero(as_tuple=True)
    copied = found[row, at]
    return Supervision(row, at, copied // chunk_size, copied % chunk_size, seen[at])


def text_loss(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean cross-entropy of logits [N, V] against targets [N]."""
    each = F.cross_entropy(logits.float(), targets, reduction="none")
    return (each * weight).sum() / weight.sum()


def retrieval_loss(
    traces: tuple[HSATrace, ...],
    memory: ChunkMemory,
    where: Supervision,
    shares_facts: Tensor,
    bank: Bank,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the source chunk's landmark against all others within reach.

    Distractors are the row's own earlier chunks, the chunks of other rows, and a bank of chunks of
    past batches. Rows with `shares_facts` [B] bool may state the same thing as one another ("my
    dog is called ..."), so they are no distractors for each other.

    Returns:
        Mean loss and accuracy over positions, retrieval heads and HSA layers.
    """
    landmarks = memory.landmarks
    every = torch.cat([landmarks.flatten(0, 1), bank.landmarks.to(landmarks)])  # [B*C + N, R, E]
    hidden = F.pad(_no_distractor(memory, where, shares_facts), (0, len(bank.landmarks)))
    return _choice_loss(
        [_landmark_scores(trace, every, where) for trace in traces], memory, where, hidden
    )


def rerank_loss(
    model: HSATransformer,
    traces: tuple[HSATrace, ...],
    memory: ChunkMemory,
    where: Supervision,
    shares_facts: Tensor,
    bank: Bank,
    sample: int = 512,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the source chunk's whole score, landmark and rerank, against all others.

    Distractors are those of `retrieval_loss`, of the bank the `top_k` whose landmarks come nearest,
    as in use. Landmark scores get no gradient, the retrieval loss being theirs. At most `sample`
    positions, drawn at random, are looked at. Returns the same; NaN if the model does not rerank.
    """
    if len(where.row) > sample:
        drawn = torch.randperm(len(where.row), device=where.row.device)[:sample]
        where = Supervision(*(x[drawn] for x in where))
    every = memory.landmarks.detach().flatten(0, 1)  # [B*C, R, E]
    keys = memory.kv.k.flatten(0, 1)[None]  # [1, B*C, S, G, D]
    count, groups = keys.shape[1], keys.shape[3]
    chosen = torch.arange(count, device=keys.device).expand(1, len(where.row), groups, count)
    by_layer = []
    for trace, layer in zip(traces, model.upper.hsa, strict=True):
        rerank = cast(HSALayer, layer).rerank
        if rerank is None:
            nan = torch.tensor(float("nan"))
            return nan, nan
        query = trace.rerank_query[where.row, where.position][None]
        scores = _landmark_scores(trace, every, where).detach()
        scores = scores + rerank.scores(query, keys, chosen)[0]
        near = _landmark_scores(trace, bank.landmarks.to(every), where).detach()
        near, index = near.topk(min(model.config.top_k, near.shape[-1]))
        # The oracle: unlike the operator it computes no gradient for the bank's keys.
        found = chunk_scores_reference(
            query, bank.keys.to(keys)[None], index[None], query.shape[-1] ** -0.5
        )
        by_layer.append(torch.cat([scores, near + rerank.weigh(found)[0]], dim=-1))
    hidden = F.pad(_no_distractor(memory, where, shares_facts), (0, by_layer[0].shape[-1] - count))
    return _choice_loss(by_layer, memory, where, hidden)


def _landmark_scores(trace: HSATrace, landmarks: Tensor, where: Supervision) -> Tensor:
    """Retrieval scores [P, R, N] of landmarks [N, R, E]."""
    query = trace.retrieval_query[where.row, where.position]  # [P, R, E]
    scores: Tensor = torch.einsum("pre,nre->prn", query, landmarks).float()
    return scores * float(query.shape[-1] ** -0.5)


def _no_distractor(memory: ChunkMemory, where: Supervision, shares_facts: Tensor) -> Tensor:
    """Which of the batch's chunks [P, B*C] no position may be held against."""
    batch, chunks = memory.landmarks.shape[:2]
    owner = torch.arange(batch, device=where.row.device).repeat_interleave(chunks)
    number = torch.arange(chunks, device=where.row.device).repeat(batch)
    own = owner == where.row[:, None]  # [P, B*C]
    clash = shares_facts[owner] & shares_facts[where.row][:, None] & ~own
    # What this sequence's position sees is exactly the chunks up to the source's and beyond it
    # those finished before the position; later ones may repeat the answer.
    future = own & (number >= where.seen[:, None])
    return clash | future


def _choice_loss(
    by_layer: list[Tensor], memory: ChunkMemory, where: Supervision, hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean loss and accuracy of scores [P, R, N] whose first B*C are the batch's chunks."""
    target = where.row * memory.landmarks.shape[1] + where.chunk
    loss, hits = [], []
    for scores in by_layer:
        seen = scores.masked_fill(hidden[:, None], float("-inf")).flatten(0, 1)
        wanted = target.repeat_interleave(scores.shape[1])
        loss.append(F.cross_entropy(seen, wanted))
        hits.append((seen.argmax(-1) == wanted).float().mean())
    return torch.stack(loss).mean(), torch.stack(hits).mean()


def fusion_loss(
    traces: tuple[HSATrace, ...], memory: ChunkMemory, where: Supervision
) -> tuple[Tensor, Tensor]:
    """Mean of -log of the fusion weight that the source chunk gets where it was chosen.

    Unlike the rerank loss it sees what the order of the chosen chunks adds. Only tokens with which
    a copy begins count: those after them are told by the ones before which chunk it is. Returns the
    same; NaN if no source chunk was chosen.
    """
    token = where.chunk * memory.kv.k.shape[2] + where.offset
    goes_on = (where.row.diff() == 0) & (where.position.diff() == 1) & (token.diff() == 1)
    begins = F.pad(~goes_on, (1, 0), value=True)
    row, position, chunk = where.row[begins], where.position[begins], where.chunk[begins]
    loss, hits = [], []
    for trace in traces:
        is_source = trace.indices[row, position] == chunk[:, None, None]
        weights = trace.weights[row, position].float()  # [P, R, K]
        found = is_source.any(-1)
        own = (weights * is_source).sum(-1)[found]
        loss.append(-own.clamp(min=1e-9).log().mean())
        hits.append((own == weights.amax(-1)[found]).float().mean())
    return torch.stack(loss).mean(), torch.stack(hits).mean()


def pointer_loss(
    traces: tuple[HSATrace, ...], memory: ChunkMemory, where: Supervision
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of one head's attention inside the source chunk against the copied token."""
    keys = memory.kv.k[where.row, where.chunk, :, 0]  # [P, S, D]
    loss, hits = [], []
    for trace in traces:
        query = trace.attention_query[where.row, where.position, 0]  # [P, D]
        scores = torch.einsum("pd,psd->ps", query, keys).float() * keys.shape[-1] ** -0.5
        loss.append(F.cross_entropy(scores, where.offset))
        hits.append((scores.argmax(-1) == where.offset).float().mean())
    return torch.stack(loss).mean(), torch.stack(hits).mean()


def value_loss(
    model: HSATransformer, memory: ChunkMemory, tokens: Tensor, sample: int = 512
) -> Tensor:
    """Cross-entropy of a chunk token's own value, through one head, against that token.

    It opens the path from memory to output: what the pointer's head attends to is what it says.
    `tokens` [B, L] are those of the chunks; `sample` of them are tried.
    """
    values = memory.kv.v[:, :, :, 0].flatten(1, 2)  # [B, C * S, D]
    batch, length, dim = values.shape
    row = torch.randint(batch, (sample,), device=tokens.device)
    at = torch.randint(length, (sample,), device=tokens.device)
    wanted = tokens[row, at]
    loss = []
    for layer in model.upper.hsa:
        said = model.upper.norm(
            F.linear(values[row, at], cast(HSALayer, layer).out.weight[:, :dim])
        )
        loss.append(F.cross_entropy(F.linear(said, model.output_weight).float(), wanted))
    return torch.stack(loss).mean()
