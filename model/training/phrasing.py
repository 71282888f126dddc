"""Frames around clauses and questions: how a fact is told, acknowledged, asked and answered."""

from __future__ import annotations

import re

from .draw import Draw
from .facts import Fact
from .frames import (
    ACKNOWLEDGE,
    ACKNOWLEDGE_VALUE,
    ASK_BEFORE,
    ASK_DIRECT,
    ASK_EMBEDDED,
    ASK_NOUN,
    ASK_NOW,
    SMALL_TALK,
    TELL,
    UPDATE,
)

UNKNOWN = "I don't know."

# The plain frame belongs to both splits; the wordings inside it do not.
PLAIN_TELL, PLAIN_ASK = "{C}.", "{Q}?"

_CONTRACTIONS = tuple(
    (re.compile(rf"\b{long}\b(?= \w)(?! not)"), short)
    for long, short in (
        ("I am", "I'm"),
        ("[Ww]hat is", "what's"),
        ("[Ww]here is", "where's"),
        ("[Ww]ho is", "who's"),
        ("[Ww]hen is", "when's"),
        ("I have been", "I've been"),
        ("do not", "don't"),
        ("cannot", "can't"),
        ("[Ii]t is", "it's"),
        ("we are", "we're"),
        ("[Tt]hat is", "that's"),
        ("I would", "I'd"),
        ("did not", "didn't"),
    )
)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def frame(template: str, key: str, text: str) -> str:
    """Put text into a frame at "{key}" or, capitalised, at the capital key."""
    return template.replace("{" + key + "}", text).replace("{" + key.upper() + "}", _capital(text))


def _contract(text: str) -> str:
    capital = text[:1].isupper()
    for pattern, short in _CONTRACTIONS:
        text = pattern.sub(short, text)
    return _capital(text) if capital else text


def casual(d: Draw, text: str) -> str:
    """Text as people type it: contractions, now and then no capital and no full stop."""
    if d.chance(0.4):
        text = _contract(text)
    if d.chance(0.12) and not text.startswith("I"):
        text = text[:1].lower() + text[1:]
        text = text.rstrip(".?!")
    elif d.chance(0.08):
        text = text.rstrip(".?")
    return text


def tell(d: Draw, fact: Fact, *, update: bool = False) -> tuple[str, str]:
    """A message that states the fact: (role, text)."""
    if fact.schema.assistant_says and not update and d.chance(0.3):
        return "assistant", _capital(fact.fill(d, d.pick(fact.schema.assistant_says), later=False))
    text = casual(d, _tell_clause(d, fact, update=update))
    if d.chance(0.2):
        text = f"{d.pick(SMALL_TALK)} {_capital(text)}"
    if d.chance(0.15) and text[-1] in ".?!":
        text = f"{text} {d.pick(SMALL_TALK)}"
    return "user", text


def _tell_clause(d: Draw, fact: Fact, *, update: bool = False) -> str:
    """A sentence that states the fact."""
    if update:
        return frame(d.pick(UPDATE), "c", clause(d, fact))
    return frame(PLAIN_TELL if d.chance(0.4) else d.pick(TELL), "c", clause(d, fact))


def tell_two(d: Draw, one: Fact, two: Fact) -> str:
    """One message that states two facts."""
    first = clause(d, one)
    second = clause(d, two)
    joint = d.any((", and ", ". ", "; ", " and ", ". Also, ", ". Besides, ", ", while "))
    if joint == ". ":
        second = _capital(second)
    return casual(d, f"{_capital(first)}{joint}{second}.")


def clause(d: Draw, fact: Fact) -> str:
    """The bare clause that states the fact, to stand inside a sentence."""
    return fact.fill(d, d.pick(fact.schema.says), later=False)


def acknowledge(d: Draw, fact: Fact) -> str:
    """What the assistant says to a fact it was told."""
    if d.chance(0.12):
        return _capital(d.pick(ACKNOWLEDGE_VALUE).replace("{v}", fact.value))
    return d.pick(ACKNOWLEDGE)


def ask(d: Draw, fact: Fact) -> str:
    """A question for the fact's value."""
    schema = fact.schema
    forms: list[tuple[str, tuple[str, ...], tuple[str, ...]]]
    forms = [("q", schema.asks, ASK_DIRECT)] * 2
    forms += [("n", schema.nouns, ASK_NOUN)] if schema.nouns else []
    forms += [("e", schema.embeds, ASK_EMBEDDED)] if schema.embeds else []
    key, templates, frames = d.any(forms)
    text = fact.fill(d, d.pick(templates), later=True)
    plain = key == "q" and d.chance(0.5)
    text = casual(d, frame(PLAIN_ASK if plain else d.pick(frames), key, text))
    if d.chance(0.1):
        text = f"{d.pick(SMALL_TALK)} {_capital(text)}"
    return text


def ask_two(d: Draw, one: Fact, two: Fact) -> str:
    """One message that asks for two values, in this order."""
    first = one.fill(d, d.pick(one.schema.asks), later=True)
    second = two.fill(d, d.pick(two.schema.asks), later=True)
    joint = d.any((", and ", " and ", "? And "))
    return casual(d, f"{_capital(first)}{joint}{second}?")


def ask_now(d: Draw, fact: Fact) -> str:
    """A question for the latest value of a fact that was changed."""
    if d.chance(0.6):
        return ask(d, fact)
    return frame(d.pick(ASK_NOW), "q", fact.fill(d, d.pick(fact.schema.asks), later=True))


def ask_before(d: Draw, fact: Fact) -> str | None:
    """A question for the value before the change; None if the schema has no noun phrase."""
    if not fact.schema.nouns:
        return None
    return frame(d.pick(ASK_BEFORE), "n", fact.fill(d, d.pick(fact.schema.nouns), later=True))
