"""A long history of unseen text with the statements of many questions woven into it.

Statements of the agent tasks are messages between the messages of the text; the needles of the
RULER tasks stand inside them. The history ends inside a document, where a RULER question goes on;
for a question by the user that document is ended first.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsa_memory.model import ROLES, Tokenizer
from hsa_memory.model.tokenizer import SPECIAL_TOKENS
from hsa_memory.model.training.corpora import read_records, record_messages
from hsa_memory.model.training.evalsets import EvalItem, Message
from hsa_memory.storage import Turn

from .documents import read_messages
from .errors import InvalidArgument

# Tokens of the document that the history ends in, at least.
_END_TOKENS = 128
# Statements may fill this share of the history at most: the rest must be a haystack.
_MOST_NEEDLES = 0.6
# Facts that a question needs together have at least this share of the history between them, round
# its ends.
_APART = 0.1


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A question whose statements stand in the history."""

    item: EvalItem
    place: float | None
    """Where the answer was wanted, as a share of the history; None: it was never told."""
    position: int = -1
    """Stream position of the answer's first token where it was told."""
    turn: int = -1
    """Number of the message that tells it."""
    ranges: tuple[tuple[int, int], ...] = ()
    """Stream positions [start, stop) of all its statements."""


@dataclass(frozen=True, kw_only=True)
class Haystack:
    """The history and the questions about it."""

    tokens: NDArray[np.int64]
    """[length]; the last message, a document, has no end token yet."""
    turns: list[Turn]
    """The messages, in order."""
    placed: list[Placed]
    laps: float
    """How often the text was used; above 1 it repeats itself."""


@dataclass(eq=False)
class _Needle:
    """A group of messages, or one text inside a message, to put at a place."""

    target: float
    """Wanted place, as a share of the history."""
    index: int
    """Of its question."""
    parts: list[tuple[str, list[int]]]
    """(role, tokens) of each message, role and end tokens included; raw: one text."""
    raw: bool
    answer_at: tuple[int, int] | None = None
    """(message, token in it) where the answer stands."""
    start: int = -1
    turn: int = -1

    def __len__(self) -> int:
        return sum(len(tokens) for _, tokens in self.parts)

    @property
    def answer_position(self) -> int:
        assert self.answer_at is not None
        part, token = self.answer_at
        return self.start + sum(len(tokens) for _, tokens in self.parts[:part]) + token


def build_haystack(
    tokenizer: Tokenizer,
    items: Sequence[tuple[EvalItem, float | None]],
    filler: Filler,
    length: int,
    rng: np.random.Generator,
) -> Haystack:
    """Weave the statements of `items` into text.

    Args:
        tokenizer: of the model.
        items: each with the place wanted for what answers it, from 0 to below 1 (None: anywhere).
            Its other statements are put anywhere, in an order that keeps the answer right.
        filler: the text, taken from where the history before it, if any, left off.
        length: tokens of the history.
        rng: places of what has no place of its own.

    Raises:
        InvalidArgument: no text, or more statements than a history of this length can hold.
    """
    needles: list[_Needle] = []
    for index, (item, place) in enumerate(items):
        needles += _needles(tokenizer, item, index, place, rng)
    needles.sort(key=lambda needle: needle.target)
    total = sum(len(needle) for needle in needles)
    if total + _END_TOKENS > _MOST_NEEDLES * length:
        raise InvalidArgument(
            f"the statements of {len(items)} questions are {total} tokens, too many for a history "
            f"of {length}: ask fewer questions or make it longer"
        )
    before = filler.used
    stream = _Stream(tokenizer, filler, length, total)
    for needle in needles:
        stream.put(needle)
    stream.end_inside_document()
    placed = [
        _as_placed(item, place, [n for n in needles if n.index == index])
        for index, (item, place) in enumerate(items)
    ]
    return Haystack(
        tokens=np.array(stream.tokens, np.int64),
        turns=stream.turns(),
        placed=placed,
        laps=(filler.used - before) / filler.lap_tokens,
    )


