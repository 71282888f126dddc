"""Checkpoints: a folder with `config.json`, `model.safetensors` and `tokenizer.json`.

The fingerprint is computed from content alone, so a renamed folder is the same model and a changed
weight, field or merge is another one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from .config import HSAConfig
from .errors import CheckpointError, ConfigError
from .skeleton import skeleton
from .tokenizer import Tokenizer
from .transformer import HSATransformer

# Part of the fingerprint: raise it when the same weights would write other landmarks or K/V.
MEMORY_LAYOUT = 1


class Checkpoint(NamedTuple):
    """A model ready for inference, its tokenizer and its identity."""

    model: HSATransformer
    tokenizer: Tokenizer
    fingerprint: str
    """sha256 (hex) over layout version, configuration, tokenizer and every weight."""

    @property
    def config(self) -> HSAConfig:
        """Configuration of the model."""
        return self.model.config


def save_checkpoint(
    path: str | Path,
    model: HSATransformer,
    tokenizer: Tokenizer,
    *,
    dtype: torch.dtype | None = None,
) -> str:
    """Write a checkpoint folder (each file replaced atomically) and return its fingerprint.

    `dtype` is that of the weights in the file; default: as they are.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.detach()
        .to("cpu", (tensor.is_floating_point() and dtype) or tensor.dtype)
        .contiguous()
        for name, tensor in model.state_dict().items()
    }
    _replace(folder / "config.json", lambda p: p.write_text(model.config.to_json() + "\n"))
    _replace(folder / "tokenizer.json", tokenizer.save)
    _replace(folder / "model.safetensors", lambda p: save_file(weights, p))
    return _fingerprint(model.config, tokenizer, weights)


def load_checkpoint(
    path: str | Path, *, dtype: torch.dtype | None = None, device: str | torch.device = "cpu"
) -> Checkpoint:
    """Read a checkpoint folder.

    Args:
        path: the folder.
        dtype: dtype of the weights in memory; default: `fast_dtype(device)`.
        device: where the weights go; default CPU.

    Returns:
        The model in evaluation mode. The fingerprint covers the weights as stored, not `dtype`.

    Raises:
        CheckpointError: if a file is missing or malformed, or if weights are missing, unknown or of
            another shape than the configuration says.
    """
    folder = Path(path)
    try:
        config = HSAConfig.from_json((folder / "config.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "model.safetensors")
    except (OSError, UnicodeDecodeError, SafetensorError, ConfigError) as error:
        raise CheckpointError(f"cannot read the checkpoint {folder}: {error}") from error
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    if tokenizer.vocab_size != config.vocab_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} entries, the configuration says "
            f"vocab_size {config.vocab_size}"
        )
    model = skeleton(config)
    _check_weights(folder, model.state_dict(), weights)
    fingerprint = _fingerprint(config, tokenizer, weights)
    dtype = fast_dtype(device) if dtype is None else dtype
    weights = {n: t.to(dtype) if t.is_floating_point() else t for n, t in weights.items()}
    model.load_state_dict(weights, assign=True)
    _materialize(model)
    return Checkpoint(model.to(device).eval().requires_grad_(False), tokenizer, fingerprint)


def fast_dtype(device: str | torch.device = "cpu") -> torch.dtype:
    """Return bfloat16 where the device multiplies it in hardware, else float32.

    A CPU without bf16 instructions emulates them, many times slower than float32.
    """
    if torch.device(device).type != "cpu":
        return torch.bfloat16
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def _check_weights(folder: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    unknown, missing = sorted(set(found) - set(expected)), sorted(set(expected) - set(found))
    if unknown or missing:
        raise CheckpointError(
            f"{folder}/model.safetensors does not fit config.json: "
            f"unknown weights {unknown[:5]}, missing weights {missing[:5]}"
        )
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{folder}/model.safetensors: {name} is {tuple(tensor.shape)}, "
                f"config.json says {tuple(expected[name].shape)}"
            )


def _materialize(model: HSATransformer) -> None:
    """Give buffers that are not part of checkpoints (expert loads) real zeros."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                setattr(module, name, torch.zeros(buffer.shape, dtype=buffer.dtype))


def _fingerprint(config: HSAConfig, tokenizer: Tokenizer, weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(f"hsa-memory layout {MEMORY_LAYOUT}\n".encode())
    digest.update(f"{config.to_json()}\n{tokenizer.sha256}\n".encode())
    for name in sorted(weights):
        tensor = weights[name].contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    write(staged)
    os.replace(staged, path)
