"""Engines: loaded once, and again when a file of the checkpoint is another one."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import hsa_memory
from hsa_memory import InvalidArgument
from hsa_memory.engine import Engine, load_engine
from hsa_memory.model import HSATransformer, save_checkpoint


@pytest.fixture
def checkpoint(tmp_path: Path, tiny_checkpoint: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint"))


def load(folder: Path) -> Engine:
    return load_engine(folder, "cpu")


def test_a_checkpoint_is_loaded_once(checkpoint: Path) -> None:
    assert load(checkpoint) is load(checkpoint / ".." / checkpoint.name)


def test_a_configuration_replaced_in_place_is_another_model(checkpoint: Path) -> None:
    before = load(checkpoint)
    config = checkpoint / "config.json"
    text = config.read_text()
    assert '"top_k": 4' in text
    config.write_text(text.replace('"top_k": 4', '"top_k": 2'))
    after = load(checkpoint)
    assert (before.config.top_k, after.config.top_k) == (4, 2)
    assert before.fingerprint != after.fingerprint


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_of_the_same_size_and_time_is_noticed(checkpoint: Path, name: str) -> None:
    before, file = load(checkpoint), checkpoint / name
    about = file.stat()
    staged = checkpoint.parent / name
    shutil.copy(file, staged)
    os.utime(staged, ns=(about.st_atime_ns, about.st_mtime_ns))
    staged.replace(file)
    after = load(checkpoint)
    assert after is not before
    assert after.fingerprint == before.fingerprint


def test_a_model_without_memory_is_refused_where_memory_is_meant(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    like = load(tiny_checkpoint)
    config = replace(like.config, num_groups=0, num_upper_layers=0)
    save_checkpoint(tmp_path / "plain", HSATransformer(config), like.tokenizer)
    with pytest.raises(InvalidArgument, match="num_groups 0"):
        hsa_memory.open(tmp_path / "memory", model=tmp_path / "plain")
    assert load_engine(tmp_path / "plain", "cpu", plain=True).config == config
