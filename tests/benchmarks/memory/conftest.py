"""What the tests of the benchmarks of memory share."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent.parent.parent / "benchmarks" / "memory"


@pytest.fixture(autouse=True)
def folder_of_benchmarks_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark is run as a script, with its own folder importable."""
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture
def load() -> Callable[[str], Any]:
    """Import a module of the benchmarks of memory."""
    return importlib.import_module
