from __future__ import annotations

import numpy as np
import pytest

from hsa_memory.model.training.corpora import build_token_cache, record_messages


def test_turns_become_user_and_assistant():
    turns = [{"role": name, "text": f"{name} speaks"} for name in ("PhD A", "PhD B", "PhD A")]
    roles = [role for role, _ in record_messages({"turns": turns})]
    assert roles == ["user", "assistant", "user"]


def test_windows_have_the_size_asked_for(corpora, tokenizer):
    rng = np.random.default_rng(0)
    for corpus in corpora.values():
        assert len(corpus.random_window(rng, 37)) == 37
        messages = corpus.random_messages(rng, 50)
        assert len(messages) == 50
        assert 2 <= messages[0] <= 6
        assert len(corpus.random_window(rng, len(corpus.tokens) + 5)) == len(corpus.tokens) + 5


def test_cache_decodes_to_the_text(corpora, tokenizer):
    tokens = corpora["qa"].tokens
    end = int(np.flatnonzero(tokens == tokenizer.end_id)[0])
    text = tokenizer.decode([int(token) for token in tokens[1:end]])
    assert text == "The bridge was built by Anna Holm in 1931 and repaired later."


def test_cache_is_built_once_and_needs_a_corpus(data_dir, tokenizer, tmp_path):
    build_token_cache(data_dir, tmp_path, tokenizer, sources=["qa"])
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    build_token_cache(data_dir, tmp_path, tokenizer, sources=["qa"])
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(FileNotFoundError, match="no corpus"):
        build_token_cache(tmp_path, tmp_path, tokenizer)
