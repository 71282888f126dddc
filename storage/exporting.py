"""Sessions into an export, and out of one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .archive import ArchiveReader, ArchiveWriter
from .archive_truth import (
    NoteRecord,
    Record,
    SessionRecord,
    TurnRecord,
    pack_record,
    read_records,
)
from .errors import CorruptChunk, CorruptMetadata
from .session import SessionStore
from .types import Layout, Turn

_TURNS = 64
_TOKENS = 1 << 20
_CHUNKS = 256
# A member of truth ends after the record that makes it this long, one of K/V before.
_TRUTH_BYTES = 64 << 20
_KV_BYTES = 256 << 20
_TAIL_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class ExportChoice:
    """What of a session goes into an export."""

    derived: bool
    """Whether its landmarks, K/V and tail do."""
    hidden: Collection[int] = ()
    """Numbers of turns of which only the place does."""
    notes: Mapping[str, int | None] = field(default_factory=dict)
    """Keys of the notes (`set_meta`) that do, each with the number of the turn that it belongs to,
    or None."""
    blank: int = 0
    """Token id in the place of what a hidden turn said."""


class SessionExport:
    """One session on its way into an export.

    Args:
        store: open for reading; what its writer adds meanwhile is not part of it.
        number: of the session in the export.
        on_bytes: called with the bytes written by each step.
    """

    def __init__(
        self,
        store: SessionStore,
        writer: ArchiveWriter,
        number: int,
        choice: ExportChoice,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._store = store
        self._writer = writer
        self._number = number
        self._choice = choice
        self._on_bytes = on_bytes

    def write(self) -> SessionRecord:
        """Write all members; the caller then looks whether `store.revision` has changed."""
        tail = self._newest_tail()
        count = self._write_derived(tail) if self._choice.derived else 0
        return self._write_truth(count)

    def _newest_tail(self) -> bytes | None:
        for _ in range(_TAIL_TRIES):
            self._store.refresh()
            # The writer may be filling the slot anew: what is published then is newer.
            tail = self._store.tail()
            if tail is not None or not self._store.published:
                return tail
        return None

    # ---- derived state

    def _write_derived(self, tail: bytes | None) -> int:
        """Chunks that can be used, from the first on; returns how many."""
        store = self._store
        wanted = min([store.published, *(hole.start for hole in store.holes)])
        if self._choice.hidden:
            first = store.turn_index().token_start[min(self._choice.hidden)]
            wanted = min(wanted, store.layout.first_chunk(int(first)))
        count = self._write_kv(wanted)
        if count:
            with self._writer.member(f"{self._number}/landmarks-0") as put:
                rows = store.landmarks()[:count]
                for first in range(0, count, 16 * _CHUNKS):
                    piece = np.ascontiguousarray(rows[first : first + 16 * _CHUNKS])
                    put(memoryview(piece.reshape(-1)))
                    self._on_bytes(piece.size)
        if count == store.published and tail is not None:
            with self._writer.member(f"{self._number}/tail-0") as put:
                put(tail)
        return count

    def _write_kv(self, wanted: int) -> int:
        per_member = max(1, _KV_BYTES // self._store.layout.kv_bytes)
        for part, first in enumerate(range(0, wanted, per_member)):
            stop = min(first + per_member, wanted)
            with self._writer.member(f"{self._number}/kv-{part}") as put:
                reached = self._put_chunks(first, stop, put)
            if reached < stop:
                return reached
        return wanted

    def _put_chunks(self, first: int, stop: int, put: Callable[[memoryview], None]) -> int:
        while first < stop:
            ids = np.arange(first, min(first + _CHUNKS, stop))
            try:
                rows = self._store.gather(ids)
            except CorruptChunk as error:
                # Whoever imports it encodes them from the tokens, as a writer would here.
                stop = min(error.chunk_ids)
                if first == stop:
                    break
                continue
            put(memoryview(rows.reshape(-1)))
            self._on_bytes(rows.size)
            first += len(ids)
        return first

    # ---- truth

    def _write_truth(self, num_chunks: int) -> SessionRecord:
        store = self._store
        about = SessionRecord(
            name=store.info.name,
            created=store.info.created,
            num_turns=store.num_turns,
            num_tokens=store.num_tokens,
            num_notes=len(self._choice.notes),
            num_chunks=num_chunks,
            token_sum=self._token_sum(),
            layout=store.layout.to_map() if num_chunks else {},
        )
        records = self._records(about)
        part, record = 0, next(records, None)
        while record is not None:
            with self._writer.member(f"{self._number}/truth-{part}") as put:
                written = 0
                while record is not None and written < _TRUTH_BYTES:
                    packed = pack_record(record)
                    put(packed)
                    written += len(packed)
                    self._on_bytes(len(packed))
                    record = next(records, None)
            part += 1
        return about

    def _records(self, about: SessionRecord) -> Iterator[Record]:
        yield about
        lapses = self._store.expiries()
        for first in range(0, about.num_turns, _TURNS):
            for turn in self._store.turns(first, min(first + _TURNS, about.num_turns)):
                yield self._turn_record(turn, lapses.get(turn.seq))
        for key, seq in sorted(self._choice.notes.items()):
            value = self._store.get_meta(key, of_turn=seq)
            if value is None:
                raise CorruptMetadata(f"note {key!r} is gone; run check")
            yield NoteRecord(key=key, value=value)

    def _turn_record(self, turn: Turn, expires: float | None) -> TurnRecord:
        gone = turn.forgotten or turn.seq in self._choice.hidden
        return TurnRecord(
            id=f"forgotten-{turn.seq}" if gone else turn.turn_id,
            role=turn.role,
            text="" if gone else turn.text,
            timestamp=turn.timestamp,
            num_tokens=len(turn.tokens),
            metadata={} if gone else turn.metadata,
            expires=None if gone else expires,
            forgotten=gone,
        )

    def _token_sum(self) -> bytes:
        digest, index = TokenSum(), self._store.turn_index()
        hidden = [(int(index.token_start[i]), int(index.n_tokens[i])) for i in self._choice.hidden]
        for first in range(0, self._store.num_tokens, _TOKENS):
            stop = min(first + _TOKENS, self._store.num_tokens)
            tokens = self._store.tokens(first, stop).copy()
            for start, count in hidden:
                tokens[max(0, start - first) : max(0, start + count - first)] = self._choice.blank
            digest.add(tokens)
        return digest.digest()


class TokenSum:
    """sha256 of a stream of token ids."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, tokens: NDArray[np.uint32]) -> None:
        """The next tokens of the stream."""
        self._digest.update(tokens.astype("<u4", copy=False).tobytes())

    def digest(self) -> bytes:
        """Of all so far."""
        return self._digest.digest()


