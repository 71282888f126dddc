"""Writing: acknowledged tokens become chunks on disk, always on the same grid of chunks.

What a session holds in memory is a function of what is on disk at the last published chunk, so a
process that restored it and one that never stopped go on with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch

from hsa_memory.model import ChunkKV, State, WindowCache
from hsa_memory.storage import DurabilityLost, SessionStore, StoreError

from .chunks import Landmarks, StoredChunks, chunk_rows
from .engine import Engine
from .precision import precision_of
from .tail import boundary_state, pack_tail, unpack_tail
from .threads import threads_for
from .tiers import Tiers

Result = TypeVar("Result")
# Tokens of one run of the lower half: long enough for the matrix products, short enough for caches.
PIECE_TOKENS = 2048
# What may keep chunks from the disk and leaves the messages as they are; torch out of memory is a
# RuntimeError.
_OBSTACLES = (StoreError, OSError, MemoryError, RuntimeError)


@dataclass(frozen=True)
class CaughtUp:
    """How far an attempt to encode what waits has come."""

    tokens: int = 0
    """Encoded and published."""
    failure: Exception | None = None
    """What stopped it."""
    waiting: int = 0
    """Tokens that wait still."""

    @property
    def diagnostics(self) -> tuple[str, ...]:
        """What to tell the user; empty if nothing stopped it."""
        if self.failure is None:
            return ()
        lost = isinstance(self.failure, DurabilityLost)
        retry = "opening the session anew" if lost else "the next call"
        return (
            f"the last {self.waiting} tokens of whole chunks are stored but not encoded yet; "
            f"{retry} tries again ({type(self.failure).__name__}: {self.failure})",
        )


@dataclass(frozen=True)
class Live:
    """The state after the whole history, and what it took to compute it."""

    state: State
    tail_tokens: int
    """Tokens after the last finished chunk that were run."""
    encoded_again: int
    """Tokens of finished chunks that were run and not kept on disk."""


class Encoder:
    """Keeps the derived state of one session; the caller holds the session's lock.

    Args:
        engine: the model.
        store: the session.
        tiers: chunks read lately, to be forgotten when chunks are encoded again.
    """

    def __init__(self, engine: Engine, store: SessionStore, tiers: Tiers) -> None:
        self._engine = engine
        self._store = store
        self._tiers = tiers
        self._precision = precision_of(store.layout.dtype)
        self._landmarks = Landmarks(engine, store)
        self._boundary: State | None = None
        self._live: tuple[int, int, State] | None = None
        self._revision = store.revision

    @property
    def num_waiting(self) -> int:
        """Acknowledged tokens of chunks that could be finished and are not encoded yet."""
        config = self._engine.config
        waiting = config.num_chunks(self._store.num_tokens) - self._store.published
        return waiting * config.chunk_size

    def catch_up(self, on_piece: Callable[[int], None] | None = None) -> int:
        """Encode and publish every chunk that can be finished; returns the tokens encoded.

        Args:
            on_piece: called with the number of tokens after each piece.
        """
        caught = self.try_to_catch_up(on_piece)
        if caught.failure is not None:
            raise caught.failure
        return caught.tokens

    @torch.inference_mode()
    def try_to_catch_up(self, on_piece: Callable[[int], None] | None = None) -> CaughtUp:
        """Like `catch_up`, but tells what stopped it instead of raising it.

        The messages are on disk whatever happens here, so a call that has stored some succeeds.
        """
        done = 0
        try:
            done += self._fill_holes()
        except _OBSTACLES as failure:
            return CaughtUp(0, failure, self.num_waiting)
        while waiting := self.num_waiting:
            count = min(waiting, self._piece())
            try:
                self._encode(count)
            except _OBSTACLES as failure:
                return CaughtUp(done, failure, waiting)
            done += count
            if on_piece is not None:
                on_piece(count)
        return CaughtUp(done)

    def _piece(self) -> int:
        size = self._engine.config.chunk_size
        return max(size, PIECE_TOKENS // size * size)

    def _encode(self, count: int) -> None:
        """Encode chunks of the next `count` tokens and publish them with the new tail."""
        config, before = self._engine.config, self.boundary()
        first = before.memory.num_source_chunks
        published = first + count // config.chunk_size
        with threads_for(count):
            after = self._ingest(config.num_tokens(published), before)
        rows = chunk_rows(self._engine, self._precision, after.memory)
        self._store.write_chunks(first, *rows)
        self._store.publish(published, pack_tail(after))
        self._boundary = None
        # Read back even here: an hour later another process will go on from these bytes.
        self._boundary = self.boundary()

    def _fill_holes(self) -> int:
        """Encode what forgetting made holes of; returns the tokens encoded."""
        self._look_again()
        holes = self._store.own_holes
        done = 0
        for hole in holes:
            done += self._fill(hole)
        if holes:
            self._look_again()
            self._store.publish(self._store.published, pack_tail(self.boundary()))
        return done

    def _fill(self, hole: range) -> int:
        config, model = self._engine.config, self._engine.model
        size, piece = config.chunk_size, self._piece() // config.chunk_size
        # The windows are empty there: the tokens up to the hole fill them.
        start = self._before(hole.start, config.lower_reach + config.encoder_lookahead)
        lower: tuple[WindowCache, ...] = ()
        recent, pending = model.start(1).recent, None
        for first in range(start, hole.stop, piece):
            stop = min(first + piece, hole.stop)
            state = boundary_state(model, self._chunks(first), lower, recent, pending)
            with threads_for((stop - first) * size):
                state = self._ingest(config.num_tokens(stop), state)
            lower, recent, pending = state.lower, state.recent, state.pending
            if stop > hole.start:
                new = max(first, hole.start)
                landmarks, kv = chunk_rows(self._engine, self._precision, state.memory)
                self._store.fill(new, landmarks[new - first :], kv[new - first :])
        return (hole.stop - start) * size

    def _look_again(self) -> None:
        """Forget what is in memory of chunks that were written anew."""
        if self._revision != self._store.revision:
            revision = self._store.revision
            self._clear()
            # Last: if this is interrupted, all of it is done again.
            self._revision = revision

    def _before(self, chunk: int, tokens: int) -> int:
        """The chunk to begin with so that so many tokens are run before `chunk` begins."""
        return max(0, chunk - -(-tokens // self._engine.config.chunk_size))

    def _ingest(self, stop: int, before: State) -> State:
        """Run the lower half up to token `stop`."""
        tokens = self._tokens(before.lengths[0], stop)
        return self.with_room(lambda: self._engine.model.ingest(tokens, before))

    def with_room(self, work: Callable[[], Result]) -> Result:
        """Do what needs memory of the GPU and may be done again; chunks that are kept there make
        room for it."""
        while True:
            try:
                return work()
            except torch.OutOfMemoryError:
                if not self._tiers.shrink():
                    raise

    def release(self) -> None:
        """Give all memory back; nothing can be asked any more."""
        self._clear()
        self._landmarks = Landmarks(self._engine, self._store)

    def _clear(self) -> None:
        self._tiers.clear()
        self._landmarks.clear()
        self._boundary = self._live = None

    def boundary(self) -> State:
        """The state at the last published chunk, from the tail or else from the tokens."""
        published = self._store.published
        if self._boundary is None or self._boundary.memory.num_source_chunks != published:
            self._boundary = self._restore(self.chunks())
        return self._boundary

    def chunks(self) -> StoredChunks:
        """The published chunks, with counters of their own."""
        return self._chunks(self._store.published)

    def _chunks(self, count: int) -> StoredChunks:
        return StoredChunks(self._engine, self._store, self._landmarks, self._tiers, count)

    def _restore(self, chunks: StoredChunks) -> State:
        model = self._engine.model
        if not chunks.num_chunks:
            return model.start(1, chunks)
        blob = self._store.tail()
        state = None if blob is None else unpack_tail(model, chunks, blob)
        return self._rebuild(chunks) if state is None else state

    @threads_for()
    @torch.inference_mode()
    def _rebuild(self, chunks: StoredChunks) -> State:
        """Run the last tokens that the tail depends on; the chunks they fill are there already."""
        config, model = self._engine.config, self._engine.model
        stop = chunks.num_chunks
        needed = max(config.upper_reach, config.encoder_lookahead)
        first = self._before(stop, config.lower_reach + needed)
        state = boundary_state(model, self._chunks(first), (), model.start(1).recent)
        after = self._ingest(config.num_tokens(stop), state)
        return boundary_state(model, chunks, after.lower, after.recent, after.pending)

    @torch.inference_mode()
    def live(self) -> Live:
        """The state after all tokens of the history, upper windows to be rebuilt."""
        self._look_again()
        end, published = self._store.num_tokens, self._store.published
        if self._live is not None and self._live[:2] == (end, published):
            return Live(self._live[2], 0, 0)
        config, state = self._engine.config, self.boundary()
        start = state.lengths[0]
        chunks, piece = config.num_chunks(end), self._piece() // config.chunk_size
        # A reader may be ahead of its writer's chunks: those it encodes for itself, in memory.
        with threads_for(end - start):
            for first in range(published, chunks, piece):
                state = self._ingest(config.num_tokens(min(first + piece, chunks)), state)
            state = self._as_on_disk(state)
            whole = state.lengths[0]
            if whole < end:
                state = self._ingest(end, state)
        self._live = (end, published, state)
        return Live(state, end - whole, (chunks - published) * config.chunk_size)

    def _as_on_disk(self, state: State) -> State:
        """Round the chunks held in memory as the disk would, so that they count the same."""
        memory = state.memory
        landmarks = memory.landmarks.to(self._engine.disk_dtype).to(memory.landmarks.dtype)
        kv = self._precision.rounded(ChunkKV(memory.kv.k[0], memory.kv.v[0]))
        kv = ChunkKV(*(x.to(memory.landmarks.dtype)[None] for x in kv))
        return replace(state, memory=replace(memory, landmarks=landmarks, kv=kv))

    def heal(self, bad: list[int]) -> CaughtUp:
        """Encode again from the first of the damaged chunks on, as far as that is possible."""
        try:
            # An earlier attempt may have come only as far as lowering the watermark.
            self._store.rollback(min(self._store.published, *bad))
        except _OBSTACLES as failure:
            return CaughtUp(0, failure, self.num_waiting)
        self._clear()
        return self.try_to_catch_up()

    def _tokens(self, start: int, stop: int) -> torch.Tensor:
        ids = self._store.tokens(start, stop).astype(np.int64)
        return torch.from_numpy(ids)[None].to(self._engine.device)


def hide(state: State, bad: list[int]) -> State:
    """Return the state without the given chunks of the store."""
    memory = state.memory
    device = memory.landmarks.device
    mask = torch.ones(memory.num_source_chunks, dtype=torch.bool, device=device)
    if memory.mask is not None:
        mask &= memory.mask
    mask[torch.tensor(bad, device=device)] = False
    return replace(state, memory=replace(memory, mask=mask))
