"""A memory whose model is on a GPU does what one on the CPU does.

Where there is no GPU, a double stands in for it (`second_device`). What is marked `gpu` needs one.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import hsa_memory
from hsa_memory import engine as engines
from hsa_memory.engine import Engine, load_engine
from hsa_memory.memory import Memory
from hsa_memory.precision import PRECISIONS
from hsa_memory.session import MemorySession
from hsa_memory.tiers import DeviceTier, PinnedBuffer
from hsa_memory.types import Answer, SearchResult

OPERATORS = ("chunk_attention", "chunk_scores", "landmark_topk")
QUESTION = "Where is the spare key?"
WIDTH = 8
Open = Callable[..., Memory]


def _load_double() -> ModuleType:
    # No folder of tests is on sys.path.
    path = Path(__file__).parent / "second_device" / "__init__.py"
    spec = importlib.util.spec_from_file_location("second_device", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["second_device"] = module
    spec.loader.exec_module(module)
    return module


double = _load_double()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The double, with operators that run on it in PyTorch."""
    for name in OPERATORS:
        api = importlib.import_module(f"hsa_memory.kernels.{name}.api")
        if hasattr(api, "resolve"):
            monkeypatch.setattr(api, "resolve", lambda backend, x: "torch")
        else:
            monkeypatch.setattr(api, "_forward", api.cpu.forward)
    monkeypatch.setattr(engines, "resolve", lambda backend, x: "torch")
    monkeypatch.setattr(engines, "_loaded", {})
    with double.second_device(monkeypatch) as mode:
        yield mode


def fill(session: MemorySession, count: int = 9) -> None:
    draw = random.Random(3)
    words = "harbour tower key flowerpot dog locker code quiet blue spare Biscuit 4817".split()
    for number in range(count):
        text = " ".join(draw.choices(words, k=draw.randrange(3, 30)))
        session.add("user", text, id=f"m{number}", timestamp=1000.0 + number)


def found(result: SearchResult) -> list[tuple[Any, ...]]:
    return [(hit.id, hit.score, hit.spans, hit.chunk_ids) for hit in result]


def said(answer: Answer) -> tuple[Any, ...]:
    cited = [(c.id, c.weight, c.spans, c.chunk_ids) for c in answer.citations]
    return answer.text, answer.support, answer.finish_reason, cited


def ask(session: MemorySession, **more: Any) -> tuple[Any, ...]:
    return said(session.ask(QUESTION, max_tokens=4, **more))


def alike(one: Any, other: Any) -> bool:
    """Whether two results are the same, numbers but for their last digits: products of another
    device are added up in another order."""
    if isinstance(one, float):
        return bool(one == pytest.approx(other, rel=1e-4, abs=1e-6))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


def whole_life(memory: Memory) -> list[Any]:
    """Everything that a session can do; returns what it said."""
    told: list[Any] = []
    with memory.session("alice") as session:
        fill(session)
        told.append(found(session.search(QUESTION, k=6)))
        told.append(ask(session))
        told.append(ask(session, temperature=0.8, seed=5))
        told.append(found(session.search("locker", k=3, since=1004.0)))
        told.append(ask(session, until=1006.0))
    with memory.session("alice") as session:
        result = session.search(QUESTION, k=6)
        told.append((found(result), result.stats.prefilled_history, result.stats.chunks_read))
        with memory.session("alice", read_only=True) as reader:
            told.append(found(reader.search(QUESTION, k=2)))
        session.add("user", "Another one, and nothing else.", id="late", timestamp=2000.0)
        with session.fork("draft", message="m7") as fork:
            fork.add("user", "What the fork alone knows.", id="own", timestamp=2000.0)
            told.append((found(fork.search("fork", k=2)), ask(fork)))
        with session.as_of(message="m5") as past:
            told.append((found(past.search(QUESTION, k=4)), ask(past)))
    memory.delete_session("draft")
    with memory.session("alice") as session:
        told.append(session.forget("m4", scan=True).traces)
        told.append((found(session.search(QUESTION, k=6)), ask(session)))
        assert session.reingest().tokens_ingested
        told.append(found(session.search(QUESTION, k=6)))
    memory.reingest("alice", force=True, kv_dtype="int8")
    with memory.session("alice") as session:
        told.append((found(session.search(QUESTION, k=6)), ask(session)))
    assert memory.check() == []
    return told


