"""Chunks of the past: where they are kept does not matter, nor where in the sequence they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
import torch
from torch import Tensor

from hsa_memory.model import ChunkKV, ChunkMemory, HSATransformer, Output, State, WindowCache
from hsa_memory.model.attention import HSALayer, SlidingWindowAttention, Window
from hsa_memory.model.layers import rotation

from .conftest import VARIANTS

Build = Callable[..., HSATransformer]
EXACT = 1e-10
WITH_MEMORY = [name for name, changes in VARIANTS.items() if changes.get("num_groups") != 0]


@pytest.fixture(params=WITH_MEMORY)
def model(request: pytest.FixtureRequest, build: Build) -> HSATransformer:
    """Every variant that has a memory."""
    return build(**VARIANTS[request.param])


@dataclass
class FakeSource:
    """Chunks of another memory, as a session on disk would offer them."""

    memory: ChunkMemory
    num_chunks: int
    asked: list[list[int]] = field(default_factory=list)

    @property
    def landmarks(self) -> Tensor:
        return self.memory.landmarks[0, : self.num_chunks]

    def gather(self, chunk_ids: Tensor, room: int = 0) -> ChunkKV:
        self.asked.append(chunk_ids.tolist())
        room_shape = (1, room, *self.memory.kv.k.shape[2:])
        parts = ((x[:, chunk_ids], x.new_empty(room_shape)) for x in self.memory.kv)
        return ChunkKV(*(torch.cat(part, dim=1) for part in parts))


def from_source(state: State, num_chunks: int) -> tuple[State, FakeSource]:
    """Move the first chunks of a state's memory into a source."""
    source = FakeSource(state.memory, num_chunks)
    kv = ChunkKV(*(x[:, num_chunks:] for x in state.memory.kv))
    memory = ChunkMemory(state.memory.landmarks[:, num_chunks:], kv, source)
    return replace(state, memory=memory), source


def used(output: Output) -> set[int]:
    """Chunks that any token of a call attended to."""
    return {i for trace in output.traces for i in trace.indices.unique().tolist() if i >= 0}


def tokens(length: int) -> Tensor:
    return torch.randint(8, 50, (1, length))


@pytest.mark.parametrize("num_chunks", [0, 1, 7, 12])
def test_a_source_equals_resident_memory(model: HSATransformer, num_chunks: int) -> None:
    history, question = tokens(model.config.num_tokens(12) + 2), tokens(11)
    state = model.ingest(history)
    moved, source = from_source(state, num_chunks)
    expected, found = model(question, state), model(question, moved)
    assert (found.logits - expected.logits).abs().max() < EXACT
    for ours, theirs in zip(found.traces, expected.traces, strict=True):
        assert torch.equal(ours.indices, theirs.indices)
    # The tokens that rebuild the upper windows ask as well, so there may be more.
    assert {i for i in used(expected) if i < num_chunks} <= set(sum(source.asked, []))
    # And on: chunks finished after the source join the held ones.
    more = tokens(9)
    again = model(more, found.state).logits
    assert (again - model(more, expected.state).logits).abs().max() < EXACT


def test_a_source_is_asked_in_order_and_once_per_layer(build: Build) -> None:
    model = build()
    state, source = from_source(model(tokens(50)).state, 12)
    output = model(tokens(2), state)
    assert len(source.asked) == 2
    for asked, trace in zip(source.asked, output.traces, strict=True):
        assert asked == [i for i in trace.indices.unique().tolist() if i >= 0]


def test_a_masked_chunk_is_as_if_it_were_not_there(model: HSATransformer) -> None:
    state = model(tokens(model.config.num_tokens(12) + 2)).state
    kept = torch.tensor([0, 2, 3, 7, 11])
    mask = torch.zeros(12, dtype=torch.bool)
    mask[kept] = True
    masked, source = from_source(state, 12)
    masked = replace(masked, memory=replace(masked.memory, mask=mask))
    absent = ChunkMemory(
        state.memory.landmarks[:, kept], ChunkKV(*(x[:, kept] for x in state.memory.kv))
    )
    question = tokens(1)
    found, expected = model(question, masked), model(question, replace(state, memory=absent))
    assert (found.logits - expected.logits).abs().max() < EXACT
    assert used(found) <= set(kept.tolist())
    assert set(sum(source.asked, [])) <= set(kept.tolist())


def test_masking_every_chunk_leaves_the_windows(build: Build) -> None:
    model = build()
    state, source = from_source(model.ingest(tokens(50)), 12)
    nothing = replace(state.memory, mask=torch.zeros(12, dtype=torch.bool))
    output = model(tokens(1), replace(state, memory=nothing))
    assert output.logits.isfinite().all()
    for trace in output.traces:
        assert trace.indices.eq(-1).all()
        assert trace.weights.eq(0).all()
    assert all(asked == [] for asked in source.asked)


