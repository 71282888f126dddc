"""One search or question: a snapshot of the history that it reads without changing anything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from hsa_memory.model import ChunkKV, ChunkMemory, Output, State
from hsa_memory.model.attention import HSAQuery
from hsa_memory.storage import CorruptChunk, SessionStore

from .chunks import StoredChunks
from .encoding import CaughtUp, Encoder, hide
from .engine import Engine
from .provenance import Locate, Passage
from .threads import threads_for
from .types import Stats

Result = TypeVar("Result")


class Source(NamedTuple):
    """The parts of a session that reading needs."""

    engine: Engine
    store: SessionStore
    encoder: Encoder
    lock: threading.RLock


class Fork:
    """The history as of now, and what reading it costs.

    Chunks that turn out to be damaged are left out from then on and listed in `bad`. Each run of
    the model holds the session's lock, so that other threads come in between two tokens.
    """

    def __init__(self, source: Source, state: State, num_tokens: int, locate: Locate) -> None:
        self._source = source
        self.state = state
        """After the whole history."""
        self.num_tokens = num_tokens
        """Tokens of the history."""
        self.locate = locate
        self.stored: StoredChunks | None = None
        self.bad: set[int] = set()
        """Damaged chunks met so far."""
        self.costs = Stats()
        self.told: tuple[str, ...] = ()
        """What else is to be told beside the result."""

    @classmethod
    def of_history(cls, source: Source) -> Fork:
        """A snapshot of the whole history; a writer first encodes what waits.

        What cannot be written, or was found damaged by a reader, is encoded in memory, for this
        call only: the result is the same.
        """
        with source.lock:
            store, encoder = source.store, source.encoder
            caught = CaughtUp()
            if store.writable:
                caught = encoder.try_to_catch_up()
            else:
                store.refresh()
            live = encoder.with_room(encoder.live)
            stored = encoder.chunks()
            memory = replace(live.state.memory, source=stored)
            state = replace(live.state, memory=memory)
            holes = [chunk for hole in store.holes for chunk in hole]
            if holes:
                state = hide(state, holes)
            fork = cls(source, state, store.num_tokens, _all(source, store.num_tokens))
            fork.stored = stored
            if bad := encoder.with_room(stored.damaged):
                # Only what changed since the session was opened: that took care of the rest.
                fork.bad.update(bad)
                fork.state = hide(state, bad)
            fork.costs = Stats(
                tokens_ingested=caught.tokens,
                prefilled_history=live.encoded_again,
                tail_tokens=live.tail_tokens,
            )
            fork.told = (*caught.diagnostics, *_damage(store))
            return fork

    def padding(self) -> list[int]:
        """Tokens that finish the last chunks, so that the question finds them like any others.

        The model learned to look for facts in chunks; without this, what was said last (all of a
        short history) could be seen through the window only.
        """
        config = self.engine.config
        begun = -(-self.num_tokens // config.chunk_size)
        return [self.engine.tokenizer.end_id] * (config.num_tokens(begun) - self.num_tokens)

    @property
    def engine(self) -> Engine:
        """The model."""
        return self._source.engine

    def forward(self, tokens: Tensor, state: State) -> Output:
        """Run the whole model; logits of the last token."""

        def run(state: State) -> Output:
            output: Output = self.engine.model(tokens, state, last_only=True)
            return output

        with threads_for(tokens.shape[1]):
            return self._run(run, state)

    def queries(self, tokens: Tensor) -> tuple[HSAQuery, ...]:
        """What each HSA layer looks for at the last of `tokens` after the history."""
        with threads_for(tokens.shape[1]):
            return self._run(lambda state: self.engine.model.queries(tokens, state), self.state)

    def _run(self, model: Callable[[State], Result], state: State) -> Result:
        with self._source.lock:
            while True:
                try:
                    return self._source.encoder.with_room(partial(model, state))
                except CorruptChunk as error:
                    self.bad.update(error.chunk_ids)
                    state = hide(state, error.chunk_ids)

    def gather(self, memory: ChunkMemory, indices: Tensor) -> tuple[ChunkKV, Tensor]:
        """`ChunkMemory.gather`, damaged chunks counting as empty slots."""
        with self._source.lock:
            while True:
                try:
                    return self._source.encoder.with_room(partial(memory.gather, indices))
                except CorruptChunk as error:
                    self.bad.update(error.chunk_ids)
                    bad = torch.tensor(error.chunk_ids, device=indices.device)
                    lost = torch.isin(indices, bad)
                    indices = indices.masked_fill(lost, -1)

    def finish(self) -> tuple[str, ...]:
        """Encode damaged chunks again where that is possible; returns diagnostics."""
        if not self.bad:
            return self.told
        listed = ", ".join(map(str, sorted(self.bad)))
        with self._source.lock:
            # Somebody else may have healed them since.
            if not self._source.store.writable:
                remedy = "open the session for writing to have them encoded again"
            elif told := self._source.encoder.heal(sorted(self.bad)).diagnostics:
                remedy = f"they could not be encoded again: {told[0]}"
            else:
                remedy = "they have been encoded again from the tokens"
        return (*self.told, f"chunks {listed} were damaged on disk and left out; {remedy}")

    def stats(self, seconds: float, *, prompt: int, generated: int = 0) -> Stats:
        """What it all cost, with a prompt of that many tokens."""
        return replace(
            self.costs,
            tokens_prefilled=prompt,
            window_tokens=self.state.recent.shape[1],
            tokens_generated=generated,
            chunks_read=self.stored.chunks_read if self.stored else 0,
            bytes_read=self.stored.bytes_read if self.stored else 0,
            seconds=seconds,
        )


def _damage(store: SessionStore) -> tuple[str, ...]:
    """What a reader found damaged; a writer repairs it when it opens."""
    return tuple(
        f"{found.path} is damaged ({found.kind}: {found.detail}); what depends on it was computed "
        "again from the tokens, in memory; to repair it open the session for writing, or run "
        "`hsa-memory check --repair`"
        for found in store.damaged
    )


def _all(source: Source, num_tokens: int) -> Locate:
    """The stream of a session's messages, without those added since the snapshot."""

    known: dict[tuple[int, int], list[Passage]] = {}

    def locate(ranges: Sequence[tuple[int, int]]) -> list[list[Passage]]:
        # A question may lie in the history's last chunk too.
        ranges = [(start, min(stop, num_tokens)) for start, stop in ranges]
        new = [r for r in ranges if r not in known]
        with source.lock:
            turns = source.store.turns_in_tokens(new)
        for r, here in zip(new, turns, strict=True):
            known[r] = [Passage(turn, turn.token_start, 0, len(turn.tokens)) for turn in here]
        return [known[r] for r in ranges]

    return locate
