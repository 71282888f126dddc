"""Search beside others: the same questions, and what each of them finds."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from hsa_memory.engine import load_engine

MESSAGES = [
    "The harbour was quiet in the evening.",
    "My dog is called Biscuit and he loves walking by the harbour.",
    "Our meeting moved to Thursday, in the room with the green door.",
    "He was walking, she had walked, they walk: the harbour, the harbour, the harbour.",
]


@pytest.fixture
def words(load):
    found = load("_rivals").BM25(MESSAGES)
    yield found
    found.close()


def test_bm25_takes_any_word_and_prefers_rare_ones(words):
    assert words.search("What did I say my dog is called?", 1) == [1]
    assert words.search("green walks", 2) == [2, 3]
    assert words.search("harbour", 10) == [3, 0, 1]
    assert len(words.search("harbour", 2)) == 2


def test_bm25_takes_a_question_for_words_only(words):
    assert words.search('"green" OR NOT (door* NEAR', 1) == [2]
    assert words.search("?!", 5) == []
    assert words.search("zebra", 5) == []


class Letters:
    """An encoder of one-letter words; three of them are a passage."""

    def __init__(self):
        self.encoded = []

    def passages(self, text):
        return [list(text[i : i + 3].encode()) for i in range(0, len(text), 3)]

    def encode(self, passages):
        self.encoded += [bytes(p).decode() for p in passages]
        rows = [[float(p.count(letter)) for letter in b"abc"] for p in map(list, passages)]
        return torch.nn.functional.normalize(torch.tensor(rows), dim=-1)


def test_a_message_counts_by_its_best_passage(load):
    encoder = Letters()
    found = load("_rivals").ByMeaning(["abcaaaabc", "aab", "ccc", "abcccc"], encoder)
    # The same passage is encoded once.
    assert encoder.encoded == ["abc", "aaa", "aab", "ccc"]
    assert found.search("aaa", 4) == [0, 1, 3, 2]
    assert found.search("ccc", 2) == [2, 3]


def test_ranks_are_those_of_the_message_that_tells_the_answer(load):
    placed = [
        SimpleNamespace(item=SimpleNamespace(question=q), turn=t)
        for q, t in (("a", 7), ("b", 3), ("c", 1))
    ]
    found = {"a": [7, 2], "b": [2, 3], "c": [2, 3]}
    one = load("search").ranks(lambda question, k: found[question], placed)
    assert one["places"] == [1, 2, 0]
    assert len(one["seconds"]) == 3


def test_recall_and_difference(load):
    module = load("search")
    ours, theirs = [1, 2, 5, 6, 0, 1], [1, 7, 0, 6, 1, 0]
    assert [module.recall(ours, k)["share"] for k in (1, 5, 10)] == [2 / 6, 4 / 6, 5 / 6]
    more = module.difference(ours, theirs, 5)
    assert more["difference"] == pytest.approx(2 / 6)
    low, high = more["interval"]
    assert low < 2 / 6 < high
    # The exact middle and width for 3 gained, 1 lost of 6: (3.5 - 1.5) / 8.
    assert (low + high) / 2 == pytest.approx(0.25)
    assert (high - low) / 2 == pytest.approx(1.959964 * (5 - 4 / 8) ** 0.5 / 8)
    same = module.difference(ours, ours, 5)
    assert same["difference"] == 0
    assert same["interval"][0] < 0 < same["interval"][1]


def test_the_benchmark_runs_with_and_without_an_encoder(
    load, checkpoint, tmp_path, monkeypatch, capsys
):
    module = load("search")
    out = tmp_path / "search.json"
    options = ["--quick", "--questions", "2", "--lengths", "5000", "--model", str(checkpoint)]
    options += ["--json", str(out)]
    monkeypatch.setattr(module, "weights_folder", lambda: None)
    assert module.main(options) == 0
    assert load("_encoder").INSTALL in " ".join(capsys.readouterr().out.split())
    (report,) = json.loads(out.read_text(encoding="utf-8"))["lengths"]
    for task in ("dialogue", "code"):
        assert set(report["tasks"][task]) == {module.OURS, module.WORDS}
        assert len(report["tasks"][task][module.OURS]["places"]) == 2

    monkeypatch.setattr(module, "weights_folder", lambda: tmp_path)
    monkeypatch.setattr(module, "SentenceEncoder", lambda folder: Letters())
    assert module.main(options) == 0
    (report,) = json.loads(out.read_text(encoding="utf-8"))["lengths"]
    assert module.MEANING in report["tasks"]["code"]


def test_our_search_is_the_one_of_the_evaluation(load, checkpoint):
    from hsa_memory import evaluation
    from hsa_memory.evaluation_memory import ingest
    from hsa_memory.evaluation_scoring import Asker

    engine = load_engine(checkpoint, "cpu")
    settings = evaluation.Settings(length=4000, tasks=("code",), questions=3)
    haystack = evaluation.build(engine, settings)
    find = load("search").ours(engine, haystack)
    asker = Asker(engine, haystack, ingest(engine, torch.from_numpy(haystack.tokens)))
    for placed in haystack.placed:
        state, prompt = asker._start(placed)
        (place,) = load("search").ranks(find, [placed])["places"]
        assert place == asker._rank(placed, state, prompt)


def test_the_plot_is_drawn(load, tmp_path):
    pytest.importorskip("matplotlib")
    shares = {"share": 0.5, "interval": [0.4, 0.6], "count": 10}
    reports = [
        {"length": n, "tasks": {"code": {name: {"recall@5": shares} for name in ("ours", "BM25")}}}
        for n in (4096, 8192)
    ]
    (path,) = load("_plots").search({"lengths": reports}, tmp_path)
    assert path.stat().st_size > 0


def test_without_matplotlib_only_plots_that_were_asked_for_are_an_error(load, monkeypatch, capsys):
    shared = load("_shared")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "_plots", raising=False)
    options = shared.options("doc")
    shared.plotter(options.parse_args([]), "search")({})
    assert "no plots" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="matplotlib"):
        shared.plotter(options.parse_args(["--plots", "here"]), "search")
