"""Other ways to find the message that answers a question."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

import torch
from _encoder import SentenceEncoder

_WORD = re.compile(r"\w+")
_NOT_FOUND = float("-inf")


class BM25:
    """SQLite's full-text search (FTS5), words reduced to their stems.

    Args:
        messages: texts, each numbered by its place.
    """

    def __init__(self, messages: Sequence[str]) -> None:
        self._database = sqlite3.connect(":memory:")
        self._database.execute(
            "CREATE VIRTUAL TABLE message USING fts5(text, tokenize='porter unicode61')"
        )
        self._database.executemany(
            "INSERT INTO message (rowid, text) VALUES (?, ?)", enumerate(messages)
        )

    def search(self, question: str, k: int) -> list[int]:
        """Return the numbers of the best `k` messages that have a word of the question."""
        # Any of the words; rare ones weigh most, so that no list of words to ignore is needed.
        words = dict.fromkeys(_WORD.findall(question.casefold()))
        if not words:
            return []
        found = self._database.execute(
            "SELECT rowid FROM message WHERE message MATCH ? ORDER BY bm25(message), rowid LIMIT ?",
            (" OR ".join(f'"{word}"' for word in words), k),
        )
        return [int(row[0]) for row in found]

    def close(self) -> None:
        """Give the memory back."""
        self._database.close()


class ByMeaning:
    """Nearest vectors of a sentence encoder; a message counts by its best passage.

    Args:
        messages: texts, each numbered by its place.
        encoder: of messages and questions.
    """

    def __init__(self, messages: Sequence[str], encoder: SentenceEncoder) -> None:
        self._encoder = encoder
        passages = [
            (seq, tuple(ids)) for seq, text in enumerate(messages) for ids in encoder.passages(text)
        ]
        # A text that repeats itself is read once.
        different = {ids: place for place, ids in enumerate(dict.fromkeys(p for _, p in passages))}
        vectors = encoder.encode(list(different))
        self._vectors = vectors[torch.tensor([different[ids] for _, ids in passages])]
        self._messages = torch.tensor([seq for seq, _ in passages])
        self._count = len(messages)

    def search(self, question: str, k: int) -> list[int]:
        """Return the numbers of the best `k` messages."""
        query = self._encoder.encode(self._encoder.passages(question)[:1])[0]
        scores = torch.full((self._count,), _NOT_FOUND)
        scores.scatter_reduce_(0, self._messages, self._vectors @ query, "amax")
        best = scores.argsort(descending=True, stable=True)[:k]
        return [int(seq) for seq in best]
