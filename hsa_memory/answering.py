"""Answers: generation with the whole history in reach, and what they rest on."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from time import perf_counter, time

import torch
from torch import Tensor

from hsa_memory.model import Tokenizer
from hsa_memory.model.generate import Step, generate, score
from hsa_memory.model.tokenizer import SPECIAL_TOKENS

from .boundary import public_errors
from .errors import HSAMemoryError, SessionClosed
from .excerpts import fork_of_excerpts
from .filters import Filter, Metadata
from .fork import Fork, Source
from .messages import as_message
from .provenance import Share, attention_in_chunks, attribute, char_spans
from .threads import threads_for
from .types import Answer, Citation

# A citation of less weight than this says nothing; random attention over many chunks is full of it.
_MIN_WEIGHT = 0.005


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked, and how to answer."""

    question: str
    max_tokens: int
    temperature: float
    seed: int | None
    filter: Filter
    remember: Callable[[str, str], int] | None = None
    """Adds question and answer to the history; returns the tokens that were encoded."""


class AnswerStream(Iterator[str]):
    """The pieces of an answer as they are generated; joined they are its text."""

    def __init__(self, pieces: Generator[str, None, Answer]) -> None:
        self._pieces = pieces
        self._answer: Answer | None = None
        self._failure: HSAMemoryError | None = None

    def __next__(self) -> str:
        try:
            with public_errors():
                return next(self._pieces)
        except StopIteration as stop:
            if stop.value is not None:
                self._answer = stop.value
            raise
        except HSAMemoryError as failure:
            self._failure = failure
            raise

    @property
    def answer(self) -> Answer:
        """The whole answer; what has not been generated yet is generated now.

        Raises:
            SessionClosed: the stream was closed or interrupted before its answer was complete.
            HSAMemoryError: what stopped the stream when it was iterated over.
        """
        for _ in self:
            pass
        if self._failure is not None:
            raise self._failure
        if self._answer is None:
            raise SessionClosed("the stream was closed, or stopped, before its answer was complete")
        return self._answer

    def close(self) -> None:
        """Stop generating; there will be no answer."""
        self._pieces.close()


def answer(source: Source, metadata: Metadata, request: Request) -> Generator[str, None, Answer]:
    """Yield the pieces of the answer and return it whole."""
    started = perf_counter()
    fork = Fork.of_history(source)
    engine = fork.engine
    prompt = engine.question(request.question)
    if not request.filter.is_open:
        fork = fork_of_excerpts(source, fork, prompt, request.filter, metadata)
    text, steps = _Text(), []
    for step in generate(
        fork.forward,
        [*fork.padding(), *prompt],
        fork.state,
        max_tokens=request.max_tokens,
        stop=engine.tokenizer.end_id,
        forbidden=_forbidden(engine.tokenizer),
        temperature=request.temperature,
        seed=request.seed,
    ):
        steps.append(step)
        if piece := text.feed(engine.tokenizer.decode_bytes([step.token])):
            yield piece
    if piece := text.finish():
        yield piece
    done = Answer(
        question=request.question,
        text=text.whole,
        citations=cite(fork, steps),
        support=support(fork, prompt, steps),
        finish_reason="end" if steps[-1].token == engine.tokenizer.end_id else "length",
        stats=fork.stats(0.0, prompt=len(prompt), generated=len(steps)),
        diagnostics=fork.finish(),
    )
    ingested = request.remember(request.question, text.whole) if request.remember else 0
    stats = replace(
        done.stats,
        tokens_ingested=done.stats.tokens_ingested + ingested,
        seconds=perf_counter() - started,
    )
    return replace(done, stats=stats)


def _forbidden(tokenizer: Tokenizer) -> list[int]:
    """Special tokens, which have no place inside a message, but for its end."""
    return [i for i in range(len(SPECIAL_TOKENS)) if i != tokenizer.end_id]


@threads_for()
@torch.inference_mode()
def cite(fork: Fork, steps: list[Step]) -> tuple[Citation, ...]:
    """Return the messages that the HSA layers attended to while they answered.

    Each HSA layer spreads one unit of attention per answer token over its chosen chunks (fusion
    weights) and within them over tokens (in-chunk softmax); a message's weight is the share of all
    units that fell on its tokens.
    """
    masses: dict[int, Tensor] = {}
    units = sum(len(step.traces) for step in steps)
    for step in steps:
        for trace in step.traces:
            _, _, heads, _ = trace.indices.shape
            kv, local = fork.gather(step.state.memory, trace.indices)
            attention = attention_in_chunks(trace.attention_query[0, 0], kv.k[0])  # [G, N, S]
            attention = attention.cpu()
            found = (x[0, 0].tolist() for x in (trace.indices, local, trace.weights))
            for r, row in enumerate(zip(*found, strict=True)):
                for chunk, place, weight in zip(*row, strict=True):
                    if place >= 0:
                        mass = attention[r, place] * (weight / heads / units)
                        masses[chunk] = masses[chunk] + mass if chunk in masses else mass
    known = {c: m for c, m in masses.items() if c * fork.engine.config.chunk_size < fork.num_tokens}
    size = fork.engine.config.chunk_size
    shares = attribute(known, size, fork.locate, lambda turn: not turn.forgotten)
    now = time()
    return tuple(_citation(fork, share, now) for share in shares if share.weight >= _MIN_WEIGHT)


def _citation(fork: Fork, share: Share, now: float) -> Citation:
    return Citation(
        message=as_message(share.turn),
        weight=share.weight,
        spans=char_spans(fork.engine, share),
        chunk_ids=tuple(share.chunk_ids),
        age_seconds=now - share.turn.timestamp,
    )


@threads_for()
def support(fork: Fork, prompt: list[int], steps: list[Step]) -> float:
    """Return how much the history backs the answer; `Answer.support` says what that means."""
    if not fork.num_tokens:
        return 0.0
    model = fork.engine.model
    tokens = [step.token for step in steps]
    forbidden = _forbidden(fork.engine.tokenizer)
    without = float(score(model, prompt, tokens, model.start(1), forbidden=forbidden).mean())
    given = sum(step.log_probability for step in steps) / len(steps)
    return max(0.0, 1.0 - math.exp(min(0.0, without - given)))


class _Text:
    """Bytes to text, piece by piece, without white space at either end."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.whole = ""
        """What was handed out so far."""

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """Return the text that is certain after these bytes."""
        text = self._held + self._decoder.decode(data, final)
        if not self.whole:
            text = text.lstrip()
        piece = text.rstrip()
        self._held = text[len(piece) :]
        self.whole += piece
        return piece

    def finish(self) -> str:
        """Return what an incomplete character at the end becomes."""
        return self.feed(b"", final=True)
