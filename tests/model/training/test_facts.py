from __future__ import annotations

import re

import numpy as np
import pytest

from hsa_memory.model.training import frames, frames_tasks
from hsa_memory.model.training.dialogue import FactDrawer, draw_people
from hsa_memory.model.training.draw import Draw, split_list, split_of
from hsa_memory.model.training.facts import (
    ME,
    NOBODY,
    all_schemas,
    draw_fact,
    link_schemas,
    list_schemas,
    parse_schemas,
    render,
    time_schemas,
)
from hsa_memory.model.training.phrasing import ask, tell
from hsa_memory.model.training.values import GENERATORS


def test_schemas_are_many_and_complete():
    schemas = all_schemas()
    assert len(schemas) >= 100
    assert len({schema.name for schema in schemas}) == len(schemas)
    for schema in schemas:
        assert len(schema.says) >= 2, schema.name
        assert len(schema.asks) >= 2, schema.name
        assert schema.nouns, schema.name
        assert schema.embeds, schema.name
        for template in schema.says:
            assert " {v}" in template, (schema.name, template)
            assert not re.search(r"\{v\}\w", template), (schema.name, template)
        for template in (*schema.asks, *schema.nouns, *schema.embeds):
            assert "{v}" not in template, (schema.name, template)


def test_schemas_of_the_tasks_are_complete_and_have_names_of_their_own():
    tasks = {*list_schemas(), *time_schemas(), *link_schemas()} - set(all_schemas())
    assert len({schema.name for schema in (*tasks, *all_schemas())}) == 182 + len(tasks)
    assert len(list_schemas()) >= 20
    assert len(link_schemas()) >= 15
    for schema in tasks:
        assert len(schema.says) >= 4, schema.name
        for template in schema.says:
            # Its tokens must be the same as in an answer: a space comes before it.
            assert " {v}" in template, (schema.name, template)
            assert not re.search(r"\{v\}\w", template), (schema.name, template)
        for template in (*schema.asks, *schema.nouns, *schema.embeds):
            assert "{v}" not in template, (schema.name, template)
        assert schema.embeds, schema.name
        assert schema.asks or schema in link_schemas(), schema.name
        assert schema.nouns or schema in time_schemas(), schema.name
    for template in frames_tasks.SAID_BY:
        assert " {v}" in template, template


@pytest.mark.parametrize("split", ["train", "test"])
def test_rendered_wordings_of_the_tasks_have_no_open_slot(split):
    d = Draw(np.random.default_rng(1), split)
    people = draw_people(d, 4)
    for schema in (*list_schemas(), *time_schemas(), *link_schemas()):
        about = {"me": ME, "none": NOBODY, "person": d.any(people)}[d.any(schema.about)]
        fact = draw_fact(d, schema, about)
        says, *others = (
            fact.fill(d, template, later=False)
            for template in (*schema.says, *schema.asks, *schema.nouns, *schema.embeds)
        )
        assert f" {fact.value}" in says
        assert not re.search(r"[{}\[\]|]", " ".join((says, *others)))


@pytest.mark.parametrize("split", ["train", "test"])
def test_rendered_facts_hold_the_value_and_no_open_slot(split):
    d = Draw(np.random.default_rng(1), split)
    people = draw_people(d, 4)
    for schema in all_schemas():
        for _ in range(6):
            about = d.any(schema.about)
            subject = d.any(people) if about == "person" else ME
            fact = draw_fact(d, schema, subject)
            role, text = tell(d, fact)
            question = ask(d, fact)
            assert role in ("user", "assistant")
            assert f" {fact.value}" in text
            assert fact.value not in question or len(fact.value) < 3
            assert not re.search(r"[{}\[\]|]", text + question), (text, question)


def test_render_agrees_with_the_subject():
    assert render("{S} [live|lives] in {v}", "I", {}, "Oslo") == "I live in Oslo"
    assert render("{S} {have} a {pet} called {v}", "my aunt", {"pet": "owl"}, "Ufo") == (
        "my aunt has an owl called Ufo"
    )
    assert render("where {do} {S} live", "Ana", {}, "") == "where does Ana live"


def test_malformed_schema_is_an_error():
    with pytest.raises(ValueError, match="not a schema head"):
        parse_schemas("# thing no_such_generator me\ns it is {v}")


def test_a_block_with_a_plus_adds_to_the_schema_of_that_name():
    first = "# pet petname me\nkind = dog | cat\ns my {kind} is {v}\nq who is my {kind}"
    more = "+ pet\nkind = owl~bird\nplace = here\ns I named my {kind} {v}\nn the name\ne who"
    (schema,) = parse_schemas(first, more)
    assert schema.slots == (("kind", ("dog", "cat", "owl~bird")), ("place", ("here",)))
    assert schema.says == ("my {kind} is {v}", "I named my {kind} {v}")
    assert (schema.asks, schema.nouns, schema.embeds) == (
        ("who is my {kind}",),
        ("the name",),
        ("who",),
    )
    for wrong in ("+ horse\ns it is {v}", first, "+ pet me\ns it is {v}", "+ pet\nz it is {v}"):
        with pytest.raises(ValueError, match=r"no schema|twice|not a"):
            parse_schemas(first, wrong)


def test_every_list_of_wordings_is_split_without_overlap():
    lists = [
        value
        for module in (frames, frames_tasks)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, tuple)
    ]
    for schema in (*all_schemas(), *list_schemas(), *time_schemas()):
        parts = (schema.says, schema.asks, schema.nouns, schema.embeds)
        lists += [items for items in parts if items or schema in all_schemas()]
    for items in lists:
        train, test = split_list(items, "train"), split_list(items, "test")
        assert train
        assert test
        if len(items) > 1:
            assert not set(train) & set(test)


def test_values_of_the_splits_differ():
    train, test = (Draw(np.random.default_rng(0), split) for split in ("train", "test"))
    for name, generator in GENERATORS.items():
        drawn = {generator(train) for _ in range(300)}
        held_out = {generator(test) for _ in range(100)}
        assert not drawn & held_out, name
        assert len(drawn) > 3, name


def test_split_is_a_stable_hash():
    assert {split_of(str(number)) for number in range(50)} == {"train", "test"}
    assert [split_of(word) for word in ("Biscuit", "Lisbon")] == [
        split_of(word) for word in ("Biscuit", "Lisbon")
    ]
    with pytest.raises(ValueError, match="split must be"):
        Draw(np.random.default_rng(0), "valid")


def test_facts_of_a_sample_never_share_key_or_value():
    for seed in range(30):
        drawer = FactDrawer(Draw(np.random.default_rng(seed)))
        facts = [drawer.fact() for _ in range(20)]
        assert len({fact.key for fact in facts}) == 20
        assert len({fact.value for fact in facts}) == 20
