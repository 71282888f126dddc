from __future__ import annotations

import numpy as np
import pytest

from hsa_memory.model.tokenizer import Tokenizer
from hsa_memory.model.training.blur import any_question, any_statement, blur
from hsa_memory.model.training.corpora import Corpus
from hsa_memory.model.training.draw import Draw
from hsa_memory.model.training.history import ITEM_SHARES, History
from hsa_memory.model.training.mixture import DEFAULT_SHARES, Mixture
from hsa_memory.model.training.passages import Passages
from hsa_memory.model.training.phrasing import UNKNOWN
from hsa_memory.model.training.sample import ANSWER_WEIGHT, OWN_WORDS_WEIGHT

LENGTH = 512


def mixture(
    corpora: dict[str, Corpus], tokenizer: Tokenizer, passages: Passages, **changes: object
) -> Mixture:
    settings = {"shares": None, "length": LENGTH, "seed": 3, "passages": passages, **changes}
    return Mixture(corpora=corpora, tokenizer=tokenizer, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", sorted(DEFAULT_SHARES))
@pytest.mark.parametrize("split", ["train", "test"])
def test_sources_point_back_at_the_same_token(corpora, tokenizer, passages, task, split):
    data = mixture(corpora, tokenizer, passages, shares={task: 1.0}, split=split)
    copied = 0
    for index in range(120):
        sample = data.sample(index)
        assert sample.tokens.shape == (LENGTH + 1,)
        assert sample.weight.shape == sample.source.shape == (LENGTH,)
        assert sample.tokens.min() > 0
        assert sample.tokens.max() < tokenizer.vocab_size
        known = np.flatnonzero(sample.source >= 0)
        copied += len(known)
        assert (sample.source[known] <= known).all()
        assert (sample.tokens[sample.source[known]] == sample.tokens[known + 1]).all()
        # Of what other samples may tell differently nothing is a distractor for them.
        if task != "history":
            assert not sample.unique[sample.source[known]].any()
    assert (copied > 0) == (task != "text")


def test_a_sample_depends_on_seed_and_index_only(corpora, tokenizer, passages):
    one = mixture(corpora, tokenizer, passages)
    two = mixture(corpora, tokenizer, passages)
    two.sample(99)
    for got, expected in zip(one.batch(5, 4), two.batch(5, 4), strict=True):
        assert (got == expected).all()
        assert got.shape[0] == 4
    other = mixture(corpora, tokenizer, passages, seed=4)
    assert not np.array_equal(other.batch(5, 4)[0], one.batch(5, 4)[0])


def test_answers_weigh_most_and_end_with_the_end_token(corpora, tokenizer, passages):
    data = mixture(corpora, tokenizer, passages, shares={"dialogue": 1.0})
    for index in range(50):
        sample = data.sample(index)
        answer = sample.weight == ANSWER_WEIGHT
        last = np.flatnonzero(answer & ~np.append(answer[1:], False))
        assert (sample.tokens[last + 1] == tokenizer.end_id).all()


def test_abstention_share_of_dialogue_questions(corpora, tokenizer, passages):
    data = mixture(corpora, tokenizer, passages, shares={"dialogue": 1.0})
    answers = []
    for index in range(400):
        sample = data.sample(index)
        current: list[int] = []
        for token, weight in zip(sample.tokens[1:], sample.weight, strict=True):
            if weight not in (ANSWER_WEIGHT, OWN_WORDS_WEIGHT):
                continue
            if token == tokenizer.end_id:
                answers.append(tokenizer.decode(current).strip())
                current = []
            else:
                current.append(int(token))
    share = answers.count(UNKNOWN) / len(answers)
    assert len(answers) > 800
    assert 0.04 < share < 0.14


def test_unknown_task_short_length_and_missing_corpora_are_errors(corpora, tokenizer, passages):
    with pytest.raises(ValueError, match="unknown tasks"):
        mixture(corpora, tokenizer, passages, shares={"poetry": 1.0})
    with pytest.raises(ValueError, match="at least 128"):
        mixture(corpora, tokenizer, passages, length=64)
    with pytest.raises(ValueError, match="corpora must hold"):
        mixture({}, tokenizer, passages)


def test_a_history_is_asked_about_at_its_end_only(corpora, tokenizer, passages):
    data = mixture(
        corpora, tokenizer, passages, shares={"history": 1.0}, length=4096, questions=1024
    )
    sources = []
    for index in range(6):
        sample = data.sample(index)
        known = np.flatnonzero(sample.source >= 0)
        assert (known >= 4096 - 1024).all()
        assert 0.01 < sample.unique.mean() < 0.9
        sources.append(sample.source[known])
    # What was told among the questions is little.
    assert (np.concatenate(sources) < 4096 - 1024).mean() > 0.7


def test_only_made_up_names_are_told_once(corpora, tokenizer, passages):
    data = mixture(corpora, tokenizer, passages, shares={"history": 1.0}, length=4096)
    history = History(data, Draw(np.random.default_rng(0)))
    for kind in (*ITEM_SHARES, "niah"):
        item = next(item for _ in range(20) if (item := history.item(kind)).asked)
        assert all(piece.unique == (kind in ("mq_niah", "vt")) for _, piece in item.told), kind
        assert not any(piece.unique for piece in item.asked)


def test_a_history_tells_more_than_it_is_asked_about(corpora, tokenizer, passages):
    data = mixture(
        corpora, tokenizer, passages, shares={"history": 1.0}, length=4096, questions=128
    )
    # A few questions fill their part; statements go on to fill up to three fifths of the history,
    # those that tell variables and magic numbers not counted here.
    told = [1 - data.sample(index).unique[: 4096 - 128].mean() for index in range(24)]
    assert max(told) > 0.3
    assert len({round(share, 2) for share in told}) > 4


def test_a_history_tells_things_of_all_kinds(corpora, tokenizer, passages):
    d = Draw(np.random.default_rng(0))
    data = mixture(corpora, tokenizer, passages, shares={"history": 1.0}, length=4096)
    history = History(data, d)
    for kind in (*ITEM_SHARES, "niah"):
        # Some of what is told is never asked for.
        item = next(item for _ in range(20) if (item := history.item(kind)).asked)
        marks = {key for _, piece in item.told for key in piece.marks}
        for piece in item.asked:
            assert {copy.key for copy in piece.copies} <= marks
            assert piece.tokens[-1] == tokenizer.end_id
        assert bool(marks) == (not kind.startswith("unknown")), kind


def test_what_a_history_does_not_tell_is_answered_with_not_knowing(corpora, tokenizer, passages):
    data = mixture(corpora, tokenizer, passages, shares={"history": 1.0}, length=4096)
    history = History(data, Draw(np.random.default_rng(1)))
    for kind in ("unknown", "unknown_code"):
        (question,) = history.item(kind).asked
        assert tokenizer.decode(question.tokens[:-1]).endswith(UNKNOWN)
        assert not question.copies


def test_a_blurred_wording_keeps_its_value_and_what_it_is_about(corpora, tokenizer, passages):
    data = mixture(corpora, tokenizer, passages)
    d = Draw(np.random.default_rng(0), text=data._some_text)
    text, changed = "Just so you know, the aunt of Ana is called Petra Blom, of all names.", 0
    for _ in range(200):
        found = blur(d, text, "Petra Blom")
        assert " Petra Blom," in found
        assert all(word in found for word in ("aunt", "Ana", "called", "names."))
        changed += found != text
        assert "Ana" in blur(d, "What is the aunt of Ana called?")
        assert " 4711" in any_statement(d, "the red box", "4711")
        assert "the red box" in any_question(d, "the red box")
    assert changed > 150


def test_no_question_about_a_history_has_two_answers(corpora, tokenizer, passages):
    data = mixture(corpora, tokenizer, passages, shares={"history": 1.0}, length=4096)
    for seed in range(4):
        history = History(data, Draw(np.random.default_rng(seed)))
        answers: dict[str, str] = {}
        for kind in ["fact", "code", "unknown", "two_facts", "when", "several", "unknown_code"] * 6:
            for piece in history.item(kind).asked:
                question, answer = tokenizer.decode(piece.tokens[:-1]).rsplit(" ", 1)
                assert answers.setdefault(question, answer) == answer