def _as_placed(item: EvalItem, place: float | None, needles: list[_Needle]) -> Placed:
    telling = [needle for needle in needles if needle.answer_at is not None]
    ranges = tuple((n.start, n.start + len(n)) for n in needles)
    if not telling:
        return Placed(item=item, place=None, ranges=ranges)
    (needle,) = telling
    assert needle.answer_at is not None
    return Placed(
        item=item,
        place=place,
        position=needle.answer_position,
        turn=needle.turn + (0 if needle.raw else needle.answer_at[0]),
        ranges=ranges,
    )


def _needles(
    tokenizer: Tokenizer,
    item: EvalItem,
    index: int,
    place: float | None,
    rng: np.random.Generator,
) -> list[_Needle]:
    """The statements of one question, with their places."""
    if not item.statements:
        return []
    group, message, char = find_answer(item)
    at = float(rng.random()) if place is None else place
    targets = _targets(item, group, at, rng)
    needles = [
        _Needle(target, index, _parts(tokenizer, item, messages), item.raw)
        for target, messages in zip(targets, item.statements, strict=True)
    ]
    text = item.statements[group][message][1]
    token = _token_at(tokenizer, text, char) + (0 if item.raw else 1)
    needles[group].answer_at = (message, token)
    return needles


def _targets(item: EvalItem, group: int, at: float, rng: np.random.Generator) -> list[float]:
    """Places of the statements; the one of number `group` is put at `at`."""
    chance = [float(rng.random()) for _ in item.statements[1:]]
    if item.raw:
        # Needles of a raw text have no order.
        before, after = chance[:group], chance[group:]
    elif item.ordered:
        # What was said before the answer, or after it, must stay there: only the last of several
        # values counts.
        before = sorted(at * c for c in chance[:group])
        after = sorted(at + c * (1 - at) for c in chance[group:])
    else:
        # Facts that a question needs together: far from one another, in any order.
        others = [(at + _APART + c * (1 - 2 * _APART)) % 1.0 for c in chance]
        before, after = others[:group], others[group:]
    return [*before, at, *after]


def _parts(
    tokenizer: Tokenizer, item: EvalItem, messages: Sequence[Message]
) -> list[tuple[str, list[int]]]:
    if item.raw:
        return [(role, tokenizer.encode(text)) for role, text in messages]
    return [(role, tokenizer.encode_message(role, text)) for role, text in messages]


def find_answer(item: EvalItem) -> tuple[int, int, int]:
    """Return (group, message, character) of the statement that the answer begins with, or where
    else its evidence stands.

    Raises:
        ValueError: no statement tells it.
    """
    told = item.evidence or item.answer
    first = told.split()[0].rstrip(",") if item.raw else told
    # In a chain of variables each name stands twice: where it is assigned, and where it is used.
    before = r"VAR " if item.kind == "vt" else r"(?<!\w)"
    pattern = re.compile(before + f"({re.escape(first)})" + r"(?!\w)")
    for group, messages in enumerate(item.statements):
        for message, (_, text) in enumerate(messages):
            if found := pattern.search(text):
                return group, message, found.start(1)
    raise ValueError(f"no statement of {item.question!r} tells {told!r}")


def _token_at(tokenizer: Tokenizer, text: str, char: int) -> int:
    """Index of the token of a text that holds a character."""
    spans = tokenizer.char_spans(tokenizer.encode(text))
    return next(index for index, (_, stop) in enumerate(spans) if stop > char)


class Filler:
    """Messages of text files, tokenised, without end: in this order, and again from the first.

    Args:
        tokenizer: of the model.
        paths: .jsonl.xz files in the corpora format; anything else is read as UTF-8 text.

    Raises:
        InvalidArgument: a file is missing, or there is no text in them.
    """

    def __init__(self, tokenizer: Tokenizer, paths: Sequence[Path]) -> None:
        for path in paths:
            if not path.is_file():
                raise InvalidArgument(f"--text: no file {path}")
        self._source = (
            tokenizer.encode_message(role, text) for path in paths for role, text in _texts(path)
        )
        self._read: list[array[int]] = []
        self._next = 0
        self._complete = False
        self.used = 0
        """Tokens handed out."""

    @property
    def lap_tokens(self) -> int:
        """Tokens of the text; while it is not read to its end, of what was read."""
        return sum(len(message) for message in self._read)

    def __next__(self) -> list[int]:
        if not self._complete:
            message = next(self._source, None)
            if message is None:
                self._complete = True
            else:
                self._read.append(array("I", message))
                self.used += len(message)
                return message
        if not self._read:
            raise InvalidArgument("--text: there is no text in these files")
        message = self._read[self._next].tolist()
        self._next = (self._next + 1) % len(self._read)
        self.used += len(message)
        return message