class SessionImport:
    """One session of an export that was checked."""

    def __init__(self, archive: ArchiveReader, number: int) -> None:
        self._archive = archive
        self._number = number
        self._parts = {kind: self._members(kind) for kind in ("truth", "landmarks", "kv", "tail")}
        about = next(self._read(), None)
        if not isinstance(about, SessionRecord):
            archive.reject(f"session {number} does not begin by saying which it is")
        self.about = about
        if len(self._parts["landmarks"]) > 1 or len(self._parts["tail"]) > 1:
            archive.reject(f"session {number} has too many members")

    def _members(self, kind: str) -> list[str]:
        series = f"{self._number}/{kind}"
        names = self._archive.series.get(series, [])
        if names != [f"{series}-{part}" for part in range(len(names))]:
            self._archive.reject(f"the members {series}-... are not all there, or not in order")
        return names

    def _bytes(self, kind: str) -> Iterator[bytes]:
        for name in self._parts[kind]:
            yield from self._archive.pieces(name)

    def _read(self) -> Iterator[Record]:
        try:
            yield from read_records(self._bytes("truth"))
        except CorruptMetadata as error:
            self._archive.reject(str(error))

    def records(self) -> Iterator[TurnRecord | NoteRecord]:
        """Turns in order, then notes; if there are not as many as it says it is rejected."""
        records = self._read()
        next(records)
        for _ in range(self.about.num_turns):
            turn = next(records, None)
            if not isinstance(turn, TurnRecord):
                self._archive.reject(f"session {self._number} has fewer turns than it says")
            yield turn
        for _ in range(self.about.num_notes):
            note = next(records, None)
            if not isinstance(note, NoteRecord):
                self._archive.reject(f"session {self._number} has fewer notes than it says")
            yield note
        if next(records, None) is not None:
            self._archive.reject(f"session {self._number} has more records than it says")

    def layout_of(self, layouts: Sequence[Layout]) -> Layout:
        """The one of these that its derived state has; else the first."""
        there = self.about.layout if self.about.num_chunks else {}
        return next((layout for layout in layouts if layout.to_map() == there), layouts[0])

    def put_derived(self, store: SessionStore) -> bool:
        """Write and publish the derived state for a session that has all turns and no chunk.

        Returns:
            False if the export has none that belongs to the session's layout; nothing was written.
        """
        count, layout = self.about.num_chunks, store.layout
        if not count or self.about.layout != layout.to_map():
            return False
        sizes = {"landmarks": layout.landmark_bytes, "kv": layout.kv_bytes}
        for kind, width in sizes.items():
            found = sum(self._archive.members[name].size for name in self._parts[kind])
            if found != count * width:
                self._archive.reject(
                    f"session {self._number} has {found} bytes of {kind} for {count} chunks"
                )
        if count > layout.num_chunks(store.num_tokens):
            self._archive.reject(f"session {self._number} has more chunks than tokens")
        landmarks = _rows(self._bytes("landmarks"), layout.landmark_bytes)
        blocks = _rows(self._bytes("kv"), layout.kv_bytes)
        for first in range(0, count, _CHUNKS):
            n = min(_CHUNKS, count - first)
            store.write_chunks(first, _take(landmarks, n), _take(blocks, n))
        # What is behind the last piece is where its checksum is looked at.
        for rest in (landmarks, blocks):
            next(rest, None)
        tail = b"".join(self._bytes("tail"))
        # An empty one does not fit: the state is then computed from the last tokens.
        store.publish(count, tail)
        return True


def _rows(pieces: Iterator[bytes], width: int) -> Iterator[NDArray[np.uint8]]:
    """Rows of `width` bytes, one by one."""
    held = bytearray()
    for piece in pieces:
        held += piece
        count = len(held) // width
        whole = np.frombuffer(bytes(held[: count * width]), np.uint8).reshape(count, width)
        yield from whole
        del held[: count * width]


def _take(rows: Iterator[NDArray[np.uint8]], count: int) -> NDArray[np.uint8]:
    return np.stack([next(rows) for _ in range(count)])
