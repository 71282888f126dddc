"""Reading chosen blocks of K/V, wherever they lie."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import repeat
from typing import cast

from .geometry import Geometry
from .parts import Part
from .vfs import Vfs


class BlockReader:
    """Reads blocks of one generation.

    Args:
        vfs: file access.
        geometry: where a block lies in its segment.
    """

    def __init__(self, vfs: Vfs, geometry: Geometry) -> None:
        self._vfs = vfs
        # Looked up once and not for every block: they are computed.
        self._cap, self._base, self._stride = geometry.cap, geometry.base, geometry.stride

    def read(self, chunks: list[int], rows: list[memoryview], parts: Sequence[Part]) -> list[int]:
        """Fill each of `rows` with the block of its chunk, as it is stored.

        Args:
            parts: files that the chunks lie in, ascending.

        Returns:
            The chunks whose block is not wholly in its file.
        """
        cap, base, stride = self._cap, self._base, self._stride
        offsets = [base + chunk % cap * stride for chunk in chunks]
        if len(parts) == 1:
            found = parts[0].descriptors([chunk // cap for chunk in chunks])
        else:
            stops = [part.stop for part in parts]
            owners = map(bisect_right, repeat(stops), chunks)
            found = [
                fd
                for x, i in zip(owners, chunks, strict=True)
                for fd in parts[x].descriptors([i // cap])
            ]
        if None not in found:
            return [chunks[x] for x in self._vfs.read_rows(cast(list[int], found), rows, offsets)]
        there = [place for place, fd in enumerate(found) if fd is not None]
        fds = [fd for fd in found if fd is not None]
        short = self._vfs.read_rows(fds, [rows[x] for x in there], [offsets[x] for x in there])
        missing = {place for place, fd in enumerate(found) if fd is None}
        return [chunks[place] for place in sorted(missing | {there[x] for x in short})]
