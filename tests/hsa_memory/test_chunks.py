"""Chunks of a session: the host tier returns what it would fetch, within its bounds, and the model
gets what was encoded, in each number format."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import hsa_memory
from hsa_memory.model import ChunkKV
from hsa_memory.precision import PRECISIONS
from hsa_memory.tiers import HostTier, Slots

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


def take(tier: HostTier, disk: Disk, *ids: int) -> list[int]:
    """Gather ids, check the rows, and return which of them had to be fetched."""
    disk.fetched.clear()
    wanted = np.array(ids, np.int64)
    found = np.zeros((len(ids), WIDTH), np.uint8)
    tier.gather(wanted, disk.fetch, found)
    assert np.array_equal(found, rows(wanted))
    return list(disk.fetched)


def test_the_chunks_used_last_are_kept() -> None:
    tier, disk = HostTier(3 * WIDTH + 1, WIDTH), Disk()
    assert take(tier, disk, 5, 700) == [5, 700]
    assert take(tier, disk, 5, 9) == [9]
    assert take(tier, disk, 2) == [2]  # in the place of 700
    assert take(tier, disk, 2, 5, 9) == []
    assert take(tier, disk, 700) == [700]


@pytest.mark.parametrize("cleared", [False, True])
def test_an_interrupt_while_it_grows_costs_nothing_but_the_rows(
    monkeypatch: pytest.MonkeyPatch, cleared: bool
) -> None:
    tier, disk = HostTier(4000 * WIDTH, WIDTH), Disk()
    take(tier, disk, 1)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Slots, "grow", interrupted)
        with pytest.raises(KeyboardInterrupt):
            take(tier, disk, *range(2, 1002))
    if cleared:
        tier.clear()
    for first in (3000, 5000):
        assert take(tier, disk, *range(first, first + 600)) == [*range(first, first + 600)]
        assert take(tier, disk, *range(first, first + 600)) == []


def test_more_chunks_than_fit_are_returned_all_the_same() -> None:
    tier, disk = HostTier(2 * WIDTH, WIDTH), Disk()
    assert take(tier, disk, 1, 2, 3, 4) == [1, 2, 3, 4]
    assert len(take(tier, disk, 1, 2, 3, 4)) == 2
    assert take(tier, disk) == []


@pytest.mark.parametrize("size", [0, WIDTH - 1])
def test_no_room_keeps_nothing(size: int) -> None:
    tier, disk = HostTier(size, WIDTH), Disk()
    assert take(tier, disk, 1, 2) == take(tier, disk, 1, 2) == [1, 2]


def test_cleared_chunks_are_fetched_again() -> None:
    tier, disk = HostTier(1024, WIDTH), Disk()
    take(tier, disk, 1)
    tier.clear()
    assert take(tier, disk, 1) == [1]


def test_any_sequence_of_gathers_gives_the_right_rows() -> None:
    draw = random.Random(1)
    tier, disk = HostTier(20 * WIDTH, WIDTH), Disk()
    for _ in range(300):
        fetched = take(tier, disk, *draw.sample(range(60), draw.randrange(30)))
        assert not fetched or take(tier, disk, fetched[0]) == []


@pytest.mark.parametrize("kv_dtype", PRECISIONS)
def test_the_model_gets_what_was_encoded(
    tmp_path: Path, tiny_checkpoint: Path, kv_dtype: str
) -> None:
    memory = hsa_memory.open(tmp_path, model=tiny_checkpoint, kv_dtype=kv_dtype)
    with memory, memory.session("alice") as session:
        session.add("user", "The old harbour was quiet, and nobody could remember the tower. " * 9)
        encoder, engine = session._encoder, session._engine
        count = session.stats().num_chunks
        with torch.inference_mode():
            tokens = encoder._tokens(0, 8 * count)
            k, v = engine.model.ingest(tokens, engine.model.start(1)).memory.kv
        expected = PRECISIONS[kv_dtype].rounded(ChunkKV(k[0], v[0]))
        chunks = encoder.chunks()
        for ids in ([], [3], list(range(count)), [1, 3, count - 1]):
            wanted = torch.tensor(ids, dtype=torch.long)
            found = chunks.gather(wanted, room=2)
            for ours, theirs in zip(found, expected, strict=True):
                assert ours.shape[:2] == (1, len(ids) + 2)
                assert torch.equal(ours[0, : len(ids)], theirs[wanted])
        assert chunks.chunks_read == count
        assert chunks.bytes_read == count * session._store.layout.kv_bytes
