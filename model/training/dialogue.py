"""Natural dialogue: facts told by user or assistant, and questions asked later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from . import words as w
from .draw import Draw
from .facts import (
    ME,
    NOBODY,
    Fact,
    Schema,
    Subject,
    all_schemas,
    draw_fact,
    link_schemas,
    list_schemas,
)
from .frames import THANKS
from .phrasing import (
    UNKNOWN,
    acknowledge,
    ask,
    ask_before,
    ask_now,
    ask_two,
    tell,
    tell_two,
)
from .sample import ValueNotFound
from .values import GENERATORS
from .values_base import FIRST

# Among the unknown answers, this share is asked before the thing is told.
EARLY_SHARE = 0.2
MAX_DRAWS = 400

Answer = list[tuple[str, str | None]]


@dataclass
class Told:
    """A statement in a dialogue."""

    time: float
    """Place in the dialogue, 0 to 1."""
    messages: list[tuple[str, str]]
    """(role, text)"""
    values: dict[str, str]
    """Mark key -> value, stated in the first message."""
    buried: bool = False
    """The statement stands inside a longer message."""


@dataclass
class Asked:
    """A question in a dialogue."""

    time: float
    question: str
    answer: Answer
    """(text, mark key it is copied from, or None for words of the answer's own)"""

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(text if key is None else f" {text}" for text, key in self.answer).strip()


@dataclass
class Dialogue:
    """Statements and questions, each at a place in the dialogue."""

    told: list[Told] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)


def unknown_answer() -> Answer:
    """The answer to what was never told."""
    return [(f" {UNKNOWN}", None)]


def draw_people(d: Draw, count: int, relations: tuple[str, ...] = w.RELATIONS) -> list[Subject]:
    """People with different names and relations to the user."""
    people: list[Subject] = []
    names: set[str] = set()
    relations = tuple(d.shuffled(relations))
    for index in range(count):
        name = FIRST(d)
        if name in names:
            continue
        names.add(name)
        # A large cast has people without a relation, known by name only.
        relation = relations[index] if index < len(relations) else ""
        style = d.below(3) if relation else 1
        if style == 0:
            people.append(Subject("person", (f"my {relation}",)))
        elif style == 1:
            people.append(Subject("person", (name,)))
        else:
            full = f"my {relation} {name}"
            people.append(Subject("person", (full, f"my {relation}", name)))
    return people


class FactDrawer:
    """Draws facts that no question can confuse: all keys and values of a sample differ.

    Args:
        d: random draws.
        num_people: how many people facts are about; default: one to four.
        relations: to the user, which these people may have.
    """

    def __init__(
        self,
        d: Draw,
        num_people: int | None = None,
        relations: tuple[str, ...] = w.RELATIONS,
    ) -> None:
        self.d = d
        self.people = draw_people(d, num_people or 1 + d.below(4), relations)
        self._used: set[str] = set()
        self._values: set[str] = set()
        self._schema = d.any(all_schemas())
        self._relatives: set[str] = set()
        # Words of the names and relations by which people are known.
        self._known = {word for p in self.people for name in p.names for word in name.split()}

    def fact(self, schema: Schema | None = None, subject: Subject | None = None) -> Fact:
        """A new fact; about a third of them are of the same kind as the one before."""
        for _ in range(MAX_DRAWS):
            chosen = schema or self._next_schema()
            fact = self._draw(chosen, subject)
            if fact:
                return fact
            self._schema = self.d.any(all_schemas())
        raise ValueNotFound("no fact left that differs from all others")

    def fact_of(self, schemas: Sequence[Schema], subject: Subject | None = None) -> Fact:
        """A new fact of one of the schemas."""
        for _ in range(MAX_DRAWS):
            if fact := self._draw(self.d.any(schemas), subject):
                return fact
        raise ValueNotFound("no fact left that differs from all others")

    def changing_fact(self) -> tuple[Fact, Fact]:
        """A fact with its first and its later value."""
        while True:
            fact = self.fact()
            # Some held-out vocabularies are too small for a second value: try another fact.
            if value := self._new_value(fact, 4):
                return fact, fact.with_value(value)

    def list_facts(self, count: int) -> list[Fact]:
        """Facts that each tell one value of the same list."""
        while True:
            facts = [self.fact_of(list_schemas())]
            while len(facts) < count and (value := self._new_value(facts[0], 8)):
                facts.append(facts[0].with_value(value))
            if len(facts) == count:
                return facts

    def link(self) -> Fact:
        """Who somebody is whom nothing else told names."""
        for _ in range(MAX_DRAWS):
            fact = draw_fact(self.d, self.d.any(link_schemas()), NOBODY)
            # Every town has its clubs: these links never run out.
            slots = tuple((s, self._of_town(o) if s == "club" else o) for s, o in fact.slots)
            fact = replace(fact, slots=slots)
            if fact.key not in self._used:
                self._used.add(fact.key)
                return fact.with_value(self.stranger(fact.schema.value))
        raise ValueNotFound("no link left that differs from all others")

    def _of_town(self, club: str) -> str:
        return f"{GENERATORS['city'](self.d)} {club}"

    def stranger(self, kind: str = "first") -> str:
        """The name of somebody new; the kind is "first" or "fullname"."""
        for _ in range(MAX_DRAWS):
            name = GENERATORS[kind](self.d)
            if name not in self._values and self._known.isdisjoint(name.split()):
                self._known.update(name.split())
                self._values.add(name)
                return name
        raise ValueNotFound("no name left that differs from all others")

    def free_relation(self) -> str | None:
        """A relation to the user that nobody has yet, or None."""
        free = [
            relation for relation in w.RELATIONS if relation not in self._known | self._relatives
        ]
        if not free:
            return None
        relation = self.d.any(free)
        self._known.add(relation)
        return relation

    def _draw(self, schema: Schema, subject: Subject | None) -> Fact | None:
        """A fact of the schema, or None if it resembles another."""
        fact = draw_fact(self.d, schema, subject or self._subject(schema))
        if fact.key in self._used or fact.value in self._values or self._contradicts(fact):
            return None
        self._used.add(fact.key)
        self._values.add(fact.value)
        if fact.schema.name == "relative_name":
            self._relatives |= _relation_words(fact)
        return fact

    def _new_value(self, fact: Fact, tries: int) -> str | None:
        """Another value for the fact, which nothing else has."""
        for _ in range(tries):
            value = GENERATORS[fact.schema.value](self.d)
            if value not in self._values:
                self._values.add(value)
                return value
        return None

    def _next_schema(self) -> Schema:
        if not self.d.chance(0.35):
            self._schema = self.d.any(all_schemas())
        return self._schema

    def _subject(self, schema: Schema) -> Subject:
        about = self.d.any(schema.about)
        return {"me": ME, "none": NOBODY}.get(about) or self.d.any(self.people)

    def _contradicts(self, fact: Fact) -> bool:
        """A relative's name, although that relative is already known by one."""
        return fact.schema.name == "relative_name" and not self._known.isdisjoint(
            _relation_words(fact)
        )


