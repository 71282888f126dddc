"""What every benchmark has in common: options, a history to measure on, a table and its machine."""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from hsa_memory.cli_view import console
from hsa_memory.documents import read_messages
from hsa_memory.machine import describe, machine
from hsa_memory.model import Tokenizer

BOOK = Path(__file__).parent.parent / "examples" / "data" / "adventures_of_sherlock_holmes.txt"
Message = dict[str, str]


def _load() -> list[float]:
    """Processes that wanted a core, on average over 1, 5 and 15 minutes; the benchmark's too."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []


_LOAD = _load()


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark takes.

    Args:
        doc: docstring of the script.
    """
    options = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--model", default="mini", help="bundled name or checkpoint folder")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    options.add_argument("--quick", action="store_true", help="tiny sizes: a test that it runs")
    return options


def finish(
    title: str, rows: Sequence[tuple[str, str]], figures: dict[str, Any], args: argparse.Namespace
) -> None:
    """Print the rows of a table and the machine; write the figures if asked to.

    Args:
        title: of the table.
        rows: (what, figure with its unit).
        figures: plain data for the JSON file.
        args: the benchmark's options.
    """
    facts = machine()
    table = Table(title=title, show_header=False)
    for row in rows:
        table.add_row(*row)
    console().print(table)
    console().print(f"machine: {describe(facts)}", markup=False, highlight=False)
    if args.json is not None:
        load = {"before": _LOAD, "after": _load()}
        report = {"figures": figures, "model": args.model, "machine": facts, "load": load}
        report["time"] = time.time()
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def book_messages(tokenizer: Tokenizer, num_tokens: int) -> list[Message]:
    """Return the demo's book, over and over, as messages of `num_tokens` tokens or a few more."""
    messages: list[Message] = []
    total = 0
    for text in _pages():
        if total >= num_tokens:
            break
        messages.append({"role": "document", "content": text})
        total += len(tokenizer.encode(text)) + 2
    return messages


def _pages() -> Iterator[str]:
    with BOOK.open("rb") as file:
        pages = [message.content for message in read_messages(file, format="text")]
    while True:
        yield from pages


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of the values that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def milliseconds(seconds: float) -> str:
    """Return a time as text."""
    return f"{1000 * seconds:.1f} ms"
