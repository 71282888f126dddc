"""Fact schemas: what can be told in a dialogue, and how it is told and asked.

A schema is written as a few lines of text (see the facts_*.py modules):

    # dog_name petname me person
    pet = dog~puppy | cat | parrot
    s {P} {pet} is called {v}
    q what is {P} {pet} called
    n the name of {P} {pet}
    e what {P} {pet} is called

First line: name, value generator, and who the fact may be about (me, person, none).
`slot = a~b | c`: options of a slot; a and b are two words for the same option.
A line that begins with two spaces continues the one before.
s: clauses that tell it; a: sentences by which the assistant tells it; q: direct questions;
n: noun phrases for the value; e: indirect questions.
A block headed `+ dog_name` adds lines to the schema of that name: templates and slot options.
Slots: {v} value, {S} subject (I / my sister Ana), {P} possessive (my / Ana's), {be} am or is,
{have} have or has, {do} do or does, [x|y] x with "I", y with a third person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from . import (
    facts_daily,
    facts_daily_more,
    facts_errands_more,
    facts_home,
    facts_home_more,
    facts_likes_more,
    facts_links,
    facts_lists,
    facts_more_home,
    facts_more_life,
    facts_more_trips,
    facts_more_work,
    facts_people,
    facts_people_more,
    facts_plans,
    facts_plans_more,
    facts_self_more,
    facts_tastes,
    facts_tastes_more,
    facts_things,
    facts_things_more,
    facts_when,
    facts_work_more,
)
from .draw import Draw
from .values import GENERATORS

_CHOICE = re.compile(r"\[([^|\]]*)\|([^\]]*)\]")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeioAEIO]|u(?!ni|se|k|sh))")
# Facts of one group about one subject would make a question ambiguous ("Where do I live?").
_GROUPS = {
    "home_city": "home",
    "address": "home",
    "birthday": "birth",
    "birth_year": "birth",
    "hobby": "leisure",
    "sport": "leisure",
    "instrument": "leisure",
    "reading": "books",
    "my_name": "called",
    "nickname": "called",
    "job": "work",
    "role_of": "work",
    "coffee_order": "drink",
    "favourite_drink": "drink",
}
# The key of a line -> the field of the schema it adds to.
_PARTS = {"s": "says", "a": "assistant_says", "q": "asks", "n": "nouns", "e": "embeds"}
# Modules of blocks that add wordings to schemas.
_ADDITIONS = (
    facts_people_more,
    facts_self_more,
    facts_tastes_more,
    facts_likes_more,
    facts_home_more,
    facts_plans_more,
    facts_things_more,
    facts_daily_more,
    facts_errands_more,
    facts_work_more,
)


@dataclass(frozen=True)
class Schema:
    """One kind of fact."""

    name: str
    value: str
    about: tuple[str, ...]
    slots: tuple[tuple[str, tuple[str, ...]], ...] = ()
    says: tuple[str, ...] = ()
    assistant_says: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    embeds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """Whom a fact is about, in its first mention and in later ones."""

    kind: str
    names: tuple[str, ...]
    """First mention, then other ways to name the same person."""


ME = Subject("me", ("I",))
NOBODY = Subject("none", ("",))


def parse_schemas(*texts: str) -> list[Schema]:
    """Schemas of texts in the notation above; raises ValueError for a malformed block."""
    schemas: dict[str, Schema] = {}
    for block in (block for text in texts for block in text.strip().split("\n\n")):
        head, *lines = block.replace("\n  ", " ").strip().splitlines()
        marker, name, *rest = head.split()
        if marker == "+" and not rest:
            if name not in schemas:
                raise ValueError(f"no schema to add to: {head!r}")
        elif marker == "#" and rest and rest[0] in GENERATORS:
            if name in schemas:
                raise ValueError(f"schema defined twice: {head!r}")
            schemas[name] = Schema(name, rest[0], tuple(rest[1:]))
        else:
            raise ValueError(f"not a schema head: {head!r}")
        schemas[name] = _with_lines(schemas[name], lines)
    return list(schemas.values())


def _with_lines(schema: Schema, lines: list[str]) -> Schema:
    """The schema with more slot options and templates."""
    slots = dict(schema.slots)
    parts: dict[str, tuple[str, ...]] = {field: () for field in _PARTS.values()}
    for line in lines:
        key, _, rest = line.partition(" ")
        if rest.startswith("= "):
            options = tuple(option.strip() for option in rest[2:].split("|"))
            slots[key] = (*slots.get(key, ()), *options)
        elif key in _PARTS:
            parts[_PARTS[key]] += (rest.strip(),)
        else:
            raise ValueError(f"not a line of a schema: {line!r}")
    added: dict[str, Any] = {
        field: (*getattr(schema, field), *more) for field, more in parts.items()
    }
    return replace(schema, slots=tuple(slots.items()), **added)


@cache
def all_schemas() -> tuple[Schema, ...]:
    """Every schema of the facts_*.py modules."""
    modules = (
        *(facts_people, facts_tastes, facts_home, facts_plans, facts_things, facts_daily),
        *(facts_more_home, facts_more_life, facts_more_trips, facts_more_work),
    )
    return tuple(parse_schemas(*(module.SCHEMAS for module in (*modules, *_ADDITIONS))))


@cache
def list_schemas() -> tuple[Schema, ...]:
    """Schemas with several values at once; none of them is about what another schema is about."""
    return tuple(parse_schemas(facts_lists.SCHEMAS))


@cache
def link_schemas() -> tuple[Schema, ...]:
    """Schemas that say who somebody is; the value is a name."""
    return tuple(parse_schemas(facts_links.SCHEMAS))


@cache
def time_schemas() -> tuple[Schema, ...]:
    """Schemas of `all_schemas` and others whose value is a time, a day or a date."""
    times = {"clock", "clock_time", "date", "full_date", "moment", "weekday"}
    known = (schema for schema in all_schemas() if schema.value in times)
    return (*parse_schemas(facts_when.SCHEMAS), *known)


def render(template: str, subject: str, slots: dict[str, str], value: str) -> str:
    """Fill a template for a subject ("I" or a third person)."""
    me = subject == "I"
    text = _CHOICE.sub(lambda match: match.group(1 if me else 2), template)
    forms = {
        "{S}": subject,
        "{P}": "my" if me else _possessive(subject),
        "{be}": "am" if me else "is",
        "{was}": "was",
        "{have}": "have" if me else "has",
        "{do}": "do" if me else "does",
        "{O}": "me" if me else subject,
    }
    for form, replacement in forms.items():
        text = text.replace(form, replacement)
    for slot, word in slots.items():
        text = text.replace("{" + slot + "}", word)
    return _ARTICLE.sub(r"\1n ", text.replace("{v}", value))


def _possessive(name: str) -> str:
    return f"{name}'s"


@dataclass(frozen=True)
class Fact:
    """A drawn fact: a schema about a subject, with its slots and its value."""

    schema: Schema
    subject: Subject
    slots: tuple[tuple[str, str], ...]
    """Slot -> option, whose synonyms are separated by "~"."""
    value: str

    @property
    def key(self) -> str:
        """What identifies the question: one value per key at any time."""
        slots = ",".join(option for _, option in self.slots)
        group = _GROUPS.get(self.schema.name, self.schema.name)
        return f"{group}/{self.subject.names[0]}/{slots}"

    def fill(self, d: Draw, template: str, *, later: bool) -> str:
        """Render a template; later mentions may use another name of the subject or slot."""
        name = d.any(self.subject.names) if later else self.subject.names[0]
        slots = {slot: d.any(option.split("~")) for slot, option in self.slots}
        return render(template, name, slots, self.value)

    def with_value(self, value: str) -> Fact:
        """The same fact with another value."""
        return Fact(self.schema, self.subject, self.slots, value)


def draw_fact(d: Draw, schema: Schema, subject: Subject) -> Fact:
    """A fact of the schema about the subject, with drawn slots and value."""
    slots = tuple((slot, d.any(options)) for slot, options in schema.slots)
    value = d.maybe_words(0.12) or GENERATORS[schema.value](d)
    return Fact(schema, subject, slots, value)