def two_questions(memory: Memory) -> list[Any]:
    """A session that is filled, restored and asked."""
    with memory.session("alice") as session:
        fill(session, 5)
        first = found(session.search(QUESTION, k=3))
    with memory.session("alice") as session:
        return [first, found(session.search("locker", k=3)), ask(session)]


@pytest.fixture
def opened(tmp_path: Path, tiny_checkpoint: Path) -> Open:
    def opened(device: str, **more: Any) -> Memory:
        folder = tmp_path / f"{device.replace(':', '-')}-{len(list(tmp_path.iterdir()))}"
        return hsa_memory.open(
            folder, model=tiny_checkpoint, device=device, dtype="float32", **more
        )

    return opened


# ---- the same on both


def test_a_session_says_the_same_on_both_devices(opened: Open, device: Any) -> None:
    with opened("cpu") as memory:
        expected = whole_life(memory)
    assert not device.waits
    with opened("cuda") as memory:
        assert memory._engine.device == double.DEVICE
        assert alike(whole_life(memory), expected)
    assert device.waits


@pytest.mark.parametrize("kv_dtype", PRECISIONS)
@pytest.mark.parametrize("budget", [0, 1000, 3000, 1 << 20])
def test_any_budget_of_the_device_tier_gives_the_same(
    opened: Open, device: Any, budget: int, kv_dtype: str
) -> None:
    with opened("cpu", kv_dtype=kv_dtype) as memory:
        expected = two_questions(memory)
    budgets = {"device_cache_bytes": budget, "cache_bytes": 0}
    with opened("cuda", kv_dtype=kv_dtype, **budgets) as memory:
        assert alike(two_questions(memory), expected)
        with memory.session("alice") as session:
            session.search(QUESTION, k=3)
            again = session.search(QUESTION, k=3).stats.chunks_read
            assert (again == 0) == (budget == 1 << 20)


def test_a_session_goes_from_one_device_to_the_other(
    tmp_path: Path, tiny_checkpoint: Path, device: Any
) -> None:
    said_there = []
    for name in ("cpu", "cuda", "cpu"):
        with (
            hsa_memory.open(
                tmp_path / "memory", model=tiny_checkpoint, device=name, dtype="float32"
            ) as memory,
            memory.session("alice") as session,
        ):
            if not len(session):
                fill(session, 5)
            result = session.search(QUESTION, k=6)
            assert result.stats.prefilled_history == 0
            said_there.append((found(result), ask(session)))
    assert said_there[0] == said_there[2]
    assert alike(said_there[0], said_there[1])


