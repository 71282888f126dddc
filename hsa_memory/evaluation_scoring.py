"""Asking one question of a held history, and what counts as right."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from time import perf_counter

import torch
from torch import Tensor

from hsa_memory.model import Output, State
from hsa_memory.model.generate import Step, generate
from hsa_memory.model.tokenizer import SPECIAL_TOKENS
from hsa_memory.model.training.phrasing import UNKNOWN

from .engine import Engine
from .evaluation_haystack import Haystack, Placed
from .evaluation_memory import search

# Longest answer that is generated; right ones are much shorter.
MAX_TOKENS = 64
SEARCH_DEPTHS = (1, 5, 10)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one question."""

    kind: str
    place: float | None
    """Where the answer was put, as a share of the history; None: it was never told."""
    position: int
    """Stream position of the answer; -1 if it was never told."""
    question: str
    expected: str
    answer: str
    exact: bool
    """The generated text is the expected one; `same` says how they are compared."""
    forced: bool
    """Each token of the expected answer is the best one after those before it."""
    refused: bool
    """The answer says that it was never told."""
    retrieved: bool | None
    """The chunk where the answer begins was among those chosen for the first answer token, in any
    HSA layer and retrieval head; None if it was never told."""
    rank: int | None
    """Place, from 1, of the message that tells the answer among the hits of a search; 0 if it is
    not among the first ten, None if there was nothing to search for."""
    seconds: float
    """For the free answer."""


def normalize(text: str) -> str:
    """Return the text as it is compared: runs of white space as one space, none at the ends, lower
    case, without one full stop at the end. Nothing else is forgiven."""
    return " ".join(text.split()).casefold().removesuffix(".")


def same(answer: str, expected: str) -> bool:
    """Tell whether an answer counts as exact."""
    return normalize(answer) == normalize(expected)


class Asker:
    """Asks questions of one history, each on a fork: none leaves anything behind.

    Args:
        engine: the model.
        haystack: the history.
        state: after the history, which ends inside a document.
        alone: hide what the other questions are about while one is asked.
    """

    def __init__(
        self, engine: Engine, haystack: Haystack, state: State, *, alone: bool = False
    ) -> None:
        self._engine = engine
        self._hide_others = alone
        self._haystack = haystack
        self._inside = state
        end = torch.tensor([[engine.tokenizer.end_id]], device=engine.device)
        with torch.inference_mode():
            self._after = engine.model.ingest(end, state)
        self._forbidden = [i for i in range(len(SPECIAL_TOKENS)) if i != engine.tokenizer.end_id]

    def ask(self, placed: Placed) -> Outcome:
        """Answer a question freely and under teacher forcing, and search for its answer."""
        item, tokenizer = placed.item, self._engine.tokenizer
        state, prompt = self._start(placed)
        started = perf_counter()
        steps = self._generate(prompt, state)
        seconds = perf_counter() - started
        tokens = [step.token for step in steps]
        answer = tokenizer.decode(tokens, errors="replace").strip()
        expected = self._expected(placed)
        return Outcome(
            kind=item.kind,
            place=placed.place,
            position=placed.position,
            question=item.question,
            expected=item.answer,
            answer=answer,
            exact=same(answer, item.answer),
            forced=tokens == expected or self._forced(prompt, expected, state),
            refused=same(answer, UNKNOWN),
            retrieved=self._retrieved(steps[0], placed),
            rank=self._rank(placed, state, prompt),
            seconds=seconds,
        )

    def _start(self, placed: Placed) -> tuple[State, list[int]]:
        """The state a question starts from, and its tokens."""
        item, encode = placed.item, self._engine.tokenizer.encode
        state = self._inside if item.raw else self._after
        prompt = encode(item.question) if item.raw else self._engine.question(item.question)
        others = [other for other in self._haystack.placed if other is not placed]
        if not self._hide_others:
            # Magic numbers without a key all answer the same question.
            others = [o for o in others if item.kind == o.item.kind == "niah"]
        return self._without(others, placed, state), prompt

    def _without(self, others: list[Placed], placed: Placed, state: State) -> State:
        """The state without the chunks of other questions' statements."""
        if not others:
            return state
        count, device = state.memory.num_source_chunks, self._engine.device
        mask = torch.ones(count, dtype=torch.bool, device=device)
        for other in others:
            mask[self._chunks(other)] = False
        mask[self._chunks(placed)] = True
        return replace(state, memory=replace(state.memory, mask=mask))

    def _chunks(self, placed: Placed) -> Tensor:
        """Finished chunks [n] that hold a token of the statements of a question, or whose encoding
        has looked at one."""
        config, count = self._engine.config, self._inside.memory.num_source_chunks
        ids = [
            i
            for low, high in placed.ranges
            for i in range(config.first_chunk(low), min((high - 1) // config.chunk_size + 1, count))
        ]
        return torch.tensor(ids, dtype=torch.long, device=self._engine.device)

    def _generate(self, prompt: list[int], state: State) -> list[Step]:
        def forward(tokens: Tensor, state: State) -> Output:
            output: Output = self._engine.model(tokens, state, last_only=True)
            return output

        end = self._engine.tokenizer.end_id
        return list(
            generate(
                forward,
                prompt,
                state,
                max_tokens=MAX_TOKENS,
                stop=end,
                forbidden=self._forbidden,
            )
        )

    def logits(self, placed: Placed) -> Tensor:
        """Logits [tokens, vocabulary] of the expected answer's tokens, its end included, each after
        the right ones before it."""
        state, prompt = self._start(placed)
        return self._logits(prompt, self._expected(placed), state)

    def _expected(self, placed: Placed) -> list[int]:
        tokenizer = self._engine.tokenizer
        return [*tokenizer.encode(" " + placed.item.answer), tokenizer.end_id]

    @torch.inference_mode()
    def _logits(self, prompt: list[int], expected: list[int], state: State) -> Tensor:
        tokens = torch.tensor([[*prompt, *expected[:-1]]], device=self._engine.device)
        logits: Tensor = self._engine.model(tokens, state).logits[0, len(prompt) - 1 :]
        return logits

    @torch.inference_mode()
    def _forced(self, prompt: list[int], expected: list[int], state: State) -> bool:
        logits = self._logits(prompt, expected, state).cpu()
        logits[:, self._forbidden] = float("-inf")
        return bool((logits.argmax(-1) == torch.tensor(expected)).all())

    def _retrieved(self, step: Step, placed: Placed) -> bool | None:
        if placed.position < 0:
            return None
        chunk = placed.position // self._engine.config.chunk_size
        return any(bool((trace.indices == chunk).any()) for trace in step.traces)

    def _rank(self, placed: Placed, state: State, prompt: list[int]) -> int | None:
        if placed.position < 0 or placed.item.raw:
            return None
        most = SEARCH_DEPTHS[-1]
        seqs = search(self._engine, state, self._haystack.turns, prompt, most)[:most]
        return seqs.index(placed.turn) + 1 if placed.turn in seqs else 0


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """A share of successes with its 95% confidence interval (Wilson)."""

    successes: int
    count: int

    @property
    def share(self) -> float:
        """Successes per try; NaN without a try."""
        return self.successes / self.count if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound."""
        if not self.count:
            return 0.0, 1.0
        z, n, p = 1.959964, self.count, self.share
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)
