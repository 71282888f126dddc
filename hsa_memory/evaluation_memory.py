"""A long history held in memory, ingested once and read by any number of questions.

Letters: C chunks, S chunk size, R retrieval heads, E their dimensions, G KV heads, D head dim.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from hsa_memory.model import ChunkKV, ChunkMemory, HSATransformer, State
from hsa_memory.storage import Turn

from .encoding import PIECE_TOKENS
from .engine import Engine
from .errors import InvalidArgument
from .filters import Filter, Metadata
from .fork import Fork, Result, Source
from .machine import available_memory
from .precision import DEFAULT, Precision, require_precision
from .provenance import Locate, Passage
from .searching import find

# What a token takes beside its chunk: its number in the text, in the history and in its message,
# the message's characters, and a copy while the history is written.
_TEXT_BYTES = 28


class HeldChunks:
    """Chunks of one history in tensors of fixed size, a `ChunkSource` that can be added to.

    As in a session on disk, landmarks, keys and values are rounded to the disk's number formats.

    Args:
        engine: the model.
        capacity: most chunks to hold.
        precision: of keys and values.
    """

    def __init__(self, engine: Engine, capacity: int, precision: Precision) -> None:
        config = engine.config
        heads = config.hsa_num_kv_heads
        per_chunk = (2, config.chunk_size, heads, config.head_dim)
        device, width = engine.device, config.retrieval_dim
        self._landmarks = torch.empty(capacity, heads, width, dtype=engine.dtype, device=device)
        self._kv = torch.empty(capacity, *per_chunk, dtype=engine.disk_dtype, device=device)
        self._engine = engine
        self._precision = precision
        self.num_chunks = 0
        """Chunks held."""

    @property
    def landmarks(self) -> Tensor:
        """Landmarks [C, R, E]."""
        return self._landmarks[: self.num_chunks]

    def gather(self, chunk_ids: Tensor, room: int = 0) -> ChunkKV:
        """See `ChunkSource.gather`."""
        both = self._kv.new_empty(len(chunk_ids) + room, *self._kv.shape[1:])
        both[: len(chunk_ids)] = self._kv[chunk_ids.to(self._kv.device)]
        return ChunkKV(both[None, :, 0], both[None, :, 1])

    def add(self, memory: ChunkMemory) -> None:
        """Take over the chunks that a memory holds beside its source."""
        stop = self.num_chunks + memory.landmarks.shape[1]
        new = slice(self.num_chunks, stop)
        self._landmarks[new] = memory.landmarks[0].to(self._engine.disk_dtype)
        kv = self._precision.rounded(ChunkKV(memory.kv.k[0], memory.kv.v[0]))
        self._kv[new, 0], self._kv[new, 1] = kv
        self.num_chunks = stop


def bytes_needed(engine: Engine, length: int) -> int:
    """Return the bytes that a history of `length` tokens takes: its chunks and its text."""
    config = engine.config
    landmark, kv = config.memory_values_per_chunk
    chunk = landmark * engine.dtype.itemsize + kv * engine.disk_dtype.itemsize
    return length // config.chunk_size * chunk + length * _TEXT_BYTES


def require_room(engine: Engine, length: int) -> None:
    """Check that a history fits into memory before time is spent on it.

    Args:
        engine: the model.
        length: tokens of the history.

    Raises:
        InvalidArgument: it does not fit; the message names the bytes.
    """
    needed, free = bytes_needed(engine, length), _free_memory(engine.device)
    if free is not None and needed > free:
        raise InvalidArgument(
            f"a history of {length} tokens needs {needed} bytes of memory (landmarks, keys, values "
            f"and text); {free} are free on {engine.device}: take a shorter one, or a machine with "
            "more memory"
        )


def _free_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_memory()


@torch.inference_mode()
def ingest(
    engine: Engine,
    tokens: Tensor,
    on_piece: Callable[[int], None] | None = None,
    *,
    kv_dtype: str = DEFAULT,
) -> State:
    """Return the state after a history [length], its chunks in a `HeldChunks`.

    Args:
        engine: the model.
        tokens: int64 ids.
        on_piece: called with the number of tokens after each piece.
        kv_dtype: number format of the chunks' keys and values, as of `hsa_memory.open`.

    Raises:
        InvalidArgument: the history does not fit into memory.
    """
    require_room(engine, len(tokens))
    model, size = engine.model, engine.config.chunk_size
    piece = max(size, PIECE_TOKENS // size * size)
    held = HeldChunks(engine, len(tokens) // size, require_precision(kv_dtype))
    state = model.start(1, held)
    for part in tokens.to(engine.device).split(piece):
        whole = len(part) // size * size
        for run in part.split([whole, len(part) - whole]):
            if len(run):
                state = _keep(model, held, model.ingest(run[None], state))
        if on_piece is not None:
            on_piece(len(part))
    return state


def _keep(model: HSATransformer, held: HeldChunks, state: State) -> State:
    """Move the chunks that a state holds into `held`, which is its source."""
    held.add(state.memory)
    return replace(state, memory=model.start(1, held).memory)


class _Unstored:
    """In the place of an encoder: a history in memory alone keeps nothing that could make room."""

    @staticmethod
    def with_room(work: Callable[[], Result]) -> Result:
        return work()


def search(engine: Engine, state: State, turns: list[Turn], prompt: list[int], k: int) -> list[int]:
    """Return the numbers of the `k` messages that `MemorySession.search` would find, best first.

    Args:
        engine: the model.
        state: after the history.
        turns: the history's messages.
        prompt: the question, as `Engine.question` makes it.
        k: most messages.
    """
    # There is no session behind this history: only filters and repairs would need one.
    source = Source(engine, None, _Unstored(), threading.RLock())  # type: ignore[arg-type]
    history = Fork(source, state, state.lengths[0], _locate(turns))
    unused = Metadata(None)  # type: ignore[arg-type]
    return [share.turn.seq for share in find(source, history, prompt, k, Filter(), unused)]


def _locate(turns: list[Turn]) -> Locate:
    starts = [turn.token_start for turn in turns]

    def passages(start: int, stop: int) -> Iterator[Passage]:
        for index in range(max(0, bisect_right(starts, start) - 1), len(turns)):
            turn = turns[index]
            if turn.token_start >= stop:
                return
            yield Passage(turn, turn.token_start, 0, len(turn.tokens))

    return lambda ranges: [list(passages(*r)) for r in ranges]
