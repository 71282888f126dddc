"""A model shared out among processes trains as one that every process holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hsa_memory.model import ConfigError, HSATransformer, Tokenizer, load_checkpoint
from hsa_memory.model.training import train
from hsa_memory.model.training.corpora import texts_for_tokenizer
from hsa_memory.model.training.recipe import Recipe, load_recipe

from .test_train import CONFIG, free_port, stage

SCRIPT = """
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor

from hsa_memory.model import HSATransformer, Tokenizer
from hsa_memory.model.training import train
from hsa_memory.model.training.recipe import load_recipe

data, out = Path(sys.argv[1]), Path(sys.argv[2])
recipe = load_recipe(out / "recipe.json")
torch.set_num_threads(1)
dist.init_process_group("gloo")
torch.manual_seed(7)
initial = HSATransformer(recipe.model).state_dict()
for name, counts in initial.items():
    if name.endswith("balance"):
        counts += torch.tensor([1001, -3, 0, 5])
tokenizer = Tokenizer.load(out / "tokenizer.json")
def start(shard, initial=initial):
    return train.Trainer(
        recipe, tokenizer, data, out, dtype="float32", initial=initial, shard=shard)

whole, shared = start(False), start(True)
held = sum(p.to_local().numel() for p in shared.model.parameters() if isinstance(p, DTensor))
assert all(isinstance(p, DTensor) for p in shared.model.parameters())
for trainer in (whole, shared):
    if trainer is shared:
        trainer.resume()  # nothing there yet
    for step in range(5):
        metrics = trainer.train_step(*trainer._batch(trainer.step))
    own = {name: t.clone() for name, t in trainer.optimizer.tensors().items()}
    own |= {f"metric.{name}": torch.tensor(value) for name, value in metrics.items()}
    own |= {name: b.clone() for name, b in trainer.model.named_buffers()}
    own["held"] = torch.tensor(held)
    if dist.get_rank() == 0:
        save_file(own, out / ("shared" if trainer is shared else "whole"))
shared.save()
# What was stored is whole: a sharded and an unsharded run go on from it alike.
dist.barrier()
for shard in (True, False):
    resumed = start(shard, None)
    resumed.resume()
    assert resumed.step == 5
    resumed.train_step(*resumed._batch(5))
    own = {name: t.clone() for name, t in resumed.optimizer.tensors().items()}
    if dist.get_rank() == 0:
        save_file(own, out / ("shared_on" if shard else "whole_on"))
# Drawn weights do not depend on what each process holds of them.
fresh = start(True, None).optimizer.tensors()
if dist.get_rank() == 0:
    save_file(fresh, out / "fresh")
dist.barrier()
dist.destroy_process_group()
"""


RECIPE: dict[str, Any] = {
    "model": {
        **CONFIG,
        **{"num_upper_layers": 2, "num_groups": 2, "recency": True, "hsa_window": 8},
        "encoder_lookahead": 4,
        "moe": {"num_experts": 4, "experts_per_token": 2, "expert_size": 16},
    },
    "stages": [
        stage(2, bank=32, fusion_weight=0.5, value_weight=0.5, text_sample=1.0),
        stage(30, bank=32, length=768, questions=256, shares={"history": 1.0}),
    ],
    "warmup_steps": 2,
    "seed": 3,
}


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(RECIPE), encoding="utf-8")
    return load_recipe(path)


@pytest.mark.slow
def test_two_processes_with_half_of_the_model_each_train_as_two_with_all_of_it(
    tmp_path: Path,
    data_dir: Path,
    recipe: Recipe,
    start_process: Callable[..., subprocess.Popen[bytes]],
) -> None:
    _run_two(start_process, SCRIPT, tmp_path, data_dir)
    shared, whole = load_file(tmp_path / "shared"), load_file(tmp_path / "whole")
    total = sum(t.numel() for name, t in whole.items() if name.endswith(":master"))
    assert 0.4 * total < shared["held"] < 0.6 * total
    torch.testing.assert_close(shared, whole, rtol=1e-4, atol=1e-4, equal_nan=True)
    stored = load_checkpoint(tmp_path / "checkpoint")
    assert stored.config == recipe.model
    again, on = load_file(tmp_path / "shared_on"), load_file(tmp_path / "whole_on")
    torch.testing.assert_close(again, on, rtol=1e-4, atol=1e-4)
    assert (on["encoder.cls:master"] - whole["encoder.cls:master"]).abs().max() > 1e-4
    fresh = load_file(tmp_path / "fresh")
    expected = HSATransformer(recipe.model)
    torch.manual_seed(recipe.seed)
    expected.initialize(lambda tensor, std: tensor.copy_(torch.empty(tensor.shape).normal_(0, std)))
    for name, parameter in expected.named_parameters():
        assert torch.equal(fresh[f"{name}:master"], parameter), name


@pytest.mark.slow
def test_all_save_at_the_step_at_which_the_first_does(
    tmp_path: Path,
    data_dir: Path,
    recipe: Recipe,
    start_process: Callable[..., subprocess.Popen[bytes]],
) -> None:
    # The first process alone writes, so the clocks of the others would be ahead of its.
    script = """
import datetime, sys, time
from pathlib import Path

import torch.distributed as dist

from hsa_memory.model import Tokenizer
from hsa_memory.model.training import train
from hsa_memory.model.training.recipe import load_recipe

data, out = Path(sys.argv[1]), Path(sys.argv[2])
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
real = train.save_checkpoint

def slowly(*arguments, **options):
    time.sleep(0.7)
    return real(*arguments, **options)

train.save_checkpoint = slowly
tokenizer = Tokenizer.load(out / "tokenizer.json")
trainer = train.Trainer(load_recipe(out / "recipe.json"), tokenizer, data, out, shard=True)
assert trainer.run(save_seconds=0.5)
dist.barrier()
dist.destroy_process_group()
"""
    _run_two(start_process, script, tmp_path, data_dir)
    assert (
        json.loads((tmp_path / "checkpoint" / "training.json").read_text())["step"] == recipe.steps
    )


def test_one_process_alone_has_nobody_to_share_with(
    tmp_path: Path, data_dir: Path, recipe: Recipe
) -> None:
    tokenizer = Tokenizer.train(["a"], vocab_size=300)
    with pytest.raises(ConfigError, match="start them with torchrun"):
        train.Trainer(recipe, tokenizer, data_dir, tmp_path, shard=True)


def _run_two(
    start_process: Callable[..., subprocess.Popen[bytes]], script: str, out: Path, data: Path
) -> None:
    """Run a script in two processes that find each other."""
    texts = texts_for_tokenizer(data, 100_000, np.random.default_rng(0))
    Tokenizer.train(texts, vocab_size=300).save(out / "tokenizer.json")
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    common["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, "-c", script, str(data), str(out)]
    ranks = [
        start_process(
            command, env={**os.environ, **common, "RANK": str(rank)}, stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    failed: set[str] = set()
    for process in ranks:
        _, errors = process.communicate(timeout=600)
        failed |= {errors.decode()} if process.returncode else set()
    assert not failed