def test_hsa_has_no_positions(model: HSATransformer) -> None:
    state = model(tokens(model.config.num_tokens(12) + 2)).state
    order = torch.randperm(12)
    memory = state.memory
    shuffled = ChunkMemory(
        memory.landmarks[:, order], ChunkKV(memory.kv.k[:, order], memory.kv.v[:, order])
    )
    question = tokens(2)
    found = model(question, replace(state, memory=shuffled))
    expected = model(question, state)
    if model.config.recency:
        # Nothing but the order counts, and only if the model is configured so.
        assert (found.logits - expected.logits).abs().max() > 1e-6
        return
    assert (found.logits - expected.logits).abs().max() < EXACT
    for ours, theirs in zip(found.traces, expected.traces, strict=True):
        present = ours.indices >= 0
        assert torch.equal(order[ours.indices[present]], theirs.indices[present])


@pytest.mark.parametrize("length", [1 << 20, 1 << 24])
def test_a_question_far_from_its_chunks_gets_the_same_answer(build: Build, length: int) -> None:
    """All chunks visible, the same windows, but millions of tokens further on."""
    model = build(hsa_window=5).float()
    state = model(tokens(48)).state
    # Three tokens finish no chunk: a new one would be numbered by its true position.
    question = tokens(3)
    expected = model(question, state).logits
    # Windows hold rotated keys, which belong to their positions: rotate them on.
    moved = torch.tensor([[length - 48]])
    by = rotation(moved, 8, model.config.rope_theta, torch.float64)

    def further(caches: tuple[WindowCache, ...]) -> tuple[WindowCache, ...]:
        return tuple(cache._replace(k=_rotate(cache.k.double(), by).float()) for cache in caches)

    far = replace(state, lengths=(length,), lower=further(state.lower), upper=further(state.upper))
    assert (model(question, far).logits - expected).abs().max() < 1e-4


def _rotate(x: Tensor, by: tuple[Tensor, Tensor]) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    cos, sin = by
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


@pytest.mark.parametrize("offset", [1 << 16, (1 << 24) + 1, 1 << 40])
def test_windows_depend_on_distance_alone(build: Build, offset: int) -> None:
    model = build().float()
    layer = model.lower.layers[0].attention
    assert isinstance(layer, SlidingWindowAttention)
    x = torch.randn(1, 20, 24)

    def run(first: int) -> Tensor:
        by = rotation(torch.arange(first, first + 20)[None], 8, 10_000.0, torch.float32)
        return layer(x, Window(by, (first,), (0,)), None)[0]

    # float64 angles of integers to 2**53: what remains is float32's own rounding.
    assert (run(offset) - run(0)).abs().max() < 1e-5


def test_rotation_is_exact_far_out() -> None:
    at = torch.tensor([[1 << 24]])
    found = rotation(at, 64, 10_000.0, torch.float64)
    turns = (1 << 24) * 10_000.0 ** (-torch.arange(0, 64, 2, dtype=torch.float64) / 64)
    torch.testing.assert_close(found.cos[0, 0, 0], turns.cos(), rtol=0, atol=1e-8)
    assert (found.cos**2 + found.sin**2 - 1).abs().max() < 1e-12


@pytest.mark.parametrize("gap", [1, 1000])
def test_of_two_chunks_that_say_the_same_recency_prefers_by_order_alone(
    build: Build, gap: int
) -> None:
    recency = cast(HSALayer, build(recency=True, hsa_num_kv_heads=1).upper.hsa[0]).recency
    assert recency is not None
    recency.gain.fill_(1.0)
    indices = torch.tensor([[[[5 * gap, 2 * gap, 9 * gap, -1]]]])
    # The first two match alike, the third hardly at all.
    scores = torch.tensor([[[[3.0, 3.0, -7.0, float("-inf")]]]])
    for preference in (2.0, -2.0):
        more = recency.scores(torch.tensor([[[preference]]]), scores, indices)[0, 0, 0]
        assert more[:2].tolist() == pytest.approx([preference, 0.0], abs=1e-3)
        assert more[2:].tolist() == pytest.approx([0.0, 0.0], abs=1e-3)
    # One that matches far better than all others keeps its lead whatever the order.
    clear = torch.tensor([[[[1.0, 9.0, 1.0, 1.0]]]])
    more = recency.scores(torch.tensor([[[3.0]]]), clear, indices)
    assert more.abs().max() < 0.01
