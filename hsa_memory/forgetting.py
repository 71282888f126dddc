"""Forgetting messages: what they said leaves the disk, and what was computed from it is computed
again without it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from time import perf_counter

import numpy as np

from hsa_memory.storage import SessionStore

from .attachments import attachment_keys
from .errors import InvalidArgument
from .filters import Filter, Metadata, allowed_turns
from .fork import Source
from .types import ForgetResult

TTL = "ttl"
"""Name of the note that `read_ttl` reads."""


def chosen(
    source: Source, metadata: Metadata, ids: Collection[str] | None, filter: Filter
) -> list[int]:
    """Numbers of the messages that are named by id, or all, and pass a filter.

    Raises:
        InvalidArgument: an id that no message has.
    """
    store = source.store
    if ids is None:
        allowed = allowed_turns(filter, store.turn_index(), metadata)
        return [int(seq) for seq in np.flatnonzero(allowed)]
    found = {id: store.find(id) for id in ids}
    unknown = [id for id, turn in found.items() if turn is None]
    if unknown:
        raise InvalidArgument(f"there is no message with the id {unknown[0]!r}; nothing was done")
    seqs = sorted({turn.seq for turn in found.values() if turn is not None})
    if filter.is_open:
        # A message that is named costs the same in a history of any length.
        return seqs
    allowed = allowed_turns(filter, store.turn_index(), metadata)
    return [seq for seq in seqs if allowed[seq]]


def forget(source: Source, seqs: Sequence[int], *, dry_run: bool, scan: bool) -> ForgetResult:
    """See `MemorySession.forget`; the caller holds the session's lock."""
    started = perf_counter()
    engine, store, encoder, _ = source
    turns = [turn for seq in seqs for turn in store.turns(seq, seq + 1)]
    ids = tuple(turn.turn_id for turn in turns)
    tokens = sum(len(turn.tokens) for turn in turns)
    if dry_run or not turns:
        return ForgetResult(ids=ids, num_tokens=tokens, dry_run=dry_run)
    done = store.forget(
        seqs,
        blank=engine.tokenizer.end_id,
        reach=engine.config.lower_reach,
        keys=[key for turn in turns for key in attachment_keys(store, turn)],
        scan=scan,
    )
    caught = encoder.try_to_catch_up()
    told = list(caught.diagnostics)
    if not done.log_is_empty:
        told.append(
            "another process reads the session, so that the log of its database could not be "
            "emptied yet; it still holds the text until that process goes on and this session "
            "writes or closes"
        )
    found = done.scan
    return ForgetResult(
        ids=ids,
        num_tokens=tokens,
        num_chunks=sum(len(chunks) for chunks in done.chunks),
        tokens_ingested=caught.tokens,
        scanned_files=found.files if found else 0,
        scanned_bytes=found.bytes if found else 0,
        traces=tuple(f"{x.kind} in {x.path} at {x.offset}" for x in found.traces) if found else (),
        seconds=perf_counter() - started,
        diagnostics=tuple(told),
    )


def read_ttl(store: SessionStore) -> float | None:
    """Seconds after which a session's messages are forgotten, or None."""
    note = store.get_meta(TTL)
    return None if note is None else float(note["seconds"])


def write_ttl(store: SessionStore, seconds: float | None) -> None:
    """Set what `read_ttl` returns, for messages added from now on."""
    if seconds is not None and seconds != read_ttl(store):
        store.set_meta(TTL, {"seconds": seconds})
