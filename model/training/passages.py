"""Question-answer records of the corpora whose answers are copied out of the text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .corpora import Message, read_records, record_messages
from .draw import Draw
from .sample import Piece, PieceWriter, TokenizerLike, ValueNotFound

MAX_ANSWER = 40


@dataclass
class Passage:
    """Messages and the questions that they answer verbatim."""

    messages: list[Message]
    questions: list[tuple[str, str, int]]
    """(question, answer, index of the message that holds the answer)"""


def _passage(record: dict[str, object], messages: list[Message]) -> Passage | None:
    questions = []
    for pair in record.get("qas") or []:  # type: ignore[attr-defined]
        answer = pair["a"].strip()
        # Of a value said more than once the last message is the one that counts.
        holders = [i for i, (_, text) in enumerate(messages) if f" {answer}" in text]
        if holders and 0 < len(answer) <= MAX_ANSWER:
            questions.append((pair["q"].strip(), answer, holders[-1]))
    return Passage(messages, questions) if questions else None


class Passages:
    """Documents and conversations with questions about them."""

    def __init__(self, documents: list[Passage], conversations: list[Passage]) -> None:
        self.documents = documents
        self.conversations = conversations

    @classmethod
    def read(cls, data_dir: Path, *, max_records: int = 12_000) -> Passages:
        """Read up to max_records of qa.jsonl.xz and chat.jsonl.xz; missing files are left out."""
        found: dict[str, list[Passage]] = {"qa": [], "chat": []}
        for name, passages in found.items():
            path = data_dir / f"{name}.jsonl.xz"
            for record in read_records(path) if path.exists() else ():
                passage = _passage(record, record_messages(record))
                if passage and len(passages) < max_records:
                    passages.append(passage)
        return cls(found["qa"], found["chat"])

    def document(self, d: Draw, tokenizer: TokenizerLike, length: int) -> list[tuple[float, Piece]]:
        """A passage as a document early on, and questions about it later."""
        return self._pieces(d, tokenizer, self.documents, length)

    def conversation(
        self, d: Draw, tokenizer: TokenizerLike, length: int
    ) -> list[tuple[float, Piece]]:
        """A conversation early on, and questions about what was said in it later."""
        return self._pieces(d, tokenizer, self.conversations, length)

    def _pieces(
        self, d: Draw, tokenizer: TokenizerLike, passages: list[Passage], length: int
    ) -> list[tuple[float, Piece]]:
        if not passages:
            raise ValueNotFound("no question-answer records of this kind")
        passage = d.any(passages)
        chosen = d.shuffled(passage.questions)[: 1 + d.below(4)]
        writer = PieceWriter(tokenizer)
        for index, (role, text) in enumerate(passage.messages):
            values = {answer: answer for _, answer, holder in chosen if holder == index}
            writer.message(role, text, values)
        if len(writer.piece) > 0.7 * length:
            raise ValueNotFound("the passage is too long for the sample")
        placed = [(0.0, writer.piece)]
        for question, answer, _ in chosen:
            asked = PieceWriter(tokenizer).message("user", question)
            placed.append((float(d.rng.random()), asked.answer([(answer, answer)]).piece))
        return placed
