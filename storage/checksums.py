"""xxh3-64 in the three shapes the format uses it.

Every derived byte is bound to the tokens it was computed from: the chain hash of chunk i
covers all tokens up to the chunk's end, and opens the input of the chunk's checksums.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np
import xxhash
from numpy.typing import NDArray

Buffer = bytes | bytearray | memoryview
_PREFIX = struct.Struct("<QQQ")


def xxh3(data: Buffer) -> int:
    """xxh3-64 of a buffer, seed 0."""
    return xxhash.xxh3_64_intdigest(data)


def xxh3_bytes(data: Buffer) -> bytes:
    """xxh3-64 of a buffer as 8 little-endian bytes."""
    return xxhash.xxh3_64_intdigest(data).to_bytes(8, "little")


def chain_seed(store_id: bytes, session_id: bytes) -> int:
    """The chain hash before chunk 0: it ties every checksum to this one session."""
    return xxh3(store_id + session_id)


def bound_sum(generation: int, chunk: int, chain: int, data: Buffer) -> int:
    """Checksum of derived bytes of one chunk, bound to the chunk's tokens."""
    digest = xxhash.xxh3_64(_PREFIX.pack(generation, chunk, chain))
    digest.update(data)
    return digest.intdigest()


def bound_sums(
    generation: int, chunks: NDArray[np.int64], chains: NDArray[np.uint64], data: NDArray[np.uint8]
) -> NDArray[np.uint64]:
    """`bound_sum` of each row of data [n, bytes]."""
    prefixes = np.empty((len(chunks), 3), "<u8")
    prefixes[:, 0], prefixes[:, 1], prefixes[:, 2] = generation, chunks, chains
    sums = np.empty(len(chunks), np.uint64)
    opening = rows_of(prefixes.view(np.uint8))
    for i, (prefix, row) in enumerate(zip(opening, rows_of(data), strict=True)):
        digest = xxhash.xxh3_64(prefix)
        digest.update(row)
        sums[i] = digest.intdigest()
    return sums


def rows_of(data: NDArray[np.uint8]) -> Iterable[memoryview]:
    """The rows of a contiguous [n, bytes] array as buffers, without a copy."""
    n, width = data.shape
    flat = memoryview(data.reshape(-1))
    return (flat[i * width : (i + 1) * width] for i in range(n))
