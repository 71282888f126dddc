"""Natural dialogue: facts told by user or assistant, and questions asked later."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import words as w
from .draw import Draw
from .facts import ME, NOBODY, Fact, Schema, Subject, all_schemas, draw_fact
from .frames import INTRODUCE, THANKS, WHO_SAID
from .phrasing import (
    UNKNOWN,
    acknowledge,
    ask,
    ask_before,
    ask_now,
    ask_two,
    clause,
    frame,
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


def draw_people(d: Draw, count: int) -> list[Subject]:
    """People with different names and relations to the user."""
    people: list[Subject] = []
    names: set[str] = set()
    relations = d.shuffled(w.RELATIONS)
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
    """Draws facts that no question can confuse: all keys and values of a sample differ."""

    def __init__(self, d: Draw, num_people: int | None = None) -> None:
        self.d = d
        self.people = draw_people(d, num_people or 1 + d.below(4))
        self._used: set[str] = set()
        self._values: set[str] = set()
        self._schema = d.any(all_schemas())

    def fact(self, schema: Schema | None = None, subject: Subject | None = None) -> Fact:
        """A new fact; about a third of them are of the same kind as the one before."""
        for _ in range(MAX_DRAWS):
            chosen = schema or self._next_schema()
            about = subject or self._subject(chosen)
            fact = draw_fact(self.d, chosen, about)
            if fact.key in self._used or fact.value in self._values or self._contradicts(fact):
                self._schema = self.d.any(all_schemas())
                continue
            self._used.add(fact.key)
            self._values.add(fact.value)
            return fact
        raise ValueNotFound("no fact left that differs from all others")

    def changing_fact(self) -> tuple[Fact, Fact]:
        """A fact with its first and its later value."""
        while True:
            fact = self.fact()
            # Some held-out vocabularies are too small for a second value: try another fact.
            for _ in range(4):
                value = GENERATORS[fact.schema.value](self.d)
                if value not in self._values:
                    self._values.add(value)
                    return fact, fact.with_value(value)

    def _next_schema(self) -> Schema:
        if not self.d.chance(0.35):
            self._schema = self.d.any(all_schemas())
        return self._schema

    def _subject(self, schema: Schema) -> Subject:
        about = self.d.any(schema.about)
        return {"me": ME, "none": NOBODY}.get(about) or self.d.any(self.people)

    def _contradicts(self, fact: Fact) -> bool:
        """A relative's name, although that relative is already known by one."""
        if fact.schema.name != "relative_name":
            return False
        words = fact.slots[0][1].split("~")
        known = {word for person in self.people for name in person.names for word in name.split()}
        return any(word.split()[-1] in known for word in words)


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


def _tell_all(d: Draw, facts: list[Fact], latest: float) -> list[Told]:
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
    dialogue = Dialogue(_tell_all(d, facts, 0.8 if late else 1.0))
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
    dialogue.told += _tell_all(d, others, 0.8)

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


def hop_dialogue(d: Draw, num_others: int) -> Dialogue:
    """Who somebody is, a fact told under the name and asked under the relation."""
    relation, name = d.any(w.RELATIONS), FIRST(d)
    drawer = FactDrawer(d)
    drawer.people = [Subject("person", (name,))]
    schemas = [schema for schema in all_schemas() if "person" in schema.about]
    fact = drawer.fact(d.any(schemas), drawer.people[0])
    introduction = d.pick(INTRODUCE).replace("{r}", relation).replace("{v}", name)
    other_schemas = [schema for schema in all_schemas() if "none" in schema.about]
    others = [drawer.fact(d.any(other_schemas)) for _ in range(num_others)]
    dialogue = Dialogue(_tell_all(d, others, 0.8))
    dialogue.told.append(Told(float(d.rng.random()) * 0.8, [("user", introduction)], {"who": name}))
    dialogue.told.append(tell_messages(d, fact, float(d.rng.random()) * 0.8, "fact"))
    asked = Fact(fact.schema, Subject("person", (f"my {relation}",)), fact.slots, fact.value)
    time = 0.8 + 0.2 * float(d.rng.random())
    dialogue.asked.append(Asked(time, ask(d, asked), [(fact.value, "fact")]))
    return dialogue


def who_said_dialogue(d: Draw, num_facts: int) -> Dialogue:
    """Facts told by either side, and the question who told one of them."""
    drawer = FactDrawer(d)
    schemas = [schema for schema in all_schemas() if schema.assistant_says]
    facts = [drawer.fact(d.any(schemas)) for _ in range(num_facts)]
    dialogue = Dialogue()
    for index, fact in enumerate(facts):
        told = tell_messages(d, fact, float(d.rng.random()) * 0.8, str(index))
        dialogue.told.append(told)
        if told.messages[0][0] == "document" or d.chance(0.3):
            continue
        answer = " You did" if told.messages[0][0] == "user" else " I did"
        question = frame(d.pick(WHO_SAID), "c", clause(d, fact))
        time = 0.8 + 0.2 * float(d.rng.random())
        dialogue.asked.append(Asked(time, question, [(answer, None)]))
    return dialogue
