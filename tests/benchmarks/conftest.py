"""What the tests of benchmarks share."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def folder_of_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark is run as a script, with its own folder importable."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
