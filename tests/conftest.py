"""What every test may use: the repository's root, the bundled weights, a count of open files,
processes that no test leaves behind, and the rule for `gpu`."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# The same examples in every run, and no limits of time: a busy machine is no failure.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


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


@pytest.fixture
def start_process() -> Iterator[Callable[..., subprocess.Popen[Any]]]:
    """`subprocess.Popen`; what still runs when the test is over, or has failed, is killed, and all
    pipes are closed: whatever is left to the garbage collector fails another test."""
    started: list[subprocess.Popen[Any]] = []

    def start(*args: Any, **options: Any) -> subprocess.Popen[Any]:
        started.append(subprocess.Popen(*args, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
    for process in started:
        # What was written to it and never read goes with it.
        with suppress(BrokenPipeError), process:
            pass


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where torch sees no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device; torch sees none"))
