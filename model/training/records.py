"""Records: many keys with their values, then the keys again; nearly every token teaches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .draw import Draw
from .sample import ANSWER_WEIGHT, RANDOM_WEIGHT, Sample, TokenizerLike

LINKS = (": ", " is ", " = ", " -> ", " has ", ", ", " goes with ", " | ")
ENDINGS = (".", "\n", "|", ";", ",", " and", ".\n")
ALPHABETS = ("0123456789", "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789abcdef")
# A value of words rather than of characters.
WORDS_SHARE = 0.2
# Keys of one sample are put together from a few words, so that no single word gives one away.
POOLED_SHARE = 0.5
CODE_WEIGHT = ANSWER_WEIGHT / 2


def records_sample(
    d: Draw,
    length: int,
    tokenizer: TokenizerLike,
    words: tuple[int, int],
    filler: NDArray[np.int32],
) -> Sample:
    """Records of a random key and value, filler, and keys in another order with their values.

    Args:
        d: random draws.
        length: L of the sample.
        tokenizer: for the separators and the characters of values.
        words: token ids [first, last) that keys are made of.
        filler: [length + 1] tokens of text, of which some stands between the two halves.
    """
    value_size = 3 + d.below(4), 7 + d.below(6)
    alphabet = [tokenizer.encode(c)[0] for c in d.any(ALPHABETS)]
    if d.chance(WORDS_SHARE):
        alphabet, value_size = list(range(*words)), (1, 5)
    pool = d.rng.integers(*words, 6 + d.below(7)) if d.chance(POOLED_SHARE) else np.arange(*words)
    key_size = 2 + d.below(2)
    said, asked = (tokenizer.encode(d.any(LINKS)) for _ in range(2))
    ending = tokenizer.encode(d.any(ENDINGS))
    closing = [tokenizer.end_id] if d.chance(0.5) else ending

    gap = d.below(length // 2) if d.chance(0.5) else 0
    room = (length + 1 - gap) / 2 / (key_size + len(said) + sum(value_size) / 2 + len(ending))
    values: dict[tuple[int, ...], list[int]] = {}
    for _ in range(4 * max(2, int(room))):
        key = tuple(int(token) for token in d.rng.choice(pool, key_size))
        size = int(d.rng.integers(*value_size))
        values.setdefault(key, [d.any(alphabet) for _ in range(size)])
        if len(values) >= room:
            break

    tokens: list[int] = []
    weight: list[float] = []
    source: list[int] = []

    def write(ids: list[int], each: float, first: int = -1) -> None:
        source.extend(range(first, first + len(ids)) if first >= 0 else [-1] * len(ids))
        tokens.extend(ids)
        weight.extend([each] * len(ids))

    places: dict[tuple[int, ...], int] = {}
    for key, value in values.items():
        write([*key, *said], 0.0)
        places[key] = len(tokens)
        write(value, 0.0)
        write(ending, 0.0)
    write([int(token) for token in filler[:gap]], RANDOM_WEIGHT)
    while len(tokens) < length + 1:
        for key in d.shuffled(list(values)):
            write([*key, *asked], 0.0)
            write(values[key], CODE_WEIGHT, places[key])
            write(closing, 1.0)
    cut = slice(1, length + 1)
    return Sample(
        np.array(tokens[: length + 1], np.int32),
        np.array(weight[cut], np.float32),
        np.array(source[cut], np.int32),
        np.zeros(length, np.bool_),
    )
