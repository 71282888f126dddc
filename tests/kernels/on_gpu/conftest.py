"""Where these tests run: on a GPU, or in Triton's interpreter with TRITON_INTERPRET=1.

`tests/kernels/test_interpreted.py` starts one process per file for the latter, because Triton reads
that variable when it is imported. Without either they are skipped.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def _mend_interpreter() -> None:
    # No folder of tests is on sys.path.
    path = Path(__file__).parent / "interpreting" / "__init__.py"
    spec = importlib.util.spec_from_file_location("interpreting", path)
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["interpreting"] = package
    spec.loader.exec_module(package)
    package.install()


if INTERPRETED:
    _mend_interpreter()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark everything here `gpu`; tests/conftest.py skips that where there is none."""
    if not INTERPRETED:
        item.add_marker("gpu")


@pytest.fixture
def device() -> torch.device:
    """Where the tensors of a test live."""
    return torch.device("cpu" if INTERPRETED else "cuda")


@pytest.fixture(autouse=True)
def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill what is allocated without values, so that an output nobody wrote is wrong."""
    for owner, name in [
        (torch, "empty"),
        (torch, "empty_like"),
        (torch, "empty_strided"),
        (Tensor, "new_empty"),
        (Tensor, "new_empty_strided"),
    ]:
        monkeypatch.setattr(owner, name, _poisoning(getattr(owner, name)))


def _poisoning(allocate: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(*args: Any, **kwargs: Any) -> Tensor:
        made = allocate(*args, **kwargs)
        with torch.no_grad():
            return made.fill_(_poison(made.dtype))

    return run


def _poison(dtype: torch.dtype) -> float | int | bool:
    if dtype.is_floating_point or dtype.is_complex:
        return float("nan")
    if dtype == torch.bool:
        return True
    limits = torch.iinfo(dtype)
    return limits.min or limits.max
