"""Sizes of what is on disk, as the API reports them."""

from __future__ import annotations

import os
from pathlib import Path

from hsa_memory.storage import SessionStore

from .precision import precision_of
from .types import SessionStats


def session_stats(name: str, store: SessionStore, chunk_size: int) -> SessionStats:
    """Return the size of a session."""
    kinds = dict(store.stats()["bytes"])
    tokens = store.num_tokens
    return SessionStats(
        name=name,
        num_messages=store.num_turns - store.num_forgotten,
        num_tokens=tokens,
        num_chunks=store.published,
        chunk_size=chunk_size,
        kv_dtype=precision_of(store.layout.dtype).name,
        bytes_on_disk=kinds,
        bytes_per_token=sum(kinds.values()) / tokens if tokens else 0.0,
    )


def bytes_in_folder(folder: Path) -> int:
    """Return the bytes that all files below a folder take up on the disk."""
    files = (Path(where, name) for where, _, names in os.walk(folder) for name in names)
    return sum(_bytes_on_disk(path) for path in files)


def _bytes_on_disk(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        # Another process is at work here too.
        return 0
