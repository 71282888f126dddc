"""The number formats in which a session may keep the keys and values of its chunks.

Whatever the format, the model gets bfloat16. A scaled format has one byte for each value, and one
scale for each channel of each chunk, which lies behind the values: read together, in one block.

Letters: C chunks, S chunk size, G KV heads, D head dim.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsa_memory.model import ChunkKV, HSAConfig

from .errors import InvalidArgument

Rows = NDArray[np.uint8]
GATHERED = torch.bfloat16
"""Number format of what the model gets, and of the scales."""
# Chunks decoded at a time: what is converted is still in the processor's cache when it is scaled.
_PART = 64


class Precision(ABC):
    """One number format of keys and values on disk.

    Attributes:
        name: as `hsa_memory.open` takes it.
        dtype: as `Layout.dtype` says it.
    """

    name: str
    dtype: str

    @abstractmethod
    def kv_bytes(self, config: HSAConfig) -> int:
        """Bytes of one chunk's keys and values, scales included."""

    @abstractmethod
    def _encode(self, kv: ChunkKV) -> Tensor:
        """Return what `encode` does, where the keys and values are."""

    @abstractmethod
    def decode(self, rows: Tensor, out: Tensor) -> None:
        """Write to `out` [C, 2, S, G, D], bfloat16, the keys and values of `rows` [C, kv_bytes],
        uint8 and on the same device."""

    @abstractmethod
    def read(self, out: Tensor, fill: Callable[[Rows], None]) -> None:
        """Fill `out` [C, 2, S, G, D], bfloat16, contiguous and on the CPU, with keys and values.

        Args:
            out: where to.
            fill: writes the rows [C, kv_bytes], as `encode` made them.
        """

    def encode(self, kv: ChunkKV) -> Rows:
        """Return the rows [C, kv_bytes] of keys and values [C, S, G, D] in any number format and on
        any device; computed there, copied at once."""
        rows: Rows = self._encode(kv).cpu().numpy()
        return rows

    def rounded(self, kv: ChunkKV) -> ChunkKV:
        """Return [C, S, G, D] as they are once they have been on disk, bfloat16."""
        out = kv.k.new_empty(len(kv.k), 2, *kv.k.shape[1:], dtype=GATHERED)
        self.decode(self._encode(kv), out)
        return ChunkKV(out[:, 0], out[:, 1])


class Plain(Precision):
    """bfloat16, as the model gets it."""

    name = dtype = "bfloat16"

    def kv_bytes(self, config: HSAConfig) -> int:
        _, values = config.memory_values_per_chunk
        return values * GATHERED.itemsize

    def _encode(self, kv: ChunkKV) -> Tensor:
        return _bytes(torch.stack(tuple(kv), dim=1).to(GATHERED))

    def decode(self, rows: Tensor, out: Tensor) -> None:
        out.copy_(rows.view(GATHERED).view(out.shape))

    def read(self, out: Tensor, fill: Callable[[Rows], None]) -> None:
        fill(_bytes(out).numpy())


class Scaled(Precision):
    """One byte for each value and a bfloat16 scale for each channel of a chunk's K and of its V.

    Args:
        name: as `hsa_memory.open` takes it.
        code: number format of the values.
        largest: what a channel's largest value becomes.
    """

    def __init__(self, name: str, code: torch.dtype, largest: float) -> None:
        self.name = name
        self.dtype = str(code).removeprefix("torch.")
        self._code = code
        self._largest = largest
        # torch converts 8-bit floats one by one; a table is several times faster.
        every = torch.arange(256, dtype=torch.uint8).view(code).to(GATHERED)
        self._table = every.view(torch.int16).numpy() if code.is_floating_point else None

    def kv_bytes(self, config: HSAConfig) -> int:
        _, values = config.memory_values_per_chunk
        return values + values // config.chunk_size * GATHERED.itemsize

    def _encode(self, kv: ChunkKV) -> Tensor:
        both = torch.stack(tuple(kv), dim=1).float()
        # A channel of zeros has a scale too; one that is not finite keeps that in its scale.
        least = torch.finfo(GATHERED).tiny
        scales = (both.abs().amax(2, keepdim=True) / self._largest).clamp_min(least).to(GATHERED)
        codes = (both / scales.float()).nan_to_num_(0.0).clamp_(-self._largest, self._largest)
        if self._table is None:
            codes.round_()
        return torch.cat([_bytes(codes.to(self._code)), _bytes(scales)], dim=1)

    def read(self, out: Tensor, fill: Callable[[Rows], None]) -> None:
        values = out.shape[1:].numel()
        scales = values // out.shape[2]
        # Torch's memory: numpy asks for huge pages, and zeroing those costs milliseconds.
        width = values + scales * GATHERED.itemsize
        rows = torch.empty(len(out), width, dtype=torch.uint8)
        fill(rows.numpy())
        self.decode(rows, out)

    def decode(self, rows: Tensor, out: Tensor) -> None:
        values = out.shape[1:].numel()
        size = _PART if rows.is_cpu else max(1, len(rows))
        for part, into in zip(rows.split(size), out.split(size), strict=True):
            self._convert(part[:, :values], into)
            scale = part[:, values:].view(GATHERED)
            into.mul_(scale.view(len(into), 2, 1, *out.shape[3:]))

    def _convert(self, codes: Tensor, into: Tensor) -> None:
        if self._table is None or not codes.is_cpu:
            into.copy_(codes.view(self._code).view(into.shape))
        else:
            bits = into.view(torch.int16).flatten(1).numpy()
            np.take(self._table, codes.numpy(), out=bits, mode="clip")


def _bytes(x: Tensor) -> Tensor:
    """The bytes [C, n] of a tensor [C, ...]; of one that is contiguous, without a copy."""
    return x.contiguous().view(torch.uint8).flatten(1)


DEFAULT = "bfloat16"
PRECISIONS: dict[str, Precision] = {
    precision.name: precision
    for precision in (
        Plain(),
        Scaled("int8", torch.int8, 127.0),
        Scaled("float8", torch.float8_e4m3fn, torch.finfo(torch.float8_e4m3fn).max),
    )
}
_BY_DTYPE = {precision.dtype: precision for precision in PRECISIONS.values()}


def require_precision(name: object) -> Precision:
    """Return the number format that `hsa_memory.open` calls `name`.

    Raises:
        InvalidArgument: there is none.
    """
    found = PRECISIONS.get(name) if isinstance(name, str) else None
    if found is None:
        raise InvalidArgument(f"kv_dtype must be one of {', '.join(PRECISIONS)}; found {name!r}")
    return found


def precision_of(dtype: str) -> Precision:
    """Return the number format that `Layout.dtype` names: every open session has one."""
    return _BY_DTYPE[dtype]
