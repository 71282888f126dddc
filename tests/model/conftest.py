"""Tiny models in float64, a tokenizer, one thread and one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from hsa_memory.model import HSAConfig, HSATransformer, MoEConfig, Tokenizer

BASE: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_lower_layers": 2,
    "num_upper_layers": 2,
    "num_groups": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "head_dim": 8,
    "hsa_num_heads": 4,
    "hsa_num_kv_heads": 2,
    "chunk_size": 4,
    "top_k": 3,
    "window": 6,
    "retrieval_dim": 8,
    "normalize_retrieval": True,
    "embedding_norm": True,
}
MOE = MoEConfig(num_experts=4, experts_per_token=2, expert_size=16)
VARIANTS: dict[str, dict[str, Any]] = {
    "dense": {},
    "hsa-window": {"hsa_window": 5},
    "experts-untied": {"moe": MOE, "tie_embeddings": False},
    "many-chunks-no-bypass": {"top_k": 50, "bypass_residual": False},
    "plain-retrieval": {"normalize_retrieval": False, "embedding_norm": False, "hsa_window": 3},
    "rerank": {"rerank_heads": 2, "top_k": 5},
    "no-upper-windows": {"num_upper_layers": 0, "window": 4},
    "lookahead": {"encoder_lookahead": 3, "num_encoder_layers": 2},
    "lookahead-of-a-chunk": {"encoder_lookahead": 4, "hsa_window": 3, "rerank_heads": 1},
    "no-memory": {"num_groups": 0, "num_upper_layers": 0, "window": 9},
    "recency": {"recency": True, "top_k": 5, "encoder_lookahead": 1},
}

Build = Callable[..., HSATransformer]


@pytest.fixture(autouse=True)
def _repeatable() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def build() -> Build:
    """Return a function that builds a tiny model with some fields changed, in float64."""

    def make(**changes: Any) -> HSATransformer:
        torch.manual_seed(1)
        model = HSATransformer(HSAConfig(**{**BASE, **changes})).double().eval()
        for parameter in model.parameters():
            # Fresh weights are too small to tell one path from another.
            parameter.data += torch.randn_like(parameter) * 0.1
        return model.requires_grad_(False)

    return make


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest, build: Build) -> HSATransformer:
    """Every variant of the architecture in turn."""
    return build(**VARIANTS[request.param])


@pytest.fixture(scope="session")
def text_tokenizer() -> Tokenizer:
    """A tokenizer that learnt a few merges from a few words of several scripts."""
    words = "hello world the weather is 1234 fine, isn't it? Größe naïve 東京 привет <|user|>\n"
    return Tokenizer.train([words * 40], vocab_size=310)
