"""Training samples: exact-length token sequences with loss weights and copy sources.

A sample is woven from pieces (a few messages each) and haystack filler between them.
Pieces mark where values stand, and answers name the marks they are copied from.
Legend: L = predicted tokens of a sample, so a sample holds L + 1 tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

ANSWER_WEIGHT = 3.0
# Answers in words of their own ("I don't know."): at full weight they drown the copied ones, and
# the model refuses whatever is asked in a new wording.
OWN_WORDS_WEIGHT = 2.2
RANDOM_WEIGHT = 0.2
MIN_GAP = 12

FillerFunction = Callable[[np.random.Generator, int], NDArray[np.int32]]


class TokenizerLike(Protocol):
    """What the training data needs of a tokenizer."""

    @property
    def end_id(self) -> int: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int], *, errors: str = "replace") -> str: ...

    def role_id(self, role: str) -> int: ...


@dataclass
class Sample:
    """One training sequence."""

    tokens: NDArray[np.int32]
    """[L + 1] token ids."""
    weight: NDArray[np.float32]
    """[L] loss weight of predicting tokens[i + 1] from tokens[: i + 1]."""
    source: NDArray[np.int32]
    """[L] index j < i + 1 of the token that tokens[i + 1] is copied from, or -1."""
    unique: NDArray[np.bool_]
    """[L] whether tokens[i] tells nothing that another sample may tell differently: it is text of
    the corpora, or about made-up names."""


class ValueNotFound(ValueError):
    """A value's tokens do not occur in the text that should state it; draw another."""


def find_ids(haystack: Sequence[int], needle: Sequence[int]) -> int:
    """Index of the first occurrence of needle in haystack, or -1."""
    size = len(needle)
    first = needle[0]
    for index in range(len(haystack) - size + 1):
        if haystack[index] == first and list(haystack[index : index + size]) == list(needle):
            return index
    return -1


@dataclass
class Copy:
    """Tokens [start, start + len(ids)) of a piece, copied from the mark called key."""

    start: int
    ids: list[int]
    key: str


@dataclass(eq=False)
class Piece:
    """Consecutive tokens that stay together in a sample."""

    tokens: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    """Value key -> offset of the value's first token in this piece."""
    copies: list[Copy] = field(default_factory=list)
    unique: bool = False
    """Whether all of it is, as of `Sample`."""

    def __len__(self) -> int:
        return len(self.tokens)


class PieceWriter:
    """Writes messages, marked values and answers into a piece."""

    def __init__(self, tokenizer: TokenizerLike) -> None:
        self.tokenizer = tokenizer
        self.piece = Piece()

    def raw(self, ids: Sequence[int], weight: float = 1.0) -> PieceWriter:
        """Append token ids as they are."""
        self.piece.tokens.extend(ids)
        self.piece.weights.extend([weight] * len(ids))
        return self

    def text(
        self,
        text: str,
        values: dict[str, str] | None = None,
        *,
        weight: float = 1.0,
        value_weight: float = 0.3,
    ) -> PieceWriter:
        """Append text and mark where its values (key -> value) stand.

        Raises:
            ValueNotFound: the tokens of " " + value are not in the tokens of the text.
        """
        ids = self.tokenizer.encode(text)
        base = len(self.piece.tokens)
        self.raw(ids, weight)
        for key, value in (values or {}).items():
            value_ids = self.tokenizer.encode(" " + value)
            offset = find_ids(ids, value_ids)
            if offset < 0:
                raise ValueNotFound(f"{value!r} not in {text!r}")
            self.piece.marks[key] = base + offset
            for index in range(base + offset, base + offset + len(value_ids)):
                self.piece.weights[index] = value_weight
        return self

    def message(
        self,
        role: str,
        text: str,
        values: dict[str, str] | None = None,
        *,
        weight: float = 1.0,
    ) -> PieceWriter:
        """Append a whole message: role token, text, end token."""
        self.raw([self.tokenizer.role_id(role)], weight)
        self.text(text, values, weight=weight)
        return self.raw([self.tokenizer.end_id], weight)

    def copy(self, value: str, key: str) -> PieceWriter:
        """Append the tokens of " " + value as answer tokens copied from mark key."""
        ids = self.tokenizer.encode(" " + value)
        self.piece.copies.append(Copy(len(self.piece.tokens), ids, key))
        return self.raw(ids, ANSWER_WEIGHT)

    def answer(self, parts: Sequence[tuple[str, str | None]]) -> PieceWriter:
        """Append an assistant message: parts are (text, key of the mark or None)."""
        copied = any(key is not None for _, key in parts)
        weight = ANSWER_WEIGHT if copied else OWN_WORDS_WEIGHT
        self.raw([self.tokenizer.role_id("assistant")])
        for text, key in parts:
            if key is None:
                self.raw(self.tokenizer.encode(text), weight)
            else:
                self.copy(text, key)
        return self.raw([self.tokenizer.end_id], weight)


def split_gaps(rng: np.random.Generator, total: int, num_gaps: int) -> list[int]:
    """Split total filler tokens over the gaps; the last one takes what is too small to use."""
    shares = rng.exponential(size=num_gaps) * (rng.random(num_gaps) < 0.7)
    if shares.sum() == 0:
        shares[0] = 1.0
    gaps = [int(gap) for gap in shares / shares.sum() * total]
    gaps = [gap if gap >= MIN_GAP else 0 for gap in gaps]
    gaps[-1] += total - sum(gaps)
    return gaps


def weave(
    rng: np.random.Generator,
    parts: Sequence[tuple[Sequence[Piece], int]],
    filler: FillerFunction,
) -> Sample:
    """Lay the pieces of each part in order into its tokens, with filler at random between them.

    Args:
        rng: random draws.
        parts: (pieces, tokens) of each part; together the sample's L + 1 tokens.
        filler: returns that many tokens of text.

    Raises:
        ValueError: the pieces of a part are longer than it.
    """
    size = sum(tokens for _, tokens in parts)
    tokens = np.empty(size, np.int32)
    weight = np.ones(size, np.float32)
    unique = np.zeros(size, np.bool_)
    marks: dict[str, int] = {}
    copies: list[Copy] = []
    position = 0
    for pieces, room in parts:
        left = room - sum(len(piece) for piece in pieces)
        if left < 0:
            raise ValueError(f"pieces need {-left} tokens more than their part's {room}")
        for gap, piece in zip(split_gaps(rng, left, len(pieces) + 1), [*pieces, None], strict=True):
            if gap:
                tokens[position : position + gap] = filler(rng, gap)
                unique[position : position + gap] = True
                position += gap
            if piece is None:
                break
            tokens[position : position + len(piece)] = piece.tokens
            weight[position : position + len(piece)] = piece.weights
            unique[position : position + len(piece)] = piece.unique
            marks.update({key: position + offset for key, offset in piece.marks.items()})
            copies.extend(Copy(position + copy.start, copy.ids, copy.key) for copy in piece.copies)
            position += len(piece)
    source = np.full(size, -1, np.int32)
    for copy in copies:
        start = marks[copy.key]
        source[copy.start : copy.start + len(copy.ids)] = start + np.arange(len(copy.ids))
    return Sample(tokens, weight[1:], source[1:], unique[:-1])
