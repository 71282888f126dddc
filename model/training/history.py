"""A history full of statements of all kinds, and at its end the questions about them.

As in use: what was told long ago stands in chunks only, among hundreds of things of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from . import words as w
from .blur import any_question, any_statement, blur
from .dialogue import Answer, Asked, FactDrawer, Told, tell_messages, unknown_answer
from .dialogue_tasks import DIALOGUES
from .draw import Draw
from .phrasing import ask, ask_before, ask_now, ask_two, tell_two
from .sample import Copy, Piece, Sample, ValueNotFound, weave
from .synthetic import RULER_TASKS, Code, ask_code, draw_codes, ruler_pieces, say_code

if TYPE_CHECKING:
    from .mixture import Mixture

# How often an item of a kind is drawn; each history leans to some of them.
ITEM_SHARES = {
    "fact": 10.0,
    "two_facts": 0.8,
    "code": 4.0,
    "changed": 3.0,
    "unknown": 1.6,
    "unknown_code": 0.2,
    "mq_niah": 2.0,
    "vt": 2.0,
    "hop": 0.6,
    "who_said": 0.5,
    "several": 0.7,
    "when": 0.5,
    "document": 0.4,
    "conversation": 0.3,
    "copy": 0.8,
}
NIAH_SHARE = 0.7
# Facts told among the questions rather than in the history.
LATE_SHARE = 0.08
# Pieces fill this much of their part at most.
MOST_FILLED = 0.95
NUM_CODES = 48
# Statements, and questions, in wordings that nobody wrote.
BLURRED = 0.3
BLURRED_CODE = 0.15
# Up to this share of the history is statements; those that questions leave no room for are not
# asked for.
MOST_CROWDED = 0.6
# End tokens before the questions: in use they finish the last chunk.
PAUSE = 48
# Tokens of a copied passage that say where it stands.
COPY_CUE = 4


@dataclass
class Item:
    """Statements, each at a time between 0 and 1, and questions that they answer."""

    told: list[tuple[float, Piece]] = field(default_factory=list)
    asked: list[Piece] = field(default_factory=list)

    def sizes(self) -> tuple[int, int]:
        """Tokens of all statements and of all questions."""
        return sum(len(piece) for _, piece in self.told), sum(map(len, self.asked))

    def rename(self, prefix: str) -> Item:
        """Make the keys of all marks different from those of other items."""
        for piece in (*(piece for _, piece in self.told), *self.asked):
            piece.marks = {f"{prefix}/{key}": at for key, at in piece.marks.items()}
            piece.copies = [Copy(c.start, c.ids, f"{prefix}/{c.key}") for c in piece.copies]
        return self


class History:
    """Draws the items of one history.

    Args:
        mixture: writes messages and text.
        d: random draws.
    """

    def __init__(self, mixture: Mixture, d: Draw) -> None:
        self._mixture, self._d = mixture, d
        people = 4 + mixture.length // 256
        # Whom a hop is about must not have a relation that somebody else has.
        self._drawer = FactDrawer(d, people, w.RELATIONS[::2])
        self._codes = draw_codes(d, NUM_CODES)
        self._talked = False
        self._makers: dict[str, Callable[[], Item]] = {
            "fact": self._fact,
            "two_facts": self._two_facts,
            "code": self._code,
            "changed": self._changed,
            "unknown": lambda: self._unknown(ask(d, self._drawer.fact())),
            "unknown_code": lambda: self._unknown(ask_code(d, self._next_code())),
            "copy": self._copy,
            "document": lambda: self._passage("document"),
            "conversation": lambda: self._passage("conversation"),
        }

    def item(self, kind: str) -> Item:
        """A new item; ValueNotFound if chance was against it."""
        if kind in RULER_TASKS:
            return self._ruler(kind)
        if kind in DIALOGUES:
            return self._dialogue(kind)
        return self._makers[kind]()

    def _ruler(self, kind: str) -> Item:
        """Needles in documents, one to three in each, and a document that asks for them."""
        needles, question = ruler_pieces(self._mixture.tokenizer, RULER_TASKS[kind](self._d))
        item = Item(asked=[self._in_text([question])])
        while needles:
            count = 1 + self._d.below(3)
            told = self._in_text(needles[:count])
            # Names of five letters are drawn anew each time; S-NIAH's number has none.
            told.unique = kind != "niah"
            item.told.append((self._time(), told))
            needles = needles[count:]
        return item

    def _in_text(self, parts: list[Piece]) -> Piece:
        """A document with the parts in it; one that ends it with an answer brings its own end."""
        d, text = self._d, self._mixture.plain_text
        whole = Piece([self._mixture.tokenizer.role_id("document")], [1.0])
        for part in parts:
            _append(whole, Piece(filler := text(d.rng, 6 + d.below(60)), [1.0] * len(filler)))
            _append(whole, part)
        if not parts[-1].copies:
            after = [*text(d.rng, d.below(60)), self._mixture.tokenizer.end_id]
            _append(whole, Piece(after, [1.0] * len(after)))
        return whole

    def _told(self, told: Told) -> tuple[float, Piece]:
        values = list(told.values.values())
        if len(values) == 1 and self._d.chance(BLURRED):
            (role, text), *replies = told.messages
            told = replace(told, messages=[(role, blur(self._d, text, values[0])), *replies])
        return told.time, self._mixture.statement(self._d, told)

    def _time(self) -> float:
        return float(self._d.rng.random())

    def _question(self, text: str, answer: Answer) -> Piece:
        if self._d.chance(BLURRED):
            text = blur(self._d, text)
        return self._mixture.question(text, answer)

    def _fact(self) -> Item:
        d, fact = self._d, self._drawer.fact()
        told = tell_messages(d, fact, self._time(), "v")
        return Item([self._told(told)], [self._question(ask(d, fact), [(fact.value, "v")])])

    def _two_facts(self) -> Item:
        d, one, two = self._d, self._drawer.fact(), self._drawer.fact()
        values = {"1": one.value, "2": two.value}
        told = Told(self._time(), [("user", tell_two(d, one, two))], values)
        if d.chance(0.5):
            answer: Answer = [(one.value, "1"), (" and", None), (two.value, "2")]
            return Item([self._told(told)], [self._question(ask_two(d, one, two), answer)])
        fact, key = d.any(((one, "1"), (two, "2")))
        return Item([self._told(told)], [self._question(ask(d, fact), [(fact.value, key)])])

    def _next_code(self) -> Code:
        if not self._codes:
            raise ValueNotFound("no code left")
        return self._codes.pop()

    def _code(self) -> Item:
        d, code = self._d, self._next_code()
        role = d.any(("user", "user", "document", "assistant"))
        said, asked = say_code(d, code), ask_code(d, code)
        # Where a value of several words ends only the wording can tell.
        if " " not in code.value and d.chance(BLURRED_CODE):
            said = any_statement(d, code.key, code.value)
        if d.chance(BLURRED_CODE):
            asked = any_question(d, code.key)
        told = Told(self._time(), [(role, said)], {"v": code.value}, d.chance(0.3))
        return Item([self._told(told)], [self._question(asked, [(code.value, "v")])])

    def _changed(self) -> Item:
        d = self._d
        fact, later = self._drawer.changing_fact()
        first, second = sorted((self._time(), self._time()))
        told = [
            tell_messages(d, fact, first, "old"),
            tell_messages(d, later, second, "new", update=True),
        ]
        before = ask_before(d, fact)
        asked = []
        if before is None or d.chance(0.9):
            asked.append(self._question(ask_now(d, later), [(later.value, "new")]))
        if before is not None and (not asked or d.chance(0.15)):
            asked.append(self._question(before, [(fact.value, "old")]))
        return Item([self._told(each) for each in told], asked)

    def _unknown(self, question: str) -> Item:
        return Item(asked=[self._question(question, unknown_answer())])

    def _dialogue(self, task: str) -> Item:
        dialogue = DIALOGUES[task](self._drawer, 1)
        last = max(told.time for told in dialogue.told)
        asked: list[Asked] = [each for each in dialogue.asked if each.time > last]
        return Item(
            [self._told(told) for told in dialogue.told],
            [self._question(each.question, each.answer) for each in asked],
        )

    def _passage(self, kind: str) -> Item:
        passages, mixture = self._mixture.passages, self._mixture
        if passages is None:
            raise ValueNotFound("no question-answer records")
        if kind == "conversation" and self._talked:
            # Two of them may answer one question ("What is the restaurant called?") differently.
            raise ValueNotFound("one conversation is enough")
        self._talked |= kind == "conversation"
        make = passages.document if kind == "document" else passages.conversation
        (_, text), *asked = make(self._d, mixture.tokenizer, min(mixture.length, 800))
        return Item([(self._time(), text)], [piece for _, piece in asked])

    def _copy(self) -> Item:
        """A passage, and the same passage again."""
        d, mixture = self._d, self._mixture
        span = mixture.plain_text(d.rng, 24 + d.below(72))
        told = Piece(span, [1.0] * len(span), {"v": COPY_CUE})
        copied = [Copy(COPY_CUE, span[COPY_CUE:], "v")]
        again = Piece([*span, mixture.tokenizer.end_id], [1.0] * (len(span) + 1), {}, copied)
        return Item([(self._time(), self._in_text([told]))], [self._in_text([again])])


class Part:
    """The history, or the questions: pieces by their times, in a room of so many tokens."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self._room = int(tokens * MOST_FILLED)
        self._placed: list[tuple[float, Piece]] = []

    @property
    def filled(self) -> float:
        """Share of the part that pieces take."""
        return sum(len(piece) for _, piece in self._placed) / self.tokens

    def has_room(self, tokens: int) -> bool:
        """Whether so many more tokens may be placed."""
        return tokens <= self._room

    def place(self, time: float, piece: Piece) -> None:
        """Add a piece."""
        self._placed.append((time, piece))
        self._room -= len(piece)

    def in_order(self) -> tuple[list[Piece], int]:
        """Return the pieces by time, and the tokens of the part."""
        return [piece for _, piece in sorted(self._placed, key=lambda each: each[0])], self.tokens


