"""The examples run as a reader would run them, and say what they promise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = ("langchain_agent.py", "long_document.py", "quickstart.py")
MOST_LINES = 60


def run(root: Path, folder: Path, name: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(root / "examples" / name), str(folder / "memory"), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_every_example_is_run_here_and_short(root: Path) -> None:
    found = sorted(path.name for path in (root / "examples").glob("*.py"))
    assert found == sorted(EXAMPLES)
    for name in found:
        lines = (root / "examples" / name).read_text(encoding="utf-8").splitlines()
        assert len(lines) < MOST_LINES, name


@pytest.mark.slow
def test_quickstart(root: Path, mini_weights: Path, tmp_path: Path) -> None:
    first = run(root, tmp_path, "quickstart.py")
    assert "0 messages from before" in first
    assert re.search(r"^answer: .*Biscuit", first, re.MULTILINE)
    assert re.search(r"^found .* user: My dog is called Biscuit\.", first, re.MULTILINE)
    assert re.search(r"^from .* user: My dog is called Biscuit\.", first, re.MULTILINE)
    assert "history prefilled again: 0 tokens" in first
    assert "3 messages from before" in run(root, tmp_path, "quickstart.py")


@pytest.mark.slow
def test_long_document(root: Path, mini_weights: Path, tmp_path: Path) -> None:
    out = run(root, tmp_path, "long_document.py", "60000")
    assert re.search(r"^\d+ paragraphs, \d{5,} tokens", out, re.MULTILINE)
    assert len(re.findall(r"^found .* paragraph \d+:", out, re.MULTILINE)) == 3
    assert re.search(r"^answer: .*shed", out, re.MULTILINE)
    assert re.search(r"^context: \d+ tokens from \d+ messages", out, re.MULTILINE)
    assert "0 paragraphs, 0 tokens" in run(root, tmp_path, "long_document.py", "60000")


@pytest.mark.slow
def test_langchain_agent(root: Path, mini_weights: Path, tmp_path: Path) -> None:
    out = run(root, tmp_path, "langchain_agent.py")
    assert "agent: I remember: My dog is called Biscuit." in out
    assert "8 messages stored" in out
