"""The state at a chunk boundary as bytes: what the store keeps beside the chunks.

Format: u32 length of the header, msgpack header, raw tensors in the header's order. At a boundary
nothing follows the last chunk but what its encoding has looked at, so lower window caches and the
last lower outputs are all there is.
"""

from __future__ import annotations

import struct

import msgpack
import numpy as np
import torch
from torch import Tensor

from hsa_memory.model import HSATransformer, State, WindowCache

from .chunks import StoredChunks

_VERSION = 1
_LENGTH = struct.Struct("<I")


def pack_tail(state: State) -> bytes:
    """Return the bytes of a state at a chunk boundary."""
    tensors = [*(x for cache in state.lower for x in cache), state.recent]
    if state.pending.shape[1]:
        tensors.append(state.pending)
    header = msgpack.packb(
        {
            "version": _VERSION,
            "length": state.lengths[0],
            "dtype": str(state.recent.dtype),
            "shapes": [list(x.shape) for x in tensors],
        }
    )
    # Joined where they are: one copy from a GPU.
    raw = torch.cat([x.contiguous().view(torch.uint8).flatten() for x in tensors]).cpu().numpy()
    return b"".join([_LENGTH.pack(len(header)), header, raw.data])


def unpack_tail(model: HSATransformer, chunks: StoredChunks, blob: bytes) -> State | None:
    """Return the state after `chunks` that `pack_tail` wrote, or None if the bytes do not fit."""
    length = model.config.num_tokens(chunks.num_chunks)
    shapes = _shapes(model, length)
    expected = {
        "version": _VERSION,
        "length": length,
        "dtype": str(model.embedding.weight.dtype),
        "shapes": [list(shape) for shape in shapes],
    }
    try:
        (size,) = _LENGTH.unpack_from(blob)
        found = msgpack.unpackb(blob[_LENGTH.size : _LENGTH.size + size])
    except (struct.error, ValueError, msgpack.UnpackException):
        return None
    dtype = model.embedding.weight.dtype
    values = [int(np.prod(shape)) for shape in shapes]
    body = blob[_LENGTH.size + size :]
    if found != expected or len(body) != sum(values) * dtype.itemsize:
        return None
    tensors = _split(body, shapes, values, model.embedding.weight)
    cached = 2 * model.config.num_lower_layers
    lower = tuple(
        WindowCache(k, v) for k, v in zip(tensors[:cached:2], tensors[1:cached:2], strict=True)
    )
    recent, *pending = tensors[cached:]
    return boundary_state(model, chunks, lower, recent, *pending)


def boundary_state(
    model: HSATransformer,
    chunks: StoredChunks,
    lower: tuple[WindowCache, ...],
    recent: Tensor,
    pending: Tensor | None = None,
) -> State:
    """Return the state right after all of `chunks` were finished, with upper windows to be rebuilt.

    Args:
        pending: lower outputs of the tokens that the last chunk's encoding has looked at; zeros if
            None, so that the chunk that begins with them must not be used.
    """
    empty, config = model.start(1, chunks), model.config
    if pending is None:
        beyond = config.encoder_lookahead if chunks.num_chunks else 0
        pending = empty.pending.new_zeros(1, beyond, config.hidden_size)
    length = config.num_tokens(chunks.num_chunks)
    return State((length,), lower, pending, recent, empty.memory)


def _shapes(model: HSATransformer, length: int) -> list[tuple[int, ...]]:
    config = model.config
    cached = min(length, config.window - 1)
    window = (1, cached, config.num_kv_heads, config.head_dim)
    recent = (1, min(length, config.upper_reach), config.hidden_size)
    shapes: list[tuple[int, ...]] = [window] * (2 * config.num_lower_layers) + [recent]
    if config.encoder_lookahead:
        shapes.append((1, config.encoder_lookahead, config.hidden_size))
    return shapes


def _split(
    body: bytes, shapes: list[tuple[int, ...]], values: list[int], like: Tensor
) -> list[Tensor]:
    flat = torch.from_numpy(np.frombuffer(bytearray(body), np.uint8))
    flat = flat.view(like.dtype).to(like.device)
    return [x.view(shape) for x, shape in zip(flat.split(values), shapes, strict=True)]
