"""Natural dialogue: facts told by user or assistant, and questions asked later."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import words as w
from .draw import Draw
from .facts import ME, NOBODY, Fact, Subject, all_schemas, draw_fact
from .phrasing import UNKNOWN, acknowledge, ask, ask_before, ask_now, tell
from .values import FIRST, GENERATORS

RELATIONS = tuple(
    "sister brother mother father aunt uncle cousin grandmother grandfather daughter son wife husband "
    "neighbour colleague flatmate boss niece nephew friend".split()
)


@dataclass
class Told:
    """A statement in a dialogue."""

    time: float
    """Place in the dialogue, 0 to 1."""
    messages: list[tuple[str, str]]
    """(role, text)"""
    values: dict[str, str]
    """Mark key -> value, stated in the first message."""


@dataclass
class Asked:
    """A question in a dialogue."""

    time: float
    question: str
    answer: str
    key: str | None
    """Mark key of the answer, None if it was never told."""


@dataclass
class Dialogue:
    """Statements and questions, each at a place in the dialogue."""

    told: list[Told] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)


def draw_people(d: Draw, count: int) -> list[Subject]:
    """People with different names and relations to the user."""
    relations = d.shuffled(RELATIONS)[:count]
    people: list[Subject] = []
    names: set[str] = set()
    for relation in relations:
        name = FIRST(d)
        if name in names:
            continue
        names.add(name)
        style = d.below(3)
        if style == 0:
            people.append(Subject("person", (f"my {relation}",)))
        elif style == 1:
            people.append(Subject("person", (name,)))
        else:
            full = f"my {relation} {name}"
            people.append(Subject("person", (full, f"my {relation}", name)))
    return people


def draw_facts(d: Draw, count: int) -> list[Fact]:
    """Facts with different keys and values; about half share a schema with another one."""
    people = draw_people(d, 1 + d.below(4))
    facts: list[Fact] = []
    used: set[str] = set()
    values: set[str] = set()
    schema = d.any(all_schemas())
    while len(facts) < count:
        if not d.chance(0.35):
            schema = d.any(all_schemas())
        about = d.any(schema.about)
        subject = {"me": ME, "none": NOBODY}.get(about) or d.any(people)
        fact = draw_fact(d, schema, subject)
        if fact.key in used or fact.value in values:
            schema = d.any(all_schemas())
            continue
        used.add(fact.key)
        values.add(fact.value)
        facts.append(fact)
    return facts


def _tell(d: Draw, fact: Fact, time: float, key: str, *, update: bool = False) -> Told:
    role, text = tell(d, fact, update=update)
    messages = [(role, text)]
    if role == "user" and d.chance(0.5):
        messages.append(("assistant", acknowledge(d, fact)))
    elif role == "assistant" and d.chance(0.5):
        messages.append(("user", d.pick(w.THANKS)))
    return Told(time, messages, {key: fact.value})


def fact_dialogue(d: Draw, num_facts: int, num_questions: int, unknown_share: float) -> Dialogue:
    """Facts and questions about some of them; some questions are about things never told."""
    dialogue = Dialogue()
    drawn = draw_facts(d, num_facts + num_questions)
    facts, never = drawn[:num_facts], drawn[num_facts:]
    late = d.chance(0.5)
    for index, fact in enumerate(facts):
        time = float(d.rng.random()) * (0.8 if late else 1.0)
        dialogue.told.append(_tell(d, fact, time, str(index)))
    for index in range(num_questions):
        if d.chance(unknown_share):
            question = ask(d, never[index])
            time = float(d.rng.random())
            dialogue.asked.append(Asked(time, question, UNKNOWN, None))
            continue
        chosen = d.below(num_facts)
        told = dialogue.told[chosen].time
        time = 0.8 if late else told
        time += float(d.rng.random()) * (1 - time)
        fact = facts[chosen]
        dialogue.asked.append(Asked(time, ask(d, fact), fact.value, str(chosen)))
    return dialogue


def changed_dialogue(d: Draw, num_others: int) -> Dialogue:
    """A fact that changes, other facts around it, and questions for new and old value."""
    dialogue = Dialogue()
    fact, *others = draw_facts(d, 1 + num_others)
    new = fact.value
    while new == fact.value:
        new = GENERATORS[fact.schema.value](d)
    first, second = sorted(float(x) * 0.8 for x in d.rng.random(2))
    dialogue.told.append(_tell(d, fact, first, "old"))
    later = fact.with_value(new)
    dialogue.told.append(_tell(d, later, second, "new", update=True))
    for index, other in enumerate(others):
        dialogue.told.append(_tell(d, other, float(d.rng.random()) * 0.8, str(index)))
    after = second + float(d.rng.random()) * (1 - second)
    dialogue.asked.append(Asked(after, ask_now(d, later), new, "new"))
    if d.chance(0.4):
        between = first + float(d.rng.random()) * (second - first)
        dialogue.asked.append(Asked(between, ask(d, fact), fact.value, "old"))
    if d.chance(0.5):
        question = ask_before(d, fact)
        if question:
            after = second + float(d.rng.random()) * (1 - second)
            dialogue.asked.append(Asked(after, question, fact.value, "old"))
    for index, other in enumerate(others[:2]):
        dialogue.asked.append(Asked(1.0, ask(d, other), other.value, str(index)))
    return dialogue
