"""The tests of the Triton kernels in Triton's interpreter, where there is no GPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parent / "on_gpu"
FILES = sorted(path.name for path in FOLDER.glob("test_*.py"))
# Only what hangs takes so long, however busy the machine is.
TIMEOUT_SECONDS = 2400


def run(path: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a file in a process of their own."""
    kept = {n: value for n, value in os.environ.items() if not n.startswith(("PYTEST_", "TRITON_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(path)]
    return subprocess.run(
        command,
        cwd=FOLDER.parents[2],
        env={**kept, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_kernels_in_the_interpreter(name: str) -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    if torch.cuda.is_available():
        pytest.skip("a GPU is there: the same files run on it")
    # Triton reads the variable when it is imported, so this process cannot run them.
    done = run(FOLDER / name, TRITON_INTERPRET="1")
    report = f"{done.stdout}\n{done.stderr}"
    if done.returncode != 0:
        pytest.fail(f"status {done.returncode} of {name}\n{report}", pytrace=False)
    assert re.search(r"\b[1-9]\d* passed", done.stdout), report


def test_without_interpreter_and_gpu_they_are_skipped_with_the_reason() -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    if torch.cuda.is_available():
        pytest.skip("a GPU is there: they run")
    done = run(FOLDER, "-m", "gpu")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert re.search(r"^SKIPPED .*: \w.*$", done.stdout, re.M)
    assert re.search(r"\b[1-9]\d* skipped", done.stdout)
    assert not re.search(r"passed|failed|error|deselected", done.stdout)
