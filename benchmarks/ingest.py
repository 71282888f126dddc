"""Tokens per second of adding messages: text to durable, searchable memory, on all cores.

Target: 15,000 tokens/s with the bundled model on 2 cores. Beside it, what the tokenizer alone and
the model alone (lower decoder and chunk encoder, no store) would reach.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable

import torch
from _machine import Message, book_messages, finish, parser

import hsa_memory
from hsa_memory.engine import Engine, load_engine
from hsa_memory.evaluation_memory import ingest


def main() -> int:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--tokens", type=int, default=131_072)
    options.add_argument("--repeat", type=int, default=3, help="runs; the best one counts")
    args = options.parse_args()
    tokens, repeat = (4_096, 1) if args.quick else (args.tokens, args.repeat)
    engine = load_engine(args.model, "auto")
    messages = book_messages(engine.tokenizer, tokens)
    texts = [message["content"] for message in messages]
    ids = [i for t in texts for i in engine.tokenizer.encode_message("document", t)]
    stream = torch.tensor(ids)
    seconds = {
        "session.add_messages": _best(repeat, lambda: _add(args.model, messages)),
        "tokenizer alone": _best(repeat, lambda: [engine.tokenizer.encode(t) for t in texts]),
        "model alone": _best(repeat, lambda: ingest(engine, stream)),
    }
    rows = [
        (what, f"{len(ids) / taken:,.0f} tokens/s ({taken:.2f} s)")
        for what, taken in seconds.items()
    ]
    figures = {"tokens": len(ids), "messages": len(messages), "seconds": seconds}
    rows.append(
        ("session.add, one by one", f"{_one_by_one(engine, args.model, messages):,.0f} tokens/s")
    )
    finish(f"ingest of {len(ids):,} tokens in {len(messages)} messages", rows, figures, args)
    return 0


def _best(repeat: int, run: Callable[[], object]) -> float:
    """Fewest seconds of several runs: what else the machine does only ever adds to them."""
    taken = []
    for _ in range(repeat):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _add(model: str, messages: list[Message]) -> None:
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
        with hsa_memory.open(folder, model=model) as memory, memory.session("s") as session:
            session.add_messages(messages)


def _one_by_one(engine: Engine, model: str, messages: list[Message]) -> float:
    """Tokens per second of single messages, each durable before the next, of up to 100."""
    some = messages[:100]
    total = sum(len(engine.tokenizer.encode(m["content"])) + 2 for m in some)
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
        with hsa_memory.open(folder, model=model) as memory, memory.session("s") as session:
            started = time.perf_counter()
            for message in some:
                session.add(message["role"], message["content"])
            return total / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
