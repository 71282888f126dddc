"""Reading chosen blocks of K/V, wherever they lie."""

from __future__ import annotations

from collections.abc import Callable

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

    def read(
        self, chunks: list[int], rows: list[memoryview], part_of: Callable[[int], Part]
    ) -> list[int]:
        """Fill each of `rows` with the block of its chunk, as it is stored.

        Args:
            part_of: gives the files that a chunk lies in.

        Returns:
            The chunks whose block is not wholly in its file.
        """
        cap, base, stride = self._cap, self._base, self._stride
        wanted, missing = [], set()
        first, stop = 0, 0
        for chunk, row in zip(chunks, rows, strict=True):
            if not first <= chunk < stop:
                part = part_of(chunk)
                first, stop, files = part.first, part.stop, dict[int, int | None]()
            n = chunk // cap
            if n not in files:
                files[n] = part.descriptor(n)
            if (fd := files[n]) is None:
                missing.add(chunk)
            else:
                wanted.append((fd, row, base + chunk % cap * stride))
        short = self._vfs.read_rows(wanted)
        if missing:
            chunks = [chunk for chunk in chunks if chunk not in missing]
        return [*missing, *(chunks[place] for place in short)]
