"""Draws what the benchmarks of memory measured. Needs matplotlib, the extra `plots`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
# The same data gives the same file.
matplotlib.rcParams["svg.hashsalt"] = "hsa-memory"

import matplotlib.pyplot as plt  # noqa: E402  after the choice of backend
from _shared import short  # noqa: E402

NAMES = {
    "code": "codes",
    "dialogue": "facts in dialogue",
    "changed": "latest value",
    "before": "value before it",
    "hop": "two facts together",
    "several": "lists",
    "who_said": "who said it",
    "when": "when",
    "unknown": "never told",
    "niah": "S-NIAH",
    "mq_niah": "MQ-NIAH",
    "vt": "variable tracking",
}
TITLES = {"alone": "each fact alone", "together": "all facts side by side"}
_ACROSS = 4


def lengths(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Draw exact answers over the length, and over length and depth for each way of asking."""
    reports = figures["lengths"]
    ways = list(reports[0]["tasks"])
    drawn = [_over_length(reports, ways, folder / "memory_lengths.svg")]
    drawn += [_depths(reports, way, folder / f"memory_depths_{way}.svg") for way in ways]
    return drawn


def _over_length(reports: list[dict[str, Any]], ways: list[str], path: Path) -> Path:
    figure, axes = plt.subplots(
        1, len(ways), figsize=(5 * len(ways) + 1, 3.8), sharey=True, squeeze=False
    )
    across = [report["length"] for report in reports]
    for axis, way in zip(axes[0], ways, strict=True):
        for task in reports[0]["tasks"][way]:
            exact = [report["tasks"][way][task]["exact"] for report in reports]
            _with_interval(axis, across, exact, "share", NAMES.get(task, task))
        axis.set(xlabel="tokens of history", ylim=(0, 1.02))
        _log_lengths(axis, across)
        axis.set_title(f"Exact answers, {TITLES[way]}", fontsize=10)
    axes[0][0].set_ylabel("share, 95% interval")
    _legend(axes[0][-1])
    return _save(figure, path)


def _depths(reports: list[dict[str, Any]], way: str, path: Path) -> Path:
    """A square for each task, as in the paper: lengths across, places of the fact down."""
    tasks = [t for t, found in reports[0]["tasks"][way].items() if found["depths"]]
    across = max(1, min(_ACROSS, len(tasks)))
    down = max(1, -(-len(tasks) // across))
    figure, axes = plt.subplots(
        down, across, figsize=(2.6 * across + 0.8, 2.8 * down), squeeze=False
    )
    cells = [axis for row in axes for axis in row]
    for axis in cells[len(tasks) :]:
        axis.set_axis_off()
    for axis, task in zip(cells, tasks, strict=False):
        found = [report["tasks"][way][task]["depths"] for report in reports]
        depths = sorted({depth for one in found for depth in one}, key=float)
        grid = [
            [one[depth]["share"] if depth in one else float("nan") for one in found]
            for depth in depths
        ]
        axis.imshow(grid, vmin=0, vmax=1, cmap="RdYlGn", aspect="auto")
        for row, shares in enumerate(grid):
            for column, share in enumerate(shares):
                # What was not measured is not a number, and stays empty.
                text = f"{100 * share:.0f}" if share == share else ""
                axis.text(column, row, text, ha="center", va="center", fontsize=6)
        axis.set_xticks(range(len(reports)), [short(r["length"]) for r in reports], fontsize=7)
        axis.set_yticks(range(len(depths)), [f"{100 * float(d):.0f}%" for d in depths], fontsize=7)
        axis.set_title(NAMES.get(task, task), fontsize=9)
    figure.supxlabel("tokens of history", fontsize=9)
    figure.supylabel("place of the fact", fontsize=9)
    figure.suptitle(f"Exact answers (%), {TITLES[way]}", fontsize=10)
    return _save(figure, path)


def search(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Draw recall@5 over the length, a panel for each task."""
    reports = figures["lengths"]
    tasks = list(reports[0]["tasks"])
    figure, axes = plt.subplots(
        1, len(tasks), figsize=(4 * len(tasks) + 1, 3.6), sharey=True, squeeze=False
    )
    across = [report["length"] for report in reports]
    for axis, task in zip(axes[0], tasks, strict=True):
        for name in reports[0]["tasks"][task]:
            shares = [report["tasks"][task][name]["recall@5"] for report in reports]
            _with_interval(axis, across, shares, "share", name)
        axis.set(xlabel="tokens of history", ylim=(0, 1.02))
        _log_lengths(axis, across)
        axis.set_title(f"Told message among the first 5, {NAMES.get(task, task)}", fontsize=9)
    axes[0][0].set_ylabel("recall@5, 95% interval")
    _legend(axes[0][-1])
    return [_save(figure, folder / "memory_search.svg")]


def perplexity(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Draw bits per token over the context."""
    rows = figures["contexts"]
    figure, axis = plt.subplots(figsize=(6, 3.6))
    across = [row["context"] for row in rows]
    for name in ("model", "twin"):
        if name in rows[0]:
            _with_interval(axis, across, [row[name] for row in rows], "mean", name)
    axis.set(xlabel="tokens of context", ylabel="bits per token, 95% interval")
    _log_lengths(axis, across)
    axis.set_title("The same tokens of unseen text after more and more context", fontsize=10)
    _legend(axis)
    return [_save(figure, folder / "memory_perplexity.svg")]


def ablations(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Draw exact answers of each variant: the mean, and a dot for each seed."""
    means = figures["means"]
    tasks = list(next(iter(means.values())))
    figure, axes = plt.subplots(
        1, len(tasks), figsize=(2.6 * len(tasks) + 1.5, 0.35 * len(means) + 1.4), sharey=True
    )
    names = list(means)[::-1]
    for axis, task in zip(axes, tasks, strict=True):
        axis.barh(names, [means[name][task] for name in names], color="#9ecae1")
        for run in figures["runs"]:
            axis.plot(run["exact"][task], run["variant"], "k.", markersize=4)
        axis.set(xlim=(0, 1.02), xlabel="share exact")
        axis.set_title(NAMES.get(task, task), fontsize=9)
    figure.suptitle(
        f"Trained on {figures['tokens']:,} tokens, different in one thing each; "
        f"one fact in {short(figures['length'])} tokens",
        fontsize=10,
    )
    return [_save(figure, folder / "memory_ablations.svg")]


def _with_interval(
    axis: Any, across: list[int], found: list[dict[str, Any]], key: str, name: str
) -> None:
    line = axis.plot(across, [one[key] for one in found], marker=".", label=name)[0]
    low, high = zip(*(one["interval"] for one in found), strict=True)
    axis.fill_between(across, low, high, color=line.get_color(), alpha=0.12, linewidth=0)


def _log_lengths(axis: Any, across: list[int]) -> None:
    axis.set_xscale("log", base=2)
    axis.set_xticks(across, [short(n) for n in across], fontsize=8)
    axis.minorticks_off()


def _legend(axis: Any) -> None:
    axis.legend(frameon=False, fontsize=7)


def _save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
