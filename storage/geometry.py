"""Where a chunk's bytes lie inside the files of a generation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .header import HEADER_BYTES
from .types import Layout

RECORD = np.dtype(
    [
        ("kv_sum", "<u8"),
        ("landmark_sum", "<u8"),
        ("chain", "<u8"),
        ("tok0", "<u8"),
        ("last_seq", "<u8"),
        ("n_tok", "<u2"),
        ("flags", "<u2"),
        ("nonce", "V12"),
        ("record_sum", "<u8"),
    ]
)
RECORD_BYTES = 64
RECORD_SUMMED_BYTES = RECORD_BYTES - 8
assert RECORD.itemsize == RECORD_BYTES

_PAGE = 4096
# Restoring checks the landmark rows of the one open segment singly: the bound keeps that cheap.
_MAX_CAP = 4096
_MAX_SEGMENT_BYTES = 128 << 20
_ALIGNMENTS = (4096, 512, 64, 8, 1)


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Sizes that follow from a layout and are kept in the generation's headers."""

    stride: int
    """Bytes from one chunk's block to the next."""
    cap: int
    """Chunks per segment, a power of two."""

    @property
    def base(self) -> int:
        """Offset of a segment's first block."""
        return _round_up(HEADER_BYTES + self.cap * RECORD_BYTES, _PAGE)

    @property
    def segment_bytes(self) -> int:
        """Length of a full segment."""
        return self.base + self.cap * self.stride

    def segment_of(self, chunk: int) -> int:
        """Number of the segment that holds a chunk."""
        return chunk // self.cap

    def block_offset(self, chunk: int) -> int:
        """Offset of a chunk's block in its segment."""
        return self.base + chunk % self.cap * self.stride

    def record_offset(self, chunk: int) -> int:
        """Offset of a chunk's record in its segment."""
        return HEADER_BYTES + chunk % self.cap * RECORD_BYTES


def geometry_of(layout: Layout, overhead: int = 0) -> Geometry:
    """The geometry this version gives to a new generation.

    The stride takes the largest alignment that wastes at most 5%; a segment holds at most
    128 MiB of blocks and at most 4096 chunks.

    Args:
        overhead: bytes that the cipher adds to a block.
    """
    stored = layout.kv_bytes + overhead
    alignment = next(a for a in _ALIGNMENTS if _round_up(stored, a) - stored <= stored // 20)
    stride = _round_up(stored, alignment)
    cap = _MAX_CAP
    while cap > 1 and cap * stride > _MAX_SEGMENT_BYTES:
        cap //= 2
    return Geometry(stride=stride, cap=cap)


def grown(current: int, needed: int, limit: int, step: int) -> int:
    """Next allocation of a growing file: 1/16 of its length more, so waste stays small."""
    return min(limit, max(_round_up(needed, _PAGE), _round_up(current + current // 16, step)))
