"""Evaluation: what is told where, what counts as right, and that questions change nothing."""

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hsa_memory import evaluation
from hsa_memory.engine import Engine, load_engine
from hsa_memory.errors import InvalidArgument
from hsa_memory.evaluation_haystack import Filler, Haystack, build_haystack, find_answer
from hsa_memory.evaluation_memory import ingest, search
from hsa_memory.evaluation_scoring import Asker, Outcome, Proportion, same
from hsa_memory.model.generate import Step
from hsa_memory.model.training.evalsets import KINDS, EvalItem, build, build_together
from hsa_memory.model.training.phrasing import UNKNOWN
from hsa_memory.storage import Turn

BOOK = Path(__file__).parent.parent.parent / evaluation.BOOK
TOLD = tuple(kind for kind in KINDS if kind != "unknown")


@pytest.fixture(scope="module")
def engine(tiny_checkpoint: Path) -> Engine:
    return load_engine(tiny_checkpoint, "cpu")


def haystack(engine: Engine, kind: str, count: int = 10, length: int = 16_384) -> Haystack:
    rng = np.random.default_rng(0)
    items = [(item, (i + 0.5) / count) for i, item in enumerate(build(kind, rng, count))]
    return build_haystack(engine.tokenizer, items, Filler(engine.tokenizer, [BOOK]), length, rng)


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("Biscuit", "Biscuit", True),
        ("  biscuit.\n", "Biscuit", True),
        ("Dr. Okafor", "dr. okafor", True),
        ("on  Thursday", "on Thursday", True),
        ("Biscuits", "Biscuit", False),
        ("Biscuit, I think", "Biscuit", False),
        ("4817", "48170", False),
        ("48 17", "4817", False),
        ("", "Biscuit", False),
    ],
)
def test_exact_forgives_case_space_and_a_full_stop_only(answer, expected, right):
    assert same(answer, expected) is right


@pytest.mark.parametrize("kind", TOLD)
def test_the_answer_stands_where_it_was_asked_to(engine, kind):
    found = haystack(engine, kind)
    assert len(found.tokens) == 16_384
    for placed in found.placed:
        assert placed.place is not None
        # As far as the nearest boundary between messages may be.
        assert abs(placed.position / len(found.tokens) - placed.place) < 0.06
        told = engine.tokenizer.decode(found.tokens[placed.position :][:60].tolist()).lstrip()
        told_by = placed.item.evidence or placed.item.answer
        first = told_by.split()[0].rstrip(",") if placed.item.raw else told_by
        assert told.startswith(first)
        turn = found.turns[placed.turn]
        assert turn.token_start <= placed.position < turn.token_start + len(turn.tokens)


def test_search_does_not_see_what_is_hidden_from_a_question(engine):
    found = haystack(engine, "code", 4, 2048)
    state = ingest(engine, torch.from_numpy(found.tokens))
    prompt = engine.question(found.placed[0].item.question)
    whole = search(engine, state, found.turns, prompt, len(found.turns))
    assert sorted(whole) == list(range(len(found.turns)))
    mask = torch.zeros(state.memory.num_source_chunks, dtype=torch.bool)
    mask[3] = True
    hidden = replace(state, memory=replace(state.memory, mask=mask))
    size = engine.config.chunk_size
    tail = len(found.tokens) // size * size
    expected = [
        turn.seq
        for turn in found.turns
        for stop in [turn.token_start + len(turn.tokens)]
        if (turn.token_start < 4 * size and stop > 3 * size) or stop > tail
    ]
    assert sorted(search(engine, hidden, found.turns, prompt, 99)) == expected


@pytest.mark.parametrize("kind", TOLD)
def test_every_statement_is_in_the_history_in_order(engine, kind):
    found = haystack(engine, kind)
    for placed in found.placed:
        texts = ["".join(text for _, text in group).strip() for group in placed.item.statements]
        told = [
            engine.tokenizer.decode(found.tokens[start:stop].tolist()).strip()
            for start, stop in placed.ranges
        ]
        assert texts == told if placed.item.ordered else sorted(texts) == sorted(told)


def test_the_two_facts_of_a_hop_are_far_from_each_other_and_in_any_order(engine):
    found = haystack(engine, "hop")
    facts_first = 0
    for placed in found.placed:
        (one, two) = placed.ranges
        assert two[0] - one[1] > 0.05 * len(found.tokens)
        facts_first += one[0] <= placed.position < one[1]
    assert 0 < facts_first < len(found.placed)


def test_messages_of_the_history_are_whole_and_the_last_one_is_open(engine):
    found = haystack(engine, "dialogue")
    assert np.concatenate([turn.tokens for turn in found.turns]).tolist() == found.tokens.tolist()
    ends = [int(turn.tokens[-1]) == engine.tokenizer.end_id for turn in found.turns]
    assert all(ends[:-1])
    assert not ends[-1]
    assert found.turns[-1].role == "document"


