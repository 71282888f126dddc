"""Every kind of file damaged in every way, at every moment: told or harmless, never wrong.

A part of the campaign of damage.py; `python scripts/damage.py` runs as much of it as is wanted.
"""

import importlib.util
import os
import random
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hsa_memory.storage import CorruptMetadata, Store
from hsa_memory.storage.header import KINDS as HEADERS
from hsa_memory.storage.header import decode_header, encode_header
from hsa_memory.storage.rows import State, decode_head, encode_head


def _load():
    spec = importlib.util.spec_from_file_location(
        "storage_damage", Path(__file__).parent / "damage.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


damage = _load()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in memory, where there is much of it: other tests use it at the same time."""
    memory = Path("/dev/shm")
    much = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 29
    made = Path(tempfile.mkdtemp(prefix="hsa-memory-damage-", dir=memory if much else None))
    yield made
    shutil.rmtree(made)


_made: dict[bool, object] = {}


@pytest.fixture
def campaign(folder, kit, monkeypatch):
    """The campaign over a store that was closed well."""
    return _campaign(folder, kit, monkeypatch, killed=False)


@pytest.fixture
def killed(folder, kit, monkeypatch):
    """The campaign over a store whose writer was killed."""
    return _campaign(folder, kit, monkeypatch, killed=True)


def _campaign(folder, kit, monkeypatch, *, killed: bool):
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", 16)
    if killed not in _made:
        (folder / str(killed)).mkdir()
        _made[killed] = damage.Campaign(kit, folder / str(killed), killed=killed)
    return _made[killed]


@pytest.fixture(scope="module", autouse=True)
def _forget_campaigns() -> Iterator[None]:
    yield
    _made.clear()


def test_every_bit_of_every_header_is_covered() -> None:
    for kind in HEADERS:
        page = encode_header(kind, {"gen": 1, "sid": "ab" * 16, "store": "cd" * 16})
        for bit in range(8 * len(page)):
            damaged = bytearray(page)
            damaged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(CorruptMetadata):
                decode_header(kind, bytes(damaged), "here")


def test_every_bit_of_head_bin_is_covered() -> None:
    sid = bytes(range(16))
    whole = encode_head(State(commits=7, n_turn=3, n_tok=9, link=b"01234567"), sid)
    assert decode_head(whole, sid) is not None
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        assert decode_head(bytes(damaged), sid) is None
    for length in range(len(whole)):
        assert decode_head(whole[:length], sid) is None


def test_every_bit_of_records_blocks_and_landmarks_is_covered(campaign, kit) -> None:
    with Store.open(campaign.root, read_only=True) as store:
        session = store.session("alice", layout=kit.layout, read_only=True)
        generation = session._derived.generation
        table, checks = generation.records, generation._checks
        ids = np.arange(session.published)
        table.need(0, len(ids))
        good = table.rows[ids].copy()
        for chunk in (0, 17, 39):
            for bit in range(8 * 64):
                raw = good.view(np.uint8).reshape(-1, 64)
                raw[chunk, bit // 8] ^= 1 << bit % 8
                table.keep(0, good)
                assert table.unusable(ids, len(ids)) == [chunk]
                raw[chunk, bit // 8] ^= 1 << bit % 8
        table.keep(0, good)
        rows = generation.own.landmarks().rows(0, len(ids))
        for bit in range(0, 8 * rows.size, 3):
            chunk, byte = divmod(bit // 8, rows.shape[1])
            rows[chunk, byte] ^= 1 << bit % 8
            start = chunk // 16 * 16
            assert checks.damaged(start, rows[start : start + 16]) == [chunk]
            rows[chunk, byte] ^= 1 << bit % 8


@pytest.mark.parametrize("name", damage.KINDS)
def test_flipped_bits_before_a_store_is_read(campaign, name) -> None:
    for change in damage.flips(campaign, name, 40, random.Random(name)):
        campaign.before_reading(name, change)


@pytest.mark.parametrize("name", damage.LOGS)
def test_flipped_bits_of_what_a_killed_writer_leaves(killed, name) -> None:
    for change in damage.flips(killed, name, 30, random.Random(name)):
        outcome = killed.before_reading(name, change)
        assert name != "session.db-shm" or outcome == damage.HARMLESS


@pytest.mark.parametrize("name", damage.KINDS)
def test_flipped_bits_under_an_open_reader(campaign, name) -> None:
    with campaign.while_reading() as use:
        for change in damage.flips(campaign, name, 30, random.Random(f"{name} open")):
            use(name, change)


@pytest.mark.parametrize("name", damage.KINDS)
def test_flipped_bits_are_healed_by_a_writer_or_told(campaign, name) -> None:
    draw = random.Random(f"{name} writer")
    for change in damage.flips(campaign, name, 4, draw):
        outcome = campaign.before_writing(name, change)
        assert outcome != damage.TOLD or name in ("STORE", *damage.TRUTH)
        outcome = campaign.while_writing(name, change)
        assert outcome != damage.TOLD or name in ("STORE", *damage.TRUTH)
    for change in damage.flips(campaign, name, 3, draw):
        campaign.repaired(name, change)


@pytest.mark.parametrize("name", damage.KINDS)
def test_whole_files_damaged_before_a_store_is_read(campaign, name) -> None:
    draw = random.Random(f"{name} whole")
    ways = damage.structural(campaign, name)
    for what, change in ways.items():
        outcome = campaign.before_reading(name, change)
        if what == "missing" and not name.startswith("tail"):
            assert outcome != damage.HARMLESS
    for what in draw.sample(sorted(ways), 4):
        campaign.before_writing(name, ways[what])
        campaign.repaired(name, ways[what])


def test_a_log_damaged_as_a_whole_is_told(killed) -> None:
    for name in damage.LOGS:
        ways = damage.structural(killed, name)
        for what in random.Random(name).sample(sorted(ways), 8):
            killed.before_reading(name, ways[what])


@pytest.mark.parametrize("name", damage.UNREAD)
def test_files_that_nobody_reads_may_hold_anything(campaign, name) -> None:
    for change in (damage.replaced(b"somebody was here" * 300), Path.unlink):
        assert campaign.before_reading(name, change) == damage.HARMLESS
        assert campaign.before_writing(name, change) == damage.HARMLESS


def test_files_that_nobody_made_change_nothing(campaign) -> None:
    """Names like ours and others, in every folder of the store."""
    for folder in {path.parent for path in campaign.paths.values()}:
        for name in ("kv-9.seg", "tail-2.bin", "landmarks.bin.old", "g7", ".hidden", "x" * 200):
            (folder / name).write_bytes(struct.pack("<Q", 7) * 600)
            try:
                assert campaign.before_reading("head.bin", lambda _: None) == damage.HARMLESS
                assert campaign.before_writing("head.bin", lambda _: None) == damage.HARMLESS
            finally:
                (folder / name).unlink()


def test_the_campaign_sees_a_wrong_answer(campaign, kit, monkeypatch) -> None:
    """A test of the test: without its checksums the store would answer wrongly."""
    monkeypatch.setattr(
        "hsa_memory.storage.landmark_checks.LandmarkChecks.good",
        lambda self, first, rows: np.ones(len(rows), bool),
    )
    with pytest.raises(AssertionError, match="landmarks"):
        campaign.before_reading("landmarks.bin", damage.flip(4100, 3))