def _texts(path: Path) -> Iterator[Message]:
    if path.name.endswith(".jsonl.xz"):
        for record in read_records(path):
            yield from record_messages(record)
    else:
        with path.open("rb") as file:
            yield from ((m.role, m.content) for m in read_messages(file, format="text"))


@dataclass
class _Stream:
    """The history while it is written."""

    tokenizer: Tokenizer
    filler: Filler
    length: int
    left: int
    """Tokens of the needles that are still to come."""
    tokens: array[int] = field(default_factory=lambda: array("I"))
    starts: list[int] = field(default_factory=list)
    """Where messages begin."""
    open: list[int] = field(default_factory=list)
    """Rest of a message that is begun and not finished."""
    held: list[int] = field(default_factory=list)
    """A message that was read and not begun."""

    def put(self, needle: _Needle) -> None:
        """Write text up to the needle's place, as near as its kind allows, and the needle."""
        target = min(round(needle.target * self.length), self._limit)
        self._text_until(target, inside=needle.raw)
        self.left -= len(needle)
        needle.start = len(self.tokens)
        needle.turn = len(self.starts) - int(needle.raw)
        for _, part in needle.parts:
            if not needle.raw:
                self.starts.append(len(self.tokens))
            self.tokens.extend(part)

    def end_inside_document(self) -> None:
        """Fill up to the length; the last message is a document without its end."""
        self._text_until(self._limit, inside=False)
        self._begin([self.tokenizer.role_id("document")])
        while len(self.tokens) < self.length:
            words = [token for token in next(self.filler) if token >= len(SPECIAL_TOKENS)]
            self.tokens.extend(words[: self.length - len(self.tokens)])

    def turns(self) -> list[Turn]:
        """The messages written."""
        roles = {self.tokenizer.role_id(role): role for role in ROLES}
        bounds = [*self.starts, len(self.tokens)]
        return [
            Turn(
                turn_id=str(seq),
                role=roles[self.tokens[start]],
                text=self.tokenizer.decode(self.tokens[start:stop].tolist()),
                tokens=np.array(self.tokens[start:stop], np.uint32),
                timestamp=0.0,
                seq=seq,
                token_start=start,
            )
            for seq, (start, stop) in enumerate(pairwise(bounds))
        ]

    @property
    def _limit(self) -> int:
        """Where text has to stop, so that everything else has room."""
        return self.length - self.left - _END_TOKENS

    def _begin(self, message: list[int]) -> None:
        self.starts.append(len(self.tokens))
        self.tokens.append(message[0])
        self.open = message[1:]

    def _text_until(self, target: int, *, inside: bool) -> None:
        """Write text up to about `target`: to the boundary of messages that is nearest, or, with
        `inside`, to the next beginning of a word."""
        while self.open or len(self.tokens) < target:
            room = target - len(self.tokens)
            if not self.open:
                self.held = self.held or next(self.filler)
                if not inside and len(self.held) > 2 * room:
                    return
                self._begin(self.held)
                self.held = []
            elif not inside:
                self._finish_message()
            elif room > 0:
                self._take(min(room, len(self.open)))
            else:
                break
        if inside:
            if not self.open:
                self._begin(self.held or next(self.filler))
                self.held = []
            while not self._at_word():
                self._take(1)

    def _take(self, count: int) -> None:
        self.tokens.extend(self.open[:count])
        self.open = self.open[count:]

    def _finish_message(self) -> None:
        """Write the rest of the open message, cut short where the room ends."""
        self._take(min(len(self.open) - 1, max(0, self._limit - len(self.tokens))))
        self.tokens.append(self.tokenizer.end_id)
        self.open = []

    def _at_word(self) -> bool:
        data = self.tokenizer.decode_bytes(self.open[:1])
        return not data or data[:1].isspace()
