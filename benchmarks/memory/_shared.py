"""What the benchmarks of memory share: options, files of results, plots, intervals of a mean."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hsa_memory.engine import Engine
from hsa_memory.errors import InvalidArgument

# The folder with what all benchmarks share: a script's own folder alone is importable.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _machine import BOOK, parser  # noqa: E402

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
_UNITS = {"K": 1 << 10, "M": 1 << 20}
_RESAMPLES = 10_000


def options(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark of memory.

    Args:
        doc: docstring of the script.
    """
    found = parser(doc)
    found.add_argument(
        "--text",
        nargs="+",
        type=Path,
        default=[BOOK],
        metavar="FILE",
        help="text or .jsonl.xz that the model has not seen (default: the demo's book)",
    )
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--device", default="auto", help="auto (the CPU), cpu, cuda or cuda:N")
    found.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write results there (default: docs/results/memory; with --quick: nowhere)",
    )
    found.add_argument(
        "--plots",
        type=Path,
        metavar="DIR",
        help="draw SVG files there (default: docs, if matplotlib is here; with --quick: nowhere)",
    )
    return found


@contextmanager
def results_folder(args: argparse.Namespace) -> Iterator[Path]:
    """Give the folder for results, made if need be; with `--quick` one that is thrown away."""
    if args.out is None and args.quick:
        with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
            yield Path(folder)
        return
    chosen: Path = args.out or DOCS / "results" / "memory"
    chosen.mkdir(parents=True, exist_ok=True)
    yield chosen


def plotter(args: argparse.Namespace, name: str) -> Callable[[dict[str, Any]], None]:
    """Return what draws a benchmark's figures, found before anything is measured.

    Args:
        args: the benchmark's options.
        name: of the function in `_plots`, which takes the figures and a folder.

    Raises:
        SystemExit: plots were asked for, and matplotlib is not here.
    """
    folder = args.plots or (None if args.quick else DOCS)
    if folder is None:
        return lambda figures: None
    try:
        draw = getattr(importlib.import_module("_plots"), name)
    except ModuleNotFoundError as error:
        if args.plots is not None:
            raise SystemExit(
                f"--plots needs {error.name}: pip install 'hsa-memory[plots]'"
            ) from error
        print(f"no plots: {error.name} is missing (pip install 'hsa-memory[plots]')")
        return lambda figures: None

    def save(figures: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in draw(figures, folder):
            print(path)

    return save


def write(data: Any, path: Path) -> None:
    """Write plain data as JSON, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def tokens(text: str) -> int:
    """Return a number of tokens written as 4096, 4K or 16M (of 1,024 and 1,048,576).

    Raises:
        argparse.ArgumentTypeError: it is none, or not positive.
    """
    unit = _UNITS.get(text[-1:].upper(), 1)
    digits = text if unit == 1 else text[:-1]
    if not digits.isdecimal() or int(digits) < 1:
        raise argparse.ArgumentTypeError(f"expected a number such as 4096, 4K or 16M: {text!r}")
    return int(digits) * unit


def short(count: int) -> str:
    """Return a number of tokens as `tokens` reads it."""
    for unit, size in reversed(_UNITS.items()):
        if count % size == 0:
            return f"{count // size}{unit}"
    return str(count)


def text_facts(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Return name and sha256 of each file.

    Raises:
        InvalidArgument: one is missing.
    """
    found = []
    for path in paths:
        if not path.is_file():
            raise InvalidArgument(f"--text: no file {path}")
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        found.append({"name": path.name, "sha256": digest.hexdigest()})
    return found


def model_facts(engine: Engine, name: str) -> dict[str, Any]:
    """Return what tells one model from another."""
    return {
        "name": name,
        "fingerprint": engine.fingerprint,
        "parameters": engine.num_parameters,
        "dtype": str(engine.dtype).removeprefix("torch."),
        "device": str(engine.device),
    }


def mean_interval(values: Sequence[float]) -> dict[str, Any]:
    """Return mean, 95% interval (bootstrap, percentiles of 10,000 resamples) and count."""
    data = np.asarray(values, np.float64)
    draws = np.random.default_rng(0).integers(len(data), size=(_RESAMPLES, len(data)))
    low, high = np.percentile(data[draws].mean(axis=1), (2.5, 97.5))
    return {"mean": float(data.mean()), "interval": [float(low), float(high)], "count": len(data)}
