"""How lists, links between facts, reports of others and times are told and asked for."""

from __future__ import annotations

import re

from .draw import Draw, split_list
from .facts import Fact, Schema, Subject
from .frames import ASK_DIRECT, ASK_EMBEDDED, WHO_SAID
from .frames_tasks import (
    ALSO,
    ASK_ALL_DIRECT,
    ASK_ALL_EMBEDDED,
    ASK_ALL_NOUN,
    HOP,
    SAID_BY,
    WHICH_SIDE,
    WHO_TOLD,
)
from .phrasing import PLAIN_ASK, ask, casual, clause, frame

_TIMES = "time|hour|date|day|year|weekday"
_WHEN = re.compile(rf"(\w+ )?when\b|((at|on|in|by|for|from|until) )?(what|which) ({_TIMES})\b")
# Clauses that tell somebody what to do: nobody "said that mark the day in your calendar".
_ORDERS = (
    *("ask", "be", "before", "call", "do", "go", "hop", "if", "keep", "look", "mark", "never"),
    *("open", "please", "save", "set", "to", "yes,", "don't", "connect", "say", "check", "write"),
    *("join", "give", "send", "as"),
)
# Who the second fact of a hop is about, after a question who it is.
_THAT_PERSON = Subject("person", ("that person",))


def tell_more(d: Draw, fact: Fact) -> str:
    """A message of the user that adds a value to a list."""
    return casual(d, frame(d.pick(ALSO), "c", clause(d, fact)))


def ask_all(d: Draw, fact: Fact) -> str:
    """A question for all values of the list that the fact belongs to."""
    schema = fact.schema
    key, templates, frames = d.any(
        (
            ("q", schema.asks, ASK_ALL_DIRECT),
            ("q", schema.asks, (PLAIN_ASK,)),
            ("n", schema.nouns, ASK_ALL_NOUN),
            ("e", schema.embeds, ASK_ALL_EMBEDDED),
        )
    )
    return casual(d, frame(d.pick(frames), key, fact.fill(d, d.pick(templates), later=True)))


def when_wordings(schema: Schema, split: str) -> list[tuple[str, str]]:
    """(frame key, template) of the schema's questions for a time, of those in the split."""
    forms = (("q", schema.asks), ("e", schema.embeds))
    return [
        (key, template)
        for key, templates in forms
        for template in split_list(templates, split)
        if _WHEN.match(template)
    ]


def ask_when(d: Draw, fact: Fact) -> str:
    """A question that asks when; `when_wordings` of the schema must not be empty."""
    key, template = d.any(when_wordings(fact.schema, d.split))
    plain = key == "q" and d.chance(0.5)
    around = PLAIN_ASK if plain else d.pick(ASK_DIRECT if key == "q" else ASK_EMBEDDED)
    return casual(d, frame(around, key, fact.fill(d, template, later=True)))


def ask_hop(d: Draw, link: Fact, fact: Fact) -> str:
    """A question for the fact's value that names its person only by what the link says."""
    schema = fact.schema
    if d.chance(0.5):
        described = Subject("person", (link.fill(d, d.pick(link.schema.nouns), later=True),))
        return ask(d, Fact(schema, described, fact.slots, fact.value))
    about = Fact(schema, _THAT_PERSON, fact.slots, fact.value)
    question = about.fill(d, d.pick(schema.asks), later=True)
    who = link.fill(d, d.pick(link.schema.embeds), later=True)
    return casual(d, frame(d.pick(HOP).replace("{w}", who), "q", question))


def report_wordings(schema: Schema, split: str) -> list[str]:
    """Templates of clauses that can be reported as what somebody said, of those in the split."""
    clauses = split_list(schema.says, split)
    return [text for text in clauses if text.split()[0] not in _ORDERS and text[0] != "{"]


def report(d: Draw, template: str, fact: Fact) -> str:
    """A frame around a clause that states the fact; `report_wordings` must not be empty."""
    wording = d.any(report_wordings(fact.schema, d.split))
    return frame(template, "c", fact.fill(d, wording, later=False))


def tell_from(d: Draw, fact: Fact, name: str) -> str:
    """A message in which the user passes on what somebody said."""
    return report(d, d.pick(SAID_BY).replace("{v}", name), fact)


def ask_who_told(d: Draw, fact: Fact) -> str:
    """A question who said it to the user."""
    return casual(d, report(d, d.pick(WHO_TOLD), fact))


def ask_which_side(d: Draw, fact: Fact) -> str:
    """A question which side said it, the user or the assistant."""
    return casual(d, report(d, d.pick(WHO_SAID + WHICH_SIDE), fact))
