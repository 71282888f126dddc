"""A tiny corpus folder and a tokenizer trained on it."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from hsa_memory.model.tokenizer import Tokenizer
from hsa_memory.model.training.corpora import Corpus, build_token_cache, texts_for_tokenizer
from hsa_memory.model.training.passages import Passages

SENTENCES = (
    "The old harbour was quiet and the boats lay still in the morning light.",
    "Nobody in the village could remember who had built the tower on the hill.",
    "In 1887 the railway reached the valley, and 4,200 people came to see it.",
    "She closed the letter, put on her coat and walked out into the rain.",
)


def _write(path: Path, records: list[dict[str, object]]) -> None:
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    text = "\n\n".join(SENTENCES * 40)
    turns = [
        {"role": "user", "text": "I need a table for two."},
        {"role": "assistant", "text": "There is one at Casa Verde in San Jose."},
        {"role": "user", "text": "Good, at 7 pm please."},
    ]
    qas = [{"q": "Where is the table?", "a": "Casa Verde"}]
    people = [
        {"role": f"PhD {c}", "text": f"I agree with number {i}."} for i, c in enumerate("ABCAB")
    ]
    context = "The bridge was built by Anna Holm in 1931 and repaired later."
    bridge = [{"q": "Who built the bridge?", "a": "Anna Holm"}, {"q": "When?", "a": "1931"}]
    _write(folder / "books.jsonl.xz", [{"source": "g", "text": text}] * 4)
    _write(folder / "chat.jsonl.xz", [{"source": "sgd", "turns": turns, "qas": qas}] * 40)
    _write(folder / "spoken.jsonl.xz", [{"source": "q", "turns": people}] * 40)
    _write(folder / "qa.jsonl.xz", [{"source": "s", "context": context, "qas": bridge}] * 40)
    return folder


@pytest.fixture(scope="session")
def tokenizer(data_dir: Path) -> Tokenizer:
    return Tokenizer.train(
        texts_for_tokenizer(data_dir, 100_000, np.random.default_rng(0)), vocab_size=700
    )


@pytest.fixture(scope="session")
def corpora(
    data_dir: Path, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Corpus]:
    return build_token_cache(data_dir, tmp_path_factory.mktemp("cache"), tokenizer)


@pytest.fixture(scope="session")
def passages(data_dir: Path) -> Passages:
    return Passages.read(data_dir)
