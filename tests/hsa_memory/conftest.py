"""A tiny checkpoint with random weights: everything works with it but good answers. A double of a
GPU, for machines that have none."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from hsa_memory import engine
from hsa_memory.model import HSAConfig, HSATransformer, Tokenizer, save_checkpoint

TINY = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_lower_layers": 2,
    "num_upper_layers": 2,
    "num_groups": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "head_dim": 8,
    "hsa_num_heads": 4,
    "hsa_num_kv_heads": 2,
    "chunk_size": 8,
    "top_k": 4,
    "window": 16,
    "retrieval_dim": 8,
    "normalize_retrieval": True,
    "rerank_heads": 1,
    "embedding_norm": True,
}
TEXTS = (
    "My dog is called Biscuit and the code of my locker is 4817.",
    "The old harbour was quiet, and nobody could remember who built the tower.",
    "Where is the spare key? It is under the blue flowerpot.",
)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder; chunks of 8 tokens."""
    tokenizer = Tokenizer.train(TEXTS, vocab_size=400)
    torch.manual_seed(0)
    config = HSAConfig.from_dict({**TINY, "vocab_size": tokenizer.vocab_size})
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    save_checkpoint(folder, HSATransformer(config), tokenizer)
    return folder


def _second_device() -> ModuleType:
    # No folder of tests is on sys.path.
    path = Path(__file__).parent / "second_device" / "__init__.py"
    spec = importlib.util.spec_from_file_location("second_device", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["second_device"] = module
    spec.loader.exec_module(module)
    return module


_double = _second_device()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A `SecondDevice` as "cuda", with operators that run on it in PyTorch."""
    for name in ("chunk_attention", "chunk_scores", "landmark_topk"):
        api = importlib.import_module(f"hsa_memory.kernels.{name}.api")
        monkeypatch.setattr(api, "resolve", lambda backend, x: "torch")
    monkeypatch.setattr(engine, "resolve", lambda backend, x: "torch")
    monkeypatch.setattr(engine, "_loaded", {})
    with _double.second_device(monkeypatch) as mode:
        yield mode