def test_a_damaged_chunk_is_left_out_there_too(opened: Open, device: Any) -> None:
    told = []
    for name in ("cpu", "cuda"):
        with opened(name) as memory, memory.session("alice") as session:
            fill(session, 5)
            (file,) = Path(memory.path).rglob("seg-*")
            size = session._store.layout.kv_bytes
            raw = bytearray(file.read_bytes())
            for at in range(len(raw) // 2, len(raw), max(1, size // 2)):
                raw[at] ^= 0xFF
            file.write_bytes(raw)
            result = session.search(QUESTION, k=3)
            assert result.diagnostics
            told.append((found(result), ask(session)))
    assert alike(told[0], told[1])


# ---- the tiers


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
        assert got.device == double.DEVICE
        assert np.array_equal(got.cpu().numpy(), rows(wanted))
        return list(self.fetched)


def tier_of(num_rows: int, width: int = WIDTH) -> DeviceTier:
    return DeviceTier(num_rows * width, width, PinnedBuffer(double.DEVICE), double.DEVICE)


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
    monkeypatch.setattr(double.Event, "synchronize", lambda self: None)
    tier, disk = tier_of(20), Disk()
    tier.gather(np.arange(3), disk.fetch)
    tier.gather(np.arange(3, 6), disk.fetch)
    with pytest.raises(double.OverwrittenInFlight):
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


# ---- what is waited for


def test_an_answer_waits_for_the_device_a_few_times_a_token(opened: Open, device: Any) -> None:
    with opened("cuda") as memory, memory.session("alice") as session:
        fill(session, 5)
        waits = []
        for _ in range(3):
            device.waits.clear()
            session.search(QUESTION, k=3)
            waits.append(device.waits.total())
        # Not one for each of some dozens of chunks, nor for each token of a hit.
        assert waits[1] == waits[2] < 40


# ---- errors


def test_a_device_that_is_not_there_is_told(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(device: Any) -> str:
        with pytest.raises(hsa_memory.InvalidArgument) as caught:
            load_engine(tiny_checkpoint, device)
        return str(caught.value)

    for name in ("gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0:1", "", None, 0):
        assert "device must be" in told(name)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    assert "needs a build of PyTorch for GPUs" in told("cuda")
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no GPU is visible" in told("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert "2 GPUs are visible, numbered from 0 to 1" in told("cuda:2")


def test_a_gpu_that_the_operators_do_not_run_on_is_told(
    tiny_checkpoint: Path, device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(backend: str | None, x: torch.Tensor) -> str:
        raise engines.BackendUnavailable("this GPU is too old")

    monkeypatch.setattr(engines, "resolve", refuse)
    with pytest.raises(hsa_memory.InvalidArgument, match="too old"):
        load_engine(tiny_checkpoint, "cuda")


def test_engines_of_two_devices_are_two(tiny_checkpoint: Path, device: Any) -> None:
    here, there = (load_engine(tiny_checkpoint, name, "float32") for name in ("cpu", "cuda"))
    assert load_engine(tiny_checkpoint, "auto", "float32") is here
    assert load_engine(tiny_checkpoint, "cuda:0", "float32") is there is not here
    assert here.fingerprint == there.fingerprint
    assert there.dtype == torch.float32
    assert load_engine(tiny_checkpoint, "cuda").dtype == torch.bfloat16
    assert there.tokens_per_second > 0


def test_memory_that_does_not_suffice_is_told(opened: Open, device: Any) -> None:
    with opened("cuda") as memory, memory.session("alice") as session:
        fill(session, 3)
        session.search(QUESTION)
        device.room = 0
        with pytest.raises(hsa_memory.DeviceFull, match="device_cache_bytes"):
            session.search(QUESTION)
        device.room = None
        assert session.search(QUESTION)


# ---- on a GPU


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_session_on_a_gpu_says_what_one_on_the_cpu_says(
    tmp_path: Path, mini_weights: Path, dtype: str
) -> None:
    told = []
    for device in ("cpu", "cuda"):
        with hsa_memory.open(tmp_path / device, device=device, dtype=dtype) as memory:
            with memory.session("alice") as session:
                fill(session, 40)
                session.add("user", "My dog is called Biscuit.", id="dog")
                fill_up(session)
            with memory.session("alice") as session:
                result = session.search("What is my dog called?", k=1)
                answer = session.ask("What is my dog called?")
                told.append((result[0].id, result.stats.prefilled_history, answer.text))
    assert told[0] == told[1]


@pytest.mark.gpu
def test_a_budget_of_nothing_works_on_a_gpu(tmp_path: Path, tiny_checkpoint: Path) -> None:
    told = []
    for budget in (0, 3000, 1 << 20):
        with hsa_memory.open(
            tmp_path / str(budget),
            model=tiny_checkpoint,
            device="cuda",
            dtype="float32",
            device_cache_bytes=budget,
            cache_bytes=0,
        ) as memory:
            told.append(two_questions(memory))
    assert told[0] == told[1] == told[2]


@pytest.mark.gpu
def test_the_whole_life_of_a_session_on_a_gpu(opened: Open) -> None:
    told = []
    for device in ("cpu", "cuda"):
        with opened(device) as memory:
            told.append(whole_life(memory))
    assert alike(told[0], told[1])


def fill_up(session: MemorySession) -> None:
    """Messages behind what is looked for, so that no window reaches it."""
    for number in range(40):
        session.add("user", f"Nothing happened on day {number}.", id=f"day{number}")
