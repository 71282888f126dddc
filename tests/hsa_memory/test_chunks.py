"""The cache of chunks: what it returns is what it would fetch, within its bounds."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from hsa_memory.chunks import ChunkCache

WIDTH = 8


class Disk:
    """Rows that can be told apart, and what was asked of them."""

    def __init__(self) -> None:
        self.fetched: list[int] = []

    def fetch(self, ids: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        self.fetched += ids.tolist()
        out[:] = rows(ids)


def rows(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    return ids.astype("<i8").view(np.uint8).reshape(-1, WIDTH)


def take(cache: ChunkCache, disk: Disk, *ids: int) -> list[int]:
    """Gather ids, check the rows, and return which of them had to be fetched."""
    disk.fetched.clear()
    wanted = np.array(ids, np.int64)
    found = np.zeros((len(ids), WIDTH), np.uint8)
    cache.gather(wanted, disk.fetch, found)
    assert np.array_equal(found, rows(wanted))
    return list(disk.fetched)


def test_the_chunks_used_last_are_kept() -> None:
    cache, disk = ChunkCache(3 * WIDTH + 1, WIDTH), Disk()
    assert take(cache, disk, 5, 700) == [5, 700]
    assert take(cache, disk, 5, 9) == [9]
    assert take(cache, disk, 2) == [2]  # in the place of 700
    assert take(cache, disk, 2, 5, 9) == []
    assert take(cache, disk, 700) == [700]


def test_more_chunks_than_fit_are_returned_all_the_same() -> None:
    cache, disk = ChunkCache(2 * WIDTH, WIDTH), Disk()
    assert take(cache, disk, 1, 2, 3, 4) == [1, 2, 3, 4]
    assert len(take(cache, disk, 1, 2, 3, 4)) == 2
    assert take(cache, disk) == []


@pytest.mark.parametrize("size", [0, WIDTH - 1])
def test_no_room_keeps_nothing(size: int) -> None:
    cache, disk = ChunkCache(size, WIDTH), Disk()
    assert take(cache, disk, 1, 2) == take(cache, disk, 1, 2) == [1, 2]


def test_cleared_chunks_are_fetched_again() -> None:
    cache, disk = ChunkCache(1024, WIDTH), Disk()
    take(cache, disk, 1)
    cache.clear()
    assert take(cache, disk, 1) == [1]


def test_any_sequence_of_gathers_gives_the_right_rows() -> None:
    draw = random.Random(1)
    cache, disk = ChunkCache(20 * WIDTH, WIDTH), Disk()
    for _ in range(300):
        fetched = take(cache, disk, *draw.sample(range(60), draw.randrange(30)))
        assert not fetched or take(cache, disk, fetched[0]) == []
