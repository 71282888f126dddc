"""The two processes of the demo: one that reads and dies, one that restores and answers."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .cli_ingest import ingest
from .cli_view import used
from .demo_dialogue import DIALOGUE, FACTS, Fact
from .demo_view import DemoView
from .documents import FileMessage, read_messages
from .engine import load_engine
from .errors import HSAMemoryError
from .memory import open as open_folder
from .session import MemorySession
from .text_view import age, excerpt
from .types import Citation

SESSION = "reader"
_DAYS = 30.0
_ROLES = ("user", "assistant")


def main() -> int:
    """Run one step; its arguments come from demo.py."""
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=("ingest", "answer"))
    parser.add_argument("store", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("--book", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--kv-dtype")
    parser.add_argument("--questions", type=int, default=len(FACTS))
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    try:
        return read_and_die(args) if args.step == "ingest" else restore_and_answer(args)
    except HSAMemoryError as error:
        print(f"hsa-memory demo: {type(error).__name__}: {error}", file=sys.stderr)
        return 1


def read_and_die(args: argparse.Namespace) -> int:
    """Add the whole history, then end without closing anything."""
    messages = list(woven(args.book, now=time.time()))
    memory = open_folder(args.store, model=args.model, device=args.device, kv_dtype=args.kv_dtype)
    session = memory.session(SESSION)
    done = ingest(session, messages, total_bytes=messages[-1].end, title="reading")
    if done.interrupted:
        return 1
    report = {"messages": done.messages_added, "tokens": done.tokens, "seconds": done.seconds}
    args.report.write_text(json.dumps(report), encoding="utf-8")
    # A message acknowledged in the very last moment, to be found again after the restore.
    session.add("user", LAST_WORDS, id="last-words")
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


LAST_WORDS = "One more thing before the light goes out: good night!"


def woven(book: Path, *, now: float) -> Iterator[FileMessage]:
    """Yield the book as document messages with the dialogue at its places, spread over a month."""
    with book.open("rb") as file:
        pages = list(read_messages(file, format="text"))
    length = pages[-1].end
    waiting = list(enumerate(DIALOGUE))
    for page in [*pages, None]:
        begin = page.end if page else length + 1
        while waiting and (page is None or waiting[0][1].at * length < begin):
            number, exchange = waiting.pop(0)
            position = exchange.at * length
            for turn, text in enumerate(exchange.messages):
                name = f"talk-{number}-{turn}"
                # A minute between the messages of one exchange.
                said = _when(position / length, now) + 60.0 * turn
                yield _message(name, _ROLES[turn % 2], text, int(position), said)
        if page is not None:
            yield _message(page.id, page.role, page.content, page.end, _when(begin / length, now))


def _when(share: float, now: float) -> float:
    """Return the time at which a share of the book had been read."""
    return now - 3600.0 - (1.0 - share) * _DAYS * 86400.0


def _message(name: str, role: str, content: str, end: int, timestamp: float) -> FileMessage:
    return FileMessage(id=name, role=role, content=content, end=end, extra={"timestamp": timestamp})


def restore_and_answer(args: argparse.Namespace) -> int:
    """Open what the dead process left, and answer the questions."""
    start = time.perf_counter()
    load_engine(args.model, args.device)
    weights_seconds = time.perf_counter() - start
    # The weights are loaded once per process: what follows is the restore alone.
    start = time.perf_counter()
    with open_folder(args.store, model=args.model, device=args.device, create=False) as memory:
        with memory.session(SESSION, create=False) as session:
            session.search(FACTS[0].question)
            restore_seconds = time.perf_counter() - start
            view = DemoView(quiet=args.quiet)
            view.restored(restore_seconds, session.get("last-words") is not None)
            answers = []
            for fact in FACTS[: args.questions]:
                answers.append(_answered(session, fact))
                view.answer(answers[-1])
            stats = session.stats()
    report = {
        "weights_seconds": weights_seconds,
        "restore_seconds": restore_seconds,
        "tokens": stats.num_tokens,
        "messages": stats.num_messages,
        "bytes_per_token": stats.bytes_per_token,
        "answers": answers,
    }
    args.report.write_text(json.dumps(report), encoding="utf-8")
    return 0


def _answered(session: MemorySession, fact: Fact) -> dict[str, Any]:
    answer = session.ask(fact.question)
    return {
        "question": fact.question,
        "answer": answer.text,
        "expected": fact.expected,
        "right": is_right(answer.text, fact.expected),
        "support": answer.support,
        "citations": [_cited(c, fact) for c in used(answer.citations)],
        "prefilled_history": answer.stats.prefilled_history,
        "seconds": answer.stats.seconds,
    }


def _cited(citation: Citation, fact: Fact) -> dict[str, Any]:
    start, stop = citation.spans[0] if citation.spans else (0, 0)
    return {
        "message": citation.seq,
        "weight": citation.weight,
        "age": age(0.0, citation.age_seconds),
        "role": citation.role,
        "excerpt": excerpt(citation.text, start, stop, 70),
        "told_it": citation.text.startswith(fact.told),
    }


def is_right(answer: str, expected: str) -> bool:
    """Tell whether an answer has the expected words side by side, whatever their case."""
    words, wanted = _words(answer), _words(expected)
    places = range(len(words) - len(wanted) + 1)
    return any(words[i : i + len(wanted)] == wanted for i in places)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


if __name__ == "__main__":
    sys.exit(main())
