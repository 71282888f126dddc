"""The device tier returns what it would fetch, within its bounds and within the GPU's memory, and
its pinned buffer is not written while it is copied. A double stands in for the GPU."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import second_device
import torch
from numpy.typing import NDArray
from second_device import DEVICE

from hsa_memory.tiers import DeviceTier, PinnedBuffer

WIDTH = 8


def rows(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    return ids.astype("<i8").view(np.uint8).reshape(-1, WIDTH)


class Disk:
    """Rows that can be told apart, and what was asked of them."""

    def __init__(self) -> None:
        self.fetched: list[int] = []

    def fetch(self, ids: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        self.fetched += ids.tolist()
        out[:] = rows(ids)

    def take(self, tier: DeviceTier, *ids: int) -> list[int]:
        """Gather ids, check the rows, and return which of them had to be fetched."""
        self.fetched.clear()
        wanted = np.array(ids, np.int64)
        got = tier.gather(wanted, self.fetch)
        assert got.device == DEVICE
        assert np.array_equal(got.cpu().numpy(), rows(wanted))
        return list(self.fetched)


def tier_of(num_rows: int, width: int = WIDTH) -> DeviceTier:
    return DeviceTier(num_rows * width, width, PinnedBuffer(DEVICE), DEVICE)


def test_the_chunks_used_last_are_kept_on_the_device(device: Any) -> None:
    tier, disk = tier_of(3), Disk()
    assert disk.take(tier, 5, 700) == [5, 700]
    assert disk.take(tier, 5, 9) == [9]
    assert disk.take(tier, 2) == [2]  # in the place of 700
    assert disk.take(tier, 9, 2, 5) == []
    assert disk.take(tier, 1, 2, 3, 4) == [1, 3, 4]
    assert disk.take(tier) == []
    tier.clear()
    assert disk.take(tier, 1) == [1]


def test_any_sequence_of_gathers_gives_the_right_rows_on_the_device(device: Any) -> None:
    draw = random.Random(1)
    tier, disk = tier_of(20), Disk()
    for _ in range(100):
        disk.take(tier, *draw.sample(range(60), draw.randrange(30)))


def test_a_chunk_that_is_there_is_taken_without_a_wait(device: Any) -> None:
    tier, disk = tier_of(8), Disk()
    wanted = np.arange(5)
    tier.gather(wanted, disk.fetch)
    device.waits.clear()
    tier.gather(wanted, disk.fetch)
    assert not device.waits


def test_rows_beyond_the_pinned_buffer_go_in_parts(
    device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsa_memory.tiers._MOST_PINNED", 3 * WIDTH)
    monkeypatch.setattr("hsa_memory.tiers._FIRST_PINNED", 1)
    tier, disk = tier_of(20), Disk()
    assert disk.take(tier, *range(10)) == list(range(10))
    assert disk.take(tier, *range(5, 12)) == [10, 11]


def test_the_pinned_buffer_is_not_written_before_it_was_copied(
    device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_device.Event, "synchronize", lambda self: None)
    tier, disk = tier_of(20), Disk()
    tier.gather(np.arange(3), disk.fetch)
    tier.gather(np.arange(3, 6), disk.fetch)
    with pytest.raises(second_device.OverwrittenInFlight):
        torch.zeros(1, device="cuda").item()


def test_a_fetch_that_fails_leaves_the_tier_as_it_was(device: Any) -> None:
    tier, disk = tier_of(4), Disk()
    disk.take(tier, 1, 2)

    def fail(ids: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        out[:] = 255
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        tier.gather(np.array([1, 3, 4]), fail)
    assert disk.take(tier, 1, 2) == []
    assert disk.take(tier, 3, 4) == [3, 4]


def test_a_tier_that_finds_no_memory_stays_as_large_as_it_is(
    device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsa_memory.tiers._FIRST_ROWS", 2)
    tier, disk = tier_of(100), Disk()
    disk.take(tier, 1, 2)
    device.room = 5 * WIDTH
    assert disk.take(tier, 3, 4, 5) == [3, 4, 5]
    assert len(disk.take(tier, 3, 4)) <= 2
    device.room = None
    disk.take(tier, *range(10))
    assert disk.take(tier, *range(10)) == []


def test_a_tier_gives_room_to_what_is_asked_for(device: Any) -> None:
    tier, disk = tier_of(8), Disk()
    disk.take(tier, *range(8))
    calls = []

    def once(ids: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        calls.append(len(ids))
        if len(calls) == 1:
            raise torch.OutOfMemoryError("no room")
        disk.fetch(ids, out)

    got = tier.gather(np.arange(4, 12), once)
    assert np.array_equal(got.cpu().numpy(), rows(np.arange(4, 12)))
    assert calls == [4, 8]
    assert len(disk.take(tier, *range(4, 12))) == 4  # half as many are kept
