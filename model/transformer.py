"""HSA-UltraLong, whole: tokens in, logits and state out. One path for training, prefill, decode.

    tokens -> LowerDecoder -> ChunkEncoder -> memory (landmarks, shared K/V)
                   |                             |
                   `----------> UpperDecoder <---'  -> logits

What differs between training, prefill and decode is the `State` passed in. `ingest` stops after
the memory: history never passes through the upper decoder, whose windows are rebuilt from the last
lower outputs when the next full forward needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import (
    HSALayer,
    HSAQuery,
    HSATrace,
    Recency,
    Rerank,
    SlidingWindowLayer,
    Window,
)
from .config import HSAConfig
from .encoder import ChunkEncoder, EncodedChunks
from .layers import RMSNorm, rotation
from .state import (
    ChunkKV,
    ChunkMemory,
    ChunkSource,
    State,
    WindowCache,
    append_rows,
    last_rows,
)


class Output(NamedTuple):
    """Result of a full forward."""

    logits: Tensor
    """[B, T, vocabulary]; [B, 1, vocabulary] with `last_only`; [N, vocabulary] with `select`."""
    state: State
    """State after the tokens."""
    traces: tuple[HSATrace, ...]
    """One per HSA layer, lowest first, for the tokens of this call."""


class HSATransformer(nn.Module):
    """The complete model.

    Args:
        config: its dimensions. Weights are initialised as N(0, 0.02), outputs of residual branches
            scaled down by the number of layers.
    """

    def __init__(self, config: HSAConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.lower = LowerDecoder(config)
        if config.num_groups:
            self.encoder = ChunkEncoder(config)
        self.upper = UpperDecoder(config)
        if not config.tie_embeddings:
            self.head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.initialize(_draw)

    def forward(
        self,
        tokens: Tensor,
        state: State | None = None,
        *,
        lengths: Sequence[int] | None = None,
        last_only: bool = False,
        select: Tensor | None = None,
    ) -> Output:
        """Run the whole model on the next tokens of each row.

        Args:
            tokens: [B, T] int64 ids that follow what `state` has seen.
            state: from an earlier call, `start`, or None for an empty history.
            lengths: real tokens per row, the rest of the row being padding at its end; default T.
            last_only: return logits of each row's last real token only.
            select: [B, T] bool; return logits of these tokens only, [number selected, vocabulary].

        Returns:
            `Output`; logits of padding are meaningless.

        Raises:
            ValueError: if there is no token, or if state, lengths and tokens differ in rows.
        """
        before = self.start(len(tokens)) if state is None else state
        new = _new_lengths(tokens, before, lengths)
        hidden, after = self._lower_half(tokens, before, new)
        # Upper windows that an ingest left stale are rebuilt from the last lower outputs.
        lag = 0 if before.upper else before.recent.shape[1]
        if lag:
            hidden = torch.cat([before.recent, hidden], dim=1)
        window = self._window(before, new, tokens.shape[1], lag)
        visible = self._visible(before, after, tokens.shape[1], lag)
        hidden, upper, traces = self.upper(hidden, before.upper, after.memory, visible, window, lag)
        hidden = hidden[:, -tokens.shape[1] :]
        traces = tuple(HSATrace(*(x[:, -tokens.shape[1] :] for x in trace)) for trace in traces)
        if last_only:
            hidden = _last_tokens(hidden, new)
        if select is not None:
            hidden = hidden[select]
        return Output(self._logits(hidden), replace(after, upper=upper), traces)

    def ingest(
        self, tokens: Tensor, state: State | None = None, *, lengths: Sequence[int] | None = None
    ) -> State:
        """Add tokens [B, T] to the history with the lower decoder and the chunk encoder only.

        Arguments and errors are those of `forward`.
        """
        before = self.start(len(tokens)) if state is None else state
        return self._lower_half(tokens, before, _new_lengths(tokens, before, lengths))[1]

    def queries(self, tokens: Tensor, state: State) -> tuple[HSAQuery, ...]:
        """Return what each HSA layer looks for at the last of `tokens`, lowest layer first.

        The same as in `forward`, for less: only tokens that can influence the last layer's queries
        pass the layers below it.

        Args:
            tokens: [B, T] int64 ids that follow what `state` has seen.
            state: of histories of one length.

        Raises:
            ValueError: as `forward`, or if the histories differ in length.
        """
        if state.is_ragged:
            raise ValueError(f"expected histories of one length; found {state.lengths}")
        new = _new_lengths(tokens, state, None)
        hidden, after = self._lower_half(tokens, state, new)
        hidden = torch.cat([state.recent, hidden], dim=1)[:, -1 - self.config.retrieval_reach :]
        # Negative if the last tokens are enough.
        lag = hidden.shape[1] - tokens.shape[1]
        window = self._window(state, new, tokens.shape[1], lag)
        visible = self._visible(state, after, tokens.shape[1], lag)
        found = self.upper.queries(hidden, after.memory, visible, window)
        return tuple(HSAQuery(*(x[:, -1:] for x in query)) for query in found)

    def start(self, batch: int, source: ChunkSource | None = None) -> State:
        """Return the state of `batch` empty histories, or of one whose chunks are in `source`."""
        config = self.config
        like = self.embedding.weight
        landmark = (config.hsa_num_kv_heads, config.retrieval_dim)
        per_token = (config.chunk_size, config.hsa_num_kv_heads, config.head_dim)
        kv = ChunkKV(*(like.new_empty(batch, 0, *per_token) for _ in range(2)))
        memory = ChunkMemory(like.new_empty(batch, 0, *landmark), kv, source)
        empty = like.new_empty(batch, 0, config.hidden_size)
        return State((0,) * batch, (), empty, empty, memory)

    def _lower_half(
        self, tokens: Tensor, state: State, new: tuple[int, ...]
    ) -> tuple[Tensor, State]:
        """Run lower decoder and chunk encoder; the returned state has stale upper windows."""
        window = self._window(state, new, tokens.shape[1], 0)
        hidden, lower = self.lower(self._embed(tokens), state.lower, window)
        size, chunks = self.config.chunk_size, self.config.num_chunks
        lengths = tuple(n + more for n, more in zip(state.lengths, new, strict=True))
        before = tuple(chunks(n) for n in state.lengths)
        pending = state.pending
        if self.config.num_groups:
            waiting = tuple(n - size * c for n, c in zip(state.lengths, before, strict=True))
            pending = append_rows(pending, hidden, waiting, new)
        finished = tuple(chunks(n) - c for n, c in zip(lengths, before, strict=True))
        memory, count = state.memory, max(finished)
        if count:
            encoded = self._encode(pending, count)
            held = tuple(c - memory.num_source_chunks for c in before)
            memory = memory.append(encoded.landmarks, encoded.kv, held, finished)
        after = State(
            lengths=lengths,
            lower=lower,
            pending=_drop_front(pending, tuple(n * size for n in finished)),
            recent=last_rows(
                torch.cat([state.recent, hidden], dim=1), self.config.upper_reach, window.cut
            ),
            memory=memory,
        )
        return hidden, after

    def _encode(self, pending: Tensor, count: int) -> EncodedChunks:
        """Encode the first `count` chunks of lower outputs [B, n, h]; zeros stand for what a
        shorter row does not have."""
        size, lookahead = self.config.chunk_size, self.config.encoder_lookahead
        needed = (count + (lookahead > 0)) * size
        full = F.pad(pending, (0, 0, 0, max(0, needed - pending.shape[1])))
        chunks = full[:, : count * size].unflatten(1, (count, size))
        ahead = None
        if lookahead:
            ahead = full[:, size:needed].unflatten(1, (count, size))[:, :, :lookahead]
        encoded: EncodedChunks = self.encoder(chunks, ahead)
        return encoded

    def _visible(self, before: State, after: State, tokens: int, lag: int) -> Tensor:
        """Chunks [B, lag + tokens] that each token may see: those finished before it.

        Padding at a row's end must not see chunks that the row does not have.
        """
        config, device = self.config, self.embedding.weight.device
        limits = [config.num_chunks(n) for n in after.lengths]
        positions = _positions(before, tokens, lag, device)
        visible = (positions - config.encoder_lookahead).clamp(min=0) // config.chunk_size
        if len(limits) == 1:
            return visible.clamp(max=limits[0])
        return visible.minimum(torch.tensor(limits, device=device)[:, None])

    def _embed(self, tokens: Tensor) -> Tensor:
        x: Tensor = self.embedding(tokens)
        if self.config.embedding_norm:
            x = F.rms_norm(x, x.shape[-1:], eps=self.config.norm_eps)
        return x

    @property
    def output_weight(self) -> Tensor:
        """The matrix [vocabulary, h] that turns hidden states into logits."""
        return self.embedding.weight if self.config.tie_embeddings else self.head.weight

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.output_weight)

    def _window(self, state: State, new: tuple[int, ...], tokens: int, lag: int) -> Window:
        """Describe the last `lag` and the next `tokens` tokens to sliding-window layers."""
        config, like = self.config, self.embedding.weight
        positions = _positions(state, tokens, lag, like.device)
        by = rotation(positions, config.head_dim, config.rope_theta, like.dtype)
        before = tuple(n - lag for n in state.lengths)
        return Window(by, before, tuple(tokens - n for n in new))

    @torch.no_grad()
    def initialize(self, draw: Callable[[Tensor, float], object]) -> None:
        """Set every weight to its initial value.

        Args:
            draw: fills a tensor with normal values around 0 of the given standard deviation.
        """
        config = self.config
        depth = config.num_lower_layers + config.num_upper_layers + config.num_groups
        for module in self.modules():
            if isinstance(module, RMSNorm | Rerank | Recency):
                module.reset_parameters()
        for name, parameter in self.named_parameters():
            if name.endswith(("norm.weight", ".gain")):
                continue
            if name.endswith(".bias"):
                parameter.zero_()
            elif name.endswith(("out.weight", "down.weight")):
                draw(parameter, 0.02 / (2 * depth) ** 0.5)
            else:
                draw(parameter, 0.02)


class LowerDecoder(nn.Module):
    """Sliding-window layers; their raw residual stream feeds encoder and upper decoder."""

    def __init__(self, config: HSAConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            SlidingWindowLayer(config, first=i == 0) for i in range(config.num_lower_layers)
        )

    def forward(
        self, x: Tensor, caches: tuple[WindowCache, ...], window: Window
    ) -> tuple[Tensor, tuple[WindowCache, ...]]:
        """Map [B, T, h]; returns the stream and each layer's new cache."""
        new = []
        for layer, cache in zip(self.layers, caches or (None,) * len(self.layers), strict=True):
            x, cache = layer(x, window, cache)
            new.append(cache)
        return x, tuple(new)


