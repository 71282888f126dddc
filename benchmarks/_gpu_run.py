"""Runs case after case, keeps what is known by then, and says what it ran on."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from _gpu_cases import Row
from rich.progress import track

from hsa_memory.cli_view import console

try:
    import triton
    from triton.errors import TritonError
except ModuleNotFoundError as error:
    raise SystemExit("the kernels need Triton: pip install triton") from error

_ROOT = Path(__file__).resolve().parent.parent
Wanted = TypeVar("Wanted")


class Run:
    """Measures until the time is up; what cannot be measured is named and does not end it."""

    def __init__(self, until: float, path: Path | None, figures: dict[str, Any]) -> None:
        """
        Args:
            until: by `time.monotonic`.
            path: where to write the figures after every case.
            figures: of earlier runs, and of this one as it goes on.
        """
        self._until = until
        self._path = path
        self.figures = figures
        for key in ("left_out", "failed"):
            figures.setdefault(key, {})

    def each(
        self,
        part: str,
        wanted: Iterable[Wanted],
        measure: Callable[[Wanted], Row],
        expected: Callable[[Wanted], float],
        name: Callable[[Wanted], str] = str,
    ) -> None:
        """Measure every case of a part that there is time and memory for.

        Args:
            expected: about how many seconds a case takes.
        """
        rows: list[Row] = []
        left_out: list[str] = []
        failed: list[str] = []
        self.figures[part] = rows
        self.figures["left_out"][part], self.figures["failed"][part] = left_out, failed
        for case in track(list(wanted), description=part, console=console()):
            if time.monotonic() + expected(case) > self._until:
                left_out.append(f"{name(case)}: no time")
                continue
            started = time.monotonic()
            try:
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                rows.append(measure(case))
                rows[-1]["took"] = round(time.monotonic() - started, 2)
            except torch.OutOfMemoryError:
                left_out.append(f"{name(case)}: no memory")
            except (
                RuntimeError,
                TritonError,
                ValueError,
                OSError,
                subprocess.SubprocessError,
            ) as error:
                # One kernel that does not compile or start here says nothing of the others.
                failed.append(f"{name(case)}: {type(error).__name__}: {str(error)[:500]}")
            self.save()

    def save(self) -> None:
        """Whatever ends the run, what is known by then is kept."""
        if self._path is not None:
            text = json.dumps(self.figures, indent=2) + "\n"
            beside = self._path.with_name(self._path.name + ".part")
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, self._path)


def earlier(path: Path | None) -> dict[str, Any]:
    """Return the figures that a file of an earlier run holds, whether or not it came to its end."""
    if path is None or not path.exists():
        return {}
    report = json.loads(path.read_text(encoding="utf-8"))
    figures: dict[str, Any] = report.get("figures", report)
    return figures


def require_same(figures: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to put figures beside those of another GPU, or of other software."""
    other = {key: figures[key] for key in now if key in figures and figures[key] != now[key]}
    if other:
        raise SystemExit(
            f"the file to add to holds figures of {other}; here it is "
            f"{ {key: now[key] for key in other} }: give --json another file"
        )


def facts() -> dict[str, Any]:
    """What the figures hold for: the GPU, what drives it, and the state of this project."""
    found: dict[str, Any] = {
        "device": "Triton's interpreter: no times",
        "torch": torch.__version__,
        "triton": triton.__version__,
        "commit": _said_by("git", "rev-parse", "--short=12", "HEAD"),
        "changed_files": len(_said_by("git", "status", "--porcelain").splitlines()),
    }
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        found |= {
            "device": properties.name,
            "memory_bytes": properties.total_memory,
            "processors": properties.multi_processor_count,
            "capability": f"{properties.major}.{properties.minor}",
            "l2_bytes": getattr(properties, "L2_cache_size", None),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "driver": _said_by(
                "nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"
            ).partition("\n")[0],
        }
    return found


def _said_by(*command: str) -> str:
    """What a program prints, "" where there is none or it fails."""
    try:
        done = subprocess.run(
            command, cwd=_ROOT, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def in_order(lengths: Sequence[int], first: Sequence[int]) -> list[int]:
    """Put the lengths that a target is about first, and the longest last."""
    return sorted(lengths, key=lambda n: (n not in first, n))
