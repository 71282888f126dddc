"""The results of an evaluation: figures per task and depth, as plain data and as tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from .evaluation_scoring import SEARCH_DEPTHS, Outcome, Proportion
from .machine import describe
from .text_view import plain

_UNKNOWN = "unknown"


def summarize(outcomes: Sequence[Outcome], parts: int) -> dict[str, Any]:
    """Return the figures of each task, and of each of `parts` of the history, as plain data."""
    return {
        kind: _figures([o for o in outcomes if o.kind == kind], parts)
        for kind in dict.fromkeys(o.kind for o in outcomes)
    }


def _figures(outcomes: Sequence[Outcome], parts: int) -> dict[str, Any]:
    told = [o for o in outcomes if o.position >= 0]
    searched = [o for o in outcomes if o.rank is not None]
    depths: dict[int, list[Outcome]] = {}
    for outcome in told:
        depths.setdefault(int((outcome.place or 0.0) * parts), []).append(outcome)
    figures = {
        "exact": _proportion(outcomes, lambda o: o.exact),
        "forced": _proportion(outcomes, lambda o: o.forced),
        "refused": _proportion(outcomes, lambda o: o.refused),
        "retrieved": _proportion(told, lambda o: bool(o.retrieved)),
        "seconds_per_answer": sum(o.seconds for o in outcomes) / len(outcomes),
        "depths": {
            f"{part / parts:g}": _proportion(found, lambda o: o.exact)
            for part, found in sorted(depths.items())
        },
    }
    for k in SEARCH_DEPTHS:
        figures[f"search@{k}"] = _proportion(searched, partial(_found_within, k))
    return figures


def _found_within(k: int, outcome: Outcome) -> bool:
    return 0 < (outcome.rank or 0) <= k


def _proportion(outcomes: Sequence[Outcome], test: Callable[[Outcome], bool]) -> dict[str, Any]:
    found = Proportion(successes=sum(map(test, outcomes)), count=len(outcomes))
    return {
        "share": found.share if found.count else None,
        "interval": list(found.interval),
        "count": found.count,
    }


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain data."""
    return dataclasses.asdict(outcome)


def show(report: dict[str, Any], console: Console, *, wrong: int = 0) -> None:
    """Print a report.

    Args:
        report: as `evaluation.run` returns it.
        console: where to.
        wrong: number of wrong answers to list for each task.
    """
    tasks = report["tasks"]
    console.print(_answer_table(report["length"], tasks))
    if any(figures["depths"] for figures in tasks.values()):
        console.print(_retrieval_table(tasks))
        console.print(_depth_table(tasks))
    for kind in tasks if wrong else ():
        bad = [q for q in report["questions"] if q["kind"] == kind and not q["exact"]][:wrong]
        for q in bad:
            line = f"{kind}: {q['question']!r} expected {q['expected']!r}, found {q['answer']!r}"
            console.print(plain(line), markup=False, highlight=False)
    ingest, model = report["ingest"], report["model"]
    speed = ingest["tokens"] / ingest["seconds"]
    laps = f" (which was repeated: {report['laps']:.1f} times)" if report["laps"] > 1 else ""
    console.print(
        f"history: {ingest['tokens']:,} tokens of {', '.join(report['text'])}"
        f"{laps}, ingested in {ingest['seconds']:.1f} s "
        f"({speed:,.0f} tokens/s); seed {report['seed']}, split {report['split']}"
        + (", each fact alone" if report["alone"] else ""),
        markup=False,
        highlight=False,
    )
    console.print(
        f"model: {model['name']}, fingerprint {model['fingerprint'][:16]}; keys and values in "
        f"{report['kv_dtype']}",
        markup=False,
    )
    console.print(f"machine: {describe(report['machine'])}", markup=False, highlight=False)


def _answer_table(length: int, tasks: dict[str, Any]) -> Table:
    table = Table(title=f"answers from a history of {length:,} tokens")
    for name in ("task", "asked", "exact", "95% interval", "forced", "refused", "ms"):
        table.add_column(name, justify="left" if name == "task" else "right", no_wrap=True)
    for kind, figures in tasks.items():
        low, high = figures["exact"]["interval"]
        table.add_row(
            kind,
            str(figures["exact"]["count"]),
            _percent(figures["exact"]),
            f"{100 * low:.1f} to {100 * high:.1f}",
            _percent(figures["forced"]),
            _percent(figures["refused"]),
            f"{1000 * figures['seconds_per_answer']:.0f}",
        )
    return table


def _retrieval_table(tasks: dict[str, Any]) -> Table:
    table = Table(title="where the answer stands: chunk chosen by the reader, message found")
    names = ("retrieved", *(f"search@{k}" for k in SEARCH_DEPTHS))
    for name in ("task", *names):
        table.add_column(name, justify="left" if name == "task" else "right", no_wrap=True)
    for kind, figures in tasks.items():
        if figures["retrieved"]["count"]:
            table.add_row(kind, *(_percent(figures[name]) for name in names))
    return table


def _depth_table(tasks: dict[str, Any]) -> Table:
    table = Table(title="exact, by the place of the answer in the history")
    table.add_column("from")
    depths = sorted({depth for figures in tasks.values() for depth in figures["depths"]}, key=float)
    told = [kind for kind, figures in tasks.items() if figures["depths"]]
    for kind in told:
        table.add_column(kind, justify="right")
    for depth in depths:
        row = [tasks[kind]["depths"].get(depth) for kind in told]
        table.add_row(f"{100 * float(depth):.0f}%", *(_percent(x) if x else "-" for x in row))
    return table


def _percent(figure: dict[str, Any]) -> str:
    return "-" if figure["share"] is None else f"{100 * figure['share']:.1f}%"
