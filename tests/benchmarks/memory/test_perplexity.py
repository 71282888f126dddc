"""Perplexity over context: the same tokens, and only the context changes."""

import json
import math
from dataclasses import replace

import pytest
import torch

from hsa_memory.engine import load_engine
from hsa_memory.errors import InvalidArgument
from hsa_memory.model import HSATransformer, Tokenizer, save_checkpoint


@pytest.fixture
def engine(checkpoint):
    return load_engine(checkpoint, "cpu")


@torch.inference_mode()
def test_bits_are_those_of_one_full_pass_over_ordinary_tokens(load, engine):
    text = torch.randint(8, engine.config.vocab_size, (200,))
    text[[170, 190]] = engine.tokenizer.end_id
    found = load("perplexity").bits(engine, text, 40)
    log_p = engine.model(text[None]).logits[0].log_softmax(-1)
    scored = [i for i in range(160, 200) if i not in (170, 190)]
    expected = -sum(float(log_p[i - 1, text[i]]) for i in scored) / len(scored) / math.log(2)
    # Chunks are rounded to bfloat16, as on disk.
    assert found == pytest.approx(expected, abs=2e-2)


def test_places_are_spread_with_the_longest_context_before_them(load):
    places = load("perplexity").places
    assert places(1000, 400, 100, 4) == [400, 566, 733, 900]
    assert places(700, 400, 100, 3) == [400, 500, 600]
    with pytest.raises(InvalidArgument, match="too few"):
        places(699, 400, 100, 3)


def test_the_text_is_read_once(load, engine, tmp_path):
    paragraphs = [f"Paragraph {i}: the old harbour was quiet. " * 30 for i in range(4)]
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(paragraphs), encoding="utf-8")
    args = load("perplexity").arguments(["--text", str(path)])
    text = engine.tokenizer.decode(load("perplexity").read_text(engine, args).tolist())
    # Paragraphs are messages: nothing stands between them.
    assert "".join(text.split()) == "".join("".join(paragraphs).split())


def test_gain_and_ratio(load):
    losses = {"model": [[4.0, 3.0], [6.0, 4.0]], "twin": [[4.0, 4.0], [5.0, 5.0]]}
    first, second = load("perplexity").summarize(losses, [256, 512])["contexts"]
    assert first["model"]["mean"] == 5.0
    assert first["model"]["gain"]["mean"] == 0.0
    assert second["model"]["gain"]["mean"] == 1.5
    assert second["model"]["gain"]["interval"] == [1.0, 2.0]
    assert second["model"]["perplexity"] == 2**3.5
    assert second["difference"]["mean"] == -1.0
    assert second["ratio"] == 0.5
    assert first["ratio"] == 2**0.5


def test_the_benchmark_compares_with_a_twin(load, engine, checkpoint, tmp_path):
    module = load("perplexity")
    torch.manual_seed(1)
    # With full attention, as it is meant.
    config = replace(engine.config, num_groups=0, num_upper_layers=0, window=1 << 40)
    save_checkpoint(tmp_path / "twin", HSATransformer(config), engine.tokenizer)
    out = tmp_path / "p.json"
    options = ["--quick", "--contexts", "64", "128", "--model", str(checkpoint)]
    options += ["--json", str(out), "--twin", str(tmp_path / "twin")]
    assert module.main(options) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    assert [row["context"] for row in report["contexts"]] == [64, 128]
    for row in report["contexts"]:
        assert row["ratio"] == pytest.approx(2 ** (row["model"]["mean"] - row["twin"]["mean"]))
        assert row["model"]["mean"] != row["twin"]["mean"]
    assert {"model", "twin"} == set(report["models"])


def test_a_twin_with_another_tokenizer_is_an_error(load, engine, checkpoint, tmp_path):
    other = Tokenizer.train(["Entirely different words stand in here."] * 9, vocab_size=280)
    config = replace(engine.config, vocab_size=other.vocab_size)
    save_checkpoint(tmp_path / "twin", HSATransformer(config), other)
    options = ["--quick", "--model", str(checkpoint), "--twin", str(tmp_path / "twin")]
    with pytest.raises(InvalidArgument, match="tokenizer"):
        load("perplexity").main(options)


def test_the_plot_is_drawn(load, tmp_path):
    pytest.importorskip("matplotlib")
    figure = {"mean": 4.0, "interval": [3.5, 4.5]}
    rows = [{"context": n, "model": figure, "twin": figure} for n in (256, 512)]
    (path,) = load("_plots").perplexity({"contexts": rows}, tmp_path)
    assert path.stat().st_size > 0
