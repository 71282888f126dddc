"""Triton kernels compiled ahead of time for GPUs that are not there, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Case(NamedTuple):
    """A call of launchers."""

    name: str
    run: Callable[[str], object]
    """Gets the target's name: "sm_90"."""
