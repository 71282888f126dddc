"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Return processor, cores, threads and versions, as plain values for JSON."""
    import torch

    from . import __version__

    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "torch_threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "hsa_memory": __version__,
    }


def describe(facts: dict[str, Any]) -> str:
    """Return one line about a machine."""
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['torch_threads']} threads, "
        f"{facts['capability']}; Python {facts['python']}, torch {facts['torch']}, "
        f"hsa-memory {facts['hsa_memory']}"
    )


def available_memory() -> int | None:
    """Return the bytes that programs may still take, as the system estimates; None: unknown."""
    info = Path("/proc/meminfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    return None


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
