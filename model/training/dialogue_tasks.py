"""Dialogues whose questions need more than one statement, or who made it, or when.

What is drawn here serves training and evaluation alike: messages, question and answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .dialogue import Answer, Asked, Dialogue, FactDrawer, Told, tell_all, tell_messages
from .draw import Draw
from .facts import Fact, Subject, all_schemas, time_schemas
from .frames import ACKNOWLEDGE, INTRODUCE, THANKS
from .phrasing import ask, tell
from .phrasing_tasks import (
    ask_all,
    ask_hop,
    ask_when,
    ask_which_side,
    ask_who_told,
    report_wordings,
    tell_from,
    tell_more,
    when_wordings,
)

Messages = list[tuple[str, str]]

# Share of the hops that go over a relation to the user: "my aunt" is Ana, and Ana lives in Oslo.
RELATION_SHARE = 0.4
USER_SAID, ASSISTANT_SAID = "You did", "I did"
# A second name for somebody whose name is all that is known.
_NOT_OF_STRANGERS = ("surname", "middle_name", "nickname")
# Link -> kinds of facts that what it says would half answer.
_ALIKE = {
    "link_player": ("instrument",),
    "link_coach": ("sport",),
    "link_partner": ("sport", "hobby"),
    "link_instructor": ("job", "hobby"),
}


@dataclass(frozen=True)
class Hop:
    """Two facts, told far apart, that a question needs together."""

    introduction: str
    """Says who the person is."""
    name: str
    """Of the person, as both statements give it."""
    fact: Fact
    """What the person's name is needed for."""
    question: str
    """Asks for the fact's value without the name."""


def draw_hop(drawer: FactDrawer) -> Hop:
    """Who somebody is, and a fact told under the name and asked for without it."""
    d = drawer.d
    schemas = [s for s in all_schemas() if "person" in s.about and s.name not in _NOT_OF_STRANGERS]
    relation = drawer.free_relation() if d.chance(RELATION_SHARE) else None
    if relation:
        name = drawer.stranger()
        introduction = d.pick(INTRODUCE).replace("{r}", relation).replace("{v}", name)
        fact = drawer.fact_of(schemas, Subject("person", (name,)))
        described = Subject("person", (f"my {relation}",))
        question = ask(d, Fact(fact.schema, described, fact.slots, fact.value))
        return Hop(introduction, name, fact, question)
    link = drawer.link()
    schemas = [s for s in schemas if s.name not in _ALIKE.get(link.schema.name, ())]
    fact = drawer.fact_of(schemas, Subject("person", (link.value,)))
    return Hop(tell(d, link)[1], link.value, fact, ask_hop(d, link, fact))


@dataclass(frozen=True)
class Said:
    """A statement, and the question who made it."""

    messages: Messages
    question: str
    answer: str
    """USER_SAID, ASSISTANT_SAID, or the name of somebody whose words the user passes on."""
    fact: Fact

    @property
    def named(self) -> bool:
        """Whether the answer is a name, which stands in the statement."""
        return self.answer not in (USER_SAID, ASSISTANT_SAID)


def draw_said(drawer: FactDrawer) -> Said:
    """A statement of the user, of the assistant, or of somebody whom the user quotes."""
    d = drawer.d
    style = d.below(3)
    schemas = [
        schema
        for schema in all_schemas()
        if (schema.assistant_says if style == 1 else "none" in schema.about)
        and report_wordings(schema, d.split)
    ]
    fact = drawer.fact_of(schemas)
    if style == 2:
        name = drawer.stranger(d.any(("first", "fullname")))
        messages = _replied(d, "user", tell_from(d, fact, name))
        return Said(messages, ask_who_told(d, fact), name, fact)
    wanted = ("user", "assistant")[style]
    while True:
        role, text = tell(d, fact)
        if role == wanted:
            break
    question = ask_which_side(d, fact)
    answer = (USER_SAID, ASSISTANT_SAID)[style]
    return Said(_replied(d, role, text), question, answer, fact)


def _replied(d: Draw, role: str, text: str) -> Messages:
    """A message, and now and then a reply that repeats nothing of it."""
    messages = [(role, text)]
    if d.chance(0.4):
        other = "assistant" if role == "user" else "user"
        messages.append((other, d.pick(ACKNOWLEDGE if role == "user" else THANKS)))
    return messages


