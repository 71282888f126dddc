"""Sliding-window attention, the chunk encoder's attention, and hierarchical sparse attention.

Letters: B batch, T tokens, H query heads, G KV heads, D head dim, R retrieval heads, E retrieval
dimensions, M rerank heads per KV head, K top-k, C chunks, S chunk size, h hidden size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsa_memory.kernels.chunk_attention import chunk_attention
from hsa_memory.kernels.chunk_scores import chunk_scores
from hsa_memory.kernels.sliding_window import sliding_window_attention

from .config import HSAConfig
from .layers import RMSNorm, Rotation, feed_forward, rotate
from .state import ChunkMemory, WindowCache, last_rows

# A preference is of the size of a difference of scores: without this, learning rates that suit the
# other weights would take thousands of steps to reach one.
_PREFERENCE_SCALE = 8.0


class Window(NamedTuple):
    """What sliding-window layers need to know about the tokens of one call."""

    rotation: Rotation
    """Rotary positions of the new tokens."""
    before: tuple[int, ...]
    """Real tokens of each row before the first of this call; negative: that many are padding."""
    cut: tuple[int, ...]
    """Padding tokens at the end of each row, not to be cached."""

    def without_first(self, count: int) -> Window:
        """Describe the same tokens but the first `count`."""
        by = Rotation(*(x[:, count:] for x in self.rotation))
        return Window(by, tuple(n + count for n in self.before), self.cut)


class SlidingWindowAttention(nn.Module):
    """Causal attention over the last `window` tokens: QK-norm, RoPE, grouped KV heads."""

    def __init__(self, config: HSAConfig, window: int) -> None:
        super().__init__()
        self.window = window
        self.head_dim = config.head_dim
        self.sizes = (config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim)
        self.qkv = nn.Linear(config.hidden_size, self.sizes[0] + 2 * self.sizes[1], bias=False)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps)
        self.out = nn.Linear(self.sizes[0], config.hidden_size, bias=False)

    def forward(
        self, x: Tensor, tokens: Window, cache: WindowCache | None
    ) -> tuple[Tensor, WindowCache]:
        """Map normalised `x` [B, T, h]; returns the output and the cache of the last tokens."""
        q, kv = self.qkv(x).split([self.sizes[0], 2 * self.sizes[1]], dim=-1)
        q = rotate(self.q_norm(q.unflatten(-1, (-1, self.head_dim))), tokens.rotation)
        k, v = self._keys_and_values(kv, tokens)
        cached = 0 if cache is None else cache.k.shape[1]
        if cache is not None:
            k, v = torch.cat([cache.k, k], dim=1), torch.cat([cache.v, v], dim=1)
        padding = [max(0, cached - n) for n in tokens.before]
        first_key = torch.tensor(padding, device=x.device) if any(padding) else None
        y = sliding_window_attention(q, k, v, window=self.window, first_key=first_key)
        keep = self.window - 1
        new = WindowCache(last_rows(k, keep, tokens.cut), last_rows(v, keep, tokens.cut))
        return self.out(y.flatten(2)), new

    def remember(self, x: Tensor, tokens: Window) -> WindowCache:
        """Return the cache of all of normalised `x` [B, T, h], nothing being asked."""
        kv = F.linear(x, self.qkv.weight[self.sizes[0] :])
        return WindowCache(*self._keys_and_values(kv, tokens))

    def _keys_and_values(self, kv: Tensor, tokens: Window) -> tuple[Tensor, Tensor]:
        k, v = kv.unflatten(-1, (2, -1, self.head_dim)).unbind(2)
        return rotate(self.k_norm(k), tokens.rotation), v


class SlidingWindowLayer(nn.Module):
    """h = x + SWA(norm(x)); y = h + FFN(norm(h))."""

    def __init__(self, config: HSAConfig, *, first: bool = False) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.attention = SlidingWindowAttention(config, config.window)
        self.mlp_norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.mlp = feed_forward(config, first=first)

    def forward(
        self, x: Tensor, tokens: Window, cache: WindowCache | None
    ) -> tuple[Tensor, WindowCache]:
        """Map `x` [B, T, h] to the same shape."""
        attended, cache = self.attention(self.attention_norm(x), tokens, cache)
        x = x + attended
        return x + self.mlp(self.mlp_norm(x)), cache

    def last(self, x: Tensor, tokens: Window) -> tuple[Tensor, Window]:
        """Map the last token of `x` only, to [B, 1, h]; returns it and its window."""
        before = x.shape[1] - 1
        earlier = Window(Rotation(*(r[:, :before] for r in tokens.rotation)), tokens.before, ())
        cache = self.attention.remember(self.attention_norm(x[:, :before]), earlier)
        tokens = tokens.without_first(before)
        return self(x[:, before:], tokens, cache)[0], tokens


class HSAQuery(NamedTuple):
    """What an HSA layer looks for."""

    retrieval: Tensor
    """[B, T, R, E], matched with landmarks."""
    attention: Tensor
    """[B, T, H, D], normalised, matched with keys."""
    rerank: Tensor
    """[B, T, G * M, D], normalised, matched with keys; M = 0 without reranking."""
    recency: Tensor
    """[B, T, R], how much newer ones of chunks that match alike are preferred, older ones if it is
    negative; [B, T, 0] in a model without it."""


class HSATrace(NamedTuple):
    """What one HSA layer did: for citations, for retrieval losses, for `/why`."""

    retrieval_query: Tensor
    """[B, T, R, E]."""
    attention_query: Tensor
    """[B, T, H, D], normalised."""
    rerank_query: Tensor
    """[B, T, G * M, D], normalised."""
    recency: Tensor
    """[B, T, R]."""
    indices: Tensor
    """[B, T, R, K] chosen chunks, -1 for empty slots."""
    weights: Tensor
    """[B, T, R, K] fusion weights."""


class Retrieval(nn.Module):
    """Retrieval queries; the choice of chunks itself is `ChunkMemory.find`."""

    def __init__(self, config: HSAConfig) -> None:
        super().__init__()
        heads, size = config.hsa_num_kv_heads, config.retrieval_dim
        self.heads = heads
        self.norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.query = nn.Linear(config.hidden_size, heads * size, bias=False)
        self.query_norm = RMSNorm(size, config.norm_eps) if config.normalize_retrieval else None

    def forward(self, x: Tensor) -> Tensor:
        """Return retrieval queries [B, T, R, E] of the residual stream `x` [B, T, h]."""
        query: Tensor = self.query(self.norm(x)).unflatten(-1, (self.heads, -1))
        return query if self.query_norm is None else self.query_norm(query)


class Rerank(nn.Module):
    """A second look at the chosen chunks: how well their tokens, not their landmark, match.

    One vector has to stand for all a chunk says; its keys stand for a token each. What the M heads
    find (`chunk_scores`) is added to the landmark's score, each by a learned factor.
    """

    def __init__(self, config: HSAConfig) -> None:
        super().__init__()
        heads, size = config.rerank_heads, config.head_dim
        self.head_dim = size
        self.query = nn.Linear(
            config.hidden_size, config.hsa_num_kv_heads * heads * size, bias=False
        )
        self.query_norm = RMSNorm(size, config.norm_eps, config.hsa_query_gain)
        self.gain = nn.Parameter(torch.empty(heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the factors to their initial values."""
        nn.init.constant_(self.gain, 1.0 / len(self.gain))

    def forward(self, x: Tensor) -> Tensor:
        """Return rerank queries [B, T, G * M, D] of normalised `x` [B, T, h]."""
        query: Tensor = self.query_norm(self.query(x).unflatten(-1, (-1, self.head_dim)))
        return query

    def scores(self, query: Tensor, keys: Tensor, indices: Tensor) -> Tensor:
        """Return what to add to retrieval scores [B, T, G, K]; arguments as `chunk_scores`."""
        return self.weigh(chunk_scores(query, keys, indices))

    def weigh(self, found: Tensor) -> Tensor:
        """Add up the heads of `chunk_scores` [..., M], each by its factor."""
        return (found * self.gain.to(found.dtype)).sum(-1)


