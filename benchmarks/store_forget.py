"""Forgetting one message in the middle of sessions of several lengths.

Target: under 2 s in a session of 1M tokens, at a cost that does not grow with the session. It is
the time of `session.forget`: the message leaves the database, the chunks that it reached are wiped,
encoded anew by the model and written, and the log is emptied. The sessions have the model's layout
and tokens of the demo's book; the chunks that nobody forgets hold random bytes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from _machine import finish, milliseconds, parser
from _store import fill, folder_with_room, load_layout, summary

import hsa_memory
from hsa_memory.storage import Store


def main() -> int:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument(
        "--tokens", default="16384,131072,1048576", help="lengths, with commas between"
    )
    options.add_argument("--turn-tokens", type=int, default=100)
    options.add_argument("--forgotten", type=int, default=9, help="messages, one after the other")
    args = options.parse_args()
    lengths = [1_024, 2_048] if args.quick else [int(part) for part in args.tokens.split(",")]
    args.forgotten = 2 if args.quick else args.forgotten
    figures = [_session(args, length) for length in lengths]
    rows = [
        (
            f"{found['tokens']:,} tokens",
            f"median {milliseconds(found['forget']['p50'])}, "
            f"longest {milliseconds(found['forget']['max'])}",
        )
        for found in figures
    ]
    title = f"forgetting a message of {args.turn_tokens} tokens"
    finish(title, rows, {"turn_tokens": args.turn_tokens, "sessions": figures}, args)
    return 0


def _session(args: Any, length: int) -> dict[str, Any]:
    engine, layout = load_layout(args.model)
    chunks = length // layout.chunk_size
    needed = chunks * (layout.kv_bytes + layout.landmark_bytes + 512)
    with folder_with_room(needed) as folder:
        root = folder / "store"
        with Store.open(root) as store, store.session("s", layout=layout) as made:
            fill(made, engine, chunks, turn_tokens=args.turn_tokens)
        return _forget(args, root)


def _forget(args: Any, root: Path) -> dict[str, Any]:
    times, encoded = [], []
    with hsa_memory.open(root, model=args.model) as memory, memory.session("s") as session:
        tokens = session.stats().num_tokens
        count = len(session)
        # Far from one another, and neither the first nor the last.
        for place in range(1, args.forgotten + 1):
            message = f"t{place * count // (args.forgotten + 1)}"
            started = time.perf_counter()
            done = session.forget([message])
            times.append(time.perf_counter() - started)
            encoded.append(done.tokens_ingested)
    return {"tokens": tokens, "messages": count, "forget": summary(times), "encoded": encoded}


if __name__ == "__main__":
    sys.exit(main())
