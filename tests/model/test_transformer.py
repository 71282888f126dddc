"""One code path: full pass, pieces, single tokens, ingest and ragged batches agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hsa_memory.model import HSATransformer, State

Build = Callable[..., HSATransformer]

# 53 is no multiple of the chunk (4) and reaches far beyond every window.
LENGTH = 53
EXACT = 1e-10


def tokens(batch: int = 2, length: int = LENGTH) -> Tensor:
    return torch.randint(8, 50, (batch, length))


def furthest(one: Tensor, other: Tensor) -> float:
    assert one.shape == other.shape
    return (one - other).abs().max().item()


def in_pieces(model: HSATransformer, x: Tensor, size: int) -> Tensor:
    state, logits = None, []
    for start in range(0, x.shape[1], size):
        output = model(x[:, start : start + size], state)
        state = output.state
        logits.append(output.logits)
    return torch.cat(logits, dim=1)


@pytest.mark.parametrize("size", [1, 3, 4, 7, 20, 52])
def test_pieces_of_any_size_give_the_logits_of_one_pass(model: HSATransformer, size: int) -> None:
    x = tokens()
    full = model(x).logits
    assert full.std() > 0.1
    assert furthest(in_pieces(model, x, size), full) < EXACT


@pytest.mark.parametrize("length", [1, 3, 4, 5, 8, 9])
def test_short_histories_are_no_exception(model: HSATransformer, length: int) -> None:
    x = tokens(length=length)
    assert furthest(in_pieces(model, x, 1), model(x).logits) < EXACT


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 2e-5), (torch.bfloat16, 0.3)])
def test_low_precision_decodes_as_it_prefills(
    build: Build, dtype: torch.dtype, most: float
) -> None:
    # As many slots as chunks: a choice between near ties would hide what rounding does.
    model = build(top_k=20, hsa_window=5).to(dtype)
    x = tokens()
    full = model(x).logits
    assert full.dtype == dtype
    assert furthest(in_pieces(model, x, 1), full) < most * full.abs().max().item()


@pytest.mark.parametrize("cut", [1, 4, 17, 40, 52])
def test_ingest_then_forward_gives_the_logits_of_one_pass(model: HSATransformer, cut: int) -> None:
    x = tokens()
    full = model(x).logits
    state = None
    for start in range(0, cut, 6):
        state = model.ingest(x[:, start : min(start + 6, cut)], state)
    output = model(x[:, cut:], state)
    assert furthest(output.logits, full[:, cut:]) < EXACT
    assert all(trace.indices.shape[1] == LENGTH - cut for trace in output.traces)


def test_forward_and_ingest_may_alternate(model: HSATransformer) -> None:
    x = tokens()
    full = model(x).logits
    output = model(x[:, :11])
    state = model.ingest(x[:, 11:30], output.state)
    output = model(x[:, 30:31], state)
    assert furthest(output.logits, full[:, 30:31]) < EXACT
    output = model(x[:, 31:], model.ingest(x[:, 31:32], output.state))
    output = model(x[:, 32:], model.ingest(x[:, 31:32], model(x[:, 30:31], state).state))
    assert furthest(output.logits, full[:, 32:]) < EXACT


# Per step: tokens of each row, and whether the step is an ingest.
STEPS = [((9, 20), False), ((6, 1), True), ((0, 13), False), ((21, 5), True), ((7, 7), False)]


def test_rows_of_different_length_do_not_touch_each_other(model: HSATransformer) -> None:
    x = tokens()
    full = model(x).logits
    state: State | None = None
    done = [0, 0]
    for lengths, is_ingest in STEPS:
        batch = torch.zeros(2, max(lengths), dtype=torch.long)
        for row, count in enumerate(lengths):
            batch[row, :count] = x[row, done[row] : done[row] + count]
        if is_ingest:
            state = model.ingest(batch, state, lengths=lengths)
        else:
            output = model(batch, state, lengths=lengths)
            last = model(batch, state, lengths=lengths, last_only=True)
            state = output.state
            for row, count in enumerate(lengths):
                expected = full[row, done[row] : done[row] + count]
                if count:
                    assert furthest(output.logits[row, :count], expected) < EXACT
                    assert furthest(last.logits[row, 0], expected[-1]) < EXACT
        done = [position + count for position, count in zip(done, lengths, strict=True)]
        assert state.lengths == tuple(done)


def test_what_stands_in_the_padding_does_not_matter(model: HSATransformer) -> None:
    x, lengths = tokens(length=19), (5, 19)
    other = x.clone()
    other[0, 5:] = torch.randint(8, 50, (14,))
    more = tokens(length=9)
    results = []
    for batch in (x, other):
        state = model(batch, lengths=lengths).state
        results.append(model(more, state).logits)
    assert furthest(*results) < EXACT


def test_last_only_and_select_are_parts_of_all_logits(build: Build) -> None:
    model, x = build(), tokens()
    full = model(x).logits
    last = model(x, last_only=True).logits
    assert last.shape == (2, 1, 50)
    assert furthest(last, full[:, -1:]) < EXACT
    select = torch.rand(2, LENGTH) < 0.3
    assert furthest(model(x, select=select).logits, full[select]) < EXACT
    # After an ingest the call also runs tokens that were seen before; they must not be selected.
    state = model.ingest(x[:, :30])
    assert furthest(model(x[:, 30:], state, select=select[:, 30:]).logits,
                    full[:, 30:][select[:, 30:]]) < EXACT  # fmt: skip


def count_calls(model: HSATransformer) -> Counter[str]:
    calls: Counter[str] = Counter()
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    return calls


def test_ingest_runs_the_lower_half_only(build: Build) -> None:
    model = build(hsa_window=5)
    calls = count_calls(model)
    state = model.ingest(tokens(length=40))
    state = model.ingest(tokens(length=3), state)
    assert calls["lower"] == 2
    assert calls["lower.layers.0"] == calls["lower.layers.1"] == 2
    # The second call finishes no chunk.
    assert calls["encoder"] == 1
    assert not any(name.startswith("upper") for name in calls)
    assert state.upper == ()


def test_a_question_rebuilds_the_upper_windows_from_a_bounded_number_of_tokens(
    build: Build,
) -> None:
    model = build(hsa_window=5)
    seen: list[int] = []
    model.upper.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    state = model.ingest(tokens(length=500))
    output = model(tokens(length=2), state)
    model(tokens(length=1), output.state)
    assert seen == [model.config.upper_reach + 2, 1]
    assert state.recent.shape[1] == model.config.upper_reach


@pytest.mark.parametrize("history", [0, 2, 7, 60])
@pytest.mark.parametrize("length", [1, 5, 40])
def test_queries_alone_are_those_of_a_full_pass(
    model: HSATransformer, history: int, length: int
) -> None:
    state = model.ingest(tokens(length=history)) if history else model.start(2)
    x = tokens(length=length)
    full, alone = model(x, state).traces, model.queries(x, state)
    assert len(full) == len(alone) == model.config.num_groups
    for trace, query in zip(full, alone, strict=True):
        assert furthest(query.retrieval, trace.retrieval_query[:, -1:]) < EXACT
        assert furthest(query.attention, trace.attention_query[:, -1:]) < EXACT


def test_queries_run_no_more_tokens_than_can_influence_them(build: Build) -> None:
    model = build(hsa_window=5)
    seen: list[int] = []
    model.upper.hsa[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    model.upper.hsa[1].register_forward_pre_hook(lambda _, args: seen.append(-1))
    state = model.ingest(tokens(length=500))
    for length in (2, 100):
        model.queries(tokens(length=length), state)
    assert seen == [model.config.retrieval_reach + 1] * 2


def test_queries_need_histories_of_one_length(model: HSATransformer) -> None:
    state = model.ingest(tokens(), lengths=[3, 5])
    with pytest.raises(ValueError, match="one length"):
        model.queries(tokens(), state)


def test_the_future_changes_nothing_earlier(model: HSATransformer) -> None:
    x = tokens(batch=1)
    full = model(x)
    for changed in (0, 3, 4, 21, 52):
        other = x.clone()
        other[0, changed] = 8 + (other[0, changed] - 7) % 42
        output = model(other)
        # Nearly: an expert that gets other rows may round differently in the last bit.
        if changed:
            assert furthest(output.logits[:, :changed], full.logits[:, :changed]) < 1e-13
        assert furthest(output.logits[:, changed], full.logits[:, changed]) > 1e-6


@pytest.mark.parametrize(
    ("lookahead", "seen_from"), [(0, (12, 12, 12)), (1, (13, 13, 13)), (3, (11, 11, 15))]
)
def test_a_chunk_is_visible_only_once_it_is_finished(
    build: Build, lookahead: int, seen_from: tuple[int, ...]
) -> None:
    # Windows of one token: what lies behind comes through chunks alone.
    model = build(window=1, top_k=50, encoder_lookahead=lookahead)
    x = tokens(batch=1)
    full = model(x).logits
    for changed, seen in zip((9, 10, 11), seen_from, strict=True):
        other = x.clone()
        other[0, changed] = 8 + (other[0, changed] - 7) % 42
        moved = (model(other).logits - full).abs().amax(-1)[0] > 1e-9
        expected = torch.zeros(LENGTH, dtype=torch.bool)
        expected[changed] = True  # the token itself
        expected[seen:] = True  # the first chunk that holds it, or has looked at it
        assert torch.equal(moved, expected)
    for trace in model(x).traces:
        limit = ((torch.arange(LENGTH) - lookahead).clamp(min=0) // 4)[None, :, None, None]
        assert (trace.indices < limit).all()
        assert ((trace.indices >= 0).sum(-1) == limit[..., 0].clamp(max=50)).all()


def test_a_state_can_be_continued_twice(model: HSATransformer) -> None:
    x, one, other = tokens(length=30), tokens(length=9), tokens(length=9)
    state = model(x).state
    model.ingest(other, state)
    first = [model(one, state).logits]
    second = model(other, state).logits
    first.append(model(one, state).logits)
    assert torch.equal(*first)
    assert furthest(second, model(torch.cat([x, other], 1)).logits[:, 30:]) < EXACT
    assert furthest(first[0], model(torch.cat([x, one], 1)).logits[:, 30:]) < EXACT


def test_training_and_evaluation_take_the_same_path(build: Build) -> None:
    model, x = build(), tokens()
    evaluated = model(x).logits
    assert torch.equal(model.train()(x).logits, evaluated)


def test_gradients_reach_every_weight(model: HSATransformer) -> None:
    model.train().requires_grad_(True)
    model(tokens()).logits.square().sum().backward()
    untouched = [
        n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert untouched == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"tokens": torch.zeros(2, 0, dtype=torch.long)}, r"found \(2, 0\)"),
        ({"tokens": torch.zeros(7, dtype=torch.long)}, r"found \(7,\)"),
        ({"tokens": torch.zeros(3, 4, dtype=torch.long)}, r"\[2, T\] .* found \(3, 4\)"),
        ({"lengths": (4, 5)}, r"from 0 to 4; found \(4, 5\)"),
        ({"lengths": (4,)}, r"2 numbers .* found \(4,\)"),
        ({"lengths": (-1, 3)}, r"found \(-1, 3\)"),
    ],
)
def test_calls_that_do_not_fit_are_named(build: Build, call: dict[str, Any], message: str) -> None:
    model = build()
    call = {"tokens": tokens(length=4), "state": model.start(2), **call}
    with pytest.raises(ValueError, match=message):
        model(**call)
    with pytest.raises(ValueError, match=message):
        model.ingest(**call)
