"""Evaluation items: statements to weave into any haystack, and questions with their answers.

Items of the test split use sentence templates, names and values that training never draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .dialogue import FactDrawer, Told, tell_messages
from .draw import Draw
from .phrasing import UNKNOWN, ask, ask_before, ask_now
from .synthetic import RULER_TASKS, Code, ask_code, draw_codes, say_code

Message = tuple[str, str]
KINDS = ("code", "dialogue", "changed", "before", "unknown", "niah", "mq_niah", "vt")
RAW_KINDS = ("niah", "mq_niah", "vt")


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
    drawer = FactDrawer(d, num_people=4 + facts // 3)
    items: dict[str, list[EvalItem]] = {}
    for kind, count in counts.items():
        if kind in RAW_KINDS:
            items[kind] = [_ruler_item(d, kind) for _ in range(count)]
        elif kind == "code":
            items[kind] = [_code_item(d, code) for code in draw_codes(d, count)]
        else:
            items[kind] = [_fact_item(d, kind, drawer) for _ in range(count)]
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


def _fact_item(d: Draw, kind: str, drawer: FactDrawer) -> EvalItem:
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
