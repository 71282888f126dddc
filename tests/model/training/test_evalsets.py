from __future__ import annotations

import numpy as np
import pytest

from hsa_memory.model.training.evalsets import KINDS, build, single_fact
from hsa_memory.model.training.phrasing import UNKNOWN


@pytest.mark.parametrize("kind", KINDS)
def test_answers_stand_in_the_statements(kind):
    for item in build(kind, np.random.default_rng(0), 60):
        told = " ".join(text for group in item.statements for _, text in group)
        parts = item.answer.replace(",", "").split() if item.raw else [item.answer]
        assert item.answer == UNKNOWN or all(f" {part}" in told for part in parts)
        assert item.raw == (kind in ("niah", "mq_niah", "vt"))


@pytest.mark.parametrize("kind", KINDS)
def test_test_items_share_no_question_or_statement_with_training(kind):
    def texts(split: str, seed: int, count: int) -> set[str]:
        items = build(kind, np.random.default_rng(seed), count, split=split)
        found = {item.question for item in items} if kind != "niah" else set()
        return found | {group[0][1] for item in items for group in item.statements}

    train = set().union(*(texts("train", seed, 100) for seed in range(8)))
    assert not texts("test", 100, 100) & train


def test_items_of_one_build_have_different_questions():
    items = build("dialogue", np.random.default_rng(2), 200)
    assert len({item.question for item in items}) > 190
    assert len({item.answer for item in items}) == 200


def test_single_fact_and_unknown_kind():
    assert single_fact(np.random.default_rng(0)).kind == "dialogue"
    with pytest.raises(ValueError, match="kind must be"):
        single_fact(np.random.default_rng(0), kind="poem")