def _relation_words(fact: Fact) -> set[str]:
    """The last word of each way to name the relative whose name the fact is."""
    return {word.split()[-1] for word in fact.slots[0][1].split("~")}


def tell_messages(d: Draw, fact: Fact, time: float, key: str, *, update: bool = False) -> Told:
    """The message that states a fact, often with the other side's reply to it."""
    role, text = tell(d, fact, update=update)
    messages = [(role, text)]
    if role == "user" and d.chance(0.5):
        messages.append(("assistant", acknowledge(d, fact)))
    elif role == "user" and d.chance(0.07):
        messages = [("document", text)]
    elif role == "assistant" and d.chance(0.5):
        messages.append(("user", d.pick(THANKS)))
    buried = len(messages) == 1 and not update and d.chance(0.2)
    return Told(time, messages, {key: fact.value}, buried)


def tell_all(d: Draw, facts: list[Fact], latest: float) -> list[Told]:
    told: list[Told] = []
    index = 0
    while index < len(facts):
        time = float(d.rng.random()) * latest
        if index + 1 < len(facts) and d.chance(0.12):
            one, two = facts[index], facts[index + 1]
            values = {str(index): one.value, str(index + 1): two.value}
            told.append(Told(time, [("user", tell_two(d, one, two))], values))
            index += 2
            continue
        told.append(tell_messages(d, facts[index], time, str(index)))
        index += 1
    return told


def fact_dialogue(d: Draw, num_facts: int, num_questions: int, unknown_share: float) -> Dialogue:
    """Facts and questions about some of them; some questions are about things never told."""
    drawer = FactDrawer(d)
    facts = [drawer.fact() for _ in range(num_facts)]
    late = d.chance(0.5)
    dialogue = Dialogue(tell_all(d, facts, 0.8 if late else 1.0))
    times = {key: told.time for told in dialogue.told for key in told.values}

    def after(*indexes: int) -> float:
        earliest = max([0.8 if late else 0.0, *(times[str(index)] for index in indexes)])
        return earliest + float(d.rng.random()) * (1 - earliest)

    for _ in range(num_questions):
        chosen, other = d.below(num_facts), d.below(num_facts)
        fact = facts[chosen]
        if d.chance(unknown_share):
            early = d.chance(EARLY_SHARE)
            time = float(d.rng.random()) * (times[str(chosen)] if early else 1.0)
            question = ask(d, fact if early else drawer.fact())
            dialogue.asked.append(Asked(time, question, unknown_answer()))
        elif other != chosen and d.chance(0.06):
            answer: Answer = [
                (fact.value, str(chosen)),
                (" and", None),
                (facts[other].value, str(other)),
            ]
            question = ask_two(d, fact, facts[other])
            dialogue.asked.append(Asked(after(chosen, other), question, answer))
        else:
            answer = [(fact.value, str(chosen))]
            dialogue.asked.append(Asked(after(chosen), ask(d, fact), answer))
    return dialogue


def changed_dialogue(d: Draw, num_others: int) -> Dialogue:
    """A fact that changes, other facts around it, and questions for new and old value."""
    drawer = FactDrawer(d)
    fact, later = drawer.changing_fact()
    others = [drawer.fact() for _ in range(num_others)]
    first, second = sorted(float(x) * 0.8 for x in d.rng.random(2))
    dialogue = Dialogue(
        [tell_messages(d, fact, first, "old"), tell_messages(d, later, second, "new", update=True)]
    )
    dialogue.told += tell_all(d, others, 0.8)

    def between(low: float, high: float) -> float:
        return low + float(d.rng.random()) * (high - low)

    dialogue.asked.append(Asked(between(second, 1), ask_now(d, later), [(later.value, "new")]))
    if d.chance(0.4):
        time = between(first, second)
        dialogue.asked.append(Asked(time, ask(d, fact), [(fact.value, "old")]))
    question = ask_before(d, fact)
    if question and d.chance(0.5):
        dialogue.asked.append(Asked(between(second, 1), question, [(fact.value, "old")]))
    for index, other in enumerate(others[:2]):
        time = between(0.8, 1)
        dialogue.asked.append(Asked(time, ask(d, other), [(other.value, str(index))]))
    return dialogue
