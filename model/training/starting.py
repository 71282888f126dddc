"""What a run starts from: processes and device, tokenizer, weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from ..checkpoint import load_checkpoint
from ..errors import ConfigError
from ..tokenizer import Tokenizer
from .corpora import texts_for_tokenizer
from .recipe import Recipe

Made = TypeVar("Made")


def join(device: str, threads: int | None, *, shard: bool) -> str:
    """Join the other processes that torchrun started, if any; returns this one's device.

    Raises:
        ConfigError: a model is to be shared out, and there is nobody to share it with.
    """
    workers = int(os.environ.get("WORLD_SIZE", "1"))
    torch.set_num_threads(threads or max(1, (os.cpu_count() or 1) // workers))
    if workers == 1:
        if shard:
            raise ConfigError("--shard needs several processes: torchrun --nproc-per-node 2 ...")
        return device
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return device


def first_alone(make: Callable[[], Made]) -> Made:
    """Return what `make` returns, called by the first process before the others: what it leaves on
    disk they find there."""
    if dist.is_initialized() and dist.get_rank():
        dist.barrier()
    made = make()
    if dist.is_initialized() and not dist.get_rank():
        dist.barrier()
    return made


def initial_weights(folder: str, recipe: Recipe, out: Path) -> dict[str, Tensor]:
    """Return the weights of a checkpoint of the recipe's model and take over its tokenizer."""
    checkpoint = load_checkpoint(folder, dtype=torch.float32)
    if checkpoint.config != recipe.model:
        raise ConfigError(f"{folder} is a checkpoint of another configuration than the recipe's")
    if not (out / "tokenizer.json").exists():
        checkpoint.tokenizer.save(out / "tokenizer.json")
    return checkpoint.model.state_dict()


def run_tokenizer(out: Path, data: Path, recipe: Recipe) -> Tokenizer:
    """Return the tokenizer in a run's folder, learnt from the data if there is none."""
    path = out / "tokenizer.json"
    if not path.exists():
        rng = np.random.default_rng(recipe.seed)
        texts = texts_for_tokenizer(data, recipe.tokenizer_bytes, rng, recipe.exclude)
        Tokenizer.train(texts, vocab_size=recipe.model.vocab_size).save(path)
    tokenizer = Tokenizer.load(path)
    if tokenizer.vocab_size != recipe.model.vocab_size:
        raise ConfigError(
            f"{path} has {tokenizer.vocab_size} entries, the recipe's model has vocab_size "
            f"{recipe.model.vocab_size}; use that size, or more text to learn the vocabulary from"
        )
    return tokenizer
