"""Wordings that nobody wrote: words left out, and words of real text put in.

However many templates there are, a model can learn them by heart. What it has to hold on to is
whom and what a sentence is about; here that is all that stays the same.
"""

from __future__ import annotations

from .draw import Draw

# May go from anywhere: they decide neither what is asked nor which of two values counts.
FUNCTION_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "am",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "to",
        "of",
        "in",
        "on",
        "at",
        "for",
        "with",
        "by",
        "and",
        "so",
        "that",
        "this",
        "it",
        "its",
        "there",
        "you",
        "me",
        "i",
        "we",
        "please",
        "just",
        "can",
        "could",
        "would",
        "will",
        "shall",
        "should",
        "tell",
        "know",
        "remember",
        "say",
        "said",
        "told",
        "mention",
        "mentioned",
        "remind",
        "again",
        "which",
        "what",
        "who",
        "where",
        "how",
    ]
)
DROP = 0.2
INSERT = 0.5
# What may stand right before a value, after words that say nothing of it.
JOINTS = (" is", " =", ":", " ->", " was", " as", " to", " gives", " has", ",", "")


def blur(d: Draw, text: str, value: str = "") -> str:
    """Leave out some function words and put in a few of real text, neither inside the value."""
    if not value:
        return _blur(d, text)
    before, found, after = text.partition(" " + value)
    return _blur(d, before) + found + (_blur(d, after) if " " in after else after)


def any_statement(d: Draw, key: str, value: str) -> str:
    """Key and value among words that do not say what they have to do with each other."""
    words = [_words(d, 4), key, _words(d, 3)]
    said = " ".join(word for word in words if word) + d.any(JOINTS)
    return f"{said} {value}{d.any(('.', '', ',', ';'))} {_words(d, 3)}".strip()


def any_question(d: Draw, key: str) -> str:
    """A key among words that ask for nothing."""
    return " ".join(word for word in (_words(d, 4), key, _words(d, 4)) if word) + d.any("?.")


def _words(d: Draw, most: int) -> str:
    """Up to `most` words of running text."""
    found: list[str] = []
    for _ in range(d.below(most + 1)):
        found += (d.maybe_words(1.0) or "").split()
    return " ".join(found[:most])


def _blur(d: Draw, text: str) -> str:
    kept = [
        word
        for index, word in enumerate(text.split(" "))
        # The first word may be the space before it.
        if not index or word.lower() not in FUNCTION_WORDS or not d.chance(DROP)
    ]
    if d.chance(INSERT) and (words := d.maybe_words(1.0)):
        kept.insert(1 + d.below(len(kept)), words)
    return " ".join(kept)
