"""What the tests of benchmarks share."""

from pathlib import Path

import pytest
import torch

from hsa_memory.model import HSAConfig, HSATransformer, Tokenizer, save_checkpoint

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def folder_of_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark is run as a script, with its own folder importable."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights with chunks of 8 tokens."""
    tokenizer = Tokenizer.train(["The old harbour was quiet; nobody knew why."] * 9, vocab_size=300)
    torch.manual_seed(0)
    config = HSAConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        intermediate_size=32,
        num_lower_layers=2,
        num_upper_layers=2,
        num_groups=2,
        num_heads=2,
        num_kv_heads=1,
        head_dim=8,
        hsa_num_heads=2,
        chunk_size=8,
        top_k=4,
        window=16,
        retrieval_dim=8,
    )
    folder = tmp_path_factory.mktemp("weights") / "random"
    save_checkpoint(folder, HSATransformer(config), tokenizer)
    return folder
