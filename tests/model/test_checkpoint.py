"""Checkpoints: round trip, refusal of what does not fit, and what the fingerprint covers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hsa_memory.model import (
    CheckpointError,
    HSAConfig,
    HSATransformer,
    MoEConfig,
    Tokenizer,
    load_checkpoint,
    save_checkpoint,
)

CONFIG = HSAConfig(
    vocab_size=310,
    hidden_size=16,
    intermediate_size=24,
    num_lower_layers=2,
    num_upper_layers=1,
    num_groups=1,
    num_heads=2,
    num_kv_heads=1,
    head_dim=8,
    hsa_num_heads=2,
    chunk_size=4,
    top_k=2,
    window=4,
    retrieval_dim=8,
    moe=MoEConfig(num_experts=3, experts_per_token=2, expert_size=8),
)


@pytest.fixture
def model() -> HSATransformer:
    model = HSATransformer(CONFIG)
    for name, buffer in model.named_buffers():
        if name.endswith("balance"):
            buffer += torch.tensor([1001, -3, 0])
    return model.eval()


@pytest.fixture
def folder(tmp_path: Path, model: HSATransformer, text_tokenizer: Tokenizer) -> Path:
    save_checkpoint(tmp_path / "model", model, text_tokenizer)
    return tmp_path / "model"


def test_what_is_saved_is_loaded(
    folder: Path, model: HSATransformer, text_tokenizer: Tokenizer
) -> None:
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    found = load_checkpoint(folder, dtype=torch.float32)
    assert found.config == CONFIG
    assert found.tokenizer.sha256 == text_tokenizer.sha256
    assert not found.model.training
    assert not any(p.requires_grad for p in found.model.parameters())
    x = torch.randint(8, 310, (2, 21))
    with torch.no_grad():
        assert torch.equal(found.model(x).logits, model(x).logits)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_take_the_dtype_asked_for(folder: Path, dtype: torch.dtype) -> None:
    found = load_checkpoint(folder, dtype=dtype).model
    assert {p.dtype for p in found.parameters()} == {dtype}
    # Counters stay integers: bfloat16 has no 1001.
    steps = [b.tolist() for n, b in found.named_buffers() if n.endswith("balance")]
    assert steps == [[1001, -3, 0]] * 3
    assert found(torch.randint(8, 310, (1, 9))).logits.dtype == dtype
    found.train()(torch.randint(8, 310, (1, 9)))


def test_counters_stay_integers_in_a_file_of_bfloat16(
    tmp_path: Path, model: HSATransformer, text_tokenizer: Tokenizer
) -> None:
    save_checkpoint(tmp_path / "short", model, text_tokenizer, dtype=torch.bfloat16)
    found = load_checkpoint(tmp_path / "short").model
    assert {b.dtype for n, b in found.named_buffers() if n.endswith("balance")} == {torch.int64}
    assert found.lower.layers[1].mlp.balance.tolist() == [1001, -3, 0]


def test_the_default_dtype_is_one_the_machine_multiplies(folder: Path) -> None:
    (dtype,) = {p.dtype for p in load_checkpoint(folder).model.parameters()}
    assert dtype in (torch.float32, torch.bfloat16)


def test_saving_again_gives_the_same_files(
    folder: Path, tmp_path: Path, text_tokenizer: Tokenizer
) -> None:
    found = load_checkpoint(folder, dtype=torch.float32)
    assert save_checkpoint(tmp_path / "copy", found.model, found.tokenizer) == found.fingerprint
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "copy" / path.name).read_bytes()


def change_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    weights = {**load_file(folder / "model.safetensors"), **changes}
    kept = {name: tensor for name, tensor in weights.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors")


def test_missing_unknown_and_misshapen_weights_are_named(folder: Path) -> None:
    change_weights(folder, **{"encoder.cls": None})
    with pytest.raises(CheckpointError, match=r"missing weights \['encoder.cls'\]"):
        load_checkpoint(folder)
    change_weights(folder, **{"encoder.cls": torch.zeros(15)})
    with pytest.raises(CheckpointError, match=r"encoder.cls is \(15,\), .* says \(16,\)"):
        load_checkpoint(folder)
    change_weights(folder, **{"encoder.cls": torch.zeros(16), "extra": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"unknown weights \['extra'\]"):
        load_checkpoint(folder)
    change_weights(folder, extra=None)
    load_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("keep", [0, 5, -1])
def test_a_truncated_file_is_refused(folder: Path, name: str, keep: int) -> None:
    content = (folder / name).read_bytes().rstrip()
    (folder / name).write_bytes(content[:keep])
    with pytest.raises(CheckpointError):
        load_checkpoint(folder)


def test_a_configuration_of_another_vocabulary_is_refused(folder: Path) -> None:
    data = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**data, "vocab_size": 311}))
    with pytest.raises(CheckpointError, match="tokenizer has 310 entries.*vocab_size 311"):
        load_checkpoint(folder)


def test_the_fingerprint_does_not_depend_on_place_or_dtype(folder: Path, tmp_path: Path) -> None:
    before = load_checkpoint(folder).fingerprint
    assert len(before) == 64
    assert load_checkpoint(folder, dtype=torch.bfloat16).fingerprint == before
    folder.rename(tmp_path / "other name")
    assert load_checkpoint(tmp_path / "other name").fingerprint == before


def test_the_fingerprint_changes_with_one_bit_of_one_weight(folder: Path) -> None:
    before = load_checkpoint(folder).fingerprint
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert load_checkpoint(folder).fingerprint != before


def test_the_fingerprint_changes_with_configuration_and_tokenizer(folder: Path) -> None:
    before = load_checkpoint(folder).fingerprint
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(json.dumps({**json.loads(config), "top_k": 3}))
    other = load_checkpoint(folder).fingerprint
    (folder / "config.json").write_text(config)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    # Two tokens change places: same size, other text.
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert len({before, other, load_checkpoint(folder).fingerprint}) == 3