def history_sample(mixture: Mixture, d: Draw, questions: int) -> Sample:
    """A sample of the mixture's length whose last `questions` tokens ask about all before."""
    told, asked = Part(mixture.length - questions), Part(questions + 1)
    history, kinds = History(mixture, d), list(ITEM_SHARES)
    weights = np.array([ITEM_SHARES[kind] for kind in kinds]) * d.rng.exponential(size=len(kinds))
    weights /= weights.sum()
    unasked = 0.4 * float(d.rng.random())
    if d.chance(0.5):
        pause = 1 + d.below(PAUSE)
        asked.place(0.0, Piece([mixture.tokenizer.end_id] * pause, [0.0] * pause))
    if d.chance(NIAH_SHARE):
        _place(d, history.item("niah").rename("niah"), told, asked)
    crowded = MOST_CROWDED * float(d.rng.random())
    number = refused = 0
    while number < mixture.length and (refused < 4 or told.filled < crowded):
        number += 1
        kind = kinds[int(d.rng.choice(len(kinds), p=weights))]
        try:
            item = history.item(kind).rename(str(number))
        except ValueNotFound:
            continue
        if item.told and (refused >= 4 or d.chance(unasked)):
            item.asked = []
        if not _place(d, item, asked if d.chance(LATE_SHARE) else told, asked):
            refused += 1
    return weave(d.rng, [told.in_order(), asked.in_order()], mixture.filler)


def _place(d: Draw, item: Item, told: Part, asked: Part) -> bool:
    """Put statements and questions where they belong; False, and nothing done, without room."""
    statements, questions = item.sizes()
    late = told is asked
    if not told.has_room(statements + questions * late) or not asked.has_room(questions):
        return False
    for time, piece in item.told:
        told.place(0.7 * time, piece)
    for piece in item.asked:
        chance = float(d.rng.random())
        asked.place(0.7 + 0.3 * chance if late else chance, piece)
    return True


def _append(whole: Piece, part: Piece) -> None:
    base = len(whole)
    whole.tokens.extend(part.tokens)
    whole.weights.extend(part.weights)
    whole.marks.update({key: base + at for key, at in part.marks.items()})
    whole.copies.extend(Copy(base + copy.start, copy.ids, copy.key) for copy in part.copies)
