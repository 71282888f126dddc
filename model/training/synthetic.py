"""Artificial tasks: copying, codes by key, and the RULER formats of the paper's evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from . import code_frames as cf
from . import words as w
from .draw import Draw
from .sample import RANDOM_WEIGHT, Copy, Piece, PieceWriter, TokenizerLike
from .values import GENERATORS
from .values_base import FIRST, made_up, stuttered

NUM_SPECIAL = 8

SAY_CODE = (
    "The code for {k} is {v}.",
    "Remember: the code for {k} is {v}.",
    "{k} has the code {v}.",
    "For {k}, use the code {v}.",
    "The secret code of {k} is {v}.",
    "Note that {k} opens with {v}.",
    "If anyone asks, the code for {k} is {v}.",
    "They set the code for {k} to {v}.",
    "The value of {k} is {v}.",
    "{k} stands for {v}.",
    "Write down {v} for {k}.",
    "The answer for {k} is {v}.",
    "To get into {k}, you need {v}.",
    "{k} is linked to {v}.",
    "One should know that {k} goes with {v}.",
    "The password of {k} is {v}.",
    "The number that belongs to {k} is {v}.",
    "{k} was given the code {v}.",
    "{k}: {v}.",
    "The magic number of {k} is {v}.",
    "The registered code of {k} is {v}.",
    "It says here that {k} has {v} as its code.",
    "Use {v} whenever you deal with {k}.",
    "The key for {k} reads {v}.",
    "The special code for {k} is {v}.",
    "Enter {v} to unlock {k}.",
    *cf.SAY,
)
ASK_CODE = (
    "What is the code for {k}?",
    "Which code belongs to {k}?",
    "Tell me the code for {k}.",
    "What code does {k} have?",
    "I need the code for {k}.",
    "What was the code for {k}?",
    "Do you remember the code for {k}?",
    "Please give me the code of {k}.",
    "{k}?",
    "What goes with {k}?",
    "What is the code of {k}?",
    "Which code did {k} get?",
    "What does the text say about {k}?",
    "What is linked to {k}?",
    "Find the code for {k}.",
    "What is the value of {k}?",
    "Can you tell me what belongs to {k}?",
    "What is {k} set to?",
    "Look up {k}.",
    "How do I unlock {k}?",
    "I forgot the code for {k}.",
    "The code for {k}?",
    "Which code is the one for {k}?",
    "What do I enter for {k}?",
    "Give me what {k} stands for.",
    *cf.ASK,
)


@dataclass
class Code:
    """A key and its code."""

    key: str
    value: str
    word: str = "code"
    """What the value is called: code, password, number."""


def draw_codes(d: Draw, count: int) -> list[Code]:
    """Codes with different values and keys, of which none is part of another."""
    codes: dict[str, Code] = {}
    values: set[str] = set()
    taken: set[frozenset[str]] = set()
    parts: set[frozenset[str]] = set()
    kinds = "secret", "secret", "secret", "code", "alnum", "phrase"
    while len(codes) < count:
        key, value = _key(d), d.maybe_words(0.15) or GENERATORS[d.any(kinds)](d)
        words = frozenset(key.lower().removeprefix("the ").split())
        subsets = {
            frozenset(some) for n in range(1, len(words) + 1) for some in combinations(words, n)
        }
        if value in values or words in parts or not taken.isdisjoint(subsets):
            continue
        values.add(value)
        taken.add(words)
        parts |= subsets
        codes[key] = Code(key, value, d.pick(_words_for(value)))
    return list(codes.values())


def _key(d: Draw) -> str:
    """A key: adjective and noun, name, letters, project, room, machine, file, possession."""
    if words := d.maybe_words(0.1):
        return d.any(("", "the ")) + words
    style = d.below(14)
    noun, number = d.pick(w.NOUNS), 1 + d.below(400)
    if style < 3:
        return f"the {d.pick(w.ADJECTIVES)} {noun}"
    if style < 5:
        return made_up(d)
    if style == 5:
        return "".join(d.any(w.LETTERS) for _ in range(3 + d.below(4)))
    if style == 6:
        return f"{d.any(cf.PROJECT_KINDS)} {d.any((noun.capitalize(), made_up(d)))}"
    if style == 7:
        return d.any(
            (
                f"{d.any(cf.ROOM_KINDS)} {number}",
                f"{d.any(cf.ROOM_KINDS)} {number}{d.any('BCDEF')}",
                f"the {d.any(cf.SIDES)} {d.any(cf.PLACES)}",
                f"the {d.pick(w.ADJECTIVES)} {d.any(cf.PLACES)}",
            )
        )
    if style == 8:
        return d.pick(w.CITIES)
    if style == 9:
        return f"{FIRST(d)}'s {d.any(cf.OWNED)}"
    if style == 10:
        return d.any((f"{noun}.{d.any(cf.ENDINGS)}", f"{d.pick(w.ADJECTIVES)}_{noun}.csv"))
    if style == 11:
        return f"{d.any(cf.HOSTS)}-{d.any((f'{number:02d}', noun))}"
    if style == 12:
        return d.any((f"the {noun}", noun))
    return f"the {d.pick(w.ADJECTIVES)} {d.pick(w.NOUNS)} {noun}"


def _words_for(value: str) -> tuple[str, ...]:
    if value.isdigit():
        return cf.ANY_WORDS + cf.NUMBER_WORDS
    return cf.ANY_WORDS + cf.WORD_WORDS if value.replace(" ", "").isalpha() else cf.ANY_WORDS


def say_code(d: Draw, code: Code) -> str:
    """A sentence that tells a code."""
    text = _with(d.pick(SAY_CODE), code, code.word).replace("{v}", code.value)
    return text if d.chance(0.05) else text[0].upper() + text[1:]


def ask_code(d: Draw, code: Code) -> str:
    """A question for a code, now and then by another word for it."""
    return _with(d.pick(ASK_CODE), code, "code" if d.chance(0.15) else code.word)


def _with(template: str, code: Code, word: str) -> str:
    return template.replace("{k}", code.key).replace("{w}", word)


def copy_sample(
    rng: np.random.Generator, length: int, vocab_size: int, text: NDArray[np.int32], *, random: bool
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
    """A passage, some text, and the passage again.

    Args:
        rng: random generator.
        length: L of the sample.
        vocab_size: random tokens are drawn from the ids below it.
        text: [length + 1] tokens of running text.
        random: the passage is random tokens rather than text.

    Returns:
        tokens [L + 1], weight [L], source [L] as in Sample.
    """
    span = int(rng.integers(length // 6, length // 2))
    first = int(rng.integers(0, length + 1 - 2 * span))
    second = int(rng.integers(first + span, length + 2 - span))
    tokens = text.copy()
    weight = np.ones(length + 1, np.float32)
    if random:
        tokens[first : first + span] = rng.integers(NUM_SPECIAL, vocab_size, span)
        weight[first : first + span] = RANDOM_WEIGHT
    tokens[second : second + span] = tokens[first : first + span]
    source = np.full(length + 1, -1, np.int32)
    source[second : second + span] = np.arange(first, first + span)
    # Nothing says where the copy begins, so its first token is not one to retrieve.
    source[second] = -1
    return tokens, weight[1:], source[1:]


def _letters(d: Draw, count: int) -> str:
    return d.until_split(lambda: "".join(d.any(w.LETTERS) for _ in range(count)))


def _number(d: Draw, count: int) -> str:
    return d.until_split(lambda: stuttered(d, str(d.rng.integers(10 ** (count - 1), 10**count))))


@dataclass
class Ruler:
    """A RULER question: needles to hide, and what to ask at the end."""

    needles: list[tuple[str, dict[str, str]]]
    """(text, mark key -> value in it)"""
    question: str
    answer: list[tuple[str, str]]
    """(text with its leading separator, mark key)"""


def niah(d: Draw) -> Ruler:
    """One magic number."""
    value = _number(d, 8)
    text = f" |One of the special magic numbers for long-context is: {value}|"
    question = (
        " What is the special magic number for long-context mentioned in the provided text? Answer:"
    )
    return Ruler([(text, {"0": value})], question, [(f" {value}", "0")])


def mq_niah(d: Draw, num_pairs: int = 6) -> Ruler:
    """Magic numbers of several keys, two of which are asked for."""
    keys: list[str] = []
    values: list[str] = []
    while len(keys) < num_pairs:
        key, value = _letters(d, 5), _number(d, 6)
        if key not in keys and value not in values:
            keys.append(key)
            values.append(value)
    needles = [
        (f"| One of the special magic numbers for {key} is {value}.|", {key: value})
        for key, value in zip(keys, values, strict=True)
    ]
    one, two = d.shuffled(range(num_pairs))[:2]
    question = (
        f" What are all the special magic numbers for {keys[one]} and {keys[two]} mentioned in the"
        " provided text?. Answer:"
    )
    answer = [(f" {values[one]}", keys[one]), (f" {values[two]}", keys[two])]
    return Ruler(d.shuffled(needles), question, answer)


def variable_tracking(d: Draw, num_chains: int = 2, hops: int = 2) -> Ruler:
    """Chains of assignments; all variables of one value are asked for."""
    chains = []
    for _ in range(num_chains):
        chains.append((_number(d, 8), [_letters(d, 5) for _ in range(hops + 1)]))
    needles = []
    for value, names in chains:
        needles.append((f"|VAR {names[0]} = {value}|", {names[0]: names[0]}))
        needles.extend(
            (f"|VAR {name} = {before}|", {name: name})
            for before, name in zip(names, names[1:], strict=False)
        )
    value, names = chains[0]
    question = f" Find all variables that are assigned the value {value}. Answer:"
    answer = [(f"{',' if index else ''} {name}", name) for index, name in enumerate(names)]
    return Ruler(d.shuffled(needles), question, answer)


RULER_TASKS = {"niah": niah, "mq_niah": mq_niah, "vt": variable_tracking}


def ruler_pieces(tokenizer: TokenizerLike, ruler: Ruler) -> tuple[list[Piece], Piece]:
    """Needle pieces, and the piece of question and answer that ends the text."""
    needles = [
        PieceWriter(tokenizer).text(text, values, value_weight=RANDOM_WEIGHT).piece
        for text, values in ruler.needles
    ]
    writer = PieceWriter(tokenizer).text(ruler.question)
    for text, key in ruler.answer:
        ids = tokenizer.encode(text)
        value = tokenizer.encode(" " + text.strip(", "))
        start = len(writer.piece) + len(ids) - len(value)
        writer.piece.copies.append(Copy(start, value, key))
        writer.raw(ids, 3.0)
    writer.raw([tokenizer.end_id], 3.0)
    return needles, writer.piece
