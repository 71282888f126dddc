"""What every test may use: the repository's root, the bundled weights, a count of open files, and
the rule for `gpu`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def mini_weights() -> Path:
    """The folder of the bundled weights."""
    folder = ROOT / "hsa_memory" / "weights" / "mini"
    if not folder.is_dir():
        pytest.skip("the bundled weights (hsa_memory/weights/mini) are not in this checkout")
    return folder


@pytest.fixture
def open_files_below() -> Callable[[Path], int]:
    """How many of this process's descriptors are of files below a folder. Only these: what another
    test left to the garbage collector closes at any moment."""
    if sys.platform != "linux":
        pytest.skip("needs /proc")

    def count(folder: Path) -> int:
        found = 0
        for descriptor in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{descriptor}")
            except FileNotFoundError:  # the one that lists the folder, or just closed
                continue
            found += target.startswith(f"{folder.resolve()}{os.sep}")
        return found

    return count


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where torch sees no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device; torch sees none"))
