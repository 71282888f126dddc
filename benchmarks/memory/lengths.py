"""Answers over the length of the history: free generation, every task, 10 depths.

One reading of a history serves all questions, which are asked twice: alone, with the facts of the
other questions hidden (one fact in a haystack, as in the paper), and together, with all facts side
by side. Histories too short for all questions are several of the same length. The report of a
length is written when it is done, to `lengths/` in the folder of results: a run that was stopped
goes on where it was, and lengths measured with the same model and settings are not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _histories import WAYS, measure, wanted
from _shared import options, plotter, results_folder, short, tokens, write
from rich.table import Table

from hsa_memory import evaluation
from hsa_memory.boundary import public_errors
from hsa_memory.cli_view import console
from hsa_memory.engine import Engine, load_engine
from hsa_memory.evaluation_memory import require_room
from hsa_memory.machine import describe
from hsa_memory.model.training.evalsets import KINDS
from hsa_memory.precision import DEFAULT, PRECISIONS

LENGTHS = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20]
QUICK_LENGTHS = [3 << 10, 4 << 10]
QUICK_TASKS = ("code", "niah")
TITLES = {"alone": "each fact alone", "together": "all facts side by side"}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    found = options(__doc__)
    found.add_argument(
        "--lengths", nargs="+", type=tokens, metavar="N", help="default: 4K 16K 64K ... 16M"
    )
    found.add_argument(
        "--task",
        metavar="TASK,..",
        help=f"all, or of {', '.join(KINDS)} (default: {','.join(evaluation.DEFAULT_TASKS)})",
    )
    found.add_argument("--questions", type=int, default=100, help="per task and length")
    found.add_argument("--depths", type=int, default=10)
    found.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    found.add_argument("--split", choices=("test", "train"), default="test", help="wordings")
    found.add_argument(
        "--fill",
        type=float,
        default=0.1,
        help="largest share of a history that statements may take (default: 0.1)",
    )
    found.add_argument("--kv-dtype", choices=tuple(PRECISIONS), default=DEFAULT)
    args = found.parse_args(argv)
    if not 0 < args.fill <= 0.5:
        found.error(f"--fill: expected more than 0 and at most 0.5; found {args.fill}")
    args.lengths = sorted(set(args.lengths or (QUICK_LENGTHS if args.quick else LENGTHS)))
    args.ways = [way for way in WAYS if way in args.ways]
    if args.task is None:
        args.tasks = QUICK_TASKS if args.quick else evaluation.DEFAULT_TASKS
    else:
        args.tasks = KINDS if args.task == "all" else tuple(filter(None, args.task.split(",")))
    if args.quick:
        args.questions = min(2, args.questions)
        args.depths = min(2, args.depths)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    args = arguments(argv)
    draw = plotter(args, "lengths")
    with public_errors():
        engine = load_engine(args.model, args.device)
    # Before hours are spent: every length has to fit.
    for length in args.lengths:
        require_room(engine, length)
    with results_folder(args) as folder:
        reports = [_one_length(engine, n, folder / "lengths", args) for n in args.lengths]
        figures = {"lengths": [{k: v for k, v in r.items() if k != "questions"} for r in reports]}
        show(figures)
        summary = {"model": reports[0]["model"], "machine": reports[-1]["machine"], **figures}
        write(summary, args.json or folder / "lengths.json")
    draw(figures)
    return 0


def _one_length(
    engine: Engine, length: int, folder: Path, args: argparse.Namespace
) -> dict[str, Any]:
    settings = evaluation.Settings(
        length=length,
        tasks=args.tasks,
        questions=args.questions,
        depths=args.depths,
        text=tuple(args.text),
        split=args.split,
        seed=args.seed,
        kv_dtype=args.kv_dtype,
    )
    path = folder / f"{short(length)}.json"
    report = earlier(path, wanted(engine, settings, args.fill, args.ways))
    if report is not None:
        print(f"{length:,} tokens: measured before, {path}", flush=True)
        return report
    with evaluation.progress() as bar:
        report = measure(engine, settings, fill=args.fill, ways=args.ways, name=args.model, bar=bar)
    folder.mkdir(parents=True, exist_ok=True)
    write(report, path)
    repeated = f"; the text repeats {report['laps']:.1f} times" if report["laps"] > 1 else ""
    print(
        f"{length:,} tokens: histories read: {report['histories']}, in "
        f"{report['ingest']['seconds']:.0f} s; statements: {100 * report['statement_share']:.1f}%"
        + repeated,
        flush=True,
    )
    return report


def earlier(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return the report of a length if it is there and of these settings."""
    if not path.is_file():
        return None
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report if report.get("wanted") == settings else None


def show(figures: dict[str, Any]) -> None:
    """Print a table for each way: tasks down, lengths across."""
    reports = figures["lengths"]
    for way in reports[0]["tasks"]:
        table = Table(title=f"exact answers in %, with 95% intervals, {TITLES[way]}")
        table.add_column("task", no_wrap=True)
        for report in reports:
            table.add_column(short(report["length"]), justify="right")
        for task in reports[0]["tasks"][way]:
            cells = (report["tasks"][way][task]["exact"] for report in reports)
            table.add_row(task, *map(_cell, cells))
        console().print(table)
    console().print(f"machine: {describe(reports[-1]['machine'])}", markup=False, highlight=False)


def _cell(figure: dict[str, Any]) -> str:
    low, high = figure["interval"]
    return f"{100 * figure['share']:.0f} ({100 * low:.0f} to {100 * high:.0f})"


if __name__ == "__main__":
    sys.exit(main())