def test_the_latest_value_is_told_last(engine):
    for placed in haystack(engine, "changed").placed:
        group, _, _ = find_answer(placed.item)
        assert group == 1
        assert placed.ranges[0][1] <= placed.ranges[1][0] <= placed.position


def test_every_task_by_one_word(engine, monkeypatch):
    parser = argparse.ArgumentParser()
    evaluation.add_arguments(parser)
    asked = []
    monkeypatch.setattr(evaluation, "load_engine", lambda *_: engine)
    monkeypatch.setattr(evaluation, "run", lambda _, settings, **__: asked.append(settings) or {})
    assert evaluation.main(parser.parse_args(["--task", "all", "--json", "-"])) == 0
    assert asked[0].tasks == KINDS


def test_items_of_different_kinds_share_no_answer():
    items = build_together(
        dict.fromkeys(("dialogue", "changed", "unknown"), 40), np.random.default_rng(1)
    )
    answers = [item.answer for kind in ("dialogue", "changed") for item in items[kind]]
    assert len(set(answers)) == len(answers)
    told = {item.question for kind in ("dialogue", "changed") for item in items[kind]}
    assert not told & {item.question for item in items["unknown"]}


def test_histories_from_one_text_take_turns_in_it(engine, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(
        "\n\n".join(f"Paragraph {i}. " + "The harbour. " * 9 for i in range(200)), encoding="utf-8"
    )
    filler = Filler(engine.tokenizer, [text])
    first, second, third = (
        build_haystack(engine.tokenizer, [], filler, length, np.random.default_rng(0))
        for length in (2_000, 2_000, 40_000)
    )
    told = [" ".join(turn.text for turn in history.turns) for history in (first, second, third)]
    assert "Paragraph 0." in told[0]
    assert "Paragraph 0." not in told[1]
    assert told[2].count("Paragraph 0.") > 1
    # Each counts its own use of the text only.
    assert first.laps <= 1
    assert second.laps <= 1
    assert third.laps == pytest.approx(len(third.tokens) / filler.lap_tokens, rel=0.2)


def test_too_many_statements_and_missing_text_are_errors(engine):
    with pytest.raises(InvalidArgument, match="too many for a history"):
        haystack(engine, "mq_niah", length=2_000)
    with pytest.raises(InvalidArgument, match="no file"):
        Filler(engine.tokenizer, [Path("nowhere.txt")])
    with pytest.raises(InvalidArgument, match="not among"):
        evaluation.Settings(tasks=("poem",))


def test_held_chunks_give_the_logits_of_one_full_pass(engine):
    tokens = torch.from_numpy(haystack(engine, "code", count=2, length=2_500).tokens)
    state = ingest(engine, tokens)
    assert state.memory.num_source_chunks == 2_500 // engine.config.chunk_size
    prompt = torch.tensor([engine.question("What is the code?")])
    with torch.inference_mode():
        held = engine.model(prompt, state).logits
        whole = engine.model(torch.cat([tokens[None], prompt], dim=1)).logits[:, len(tokens) :]
    # Held chunks are rounded to bfloat16, as on disk.
    assert torch.allclose(held, whole, atol=2e-2)


def test_a_history_shorter_than_a_chunk_is_searched(engine):
    tokens = np.array(engine.tokenizer.encode_message("user", "Hello."), np.uint32)
    state = ingest(engine, torch.from_numpy(tokens.astype(np.int64)))
    turn = Turn(
        turn_id="one",
        role="user",
        text="Hello.",
        tokens=tokens,
        timestamp=0.0,
        seq=0,
        token_start=0,
    )
    assert search(engine, state, [turn], engine.question("Who?"), 1) == [0]


def test_a_question_leaves_the_memory_unchanged(engine):
    found = haystack(engine, "dialogue", count=3, length=4_000)
    state = ingest(engine, torch.from_numpy(found.tokens))
    asker = Asker(engine, found, state)
    source = state.memory.source
    before = (source.num_chunks, source.landmarks.clone(), state.memory.gather(torch.arange(9))[0])
    first = [replace(asker.ask(placed), seconds=0.0) for placed in found.placed]
    again = [replace(asker.ask(placed), seconds=0.0) for placed in reversed(found.placed)]
    assert first == again[::-1]
    assert source.num_chunks == before[0]
    assert torch.equal(source.landmarks, before[1])
    assert torch.equal(state.memory.gather(torch.arange(9))[0].k, before[2].k)


def test_other_magic_numbers_are_hidden(engine):
    found = haystack(engine, "niah", count=4)
    asker = Asker(engine, found, ingest(engine, torch.from_numpy(found.tokens)))
    size = engine.config.chunk_size
    for placed in found.placed:
        state, _ = asker._start(placed)
        visible = [bool(state.memory.mask[p.position // size]) for p in found.placed]
        assert visible == [p is placed for p in found.placed]


def test_alone_hides_what_the_other_questions_are_about(engine):
    found = haystack(engine, "dialogue", count=4)
    state = ingest(engine, torch.from_numpy(found.tokens))
    size = engine.config.chunk_size
    for alone in (False, True):
        asker = Asker(engine, found, state, alone=alone)
        for placed in found.placed:
            start, _ = asker._start(placed)
            mask = start.memory.mask
            visible = [mask is None or bool(mask[p.position // size]) for p in found.placed]
            assert visible == [p is placed or not alone for p in found.placed]


def test_what_stands_in_the_unfinished_chunk_at_the_end_cannot_be_hidden(engine):
    size = engine.config.chunk_size
    found = haystack(engine, "mq_niah", count=2, length=16_384 + size // 2)
    last = replace(found.placed[0], ranges=((16_384 - size, 16_384 + 2),))
    found = replace(found, placed=[last, found.placed[1]])
    asker = Asker(engine, found, ingest(engine, torch.from_numpy(found.tokens)), alone=True)
    mask = asker._start(found.placed[1])[0].memory.mask
    assert len(mask) == 16_384 // size
    assert not mask[-1]


def test_alone_takes_questions_that_were_never_answered(engine):
    settings = evaluation.Settings(
        length=3_000, tasks=("dialogue", "unknown"), questions=2, alone=True, text=(BOOK,)
    )
    report = evaluation.run(engine, settings)
    assert report["alone"]
    assert len(report["questions"]) == 4


def test_the_agent_tasks_are_asked_with_places_and_searches(engine):
    tasks = ("hop", "several", "who_said", "when")
    settings = evaluation.Settings(length=4_096, tasks=tasks, questions=2, text=(BOOK,))
    report = evaluation.run(engine, settings)
    assert tuple(report["tasks"]) == tasks
    for question in report["questions"]:
        assert question["position"] >= 0
        assert question["rank"] is not None
        assert question["retrieved"] is not None


def _answers(engine: Engine, monkeypatch: pytest.MonkeyPatch, text: str) -> Outcome:
    """The outcome of a question whose answer is generated as `text`."""
    found = haystack(engine, "dialogue", count=1, length=4_000)
    placed = found.placed[0]
    answer = text.replace("{answer}", placed.item.answer)
    tokens = [*engine.tokenizer.encode(" " + answer), engine.tokenizer.end_id]
    asker = Asker(engine, found, ingest(engine, torch.from_numpy(found.tokens)))
    real = asker._generate

    def oracle(prompt, state):
        step = real(prompt, state)[0]
        return [Step(token, 0.0, step.state, step.traces) for token in tokens]

    monkeypatch.setattr(asker, "_generate", oracle)
    return asker.ask(placed)


def test_a_right_answer_counts(engine, monkeypatch):
    outcome = _answers(engine, monkeypatch, "{answer}.")
    assert outcome.exact
    assert not outcome.refused


def test_a_wrong_answer_counts_as_wrong(engine, monkeypatch):
    outcome = _answers(engine, monkeypatch, "{answer} and more")
    assert not outcome.exact
    assert not outcome.forced


def test_a_refusal_of_what_was_told_counts_as_refused_and_wrong(engine, monkeypatch):
    outcome = _answers(engine, monkeypatch, UNKNOWN)
    assert outcome.refused
    assert not outcome.exact


def test_wilson_interval():
    low, high = Proportion(successes=95, count=100).interval
    assert (round(low, 4), round(high, 4)) == (0.8882, 0.9785)
    assert Proportion(successes=0, count=0).interval == (0.0, 1.0)
    assert math.isnan(Proportion(successes=0, count=0).share)
    assert Proportion(successes=10, count=10).interval[1] == pytest.approx(1.0)


def test_an_item_without_its_answer_is_an_error():
    item = EvalItem(
        kind="code", statements=((("user", "The code is 12345."),),), question="?", answer="1234"
    )
    with pytest.raises(ValueError, match="no statement"):
        find_answer(item)


def test_the_command_prints_and_writes_a_report(tiny_checkpoint, tmp_path, capsys):
    parser = argparse.ArgumentParser()
    evaluation.add_arguments(parser)
    out = tmp_path / "report.json"
    options = ["--model", str(tiny_checkpoint), "--length", "6000", "--questions", "2"]
    options += [
        "--task",
        "dialogue,unknown,niah",
        "--depths",
        "2",
        "--json",
        str(out),
        "--show",
        "1",
    ]
    assert evaluation.main(parser.parse_args(options)) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["length"] == 6000
    assert report["seed"] == 0
    assert report["model"]["fingerprint"]
    assert report["tasks"]["dialogue"]["depths"].keys() == {"0", "0.5"}
    assert report["tasks"]["unknown"]["retrieved"]["share"] is None
    assert len(report["questions"]) == 6
    printed = " ".join(capsys.readouterr().out.split())
    assert "dialogue" in printed
    assert "machine:" in printed