class UpperDecoder(nn.Module):
    """Groups of one HSA layer and several sliding-window layers, then the final norm."""

    def __init__(self, config: HSAConfig) -> None:
        super().__init__()
        self.config = config
        self.hsa = nn.ModuleList(HSALayer(config) for _ in range(config.num_groups))
        self.windows = nn.ModuleList(
            nn.ModuleList(SlidingWindowLayer(config) for _ in range(config.layers_per_group))
            for _ in range(config.num_groups)
        )
        self.norm = RMSNorm(config.hidden_size, config.norm_eps)

    def forward(
        self,
        x: Tensor,
        caches: tuple[WindowCache, ...],
        memory: ChunkMemory,
        visible: Tensor,
        window: Window,
        lag: int = 0,
    ) -> tuple[Tensor, tuple[WindowCache, ...], tuple[HSATrace, ...]]:
        """Map [B, T, h]; token t sees the first `visible[b, t]` chunks of `memory`.

        The first `lag` tokens are there to fill empty windows; those that no window of a later
        layer reaches are dropped on the way, so the results may have fewer tokens.
        """
        config = self.config
        reach = config.layers_per_group * (config.window - 1) + max(0, config.hsa_window - 1)
        old, new, traces = iter(caches), [], []
        for i, (hsa, windows) in enumerate(zip(self.hsa, self.windows, strict=True)):
            if (drop := lag - (config.num_groups - i) * reach) > 0:
                x, visible, window = x[:, drop:], visible[:, drop:], window.without_first(drop)
                lag -= drop
            own = next(old, None) if self.config.hsa_window else None
            x, own, trace = hsa(x, window, own, memory, visible)
            traces.append(trace)
            if own is not None:
                new.append(own)
            for layer in cast(nn.ModuleList, windows):
                x, cache = layer(x, window, next(old, None))
                new.append(cache)
        return self.norm(x), tuple(new), tuple(traces)

    def queries(
        self, x: Tensor, memory: ChunkMemory, visible: Tensor, window: Window
    ) -> list[HSAQuery]:
        """Return what each HSA layer looks for; right for the last token, if `x` reaches back far
        enough."""
        found = []
        for hsa, windows in zip(self.hsa, self.windows, strict=True):
            found.append(cast(HSALayer, hsa).queries(x, window))
            if len(found) == len(self.hsa):
                break
            x, _, _ = hsa(x, window, None, memory, visible)
            layers = list(cast(nn.ModuleList, windows))
            # The last layer before the last query has to map one token.
            is_last = len(found) == len(self.hsa) - 1 and not self.config.hsa_window
            last = cast(SlidingWindowLayer, layers.pop()) if is_last and layers else None
            for layer in layers:
                x, _ = layer(x, window, None)
            if last is not None:
                x, window = last.last(x, window)
        return found


