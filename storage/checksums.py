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


def digest_of(rows: NDArray[np.uint8]) -> bytes:
    """Digest of rows [n, bytes] in one piece, as 8 bytes."""
    return xxh3_bytes(memoryview(rows.reshape(-1)))


def sums_of(
    generation: int, chunks: Iterable[int], chains: Iterable[int], rows: Iterable[Buffer]
) -> list[int]:
    """`bound_sum` of each row, one per chunk and chain hash."""
    start, pack = xxhash.xxh3_64, _PREFIX.pack
    sums = []
    for chunk, chain, row in zip(chunks, chains, rows, strict=True):
        digest = start(pack(generation, chunk, chain))
        digest.update(row)
        sums.append(digest.intdigest())
    return sums


def bound_sums(
    generation: int, chunks: NDArray[np.int64], chains: NDArray[np.uint64], data: NDArray[np.uint8]
) -> NDArray[np.uint64]:
    """`bound_sum` of each row of data [n, bytes]."""
    sums = sums_of(generation, chunks.tolist(), chains.tolist(), rows_of(data))
    return np.array(sums, np.uint64)


def rows_of(data: NDArray[np.uint8]) -> list[memoryview]:
    """The rows of a contiguous [n, bytes] array as buffers, without a copy."""
    n, width = data.shape
    flat = memoryview(data.reshape(-1))
    return [flat[i : i + width] for i in range(0, n * width, width)]
