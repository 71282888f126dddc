"""Latency of `session.add`: until a message of a chat is durable and encoded, and until durable.

Percentiles over single short messages in a session that already holds a history.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from _machine import book_messages, finish, milliseconds, parser, percentile

import hsa_memory
from hsa_memory.storage import Layout, Store, Turn

TEXT = "By the way, the meeting with the publisher was moved to Thursday at 3:40 pm."


def main() -> int:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--history", type=int, default=32_768, help="tokens there before")
    options.add_argument("--appends", type=int, default=300)
    args = options.parse_args()
    history, appends = (1_024, 10) if args.quick else (args.history, args.appends)
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
        with hsa_memory.open(folder, model=args.model) as memory:
            with memory.session("s") as session:
                session.add_messages(book_messages(memory.tokenizer, history))
                added = _times(appends, lambda i: session.add("user", f"{TEXT} ({i})"))
            tokens = memory.tokenizer.encode_message("user", TEXT)
    stored = _store_only(np.array(tokens, np.uint32), appends)
    figures = {"session.add": added, "store only": stored}
    rows = [
        (f"{what}, p{percent}", milliseconds(percentile(times, percent)))
        for what, times in figures.items()
        for percent in (50, 99)
    ]
    finish(f"{appends} appends to a session of {history:,} tokens", rows, figures, args)
    return 0


def _times(count: int, run: Callable[[int], object]) -> list[float]:
    times = []
    for index in range(count):
        started = time.perf_counter()
        run(index)
        times.append(time.perf_counter() - started)
    return times


def _store_only(tokens: np.ndarray, appends: int) -> list[float]:
    """Appends to the store, without a model."""
    layout = Layout(
        fingerprint="0" * 64, chunk_size=64, dtype="float32", kv_bytes=256, landmark_bytes=64
    )
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
        with Store.open(folder) as store, store.session("s", layout=layout) as session:

            def append(index: int) -> None:
                turn = Turn(
                    turn_id=str(index), role="user", text=TEXT, tokens=tokens, timestamp=time.time()
                )
                session.append([turn])

            return _times(appends, append)


if __name__ == "__main__":
    sys.exit(main())
