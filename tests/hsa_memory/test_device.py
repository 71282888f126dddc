"""A memory whose model is on a GPU does what one on the CPU does.

A double stands in for the GPU (fixture `device`). What is marked `gpu` needs a real one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from second_device import DEVICE

import hsa_memory
from hsa_memory import cli
from hsa_memory import engine as engines
from hsa_memory.engine import load_engine
from hsa_memory.errors import InvalidArgument
from hsa_memory.evaluation_memory import ingest
from hsa_memory.kernels.backends import BackendUnavailable
from hsa_memory.memory import Memory
from hsa_memory.precision import PRECISIONS
from hsa_memory.session import MemorySession
from hsa_memory.types import Answer, SearchResult

QUESTION = "Where is the spare key?"
Open = Callable[..., Memory]


def fill(session: MemorySession, count: int = 9) -> None:
    draw = random.Random(3)
    words = ["harbour", "tower", "key", "flowerpot", "dog", "locker", "code", "quiet", "blue"]
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
        assert memory._engine.device == DEVICE
        assert alike(whole_life(memory), expected)
    assert device.waits


@pytest.mark.parametrize("kv_dtype", PRECISIONS)
@pytest.mark.parametrize("budget", [0, 700, 1300, 1 << 20])
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
        with opened(name, cache_bytes=0, device_cache_bytes=0) as memory:
            with memory.session("alice") as session:
                fill(session, 5)
                best = session.search(QUESTION, k=1)[0].chunk_ids[0]
                block = session._store.gather([best]).tobytes()
                (file,) = Path(memory.path).rglob("kv-*.seg")
                raw = file.read_bytes()
                at = raw.index(block)
                file.write_bytes(raw[:at] + b"damaged" + raw[at + 7 :])
                # The layers of an answer meet it one after the other, and a search heals it.
                answer = session.ask(QUESTION, max_tokens=2)
                assert f"chunks {best} were damaged" in answer.diagnostics[0]
                told.append((said(answer), found(session.search(QUESTION, k=3))))
    assert alike(told[0], told[1])


def test_an_evaluation_runs_there_too(tiny_checkpoint: Path, device: Any) -> None:
    told = []
    for name in ("cpu", "cuda"):
        engine = load_engine(tiny_checkpoint, name, "float32")
        tokens = torch.randint(16, 300, (100,), generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            state = ingest(engine, tokens, kv_dtype="int8")
            output = engine.model(tokens[None, :5].to(engine.device), state)
        assert state.memory.num_source_chunks == 12
        told.append(output.logits.cpu())
    assert torch.allclose(told[0], told[1], atol=1e-4)


def test_a_history_that_does_not_fit_there_is_refused(tiny_checkpoint: Path, device: Any) -> None:
    engine = load_engine(tiny_checkpoint, "cuda", "float32")
    with pytest.raises(InvalidArgument, match=f"{1 << 30} are free on cuda"):
        ingest(engine, torch.zeros(1, dtype=torch.long).expand(1 << 26))


# ---- what is waited for


def test_the_device_is_waited_for_a_few_times_a_call(opened: Open, device: Any) -> None:
    def waits(call: Callable[[], object]) -> int:
        device.waits.clear()
        call()
        return int(device.waits.total())

    with opened("cuda") as memory, memory.session("alice") as session:
        fill(session, 5)
        searches = [waits(lambda: session.search(QUESTION, k=3)) for _ in range(3)]
        # Not one for each of dozens of chunks, nor for each token of a hit.
        assert searches[1] == searches[2] < 40
        answers = [waits(lambda n=n: session.ask(QUESTION, max_tokens=n)) for n in (1, 2, 4)]
        a_token = answers[1] - answers[0]
        assert answers[2] - answers[1] == 2 * a_token
        assert a_token < 40
        assert waits(lambda: session.add("user", "The old harbour was quiet. " * 9)) < 10


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
        raise BackendUnavailable("this GPU is too old")

    monkeypatch.setattr(engines, "resolve", refuse)
    with pytest.raises(hsa_memory.InvalidArgument, match="too old"):
        load_engine(tiny_checkpoint, "cuda")


def test_the_command_line_takes_a_device(
    tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", str(tmp_path / "store"), "--model", str(tiny_checkpoint)]
    assert cli.main([*store, "add", "Hello.", "--device", "cpu"]) == 0
    assert cli.main([*store, "--device", "gpu", "search", "Hello"]) == 1
    assert "device must be" in capsys.readouterr().err


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
def test_a_session_on_a_gpu_finds_what_one_on_the_cpu_finds(
    tmp_path: Path, mini_weights: Path, dtype: str
) -> None:
    told = []
    for name in ("cpu", "cuda"):
        with hsa_memory.open(tmp_path / name, device=name, dtype=dtype) as memory:
            with memory.session("alice") as session:
                session.add("user", "My dog is called Biscuit.", id="dog")
                # So many that no window reaches back.
                for number in range(60):
                    session.add("user", f"Nothing happened on day {number}.", id=f"day{number}")
            with memory.session("alice") as session:
                result = session.search("What is my dog called?", k=1)
                assert result.stats.prefilled_history == 0
                answer = session.ask("What is my dog called?")
                told.append((result[0].id, answer.text))
    (on_cpu, text), (on_gpu, same_text) = told
    assert on_cpu == on_gpu == "dog"
    if dtype == "float32":
        assert text == same_text


@pytest.mark.gpu
@pytest.mark.parametrize("kv_dtype", PRECISIONS)
def test_any_budget_gives_the_same_on_a_gpu(opened: Open, kv_dtype: str) -> None:
    told = []
    for budget in (0, 3000, 1 << 20):
        budgets = {"device_cache_bytes": budget, "cache_bytes": 0}
        with opened("cuda", kv_dtype=kv_dtype, **budgets) as memory:
            told.append(two_questions(memory))
    assert told[0] == told[1] == told[2]


@pytest.mark.gpu
def test_the_whole_life_of_a_session_on_a_gpu(opened: Open) -> None:
    with opened("cuda") as memory:
        once = whole_life(memory)
    with opened("cuda", device_cache_bytes=1000) as memory:
        assert len(whole_life(memory)) == len(once)
