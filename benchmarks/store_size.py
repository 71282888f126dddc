"""Bytes on disk per token beside the bytes that are the memory: sessions of several lengths.

Target: at most 1.1 times at 1M tokens with the bundled model. The raw state is what nothing can do
without: K/V and landmarks of the chunks as the model made them, four bytes for each token, and the
text in UTF-8. On disk are allocated blocks, of everything in the session's folder: the tail,
records, checksums, indexes and logs too. The sessions are made by the memory, of the demo's book.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from _machine import book_messages, finish, parser
from _store import bytes_on_disk, load_layout

import hsa_memory


def main() -> int:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument(
        "--tokens", default="100,1000,16384,131072,1048576", help="lengths, with commas between"
    )
    args = options.parse_args()
    lengths = [100, 1_000] if args.quick else [int(part) for part in args.tokens.split(",")]
    figures = [_session(args.model, length) for length in lengths]
    rows = [
        (
            f"{found['tokens']:,} tokens in {found['messages']:,} messages",
            f"{found['bytes_per_token']:,.1f} bytes a token, raw {found['raw_per_token']:,.1f}: "
            f"{found['ratio']:.2f} times",
        )
        for found in figures
    ]
    finish("bytes on disk", rows, {"sessions": figures}, args)
    return 0


def _session(model: str, length: int) -> dict[str, Any]:
    engine, layout = load_layout(model)
    messages = book_messages(engine.tokenizer, length)
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as name:
        with hsa_memory.open(name, model=model) as memory:
            with memory.session("s") as session:
                session.add_messages(messages)
            with memory.session("s", read_only=True) as session:
                stats = session.stats()
        size = sum(bytes_on_disk(folder) for folder in Path(name, "s").glob("*/*"))
        kinds: dict[str, int] = {}
        for path in Path(name, "s").rglob("*"):
            if path.is_file():
                kind = path.name if path.suffix != ".seg" else "kv"
                kinds[kind] = kinds.get(kind, 0) + path.lstat().st_blocks * 512
    chunks = stats.num_chunks
    text = sum(len(message["content"].encode()) for message in messages)
    raw = chunks * (layout.kv_bytes + layout.landmark_bytes) + 4 * stats.num_tokens + text
    return {
        "tokens": stats.num_tokens,
        "messages": len(messages),
        "bytes": size,
        "bytes_by_file": kinds,
        "raw_bytes": raw,
        "bytes_per_token": size / stats.num_tokens,
        "raw_per_token": raw / stats.num_tokens,
        "ratio": size / raw,
    }


if __name__ == "__main__":
    sys.exit(main())
