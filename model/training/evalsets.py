"""Evaluation items: statements to weave into any haystack, and questions with their answers.

Items of the test split use sentence templates, names and values that training never draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from . import words as w
from .dialogue import FactDrawer, Told, tell_messages
from .dialogue_tasks import draw_hop, draw_said, draw_timed, join_answer, tell_list
from .draw import Draw
from .phrasing import UNKNOWN, ask, ask_before, ask_now
from .phrasing_tasks import ask_all
from .synthetic import RULER_TASKS, Code, ask_code, draw_codes, say_code

Message = tuple[str, str]
RAW_KINDS = ("niah", "mq_niah", "vt")
KINDS = (
    *("code", "dialogue", "changed", "before", "unknown"),
    *("hop", "who_said", "several", "when"),
    *RAW_KINDS,
)


@dataclass(frozen=True, kw_only=True)
class EvalItem:
    """One question and what has to be told before it."""

    kind: str
    """One of KINDS."""
    statements: tuple[tuple[Message, ...], ...]
    """Groups of messages (role, text), in this order, with any filler between the groups. For
    the raw kinds each group is one needle ("document", text) to insert into running text."""
    question: str
    """Text of the user's message; for the raw kinds the text that ends the document."""
    answer: str
    """The exact answer, without surrounding space."""
    evidence: str = ""
    """What in the statements tells the answer; empty if the answer itself does. Of several values
    it is the first."""

    @property
    def ordered(self) -> bool:
        """Whether the statements answer the question in this order only."""
        return not self.raw and self.kind != "hop"

    @property
    def raw(self) -> bool:
        """Whether the item is a RULER text inside one document rather than messages."""
        return self.kind in RAW_KINDS


def build(
    kind: str, rng: np.random.Generator, count: int, *, split: str = "test"
) -> list[EvalItem]:
    """Items of one kind that can share one history: no question fits two statements.

    Args:
        kind: one of KINDS.
        rng: random generator; the items are a function of its state.
        count: number of items.
        split: "test" (held-out wordings and vocabulary, default) or "train".

    Raises:
        ValueError: for an unknown kind or split.
    """
    return build_together({kind: count}, rng, split=split)[kind]


def build_together(
    counts: Mapping[str, int], rng: np.random.Generator, *, split: str = "test"
) -> dict[str, list[EvalItem]]:
    """Items of several kinds that can share one history; arguments and errors as in `build`.

    Args:
        counts: kind -> number of items.

    Only items of "niah" all ask the same question: whoever puts several into one history has to
    hide the others while one is asked.
    """
    for kind in counts:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    d = Draw(rng, split)
    facts = sum(count for kind, count in counts.items() if kind not in (*RAW_KINDS, "code"))
    # One drawer for all: what one kind tells must neither answer nor contradict another's question.
    # Whom a hop is about must not have a relation that somebody else has.
    relations = w.RELATIONS[::2] if counts.get("hop") else w.RELATIONS
    drawer = FactDrawer(d, 4 + facts // 3, relations)
    items: dict[str, list[EvalItem]] = {}
    for kind, count in counts.items():
        if kind in RAW_KINDS:
            items[kind] = [_ruler_item(d, kind) for _ in range(count)]
        elif kind == "code":
            items[kind] = [_code_item(d, code) for code in draw_codes(d, count)]
        else:
            make = _TASK_ITEMS.get(kind) or partial(_fact_item, kind=kind)
            items[kind] = [make(drawer) for _ in range(count)]
    return items


def single_fact(
    rng: np.random.Generator, *, kind: str = "dialogue", split: str = "test"
) -> EvalItem:
    """One item of a kind."""
    return build(kind, rng, 1, split=split)[0]


def _code_item(d: Draw, code: Code) -> EvalItem:
    statement = (("user", say_code(d, code)),)
    return EvalItem(
        kind="code", statements=(statement,), question=ask_code(d, code), answer=code.value
    )


def _fact_item(drawer: FactDrawer, kind: str) -> EvalItem:
    d = drawer.d
    if kind == "unknown":
        question = ask(d, drawer.fact())
        return EvalItem(kind=kind, statements=(), question=question, answer=UNKNOWN)
    if kind == "dialogue":
        fact = drawer.fact()
        told = _messages(tell_messages(d, fact, 0.0, "fact"))
        return EvalItem(kind=kind, statements=(told,), question=ask(d, fact), answer=fact.value)
    fact, later = drawer.changing_fact()
    first = _messages(tell_messages(d, fact, 0.0, "fact"))
    second = _messages(tell_messages(d, later, 0.0, "fact", update=True))
    before = ask_before(d, fact) if kind == "before" else None
    question, answer = (before, fact.value) if before else (ask_now(d, later), later.value)
    return EvalItem(kind=kind, statements=(first, second), question=question, answer=answer)


def _hop_item(drawer: FactDrawer) -> EvalItem:
    hop = draw_hop(drawer)
    fact = _messages(tell_messages(drawer.d, hop.fact, 0.0, "fact"))
    return EvalItem(
        kind="hop",
        # The answer stands in the first one, wherever the two are told.
        statements=(fact, (("user", hop.introduction),)),
        question=hop.question,
        answer=hop.fact.value,
    )


def _who_said_item(drawer: FactDrawer) -> EvalItem:
    said = draw_said(drawer)
    return EvalItem(
        kind="who_said",
        statements=(tuple(said.messages),),
        question=said.question,
        answer=said.answer,
        evidence="" if said.named else said.fact.value,
    )


def _several_item(drawer: FactDrawer) -> EvalItem:
    d = drawer.d
    facts = drawer.list_facts(2 + d.below(2))
    parts = join_answer([(fact.value, fact.value) for fact in facts])
    return EvalItem(
        kind="several",
        statements=tuple(tuple(messages) for messages in tell_list(d, facts)),
        question=ask_all(d, facts[0]),
        answer="".join(text if key is None else f" {text}" for text, key in parts).strip(),
        evidence=facts[0].value,
    )


def _when_item(drawer: FactDrawer) -> EvalItem:
    fact, question = draw_timed(drawer)
    told = _messages(tell_messages(drawer.d, fact, 0.0, "fact"))
    return EvalItem(kind="when", statements=(told,), question=question, answer=fact.value)


_TASK_ITEMS: dict[str, Callable[[FactDrawer], EvalItem]] = {
    "hop": _hop_item,
    "who_said": _who_said_item,
    "several": _several_item,
    "when": _when_item,
}


def _messages(told: Told) -> tuple[Message, ...]:
    return tuple(told.messages)


def _ruler_item(d: Draw, kind: str) -> EvalItem:
    ruler = RULER_TASKS[kind](d)
    return EvalItem(
        kind=kind,
        statements=tuple((("document", text),) for text, _ in ruler.needles),
        question=ruler.question,
        answer="".join(text for text, _ in ruler.answer).strip(),
    )
