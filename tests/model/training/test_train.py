"""The training command on a tiny model: log, checkpoints, resuming, interrupts, two processes."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hsa_memory.model import (
    ConfigError,
    HSAConfig,
    HSATransformer,
    MoEConfig,
    Tokenizer,
    load_checkpoint,
)
from hsa_memory.model.training import train
from hsa_memory.model.training.corpora import texts_for_tokenizer
from hsa_memory.model.training.recipe import Recipe, Stage

LENGTH, BATCH = 192, 2
CONFIG: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_lower_layers": 1,
    "num_upper_layers": 1,
    "num_groups": 1,
    "num_heads": 2,
    "num_kv_heads": 1,
    "head_dim": 16,
    "hsa_num_heads": 2,
    "chunk_size": 16,
    "top_k": 4,
    "window": 16,
    "retrieval_dim": 16,
    "normalize_retrieval": True,
    "rerank_heads": 1,
    "embedding_norm": True,
}
SHARES = {"copy": 0.4, "dialogue": 0.4, "text": 0.2}


def stage(steps: int, **changes: Any) -> dict[str, Any]:
    return {
        "tokens": steps * LENGTH * BATCH,
        "length": LENGTH,
        "batch": BATCH,
        "learning_rate": 0.01,
        "final_learning_rate": 0.001,
        "text_sample": 0.5,
        "shares": SHARES,
        **changes,
    }


def write_recipe(path: Path, steps: int = 20, **changes: Any) -> Path:
    # Two stages, so that the second's bank, chunk count and learning rate are reached.
    stages = [stage(steps // 2), stage(steps - steps // 2, bank=64, top_k=2)]
    recipe = {"model": CONFIG, "stages": stages, "warmup_steps": 3, "seed": 5, **changes}
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path


def arguments(recipe: Path, data: Path, out: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    options = ["--config", str(recipe), "--data", str(data), "--out", str(out)]
    return parser.parse_args([*options, "--dtype", "float32", "--threads", "1", *more])


@pytest.fixture(scope="session")
def tokenizer(data_dir: Path) -> Tokenizer:
    texts = texts_for_tokenizer(data_dir, 100_000, np.random.default_rng(0))
    return Tokenizer.train(texts, vocab_size=300)


@pytest.fixture
def out(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """An output folder that has its tokenizer already."""
    folder = tmp_path / "run"
    folder.mkdir()
    tokenizer.save(folder / "tokenizer.json")
    return folder


def stored(out: Path) -> dict[str, torch.Tensor]:
    tensors = load_file(out / "checkpoint" / "training.safetensors")
    return {**tensors, **load_file(out / "checkpoint" / "model.safetensors")}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_a_run_writes_its_log_and_a_checkpoint_that_loads(
    tmp_path: Path, data_dir: Path, out: Path, tokenizer: Tokenizer
) -> None:
    recipe = write_recipe(tmp_path / "recipe.json")
    assert train.main(arguments(recipe, data_dir, out)) == 0
    checkpoint = load_checkpoint(out / "checkpoint")
    assert checkpoint.config == HSAConfig.from_dict(CONFIG)
    assert checkpoint.tokenizer.sha256 == tokenizer.sha256
    (record,) = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert record["step"] == 20
    assert record["tokens"] == 20 * LENGTH * BATCH
    assert record["stage"] == 1
    for name in ("text", "retrieval", "rerank", "pointer", "norm", "tokens_per_second"):
        assert record[name] > 0
    for name in ("answer_accuracy", "retrieval_accuracy", "rerank_accuracy", "pointer_accuracy"):
        assert 0 <= record[name] <= 1
    # A finished run is finished: the same command changes nothing.
    before = stored(out)
    assert train.main(arguments(recipe, data_dir, out)) == 0
    assert same(before, stored(out))


def test_the_tokenizer_is_learnt_when_there_is_none(tmp_path: Path, data_dir: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe.json", steps=2, tokenizer_bytes=100_000)
    out = tmp_path / "fresh"
    assert train.main(arguments(recipe, data_dir, out)) == 0
    assert load_checkpoint(out / "checkpoint").tokenizer.vocab_size == 300


def test_a_vocabulary_that_the_text_cannot_fill_is_refused_before_training(
    tmp_path: Path, data_dir: Path
) -> None:
    model = {**CONFIG, "vocab_size": 60_000}
    recipe = write_recipe(tmp_path / "recipe.json", model=model, tokenizer_bytes=10_000)
    with pytest.raises(ConfigError, match="the recipe's model has vocab_size 60000"):
        train.main(arguments(recipe, data_dir, tmp_path / "run"))


@pytest.mark.parametrize(
    "changes",
    [{}, {"gumbel_noise": True, "moe": dict(num_experts=4, experts_per_token=2, expert_size=8)}],
    ids=["dense", "experts and noise"],
)
def test_an_interrupted_run_ends_with_the_weights_of_one_that_never_stopped(
    tmp_path: Path,
    data_dir: Path,
    out: Path,
    tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    recipe = write_recipe(tmp_path / "recipe.json", steps=12, model={**CONFIG, **changes})
    whole = tmp_path / "whole"
    whole.mkdir()
    tokenizer.save(whole / "tokenizer.json")
    assert train.main(arguments(recipe, data_dir, whole)) == 0
    step = train.Trainer.train_step

    def interrupted(self: train.Trainer, *batch: Any) -> dict[str, float]:
        metrics = step(self, *batch)
        if self.step in (3, 9):
            os.kill(os.getpid(), signal.SIGINT)
        return metrics

    monkeypatch.setattr(train.Trainer, "train_step", interrupted)
    codes = [train.main(arguments(recipe, data_dir, out)) for _ in range(3)]
    assert codes == [130, 130, 0]
    assert same(stored(whole), stored(out))


def test_the_previous_checkpoint_serves_when_the_last_save_was_cut_short(
    tmp_path: Path, data_dir: Path, out: Path
) -> None:
    recipe = write_recipe(tmp_path / "recipe.json", steps=4)
    assert train.main(arguments(recipe, data_dir, out)) == 0
    done = stored(out)
    (out / "checkpoint").rename(out / "checkpoint.old")
    (out / "checkpoint.new").mkdir()
    assert train.main(arguments(recipe, data_dir, out)) == 0
    assert same(done, stored(out))


def test_a_run_of_another_model_is_not_resumed(tmp_path: Path, data_dir: Path, out: Path) -> None:
    assert train.main(arguments(write_recipe(tmp_path / "one.json", steps=2), data_dir, out)) == 0
    before = stored(out)
    other = write_recipe(tmp_path / "other.json", steps=2, model={**CONFIG, "rerank_heads": 0})
    with pytest.raises(ConfigError, match="another model than the recipe's: name another folder"):
        train.main(arguments(other, data_dir, out))
    assert same(before, stored(out))


@pytest.mark.parametrize(
    "moe", [None, MoEConfig(num_experts=4, experts_per_token=2, expert_size=16)]
)
def test_losses_fall_on_one_batch(
    out: Path, data_dir: Path, tokenizer: Tokenizer, moe: MoEConfig | None
) -> None:
    stages = (Stage(**stage(60, text_sample=1.0)),)
    config = HSAConfig(**CONFIG, moe=moe)
    trainer = train.Trainer(
        Recipe(model=config, stages=stages, warmup_steps=1), tokenizer, data_dir, out,
        dtype="float32",
    )  # fmt: skip
    batch = trainer._batch(0)
    metrics = [trainer.train_step(*batch) for _ in range(80)]
    assert metrics[-1]["text"] < 0.6 * metrics[0]["text"]
    assert metrics[-1]["retrieval"] < 0.6 * metrics[0]["retrieval"]
    assert metrics[-1]["pointer"] < 0.9 * metrics[0]["pointer"]
    assert metrics[-1]["rerank"] < 0.8 * metrics[0]["rerank"]
    assert metrics[-1]["answer_accuracy"] > metrics[0]["answer_accuracy"]


def test_a_plain_transformer_learns_from_the_same_recipe(
    tmp_path: Path, data_dir: Path, out: Path
) -> None:
    # It has no memory to teach: only the text counts, and there is no bank to keep.
    plain = {**CONFIG, "num_groups": 0, "num_upper_layers": 0, "window": 1 << 40}
    stages = [stage(40, bank=64, value_weight=0.5, fusion_weight=0.5)]
    recipe = write_recipe(tmp_path / "recipe.json", model=plain, stages=stages)
    assert train.main(arguments(recipe, data_dir, out)) == 0
    first, last = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert last["text"] < 0.9 * first["text"]
    assert "retrieval" not in last
    assert load_checkpoint(out / "checkpoint").config.num_groups == 0


def test_history_is_learnt_through_the_lower_half_alone(
    out: Path, data_dir: Path, tokenizer: Tokenizer
) -> None:
    changes = {"length": 768, "questions": 192, "shares": {"history": 1.0}, "bank": 64}
    stages = (Stage(**stage(80, **changes)),)
    trainer = train.Trainer(
        Recipe(model=HSAConfig(**CONFIG), stages=stages, warmup_steps=1), tokenizer, data_dir, out,
        dtype="float32",
    )  # fmt: skip
    upper = trainer.model.upper.forward
    lengths = set()

    def counted(x: torch.Tensor, *rest: Any) -> Any:
        lengths.add(x.shape[1])
        return upper(x, *rest)

    trainer.model.upper.forward = counted  # type: ignore[method-assign]
    batch = trainer._batch(0)
    metrics = [trainer.train_step(*batch) for _ in range(80)]
    # The questions, and what their windows reach before them.
    assert lengths == {192 + trainer.model.config.upper_reach}
    assert metrics[-1]["retrieval"] < 0.7 * metrics[0]["retrieval"]
    assert metrics[-1]["text"] < 0.6 * metrics[0]["text"]
    assert 0 < len(trainer._bank.landmarks) <= 64


@pytest.mark.parametrize("first", [16, 70, 150])
def test_history_gets_the_gradients_of_a_pass_of_the_whole_model(first: int) -> None:
    torch.manual_seed(first)
    model = HSATransformer(HSAConfig(**CONFIG)).double()
    tokens = torch.randint(300, (2, 190))
    select = torch.rand(2, 190) < 0.5
    select[:, :first] = False
    model(tokens, select=select).logits.square().sum().backward()
    expected = {name: x.grad for name, x in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    state = model.ingest(tokens[:, :first])
    model(tokens[:, first:], state, select=select[:, first:]).logits.square().sum().backward()
    for name, x in model.named_parameters():
        torch.testing.assert_close(x.grad, expected[name], rtol=1e-9, atol=1e-11)


def test_a_batch_that_the_processes_cannot_share_is_refused(
    out: Path, data_dir: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(train.dist, "get_rank", lambda: 0)
    monkeypatch.setattr(train.dist, "get_world_size", lambda: 3)
    recipe = Recipe(model=HSAConfig(**CONFIG), stages=(Stage(**stage(1)),))
    with pytest.raises(ConfigError, match="stage 0 has batches of 2: not a multiple of the 3"):
        train.Trainer(recipe, tokenizer, data_dir, out)


SCRIPT = textwrap.dedent("""
    import argparse, sys
    from pathlib import Path
    from safetensors.torch import save_file
    from hsa_memory.model.training import train

    save = train.Trainer.save

    def save_on_every_rank(self):
        save(self)
        position = {"step": train.torch.tensor(self.step)}
        save_file({**self.optimizer.tensors(), **position}, self.out / f"rank{self.rank}")

    train.Trainer.save = save_on_every_rank
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    sys.exit(train.main(parser.parse_args()))
""")


# However busy the machine is; only what hangs takes so long.
PATIENCE_SECONDS = 600
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(data_dir: Path, out: Path, start_process: Start) -> Start:
    """Starts a training in a process of its own."""

    def started(recipe: Path, **environment: str) -> subprocess.Popen[bytes]:
        options = ["--config", str(recipe), "--data", str(data_dir), "--out", str(out)]
        command = [sys.executable, "-c", SCRIPT, *options, "--dtype", "float32", "--threads", "1"]
        surroundings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        return start_process(command, env=surroundings, stderr=subprocess.PIPE)

    return started


def wait_for(path: Path, *processes: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        for process in processes:
            assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def test_ctrl_c_saves_and_exits_with_130(tmp_path: Path, out: Path, start: Start) -> None:
    recipe = write_recipe(tmp_path / "recipe.json", steps=100_000)
    process = start(recipe)
    wait_for(out / "log.jsonl", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, errors.decode()
    assert "the same command goes on from there" in " ".join(errors.decode().split())
    position = json.loads((out / "checkpoint" / "training.json").read_text())
    assert position["step"] >= 20
    assert load_checkpoint(out / "checkpoint").config.hidden_size == 32


def free_port() -> int:
    """A TCP port that nobody has, of those that nobody gets who asks for any."""
    for port in range(10_000 + os.getpid() % 5_000, 32_000):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no TCP port is free")


@pytest.mark.slow
def test_two_processes_keep_the_same_weights_and_stop_together(
    tmp_path: Path, out: Path, corpora: object, start: Start
) -> None:
    recipe = write_recipe(tmp_path / "recipe.json", steps=100_000)
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [start(recipe, **common, RANK=str(rank)) for rank in range(2)]
    wait_for(out / "log.jsonl", *ranks)
    ranks[1].send_signal(signal.SIGINT)
    for process in ranks:
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130, errors.decode()
    one, other = load_file(out / "rank0"), load_file(out / "rank1")
    assert same(one, other)
    assert one["step"] >= 20
