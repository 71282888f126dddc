"""xxh3-64 in the three shapes the format uses it.

Every derived byte is bound to the tokens it was computed from: the chain hash of chunk i
covers all tokens up to the chunk's end, and opens the input of the chunk's checksums.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from itertools import repeat

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
    # Each step for all rows: between the calls there is nothing of Python's.
    digests = list(map(xxhash.xxh3_64, map(_PREFIX.pack, repeat(generation), chunks, chains)))
    for digest, row in zip(digests, rows, strict=True):
        digest.update(row)
    return [digest.intdigest() for digest in digests]


def bound_sums(
    generation: int, chunks: NDArray[np.int64], chains: NDArray[np.uint64], data: NDArray[np.uint8]
) -> NDArray[np.uint64]:
    """`bound_sum` of each row of data [n, bytes]."""
    sums = sums_of(generation, chunks.tolist(), chains.tolist(), rows_of(data))
    return np.array(sums, np.uint64)


def rows_of(data: NDArray[np.uint8]) -> list[memoryview]:
    """The rows of a contiguous [n, bytes] array as buffers, without a copy."""
    if not data.size:
        return [memoryview(b"")] * len(data)
    return list(map(memoryview(data).cast("B").__getitem__, _row_slices(*data.shape)))


@lru_cache(16)
def _row_slices(n: int, width: int) -> list[slice]:
    return [slice(i, i + width) for i in range(0, n * width, width)]
