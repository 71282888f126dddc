from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from hsa_memory.model.training.dialogue_tasks import ASSISTANT_SAID, USER_SAID
from hsa_memory.model.training.evalsets import (
    KINDS,
    RAW_KINDS,
    EvalItem,
    build,
    build_together,
    single_fact,
)
from hsa_memory.model.training.phrasing import UNKNOWN


@pytest.mark.parametrize("kind", KINDS)
def test_answers_stand_in_the_statements(kind):
    for item in build(kind, np.random.default_rng(0), 60):
        told = " ".join(text for group in item.statements for _, text in group)
        told_by = item.evidence or item.answer
        parts = item.answer.replace(",", "").split() if item.raw else [told_by]
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


def _name(item: EvalItem) -> str:
    """What both statements of a hop call by a name."""
    fact, introduction = (group[0][1] for group in item.statements)
    words = re.findall(r"[A-Z][\w-]+", introduction)
    pairs = [f"{one} {two}" for one, two in pairwise(words)]
    # The longest one, and of those the last: a sentence begins with a capital letter, too.
    found = [name for name in (*words, *pairs) if re.search(rf"\b{name}\b", fact, re.IGNORECASE)]
    return max(reversed(found), key=len)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_hop_needs_both_statements(split):
    for item in build("hop", np.random.default_rng(5), 60, split=split):
        (fact, *_), ((_, introduction),) = item.statements
        assert _name(item) not in item.question
        assert f" {item.answer}" in fact[1]
        assert item.answer not in introduction
        assert item.answer not in item.question or len(item.answer) < 3
        assert not item.ordered


@pytest.mark.parametrize("split", ["train", "test"])
def test_who_said_it_is_the_side_or_the_name_in_the_statement(split):
    answers = []
    for item in build("who_said", np.random.default_rng(5), 90, split=split):
        ((role, text), *_) = item.statements[0]
        if item.answer in (USER_SAID, ASSISTANT_SAID):
            assert item.answer == {"user": USER_SAID, "assistant": ASSISTANT_SAID}[role]
            assert item.evidence in item.question
            answers.append(item.answer)
        else:
            assert role == "user"
            assert f" {item.answer}" in text
            assert item.answer not in item.question
            answers.append("name")
    assert min(answers.count(kind) for kind in (USER_SAID, ASSISTANT_SAID, "name")) > 15


@pytest.mark.parametrize("split", ["train", "test"])
def test_several_values_are_asked_for_in_the_order_told(split):
    counts = set()
    for item in build("several", np.random.default_rng(5), 60, split=split):
        *first, last = item.answer.split(" and ")
        values = [*" and ".join(first).split(", "), last]
        counts.add(len(values))
        assert item.evidence == values[0]
        for value, ((role, text), *_) in zip(values, item.statements, strict=True):
            assert role == "user"
            assert f" {value}" in text
            assert not any(f" {other}" in text for other in set(values) - {value})
        assert item.ordered
    assert counts == {2, 3}


@pytest.mark.parametrize("split", ["train", "test"])
def test_when_asks_for_a_time(split):
    words = re.compile(r"\b(when|what time|(what|which) (hour|date|day|year|weekday|time))\b")
    for item in build("when", np.random.default_rng(5), 60, split=split):
        assert words.search(item.question.replace("when's", "when is").lower()), item.question
        assert f" {item.answer}" in item.statements[0][0][1]


@pytest.mark.parametrize("split", ["train", "test"])
def test_items_of_all_kinds_share_one_history(split):
    items = build_together(dict.fromkeys(KINDS, 30), np.random.default_rng(6), split=split)
    asked = [i.question for kind in KINDS if kind not in RAW_KINDS for i in items[kind]]
    assert len(set(asked)) == len(asked)
    told = ("dialogue", "changed", "hop", "several", "when")
    answers = [item.answer for kind in told for item in items[kind]]
    assert len(set(answers)) == len(answers)
    names = [_name(item) for item in items["hop"]]
    names += [i.answer for i in items["who_said"] if i.answer not in (USER_SAID, ASSISTANT_SAID)]
    assert len(set(names)) == len(names)


def test_items_of_one_build_have_different_questions():
    items = build("dialogue", np.random.default_rng(2), 200)
    assert len({item.question for item in items}) > 190
    assert len({item.answer for item in items}) == 200


def test_single_fact_and_unknown_kind():
    assert single_fact(np.random.default_rng(0)).kind == "dialogue"
    with pytest.raises(ValueError, match="kind must be"):
        single_fact(np.random.default_rng(0), kind="poem")