class Recency(nn.Module):
    """A preference among chosen chunks by their order: what was said last, or first, counts.

    HSA knows no positions, so of two chunks that say the same thing differently it cannot tell the
    newer. Their order is all that is used here, so that it does not matter how far back they are:
    a chunk's score grows by its own share of what was found times that of the chunks before it.
    """

    def __init__(self, config: HSAConfig) -> None:
        super().__init__()
        heads = config.hsa_num_kv_heads
        self.preference = nn.Linear(config.hidden_size, heads)
        self.gain = nn.Parameter(torch.empty(heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the factors to their initial values."""
        nn.init.constant_(self.gain, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return preferences [B, T, R] of normalised `x` [B, T, h]."""
        preference: Tensor = _PREFERENCE_SCALE * self.preference(x)
        return preference

    def scores(self, preference: Tensor, scores: Tensor, indices: Tensor) -> Tensor:
        """Return what to add to `scores` [B, T, R, K] of the chunks `indices` [B, T, R, K].

        Two chunks that match alike differ by the preference [B, T, R]; one that matches much better
        than all others changes by next to nothing.
        """
        empty = scores == float("-inf")
        found = scores.masked_fill(empty, 0.0) * self.gain[:, None].to(scores.dtype)
        share = fusion_weights(found.masked_fill(empty, float("-inf")))
        order = indices.argsort(-1)
        in_order = share.gather(-1, order)
        older = torch.zeros_like(share).scatter(-1, order, in_order.cumsum(-1) - in_order)
        return 4.0 * preference[..., None].to(scores.dtype) * share * older


class HSALayer(nn.Module):
    """Hierarchical sparse attention (paper section 2.2), with a window of its own if configured.

    The retrieval query comes from the layer's input, before its window. With the bypass residual,
    HSA's output reaches the stream through the feed-forward only.
    """

    def __init__(self, config: HSAConfig) -> None:
        super().__init__()
        self.config = config
        size = config.hsa_num_heads * config.head_dim
        self.retrieval = Retrieval(config)
        if config.hsa_window:
            self.window_norm = RMSNorm(config.hidden_size, config.norm_eps)
            self.window = SlidingWindowAttention(config, config.hsa_window)
        self.attention_norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.query = nn.Linear(config.hidden_size, size, bias=False)
        self.query_norm = RMSNorm(config.head_dim, config.norm_eps, config.hsa_query_gain)
        self.rerank = Rerank(config) if config.rerank_heads else None
        self.recency = Recency(config) if config.recency else None
        self.out = nn.Linear(size, config.hidden_size, bias=False)
        self.mlp_norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.mlp = feed_forward(config)

    def forward(
        self,
        x: Tensor,
        tokens: Window,
        cache: WindowCache | None,
        memory: ChunkMemory,
        visible: Tensor,
    ) -> tuple[Tensor, WindowCache | None, HSATrace]:
        """Map `x` [B, T, h]; token t sees the first `visible[b, t]` chunks of `memory`."""
        queries, x, cache = self._look(x, tokens, cache)
        noise = self._noise(queries.retrieval, memory) if self.training else None
        found = memory.find(queries.retrieval, visible, self.config.top_k, noise)
        kv, local = memory.gather(found.indices)
        scores = found.scores
        if self.rerank is not None:
            scores = scores + self.rerank.scores(queries.rerank, kv.k, local)
        if self.recency is not None:
            scores = scores + self.recency.scores(queries.recency, scores, found.indices)
        weights = fusion_weights(scores)
        recalled = chunk_attention(queries.attention, kv.k, kv.v, local, weights)
        y = x + self.out(recalled.flatten(2))
        stream = x if self.config.bypass_residual else y
        trace = HSATrace(*queries, found.indices, weights)
        return stream + self.mlp(self.mlp_norm(y)), cache, trace

    def queries(self, x: Tensor, tokens: Window) -> HSAQuery:
        """Return what `forward` looks for, without looking."""
        return self._look(x, tokens, None)[0]

    def _look(
        self, x: Tensor, tokens: Window, cache: WindowCache | None
    ) -> tuple[HSAQuery, Tensor, WindowCache | None]:
        """Return queries, the stream after the layer's own window, and that window's cache."""
        retrieval = self.retrieval(x)
        if self.config.hsa_window:
            attended, cache = self.window(self.window_norm(x), tokens, cache)
            x = x + attended
        normal = self.attention_norm(x)
        query = self.query_norm(self.query(normal).unflatten(-1, (-1, self.config.head_dim)))
        rerank = query[:, :, :0] if self.rerank is None else self.rerank(normal)
        recency = normal[..., :0] if self.recency is None else self.recency(normal)
        return HSAQuery(retrieval, query, rerank, recency), x, cache

    def _noise(self, query: Tensor, memory: ChunkMemory) -> Tensor | None:
        """Standard Gumbel noise [B, T, R, C] for the choice of chunks, if configured."""
        if not self.config.gumbel_noise:
            return None
        shape = (*query.shape[:3], memory.landmarks.shape[1])
        uniform = torch.rand(shape, device=query.device).clamp_(min=1e-9, max=1 - 1e-7)
        return -torch.log(-torch.log(uniform))


def fusion_weights(scores: Tensor) -> Tensor:
    """Softmax over the chosen chunks [..., K]; empty slots and rows without a chunk give 0."""
    empty = scores == float("-inf")
    weights = torch.softmax(scores.masked_fill(empty, torch.finfo(scores.dtype).min), dim=-1)
    return weights.masked_fill(empty, 0.0)
