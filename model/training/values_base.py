"""What the generators of values are built from: made-up names, numbers and word lists."""

from __future__ import annotations

from collections.abc import Callable

from . import words as w
from .draw import Draw

Generator = Callable[[Draw], str]
# Share of the digits of a training number that repeat the one before, chance aside.
_STUTTER = 0.2


def syllables(d: Draw, low: int = 2, high: int = 3) -> str:
    """A pronounceable word of low to high syllables."""
    count = low + d.below(high - low + 1)
    text = "".join(d.any(w.ONSETS) + d.any(w.VOWELS) for _ in range(count))
    return text + d.any(w.CODAS)


def made_up(d: Draw) -> str:
    """A capitalised made-up name."""
    return d.until_split(lambda: syllables(d).capitalize())


def or_made_up(items: tuple[str, ...], share: float = 0.3) -> Generator:
    """A made-up name in the given share of draws, otherwise one of the items."""
    return lambda d: made_up(d) if d.chance(share) else d.pick(items)


def from_list(items: tuple[str, ...]) -> Generator:
    """One of the items."""
    return lambda d: d.pick(items)


def digits(d: Draw, low: int, high: int) -> str:
    """A number code of low to high digits without a leading zero."""

    def make() -> str:
        count = low + d.below(high - low + 1)
        number = str(1 + d.below(9)) + "".join(str(d.below(10)) for _ in range(count - 1))
        return stuttered(d, number)

    return d.until_split(make)


def stuttered(d: Draw, number: str) -> str:
    """In training more digits repeat the one before than chance would have it: of two equal digits
    side by side, copying drops one more easily than any other."""
    if d.split != "train":
        return number
    found = number[:1]
    for digit in number[1:]:
        found += found[-1] if d.chance(_STUTTER) else digit
    return found


def whole(make: Generator) -> Generator:
    """Only the values of make that belong to the split."""
    return lambda d: d.until_split(lambda: make(d))


def fill(*templates: str, **lists: tuple[str, ...]) -> Generator:
    """A template with each {slot} replaced by one of its list; a number slot is "#"."""

    def make(d: Draw) -> str:
        text = d.any(templates)
        for slot, items in lists.items():
            while "{" + slot + "}" in text:
                text = text.replace("{" + slot + "}", d.any(items), 1)
        while "#" in text:
            text = text.replace("#", str(d.below(10)), 1)
        return text

    return whole(make)


FIRST = or_made_up(w.FIRST_NAMES, 0.25)
