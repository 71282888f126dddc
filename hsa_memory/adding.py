"""Adding messages: acknowledged batch by batch, encoded as whole chunks fill up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from time import perf_counter
from typing import Any

from hsa_memory.storage import SessionStore, Turn

from .arguments import require_progress
from .attachments import attachment_notes, read_attachment
from .encoding import Encoder
from .engine import Engine
from .errors import InvalidMessage, MessageConflict
from .fork import Source
from .messages import Draft, make_turn
from .types import AddResult, Progress, Stats

# A transaction holds about this many characters at most, whatever the number of messages.
_BATCH_CHARS = 1 << 20


class Meter:
    """Counts encoded tokens and tells the caller's callback."""

    def __init__(
        self, encoder: Encoder, total: int, progress: Callable[[Progress], None] | None
    ) -> None:
        require_progress(progress)
        self._encoder = encoder
        self._total = total
        self._progress = progress
        self._started = perf_counter()
        self._added = 0
        self._encoded = 0

    def added(self, messages: int) -> None:
        """Note that messages were acknowledged."""
        self._added += messages
        self._report()

    def encoded(self, tokens: int) -> None:
        """Note that tokens were encoded."""
        self._encoded += tokens
        self._report()

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(
                Progress(
                    messages_added=self._added,
                    messages_total=self._total,
                    tokens_ingested=self._encoded,
                    tokens_pending=self._encoder.num_waiting,
                    seconds=perf_counter() - self._started,
                )
            )

    def stats(self) -> Stats:
        """What it cost so far."""
        return Stats(tokens_ingested=self._encoded, seconds=perf_counter() - self._started)


def add_drafts(
    source: Source,
    drafts: list[Draft],
    *,
    batch_size: int,
    progress: Callable[[Progress], None] | None,
) -> AddResult:
    """Store and encode messages; the caller holds the session's lock.

    Once messages are stored the call succeeds: what keeps them from being encoded is told, and the
    next call tries again.
    """
    engine, store, encoder, _ = source
    meter = Meter(encoder, len(drafts), progress)
    stored: list[tuple[str, int]] = []
    num_added = 0
    told: tuple[str, ...] = ()
    for batch in _batches(drafts, batch_size):
        if store.writable and not told:
            # What a kill left behind comes first: encoding then takes the same pieces, and gives
            # the same bits, as if there had been no kill.
            told = encoder.try_to_catch_up(meter.encoded).diagnostics
        before = store.num_turns
        turns = _append(engine, store, batch)
        num_added += len({turn.seq for turn in turns if turn.seq >= before})
        stored += [(turn.turn_id, turn.seq) for turn in turns]
        meter.added(len(turns))
        if not told:
            told = encoder.try_to_catch_up(meter.encoded).diagnostics
    return AddResult(
        ids=tuple(turn_id for turn_id, _ in stored),
        seqs=tuple(seq for _, seq in stored),
        num_added=num_added,
        stats=meter.stats(),
        diagnostics=told,
    )


def require_free(store: SessionStore, expired: Collection[int], drafts: list[Draft]) -> None:
    """Raise MessageConflict if an id is that of a message that has expired and is still stored:
    the new one would be taken for it, and be hidden with it.

    Args:
        expired: numbers of such messages.
    """
    taken = {turn.turn_id for seq in expired for turn in store.turns(seq, seq + 1)}
    for draft in drafts:
        if draft.id in taken:
            raise MessageConflict(
                f"message id {draft.id!r} is that of a message that has expired and could not be "
                "forgotten yet, because this session is a fork of the one it belongs to, or one of "
                "its forks is open; use a new id, or try again after that"
            )


def _append(engine: Engine, store: SessionStore, batch: list[Draft]) -> list[Turn]:
    meta = _new_attachments(store, batch)
    try:
        return store.append([make_turn(engine.tokenizer, draft) for draft in batch], meta=meta)
    except ValueError as error:
        # Limits that only the store knows: sizes, and what msgpack can hold.
        raise InvalidMessage(str(error)) from error


def _new_attachments(store: SessionStore, batch: list[Draft]) -> dict[str, dict[str, Any]]:
    """Notes of the messages that are new; a known one keeps what it has, or has not."""
    meta: dict[str, dict[str, Any]] = {}
    first: dict[str, Draft] = {}
    kept: dict[str, str | None] = {}
    for draft in batch:
        first.setdefault(draft.id, draft)
        if draft.attachment is None:
            continue
        if draft.id not in kept:
            known = store.find(draft.id)
            before = first[draft.id].attachment
            kept[draft.id] = before if known is None else read_attachment(store, known)
            if known is None and before is not None:
                meta |= attachment_notes(draft.id, before)
        if draft.attachment != kept[draft.id]:
            raise MessageConflict(
                f"message id {draft.id!r} is known with another attachment, or without one; use a "
                "new id"
            )
    return meta


def _batches(drafts: list[Draft], size: int) -> Iterator[list[Draft]]:
    batch: list[Draft] = []
    chars = 0
    for draft in drafts:
        if batch and (len(batch) == size or chars + len(draft.text) > _BATCH_CHARS):
            yield batch
            batch, chars = [], 0
        batch.append(draft)
        chars += len(draft.text)
    if batch:
        yield batch
