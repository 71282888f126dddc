"""Losses against cases computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hsa_memory.model import ChunkKV, ChunkMemory, HSAConfig, HSATransformer
from hsa_memory.model.attention import HSATrace
from hsa_memory.model.training.losses import (
    Bank,
    Supervision,
    fusion_loss,
    pointer_loss,
    rerank_loss,
    retrieval_loss,
    supervision,
    text_loss,
    value_loss,
)

NO_BANK = Bank(torch.zeros(0, 1, 2), torch.zeros(0, 4, 1, 2))


def trace(queries: Tensor) -> HSATrace:
    """A layer of one head whose queries, of all three kinds, are `queries` [B, T, E]."""
    nothing = torch.zeros(*queries.shape[:2], 1, 0)
    query = queries[:, :, None]
    return HSATrace(query, query, query, query[..., 0], nothing.long(), nothing)


def memory(landmarks: Tensor, keys: Tensor | None = None) -> ChunkMemory:
    """Chunks of 4 tokens with one head: landmarks [B, C, E], keys [B, C, 4, D]."""
    keys = torch.zeros(*landmarks.shape[:2], 4, 2) if keys is None else keys
    return ChunkMemory(landmarks[:, :, None], ChunkKV(keys[:, :, :, None], keys[:, :, :, None]))


def at(row: int, position: int, chunk: int, offset: int = 0) -> Supervision:
    fields = row, position, chunk, offset, position // 4
    return Supervision(*(torch.tensor([x]) for x in fields))


def test_text_loss_is_a_weighted_mean() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])
    loss = text_loss(logits, torch.tensor([0, 1]), torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx((math.log(2) + 3 * math.log(4)) / 4)


def test_supervision_takes_sources_in_complete_chunks_only() -> None:
    source = torch.full((2, 12), -1)
    source[0, 3] = 1  # its chunk is not complete before position 4
    source[0, 4] = 1
    source[1, 9] = 6
    source[1, 7] = 6  # the same chunk as its position's
    found = supervision(source, 4)
    assert found.row.tolist() == [0, 1]
    assert found.position.tolist() == [4, 9]
    assert found.chunk.tolist() == [0, 1]
    assert found.offset.tolist() == [1, 2]
    assert found.seen.tolist() == [1, 2]


def test_supervision_counts_positions_from_the_first_that_passed_the_whole_model() -> None:
    source = torch.full((2, 12), -1)
    source[0, 4] = 1
    source[0, 8], source[1, 11] = 3, 5
    found = supervision(source, 4, first=6)
    assert found.row.tolist() == [0, 1]
    assert found.position.tolist() == [2, 5]
    assert found.chunk.tolist() == [0, 1]
    assert found.offset.tolist() == [3, 1]
    assert found.seen.tolist() == [2, 2]


def test_retrieval_loss_compares_the_chunks_a_position_sees() -> None:
    landmarks = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]])
    queries = torch.zeros(1, 12, 2)
    queries[0, 8] = torch.tensor([2.0, 1.0]) * 2**0.5
    # Position 8 sees chunks 0 and 1 with scores 2 and 1; chunk 2 is not finished yet.
    loss, accuracy = retrieval_loss(
        (trace(queries),), memory(landmarks), at(0, 8, 0), torch.tensor([True]), NO_BANK
    )
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert accuracy.item() == 1
    loss, accuracy = retrieval_loss(
        (trace(queries),), memory(landmarks), at(0, 8, 1), torch.tensor([True]), NO_BANK
    )
    assert loss.item() == pytest.approx(1 + math.log(1 + math.exp(-1)))
    assert accuracy.item() == 0


@pytest.mark.parametrize(
    ("shares_facts", "others"),
    [((True, True), 0), ((True, False), 2), ((False, True), 2), ((False, False), 2)],
)
def test_rows_that_may_state_the_same_fact_are_no_distractors(
    shares_facts: tuple[bool, bool], others: int
) -> None:
    # Every landmark scores the same: the loss is the logarithm of how many are compared.
    landmarks, queries = torch.zeros(2, 2, 2), torch.ones(2, 8, 2)
    for bank in (0, 3):
        loss, _ = retrieval_loss(
            (trace(queries),) * 2,
            memory(landmarks),
            at(0, 4, 0),
            torch.tensor(shares_facts),
            Bank(torch.zeros(bank, 1, 2), torch.zeros(bank, 4, 1, 2)),
        )
        assert loss.item() == pytest.approx(math.log(1 + others + bank))


def reranker(layers: int = 1, heads: int = 1) -> HSATransformer:
    """A model of so many HSA layers whose rerank scores count fully."""
    config = HSAConfig(
        vocab_size=8, hidden_size=4, intermediate_size=8, num_lower_layers=1, num_upper_layers=0,
        num_groups=layers, num_heads=1, num_kv_heads=1, head_dim=2, hsa_num_heads=1, chunk_size=4,
        top_k=1, retrieval_dim=2, rerank_heads=heads,
    )  # fmt: skip
    return HSATransformer(config)


def test_rerank_loss_adds_what_the_keys_say_to_the_landmark_scores() -> None:
    landmarks = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]).requires_grad_()
    keys = torch.zeros(1, 2, 4, 2)
    # A query of 1 scores 0 on each of chunk 0's tokens, and ln 5 on one of chunk 1's.
    keys[0, 1, 2, 0] = math.log(5.0) * 2**0.5
    keys.requires_grad_()
    queries = torch.zeros(1, 12, 2)
    queries[0, 9, 0] = 1.0
    run = (reranker(), (trace(queries),), memory(landmarks, keys))
    # Landmark scores are 1 / sqrt(2) and 0, the logarithms of the sums over tokens ln 4 and ln 8.
    odds = math.exp(2**-0.5) * 4 / 8
    for chunk, expected in ((1, math.log(1 + odds)), (0, math.log(1 + 1 / odds))):
        loss, accuracy = rerank_loss(*run, at(0, 9, chunk), torch.tensor([False]), NO_BANK)
        assert loss.item() == pytest.approx(expected)
        assert accuracy.item() == (chunk == (odds < 1))
    loss.backward()
    assert keys.grad is not None
    assert keys.grad.any()
    # They have a loss of their own.
    assert landmarks.grad is None


def test_rerank_loss_has_the_distractors_of_the_retrieval_loss() -> None:
    landmarks, queries = torch.zeros(2, 2, 2), torch.ones(2, 8, 2)
    run = (reranker(2), (trace(queries),) * 2, memory(landmarks), at(0, 4, 0))
    for shares_facts, others in (((True, True), 0), ((True, False), 2), ((False, False), 2)):
        loss, _ = rerank_loss(*run, torch.tensor(shares_facts), NO_BANK)
        assert loss.item() == pytest.approx(math.log(1 + others))


def test_rerank_loss_takes_from_the_bank_what_comes_nearest() -> None:
    queries = torch.zeros(1, 8, 2)
    queries[0, 4, 0] = 1.0
    run = (reranker(), (trace(queries),), memory(torch.zeros(1, 2, 2)), at(0, 4, 0))
    landmarks, keys = torch.zeros(3, 1, 2), torch.zeros(3, 4, 1, 2)
    # Of three chunks the model chooses one: the second, whose landmark scores 1 and keys ln 20.
    landmarks[1, 0, 0], keys[1, :, 0, 0] = 2**0.5, math.log(5.0) * 2**0.5
    keys[2] = 100.0
    loss, accuracy = rerank_loss(*run, torch.tensor([True]), Bank(landmarks, keys))
    assert loss.item() == pytest.approx(math.log(1 + math.e * 5), rel=1e-5)
    assert accuracy.item() == 0


def test_rerank_loss_looks_at_a_sample_of_the_positions() -> None:
    landmarks, queries = torch.zeros(1, 4, 2), torch.randn(1, 16, 2)
    where = supervision(torch.tensor([[-1] * 8 + [0, 1, 2, 3, 4, 5, 6, 7]]), 4)
    run = (reranker(), (trace(queries),), memory(landmarks, torch.randn(1, 4, 4, 2)), where)
    facts = torch.tensor([False])
    whole = rerank_loss(*run, facts, NO_BANK)[0].item()
    assert rerank_loss(*run, facts, NO_BANK, sample=8)[0].item() == whole
    parts = {round(rerank_loss(*run, facts, NO_BANK, sample=1)[0].item(), 6) for _ in range(40)}
    assert 1 < len(parts) <= 8
    assert min(parts) < whole < max(parts)


def test_without_rerank_heads_there_is_no_rerank_loss() -> None:
    run = (reranker(heads=0), (trace(torch.zeros(1, 8, 2)),), memory(torch.zeros(1, 2, 2)))
    assert all(x.isnan() for x in rerank_loss(*run, at(0, 4, 0), torch.tensor([True]), NO_BANK))


def test_pointer_loss_looks_inside_the_source_chunk() -> None:
    keys = torch.zeros(1, 2, 4, 2)
    keys[0, 1, 2] = torch.tensor([math.log(5.0) * 2**0.5, 0.0])
    queries = torch.zeros(1, 12, 2)
    queries[0, 9, 0] = 1.0
    landmarks = torch.zeros(1, 2, 2)
    where = at(0, 9, 1, 2)
    loss, accuracy = pointer_loss((trace(queries),), memory(landmarks, keys), where)
    assert loss.item() == pytest.approx(math.log(8 / 5))
    assert accuracy.item() == 1
    loss, accuracy = pointer_loss((trace(queries),), memory(landmarks, keys), at(0, 9, 1, 0))
    assert loss.item() == pytest.approx(math.log(8))
    assert accuracy.item() == 0


def test_layers_count_equally() -> None:
    landmarks = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    right = torch.tensor([9.0, 0.0]).expand(1, 8, 2)
    wrong = torch.tensor([0.0, 9.0]).expand(1, 8, 2)
    arguments = (memory(landmarks), at(0, 7, 0), torch.tensor([False]), NO_BANK)
    # Position 7 sees chunk 0 only, so 8 tokens would be needed for a second one.
    assert retrieval_loss((trace(wrong),), *arguments)[0].item() == 0
    landmarks = torch.cat([landmarks, landmarks], 0)
    arguments = (memory(landmarks), at(0, 7, 0), torch.tensor([False, False]), NO_BANK)
    _, accuracy = retrieval_loss((trace(right), trace(wrong)), *arguments)
    assert accuracy.item() == 0.5


def test_value_loss_asks_each_value_for_its_own_token() -> None:
    size = 16
    config = HSAConfig(
        vocab_size=size, hidden_size=size, intermediate_size=8, num_lower_layers=1,
        num_upper_layers=0, num_groups=1, num_heads=1, num_kv_heads=1, head_dim=size,
        hsa_num_heads=1, chunk_size=4, top_k=1, retrieval_dim=4,
    )  # fmt: skip
    model = HSATransformer(config)
    with torch.no_grad():
        model.embedding.weight.copy_(torch.eye(size) * 5)
        model.upper.hsa[0].out.weight.copy_(torch.eye(size))
    tokens = torch.randint(size, (2, 12))
    values = torch.eye(size)[tokens].view(2, 3, 4, 1, size)
    chunks = ChunkMemory(torch.zeros(2, 3, 1, 4), ChunkKV(values, values))
    # A unit vector normalised to RMS 1 has length 4: its own logit is 20, all others are 0.
    own = math.log(1 + (size - 1) * math.exp(-20))
    assert value_loss(model, chunks, tokens).item() == pytest.approx(own, abs=1e-4)
    others = value_loss(model, chunks, (tokens + 1) % size)
    assert others.item() == pytest.approx(20 + own, rel=1e-3)


def test_fusion_loss_looks_at_the_weights_where_a_copy_begins() -> None:
    def layer(weights: list[float]) -> HSATrace:
        chosen = torch.tensor([5, 1, -1]).expand(1, 12, 1, 3)
        part = trace(torch.zeros(1, 12, 2))
        return part._replace(indices=chosen, weights=torch.tensor(weights).expand(1, 12, 1, 3))

    def run(where: Supervision) -> tuple[float, float]:
        traces = (layer([0.75, 0.25, 0.0]), layer([0.5, 0.5, 0.0]))
        loss, accuracy = fusion_loss(traces, memory(torch.zeros(1, 6, 2)), where)
        return loss.item(), accuracy.item()

    # Chunk 1's weights are 1/4 and 1/2; equal ones count as the largest.
    loss, accuracy = run(at(0, 9, 1))
    assert loss == pytest.approx(math.log(8) / 2)
    assert accuracy == 0.5
    # What goes on with a copy adds nothing, even into the next chunk; what begins one does.
    copied = Supervision(
        *(torch.tensor(x) for x in ([0] * 3, [8, 9, 10], [1, 1, 5], [2, 3, 0], [9] * 3))
    )
    assert run(copied)[0] == pytest.approx((math.log(8) + math.log(8 / 3)) / 4)
    goes_on = copied._replace(chunk=torch.tensor([1, 1, 2]))
    assert run(goes_on)[0] == pytest.approx(math.log(8) / 2)
    # A source that was not chosen is for the retrieval loss to teach.
    assert all(math.isnan(x) for x in run(at(0, 9, 3)))
