"""Which crash states of a recording are looked at: a pure function of (seed, number)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import disk
from .disk import Disk, Entry, File

# Looked at after every change, before anything is left to chance.
FIXED = ("nothing", "killed", "names", "bytes")

Content = Callable[[File, random.Random], bytes]
Names = Callable[[list[Entry], random.Random], list[Entry]]

_CONTENTS: dict[str, Content] = {
    "some": disk.some,
    "reordered": disk.reordered,
    "first": disk.first_ones,
    "torn page": partial(disk.torn, unit=disk.PAGE),
    "torn sector": partial(disk.torn, unit=disk.SECTOR),
    "each page": partial(disk.each_unit_by_itself, unit=disk.PAGE),
    "each sector": partial(disk.each_unit_by_itself, unit=disk.SECTOR),
    "zeroed page": partial(disk.zeroed, unit=disk.PAGE),
    "zeroed sector": partial(disk.zeroed, unit=disk.SECTOR),
    "all": lambda file, rng: disk.all_pending(file),
}
_NAMES: dict[str, Names] = {
    "all": lambda entries, rng: entries,
    "none": lambda entries, rng: [],
    "any": disk.any_names,
    "first": disk.first_names,
}


@dataclass(frozen=True)
class Choice:
    """One crash state of a recording.

    Attributes:
        number: of the state; with the seed it says everything else.
        cut: the crash comes after so many changes.
        kind: of crash, in words.
        seed: of what is left to chance.
    """

    number: int
    cut: int
    kind: str
    seed: str

    @property
    def killed(self) -> bool:
        """Whether only the process died, and not the machine."""
        return self.kind == "killed"


def choose(num_ops: int, seed: int, number: int) -> Choice:
    """State `number` (from 0): first every fixed kind after every change, then at random."""
    text = f"{seed}:{number}"
    if number < (num_ops + 1) * len(FIXED):
        cut, kind = divmod(number, len(FIXED))
        return Choice(number, cut, FIXED[kind], text)
    rng = random.Random(text)
    names, content = rng.choice(list(_NAMES)), rng.choice([*_CONTENTS, "mixed"])
    return Choice(number, rng.randint(0, num_ops), f"{content}, names {names}", text)


def render(model: Disk, choice: Choice) -> dict[str, bytes | None]:
    """The files that a crash leaves."""
    if choice.kind == "killed":
        return model.tree(model.entries, disk.everything)
    if choice.kind == "nothing":
        return model.tree([], disk.nothing)
    if choice.kind == "names":
        return model.tree(model.entries, disk.nothing)
    if choice.kind == "bytes":
        return model.tree([], disk.all_pending)
    rng = random.Random(choice.seed)
    content, names = choice.kind.split(", names ")

    def content_of(file: File) -> bytes:
        chosen = rng.choice(list(_CONTENTS)) if content == "mixed" else content
        return _CONTENTS[chosen](file, rng)

    return model.tree(_NAMES[names](model.entries, rng), content_of)