def _draw(parameter: Tensor, deviation: float) -> None:
    parameter.normal_(0.0, deviation)


def _new_lengths(tokens: Tensor, state: State, lengths: Sequence[int] | None) -> tuple[int, ...]:
    """Return the number of new tokens of each row, checked against the call's other arguments."""
    if tokens.dim() != 2 or tokens.shape[1] == 0 or len(tokens) != len(state.lengths):
        raise ValueError(
            f"tokens must be [{len(state.lengths)}, T] with T >= 1 to follow this state; "
            f"found {tuple(tokens.shape)}"
        )
    batch, most = tokens.shape
    new = tuple(lengths) if lengths is not None else (most,) * batch
    if len(new) != batch or not all(0 <= n <= most for n in new):
        raise ValueError(f"lengths must be {batch} numbers from 0 to {most}; found {new}")
    return new


def _positions(state: State, tokens: int, lag: int, device: torch.device) -> Tensor:
    """Positions [B or 1, lag + tokens] of the last `lag` and the next `tokens` tokens."""
    if state.is_ragged:
        rows = torch.tensor(state.lengths, device=device)
        return rows[:, None] + torch.arange(-lag, tokens, device=device)
    # Counted on the device: a copy to a GPU waits until everything before it is done.
    first = state.lengths[0]
    return torch.arange(first - lag, first + tokens, device=device)[None]


def _last_tokens(x: Tensor, new: tuple[int, ...]) -> Tensor:
    """Return [B, 1, h] of each row's last real token, of `new[b]` in [B, T, h]."""
    last = [max(n - 1, 0) for n in new]
    if len(set(last)) == 1:
        return x[:, last[0] : last[0] + 1]
    at = torch.tensor(last, device=x.device)
    return x.gather(1, at[:, None, None].expand(-1, 1, x.shape[2]))


def _drop_front(x: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Remove the first `counts[b]` entries of each row of [B, n, ...], zero-padding the end."""
    if len(set(counts)) == 1:
        return x[:, counts[0] :]
    rows = [row[count:] for row, count in zip(x, counts, strict=True)]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
