"""Draws what a run on a GPU measured. Needs matplotlib, the extra `plots`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
# The same data gives the same file.
matplotlib.rcParams["svg.hashsalt"] = "hsa-memory"

import matplotlib.pyplot as plt  # noqa: E402  after the choice of backend
from _gpu_report import FLASH, MOST_STEP_SECONDS, Row, crossovers  # noqa: E402

Points = list[tuple[float, float]]


def draw(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Draw every plot whose figures are there; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    if rows := figures.get("crossover"):
        drawn.append(_crossover(rows, folder / "gpu_crossover.svg"))
    if rows := figures.get("decode"):
        drawn.append(_decode(rows, folder / "gpu_decode.svg"))
    if rows := [*figures.get("attention", ()), *figures.get("long", ())]:
        drawn.append(_floor(rows, folder / "gpu_traffic_floor.svg"))
    return drawn


def _crossover(rows: list[Row], path: Path) -> Path:
    """A column for each head dim, with one KV head if that was measured; the fewest chunks."""
    dims = sorted({row["dim"] for row in rows})
    figure, axes = plt.subplots(
        1, len(dims), figsize=(4.2 * len(dims) + 1, 3.8), sharey=True, squeeze=False
    )
    groups = min(row["groups"] for row in rows)
    for axis, dim in zip(axes[0], dims, strict=True):
        shown = sorted(
            (r for r in rows if (r["dim"], r["groups"]) == (dim, groups)), key=lambda r: r["tokens"]
        )
        top_k = min((k for row in shown for k in row["ours"]), key=int)
        for way, style in (("forward", "-"), ("backward", "--")):
            for name, colour, pick in (
                (f"search and {top_k} chunks", "C0", lambda r, k=top_k: r["ours"].get(k)),
                ("FlashAttention, all tokens", "C1", lambda r: r.get(FLASH)),
            ):
                _line(axis, _points(shown, pick, way), f"{name}, {way}", colour, style)
        met = crossovers(shown, FLASH).get(f"k {top_k} D {dim} H {groups}")
        if met is not None:
            axis.axvline(met, color="0.6", linewidth=1, zorder=0)
            axis.annotate(
                f"both ways: {met:,}", (met, 0.02), xycoords=("data", "axes fraction"), fontsize=8
            )
        axis.set(xscale="log", yscale="log", xlabel="tokens")
        axis.set_title(f"head dim {dim}, {groups} KV head{'s' if groups > 1 else ''}", fontsize=10)
    axes[0][0].set_ylabel("ms, one layer")
    _legend(axes[0][-1])
    return _save(figure, path)


def _decode(rows: list[Row], path: Path) -> Path:
    figure, axis = plt.subplots(figsize=(7, 3.8))
    shapes = sorted({(r["top_k"], r["dim"], r["groups"]) for r in rows})
    # The least and the most work say what lies between.
    for colour, shape in zip(("C0", "C1"), dict.fromkeys((shapes[0], shapes[-1])), strict=False):
        shown = sorted(
            (r for r in rows if (r["top_k"], r["dim"], r["groups"]) == shape),
            key=lambda r: r["tokens"],
        )
        name = "k {} D {} H {}".format(*shape)
        for key, style in (("step", "-"), ("cold_step", ":")):
            points = [(r["tokens"], 1e6 * r[key]) for r in shown if r.get(key) is not None]
            cold = ", cold caches" if key == "cold_step" else ""
            _line(axis, points, name + cold, colour, style)
    axis.axhline(1e6 * MOST_STEP_SECONDS, color="0.5", linewidth=1, label="target at 1M tokens")
    axis.set(xscale="log", yscale="log", xlabel="tokens", ylabel="us, one token and layer")
    axis.set_title("Decode step in a CUDA graph: search, weights, attention", fontsize=10)
    _legend(axis)
    return _save(figure, path)


def _floor(rows: list[Row], path: Path) -> Path:
    figure, axis = plt.subplots(figsize=(7, 3.8))
    for i, shape in enumerate(sorted({(r["top_k"], r["dim"], r["groups"]) for r in rows})):
        points = [
            (r["tokens"], r["bytes_floor"] / r["ours"]["forward"])
            for r in sorted(rows, key=lambda r: r["tokens"])
            if (r["top_k"], r["dim"], r["groups"]) == shape and r["ours"]["forward"]
        ]
        _line(axis, points, "k {} D {} H {}".format(*shape), f"C{i % 10}", "-" if i < 10 else "--")
    axis.axhline(0.5, color="0.5", linewidth=1, label="target")
    axis.set(xscale="log", xlabel="tokens", ylabel="traffic floor / time")
    axis.set_ylim(bottom=0, top=1.2 * axis.get_ylim()[1])
    axis.set_title(
        "Chunk attention, forward: share of the speed of memory; above 1: from caches", fontsize=10
    )
    _legend(axis, columns=2)
    return _save(figure, path)


def _points(rows: list[Row], pick: Any, way: str) -> Points:
    """(tokens, ms) of the rows that have it."""
    found = ((row["tokens"], (pick(row) or {}).get(way)) for row in rows)
    return [(tokens, 1e3 * seconds) for tokens, seconds in found if seconds is not None]


def _line(axis: Any, points: Points, name: str, colour: str, style: str) -> None:
    if points:
        x, y = zip(*points, strict=True)
        axis.plot(x, y, style, color=colour, label=name, marker=".")


def _legend(axis: Any, columns: int = 1) -> None:
    axis.legend(frameon=False, fontsize=7, ncols=columns)


def _save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
