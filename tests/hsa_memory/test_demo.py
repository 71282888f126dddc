"""The demo: its dialogue is in the history, its process dies, wrong answers count as wrong."""

import json
import re
from pathlib import Path

import pytest

import hsa_memory
from hsa_memory import cli, demo
from hsa_memory.demo_dialogue import DIALOGUE, FACTS
from hsa_memory.demo_steps import SESSION, is_right, woven


@pytest.fixture
def small_book(tmp_path: Path) -> Path:
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(f"Page {n}. " + "Nothing happened. " * 90 for n in range(30)))
    return book


def test_the_book_is_long_and_its_licence_lies_beside_it(root: Path) -> None:
    book = root / demo.BOOK
    assert book.stat().st_size > 450_000
    note = (book.parent / "README.md").read_text(encoding="utf-8")
    assert book.name in note
    assert "public domain" in note


def test_the_dialogue_is_woven_in_order_into_the_whole_book(small_book: Path) -> None:
    messages = list(woven(small_book, now=1e9))
    said = [m.content for m in messages if m.role != "document"]
    assert said == [text for exchange in DIALOGUE for text in exchange.messages]
    assert messages[0].content == FACTS[0].told + " Biscuit."
    read = "\n\n".join(m.content for m in messages if m.role == "document")
    assert read.split() == small_book.read_text().split()
    assert [m.end for m in messages] == sorted(m.end for m in messages)
    times = [float(m.extra["timestamp"]) for m in messages]
    assert times[-1] < 1e9
    assert times[0] < 1e9 - 29 * 86400
    assert len({m.id for m in messages}) == len(messages)


def test_the_facts_lie_far_apart_and_each_is_told_once(small_book: Path) -> None:
    messages = list(woven(small_book, now=1e9))
    places = []
    for fact in FACTS:
        (place,) = (n for n, m in enumerate(messages) if m.content.startswith(fact.told))
        assert is_right(messages[place].content, fact.expected)
        places.append(place)
    assert places[0] == 0
    assert len(FACTS) >= 10
    assert all(b - a > 1 for a, b in zip(places, places[1:], strict=False))


def test_no_expected_answer_stands_in_the_book_or_elsewhere(root: Path) -> None:
    book = (root / demo.BOOK).read_text(encoding="utf-8")
    for fact in FACTS[1:]:
        assert not is_right(book, fact.expected), fact
        assert not any(is_right(other.question, fact.expected) for other in FACTS)


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("Biscuit", "Biscuit", True),
        ("Your dog is called biscuit.", "Biscuit", True),
        ("Biscuits", "Biscuit", False),
        ("4817", "4817", True),
        ("48171", "4817", False),
        ("on Thursday at 3:40 pm.", "Thursday at 3:40 pm", True),
        ("3:40 pm Thursday", "Thursday at 3:40 pm", False),
        ("maple-river-92", "maple-river-92", True),
        ("maple-river", "maple-river-92", False),
        ("I don't know.", "Lisbon", False),
        ("", "Lisbon", False),
    ],
)
def test_right_and_wrong(answer: str, expected: str, right: bool) -> None:
    assert is_right(answer, expected) is right


def test_a_random_model_restores_everything_and_fails_the_demo(
    small_book: Path,
    tmp_path: Path,
    tiny_checkpoint: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    kept = tmp_path / "kept"
    words = ["demo", "--book", str(small_book), "--keep", str(kept), "--model"]
    assert cli.main([*words, str(tiny_checkpoint), "--json"]) == 1
    report = json.loads(capfd.readouterr().out)
    assert report["asked"] == 8
    assert report["right"] == sum(a["right"] for a in report["answers"]) < 7
    assert report["messages_lost"] == 0
    assert report["prefilled_history"] == 0
    assert min(report["restore_seconds"], report["weights_seconds"]) > 0
    with hsa_memory.open(kept / "memory", model=tiny_checkpoint, create=False) as memory:
        with memory.session(SESSION, create=False) as session:
            assert session.messages(-1)[0].id == "last-words"
            assert len(session) == report["messages"]
            assert memory.check() == []


def test_the_folder_to_keep_must_be_empty(
    small_book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["demo", "--book", str(small_book), "--keep", str(tmp_path)])
    assert code == cli.EXIT_ERROR
    assert "is not empty" in capsys.readouterr().err


def test_a_missing_book_is_an_error_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--book", str(tmp_path / "none")]) == cli.EXIT_ERROR
    assert "no file" in capsys.readouterr().err
    monkeypatch.setattr(demo, "BOOK", Path("not") / "here.txt")
    assert cli.main(["demo"]) == cli.EXIT_ERROR
    assert "--book FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_the_main_job_with_the_bundled_weights(
    mini_weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--keep", str(tmp_path / "kept")]) == 0
    out = capfd.readouterr().out
    assert "ended with SIGKILL" in out
    assert re.search(r"tokens in context +│ +1\d\d,\d{3}", out)
    right, asked = map(int, re.findall(r"(\d+) of (\d+) answers are right", out)[0])
    assert asked >= 8
    assert right >= demo.NEEDED_SHARE * asked