def tell_list(d: Draw, facts: Sequence[Fact]) -> list[Messages]:
    """A message for each value of a list, in this order."""
    told = []
    for index, fact in enumerate(facts):
        if index and d.chance(0.6):
            text = tell_more(d, fact)
        else:
            _, text = tell(d, fact)
        told.append(_replied(d, "user", text))
    return told


def join_answer(parts: Sequence[tuple[str, str]]) -> Answer:
    """Values (text, mark key) as one answer: "A", "A and B", "A, B and C"."""
    answer: Answer = []
    for index, part in enumerate(parts):
        if index:
            answer.append((" and" if index == len(parts) - 1 else ",", None))
        answer.append(part)
    return answer


def draw_timed(drawer: FactDrawer) -> tuple[Fact, str]:
    """A fact whose value is a time or a date, and a question that asks when."""
    d = drawer.d
    schemas = [schema for schema in time_schemas() if when_wordings(schema, d.split)]
    fact = drawer.fact_of(schemas)
    return fact, ask_when(d, fact)


def hop_dialogue(drawer: FactDrawer, num_others: int) -> Dialogue:
    """Two facts that a question needs together, and other facts around them."""
    d = drawer.d
    hop = draw_hop(drawer)
    dialogue = Dialogue(tell_all(d, _others(drawer, num_others), 0.8))
    introduction = Told(_early(d), [("user", hop.introduction)], {"who": hop.name})
    dialogue.told += [introduction, tell_messages(d, hop.fact, _early(d), "fact")]
    dialogue.asked.append(Asked(_late(d), hop.question, [(hop.fact.value, "fact")]))
    return dialogue


def who_said_dialogue(drawer: FactDrawer, num_facts: int) -> Dialogue:
    """Facts told by either side or by others, and the question who told one of them."""
    d = drawer.d
    dialogue = Dialogue()
    for index in range(num_facts):
        said, key = draw_said(drawer), str(index)
        value = said.answer if said.named else said.fact.value
        dialogue.told.append(Told(_early(d), said.messages, {key: value}))
        if d.chance(0.3):
            continue
        answer: Answer = [(said.answer, key) if said.named else (f" {said.answer}", None)]
        dialogue.asked.append(Asked(_late(d), said.question, answer))
    return dialogue


def several_dialogue(drawer: FactDrawer, num_lists: int, num_others: int) -> Dialogue:
    """Lists told value by value, and questions for all values told until then."""
    d = drawer.d
    dialogue = Dialogue(tell_all(d, _others(drawer, num_others), 0.8))
    for number in range(num_lists):
        facts = drawer.list_facts(1 if d.chance(0.1) else 2 + d.below(2))
        times = sorted(_early(d) for _ in facts)
        parts = [(fact.value, f"{number}/{index}") for index, fact in enumerate(facts)]
        for time, messages, (value, key) in zip(times, tell_list(d, facts), parts, strict=True):
            dialogue.told.append(Told(time, messages, {key: value}))
        if len(facts) > 1 and d.chance(0.3):
            told = 1 + d.below(len(facts) - 1)
            time = times[told - 1] + float(d.rng.random()) * (times[told] - times[told - 1])
            dialogue.asked.append(Asked(time, ask_all(d, facts[0]), join_answer(parts[:told])))
        dialogue.asked.append(Asked(_late(d), ask_all(d, facts[0]), join_answer(parts)))
    return dialogue


def when_dialogue(drawer: FactDrawer, num_facts: int) -> Dialogue:
    """Facts with a time, and questions when."""
    d = drawer.d
    dialogue = Dialogue()
    for index in range(num_facts):
        fact, question = draw_timed(drawer)
        dialogue.told.append(tell_messages(d, fact, _early(d), str(index)))
        if d.chance(0.7):
            dialogue.asked.append(Asked(_late(d), question, [(fact.value, str(index))]))
    return dialogue


def _others(drawer: FactDrawer, count: int) -> list[Fact]:
    schemas = [schema for schema in all_schemas() if "none" in schema.about]
    return [drawer.fact_of(schemas) for _ in range(count)]


def _early(d: Draw) -> float:
    return float(d.rng.random()) * 0.8


def _late(d: Draw) -> float:
    return 0.8 + 0.2 * float(d.rng.random())


# Task -> its dialogue for a number of statements, more or less.
DIALOGUES: dict[str, Callable[[FactDrawer, int], Dialogue]] = {
    "hop": lambda drawer, count: hop_dialogue(drawer, count - 1),
    "who_said": who_said_dialogue,
    "several": lambda drawer, count: several_dialogue(drawer, 1 + drawer.d.below(2), count - 1),
    "when": when_dialogue,
}
