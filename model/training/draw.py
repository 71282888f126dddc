"""Random draws that keep training and test vocabulary apart.

Every word, template and code belongs to "train" or "test" by a hash of its text, so that
nothing drawn for the test split can be drawn for training.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

import numpy as np

TEST_PERCENT = 18
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*[A-Za-z]")

T = TypeVar("T")


@cache
def split_of(text: str) -> str:
    """The split a word, template or value belongs to: "train" or "test"."""
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return "test" if int.from_bytes(digest, "little") % 100 < TEST_PERCENT else "train"


@cache
def split_list(items: tuple[str, ...], split: str) -> tuple[str, ...]:
    """The items of one split; both splits get at least one, a single item is shared."""
    if len(items) < 2:
        return items
    kept = tuple(item for item in items if split_of(item) == split)
    if not kept:
        return items[:1] if split == "test" else items[1:]
    if len(kept) == len(items):
        return items[:1] if split == "test" else items[1:]
    return kept


class Draw:
    """A random generator bound to one split.

    Args:
        rng: where chance comes from.
        split: "train" or "test".
        text: returns some running text for a generator; without it there are no `maybe_words`.

    Raises:
        ValueError: for another split.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        split: str = "train",
        text: Callable[[np.random.Generator], str] | None = None,
    ) -> None:
        if split not in ("train", "test"):
            raise ValueError(f"split must be 'train' or 'test', not {split!r}")
        self.rng = rng
        self.split = split
        self._text = text

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    def below(self, n: int) -> int:
        """A whole number in [0, n)."""
        return int(self.rng.integers(n))

    def any(self, items: Sequence[T]) -> T:
        """One of the items, whatever the split."""
        return items[int(self.rng.integers(len(items)))]

    def pick(self, items: tuple[str, ...]) -> str:
        """One of the items that belong to this split."""
        return self.any(split_list(items, self.split))

    def until_split(self, make: Callable[[], str]) -> str:
        """Draw from make until the text belongs to this split."""
        while True:
            text = make()
            if split_of(text) == self.split:
                return text

    def maybe_words(self, share: float) -> str | None:
        """With a probability, one to three words that follow one another in real text; None
        otherwise, and without text. No list of words is as rich."""
        if self._text is None or not self.chance(share):
            return None
        count = 1 + self.below(3)
        while len(found := _WORD.findall(self._text(self.rng))[1:-1]) < count:
            pass
        first = self.below(len(found) - count + 1)
        return " ".join(found[first : first + count])

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in random order."""
        return [items[index] for index in self.rng.permutation(len(items))]
