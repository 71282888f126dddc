"""The training mixture: which tasks a sequence can be, drawn by (seed, index) alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .corpora import CHAT_SOURCES, Corpus
from .dialogue import (
    Answer,
    Dialogue,
    FactDrawer,
    Told,
    changed_dialogue,
    fact_dialogue,
)
from .dialogue_tasks import DIALOGUES
from .draw import Draw
from .history import history_sample
from .passages import Passages
from .records import records_sample
from .sample import ANSWER_WEIGHT, Piece, PieceWriter, Sample, TokenizerLike, ValueNotFound, weave
from .synthetic import (
    NUM_SPECIAL,
    RULER_TASKS,
    ask_code,
    copy_sample,
    draw_codes,
    ruler_pieces,
    say_code,
)

DEFAULT_SHARES = {
    "text": 0.10,
    "copy": 0.12,
    "records": 0.06,
    "codes": 0.12,
    "dialogue": 0.38,
    "changed": 0.06,
    "hop": 0.02,
    "who_said": 0.01,
    "several": 0.02,
    "when": 0.01,
    "niah": 0.03,
    "mq_niah": 0.04,
    "vt": 0.04,
    "qa": 0.05,
    "chat_qa": 0.03,
    "history": 0.0,
}
REPLY_WEIGHT = 0.1
UNKNOWN_SHARE = 0.09
# Samples with as many facts and questions as fit: answers are few tokens, and teach the most.
DENSE_SHARE = 0.7
FILLER_SHARES = {"books": 4.0, "wiki": 3.0, "spoken": 1.0, "chat": 3.0, "stories": 1.0, "qa": 1.0}

Batch = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32], NDArray[np.bool_]]


class Mixture:
    """Samples of all tasks, a pure function of (seed, index).

    Args:
        shares: task -> share, from the names in DEFAULT_SHARES; need not add up to 1.
        corpora: source -> Corpus, for text and haystacks.
        tokenizer: the tokenizer the corpora were tokenised with.
        length: tokens predicted in a sample.
        questions: how many of them, at its end, hold the questions of the task "history"; default:
            a quarter.
        seed: another seed gives another stream of samples.
        passages: question-answer records; None leaves the tasks "qa" and "chat_qa" out.
        split: "train", or "test" for held-out wordings and vocabulary.

    Raises:
        ValueError: for an unknown task, no corpora or a length below 128.
    """

    def __init__(
        self,
        shares: Mapping[str, float] | None,
        corpora: Mapping[str, Corpus],
        tokenizer: TokenizerLike,
        length: int,
        seed: int = 0,
        *,
        questions: int | None = None,
        passages: Passages | None = None,
        split: str = "train",
    ) -> None:
        shares = dict(DEFAULT_SHARES if shares is None else shares)
        unknown = set(shares) - set(DEFAULT_SHARES)
        if unknown:
            raise ValueError(f"unknown tasks {sorted(unknown)}; known: {sorted(DEFAULT_SHARES)}")
        if passages is None:
            shares = {k: v for k, v in shares.items() if k not in ("qa", "chat_qa")}
        if length < 128:
            raise ValueError(f"length must be at least 128, not {length}")
        self.tokenizer, self.length, self.seed, self.split = tokenizer, length, seed, split
        self.corpora, self.passages = corpora, passages
        self.questions = length // 4 if questions is None else questions
        if not 0 < self.questions < length:
            raise ValueError(f"questions must be above 0 and below {length}, not {questions}")
        self._newline = tokenizer.encode("\n")[0]
        self.sources = [name for name in FILLER_SHARES if name in corpora]
        if not self.sources:
            raise ValueError(f"corpora must hold one of {sorted(FILLER_SHARES)}")
        self.tasks = [task for task, share in shares.items() if share > 0]
        total = np.cumsum([shares[task] for task in self.tasks])
        self._bounds = total / total[-1]
        weights = np.array([FILLER_SHARES[name] for name in self.sources])
        self._source_bounds = np.cumsum(weights) / weights.sum()
        self._makers: dict[str, Callable[[Draw], Sample]] = {
            "text": self._text,
            "copy": self._copy,
            "records": self._records,
            "codes": self._codes,
            "dialogue": self._dialogue,
            "changed": self._changed,
            "qa": self._qa,
            "chat_qa": self._chat_qa,
            "history": lambda d: history_sample(self, d, self.questions),
            **{task: partial(self._task_dialogue, task) for task in DIALOGUES},
        }

    def task(self, index: int) -> str:
        """Name of the task of sample index."""
        rng = np.random.default_rng([self.seed, index])
        return self.tasks[int(np.searchsorted(self._bounds, rng.random(), side="right"))]

    def sample(self, index: int) -> Sample:
        """Sample number index."""
        rng = np.random.default_rng([self.seed, index])
        task = self.tasks[int(np.searchsorted(self._bounds, rng.random(), side="right"))]
        d = Draw(rng, self.split, self._some_text)
        while True:
            try:
                return self._makers[task](d) if task in self._makers else self._ruler(d, task)
            except ValueNotFound:
                # A rare value whose tokens merge with its surroundings: draw again.
                continue

    def batch(self, index: int, batch_size: int) -> Batch:
        """Samples index * batch_size to (index + 1) * batch_size - 1, stacked.

        Returns:
            tokens [B, L + 1] int32, weight [B, L] float32, source [B, L] int32, unique [B, L] bool.
        """
        samples = [self.sample(index * batch_size + row) for row in range(batch_size)]
        return (
            np.stack([sample.tokens for sample in samples]),
            np.stack([sample.weight for sample in samples]),
            np.stack([sample.source for sample in samples]),
            np.stack([sample.unique for sample in samples]),
        )

    def _corpus(self, rng: np.random.Generator) -> Corpus:
        chosen = int(np.searchsorted(self._source_bounds, rng.random(), side="right"))
        return self.corpora[self.sources[chosen]]

    def filler(self, rng: np.random.Generator, n: int) -> NDArray[np.int32]:
        """[n] tokens of whole messages: real conversation, or a document cut to fit."""
        corpus = self._corpus(rng)
        if corpus.name in CHAT_SOURCES:
            tokens = corpus.random_messages(rng, n)
        else:
            tokens = corpus.random_window(rng, n)
            tokens[0] = self.tokenizer.role_id("document")
        tokens[-1] = self.tokenizer.end_id
        return tokens

    def _running_text(self, rng: np.random.Generator, n: int) -> NDArray[np.int32]:
        return self._corpus(rng).random_window(rng, n)

    def _text(self, d: Draw) -> Sample:
        tokens = self._running_text(d.rng, self.length + 1)
        weight = np.ones(self.length, np.float32)
        none = np.full(self.length, -1, np.int32)
        return Sample(tokens, weight, none, np.ones(self.length, np.bool_))

    def _copy(self, d: Draw) -> Sample:
        text = self._running_text(d.rng, self.length + 1)
        random = d.chance(0.5)
        arrays = copy_sample(d.rng, self.length, self.tokenizer.vocab_size, text, random=random)
        return Sample(*arrays, np.zeros(self.length, np.bool_))

    def _records(self, d: Draw) -> Sample:
        words = NUM_SPECIAL, self.tokenizer.vocab_size
        text = self._running_text(d.rng, self.length + 1)
        return records_sample(d, self.length, self.tokenizer, words, text)

    def _codes(self, d: Draw) -> Sample:
        dense = d.chance(DENSE_SHARE)
        room = max(2, self.length // 64 if dense else min(11, self.length // 48))
        codes = draw_codes(d, room // 2 + d.below(room) if dense else 2 + d.below(room))
        role = d.any(("user", "document", "assistant"))
        placed: list[tuple[float, Piece]] = []
        for code in codes:
            time = float(d.rng.random())
            told = Told(time, [(role, say_code(d, code))], {code.key: code.value}, d.chance(0.3))
            placed.append((time, self.statement(d, told)))
            if dense or d.chance(0.6):
                asked = time + float(d.rng.random()) * (1 - time)
                placed.append((asked, self.question(ask_code(d, code), [(code.value, code.key)])))
        return self._weave(d, placed)

    def question(self, question: str, answer: Answer) -> Piece:
        """A question by the user, and its answer."""
        return PieceWriter(self.tokenizer).message("user", question).answer(answer).piece

    def statement(self, d: Draw, told: Told) -> Piece:
        """The messages of a statement, its values marked."""
        writer = PieceWriter(self.tokenizer)
        for index, (role, text) in enumerate(told.messages):
            if told.buried:
                writer.raw([self.tokenizer.role_id(role)])
                writer.raw(self.plain_text(d.rng, d.below(40)))
                writer.text(" " + text, told.values).raw(self.plain_text(d.rng, d.below(40)))
                writer.raw([self.tokenizer.end_id])
            else:
                # A reply to what was told says nothing; answering like that would be a mistake.
                weight = 1.0 if index == 0 else REPLY_WEIGHT
                writer.message(role, text, told.values if index == 0 else None, weight=weight)
        return writer.piece

    def plain_text(self, rng: np.random.Generator, n: int) -> list[int]:
        """The ids of n tokens of running text without message boundaries."""
        text = self._running_text(rng, n)
        text[text < NUM_SPECIAL] = self._newline
        return [int(token) for token in text]

    def _some_text(self, rng: np.random.Generator) -> str:
        return self.tokenizer.decode(self.plain_text(rng, 40), errors="ignore")

    def _weave(self, d: Draw, placed: list[tuple[float, Piece]]) -> Sample:
        """Lay pieces out by time; what does not fit is left out."""
        budget = int(self.length * (0.35 + 0.6 * d.rng.random()))
        kept = [piece for _, piece in sorted(placed, key=lambda item: item[0])]
        excess = sum(len(piece) for piece in kept) - budget
        while excess > 0:
            dropped = _least_needed(d, kept)
            excess -= len(dropped)
            kept.remove(dropped)
        return weave(d.rng, [(kept, self.length + 1)], self.filler)

    def _place(self, d: Draw, dialogue: Dialogue) -> list[tuple[float, Piece]]:
        placed = [(told.time, self.statement(d, told)) for told in dialogue.told]
        placed.extend(
            (asked.time, self.question(asked.question, asked.answer)) for asked in dialogue.asked
        )
        return placed

    def _dialogue(self, d: Draw) -> Sample:
        room = max(2, self.length // 64)
        facts, questions = 1 + d.below(room), 2 + d.below(6)
        if d.chance(DENSE_SHARE):
            facts, questions = room // 2 + d.below(room // 2 + 1), room // 2 + d.below(room)
        dialogue = fact_dialogue(d, facts, questions, UNKNOWN_SHARE)
        return self._weave(d, self._place(d, dialogue))

    def _changed(self, d: Draw) -> Sample:
        return self._weave(d, self._place(d, changed_dialogue(d, d.below(4))))

    def _task_dialogue(self, task: str, d: Draw) -> Sample:
        return self._weave(d, self._place(d, DIALOGUES[task](FactDrawer(d), 1 + d.below(4))))

    def _ruler(self, d: Draw, task: str) -> Sample:
        needles, question = ruler_pieces(self.tokenizer, RULER_TASKS[task](d))
        body = self.length + 1 - len(question)
        text_length = body - sum(len(needle) for needle in needles)
        # A boundary inside the haystack would end the document before its question.
        text = [self.tokenizer.role_id("document"), *self.plain_text(d.rng, text_length)]
        cuts = np.sort(d.rng.integers(1, text_length + 1, len(needles)))
        pieces: list[Piece] = []
        before = 0
        for cut, needle in zip(cuts.tolist(), needles, strict=True):
            pieces += [Piece(text[before:cut], [1.0] * (cut - before)), needle]
            before = cut
        pieces.append(Piece(text[before:text_length], [1.0] * (text_length - before)))
        return weave(d.rng, [([*pieces, question], self.length + 1)], self.filler)

    def _qa(self, d: Draw) -> Sample:
        assert self.passages is not None
        return self._weave(d, self.passages.document(d, self.tokenizer, self.length))

    def _chat_qa(self, d: Draw) -> Sample:
        assert self.passages is not None
        return self._weave(d, self.passages.conversation(d, self.tokenizer, self.length))


def _least_needed(d: Draw, pieces: list[Piece]) -> Piece:
    """A statement nobody asks for, or else a question."""
    needed = {copy.key for piece in pieces for copy in piece.copies}
    idle = [piece for piece in pieces if piece.marks and not needed & set(piece.marks)]
    return d.any(idle or [piece for piece in pieces if not piece.marks] or pieces)


def open_passages(data_dir: Path) -> Passages:
    """The question-answer records of a corpus folder."""
    return Passages.read(data_dir)


__all__ = ["ANSWER_WEIGHT", "DEFAULT_SHARES", "Mixture", "open_passages"]
