"""The crash harness as a package of its own, and hosts that all tests here share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from crash_harness import shim  # noqa: E402
from crash_harness.lab import Lab  # noqa: E402


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two hosts."""
    reason = shim.missing()
    if reason:
        pytest.skip(reason)
    with Lab() as made:
        yield made
