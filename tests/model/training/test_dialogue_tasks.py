"""Dialogues of hops, lists, times and who said it: what is asked follows from what was told."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hsa_memory.model.training import frames_tasks
from hsa_memory.model.training import words as w
from hsa_memory.model.training.dialogue import FactDrawer
from hsa_memory.model.training.dialogue_tasks import (
    ASSISTANT_SAID,
    DIALOGUES,
    USER_SAID,
    draw_hop,
    join_answer,
)
from hsa_memory.model.training.draw import Draw
from hsa_memory.model.training.facts import all_schemas, list_schemas, time_schemas
from hsa_memory.model.training.frames import WHO_SAID
from hsa_memory.model.training.phrasing_tasks import report_wordings, when_wordings


def draws(count: int, split: str = "train") -> list[Draw]:
    return [Draw(np.random.default_rng(seed), split) for seed in range(count)]


def test_values_are_joined_as_in_a_sentence():
    def text(*values: str) -> str:
        parts = join_answer([(value, value) for value in values])
        return "".join(part if key is None else f" {part}" for part, key in parts).strip()

    assert text("Oslo") == "Oslo"
    assert text("Oslo", "Riga") == "Oslo and Riga"
    assert text("Oslo", "Riga", "Lima") == "Oslo, Riga and Lima"


def test_wordings_are_many():
    every = (frames_tasks.ASK_ALL_DIRECT, frames_tasks.ASK_ALL_NOUN, frames_tasks.ASK_ALL_EMBEDDED)
    assert sum(len(items) for items in every) >= 40
    assert min(len(frames_tasks.HOP), len(frames_tasks.WHO_TOLD), len(frames_tasks.SAID_BY)) >= 40
    assert len(WHO_SAID + frames_tasks.WHICH_SIDE) >= 40
    for name, items in vars(frames_tasks).items():
        if name.isupper():
            assert len(set(items)) == len(items), name


@pytest.mark.parametrize("task", sorted(DIALOGUES))
@pytest.mark.parametrize("split", ["train", "test"])
def test_what_an_answer_copies_was_told_before(task, split):
    asked = 0
    for d in draws(25, split):
        dialogue = DIALOGUES[task](FactDrawer(d), 4)
        for question in dialogue.asked:
            asked += 1
            for text, key in question.answer:
                if key is not None:
                    (told,) = (told for told in dialogue.told if key in told.values)
                    assert told.time <= question.time
                    assert told.values[key] == text
                    assert f" {text}" in told.messages[0][1]
    assert asked > 20


def test_a_list_is_answered_with_all_that_was_told_so_far():
    lengths = set()
    for d in draws(40):
        dialogue = DIALOGUES["several"](FactDrawer(d), 2)
        for question in dialogue.asked:
            keys = [key for _, key in question.answer if key is not None]
            prefix = keys[0].split("/")[0] + "/"
            told = sorted(
                (told.time, key)
                for told in dialogue.told
                for key in told.values
                if key.startswith(prefix) and told.time <= question.time
            )
            assert [key for _, key in told] == keys
            lengths.add(len(keys))
    assert lengths == {1, 2, 3}


def test_who_said_it_is_a_side_or_a_name():
    answers = set()
    for d in draws(30):
        dialogue = DIALOGUES["who_said"](FactDrawer(d), 4)
        for question in dialogue.asked:
            if question.text in (USER_SAID, ASSISTANT_SAID):
                roles = {told.messages[0][0] for told in dialogue.told}
                assert ("user" if question.text == USER_SAID else "assistant") in roles
                answers.add(question.text)
            else:
                answers.add("name")
    assert answers == {USER_SAID, ASSISTANT_SAID, "name"}


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_somebody_said_is_a_statement(split):
    reported = [t for s in all_schemas() if s.assistant_says for t in report_wordings(s, split)]
    assert len(reported) > 50
    assert not [t for t in reported if t.startswith(("mark ", "go to ", "to get ", "be there "))]


def test_whom_a_hop_is_about_is_nobody_else():
    for d in draws(30):
        drawer = FactDrawer(d, 6, w.RELATIONS[::2])
        known = {word for person in drawer.people for name in person.names for word in name.split()}
        names = set()
        for hop in (draw_hop(drawer) for _ in range(8)):
            assert known.isdisjoint(hop.name.split())
            assert names.isdisjoint(hop.name.split())
            names |= set(hop.name.split())
            relation = re.search(rf"\bmy ({'|'.join(w.RELATIONS)})\b", hop.question)
            assert not relation or relation[1] not in known


def test_lists_keep_apart_from_single_facts():
    values = {schema.name for schema in list_schemas()} & {schema.name for schema in time_schemas()}
    assert not values


@pytest.mark.parametrize("split", ["train", "test"])
def test_questions_when_are_held_out(split):
    other = {"train": "test", "test": "train"}[split]
    usable = 0
    for schema in time_schemas():
        wordings = when_wordings(schema, split)
        usable += bool(wordings)
        assert not set(wordings) & set(when_wordings(schema, other))
        assert all(re.search("when|wh(at|ich)", template) for _, template in wordings)
    assert usable >= 20
