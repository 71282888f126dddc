"""Questions and answers that become part of the history they were asked of."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

from .types import AddResult, Answer


class Remembering:
    """Adds one question with its answer.

    Args:
        add: adds messages to the session.
    """

    def __init__(self, add: Callable[[list[dict[str, str]]], AddResult]) -> None:
        self._add = add
        self._told: tuple[str, ...] = ()

    def remember(self, question: str, text: str) -> int:
        """Add both, an empty answer left out; returns the tokens that were encoded."""
        messages = [{"role": "user", "content": question}]
        if text:
            messages.append({"role": "assistant", "content": text})
        added = self._add(messages)
        self._told = added.diagnostics
        return added.stats.tokens_ingested

    def told_after(self, pieces: Generator[str, None, Answer]) -> Generator[str, None, Answer]:
        """Yield the pieces of an answer; its diagnostics end with those of adding it."""
        done = yield from pieces
        return replace(done, diagnostics=(*done.diagnostics, *self._told))
