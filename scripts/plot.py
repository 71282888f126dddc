"""Draw docs/*.svg from docs/results/: `scripts/plot.py` (needs the extra `plots`).

training.jsonl is the log of `hsa-memory train`, haystack.json and single_fact.json are what
`hsa-memory eval --json` wrote, the latter with `--alone`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
# The same data gives the same file.
matplotlib.rcParams["svg.hashsalt"] = "hsa-memory"

import matplotlib.pyplot as plt  # noqa: E402  after the choice of backend

DOCS = Path(__file__).resolve().parent.parent / "docs"
RESULTS = DOCS / "results"
TASK_NAMES = {
    "code": "codes",
    "dialogue": "facts in dialogue",
    "niah": "S-NIAH",
    "mq_niah": "MQ-NIAH",
    "vt": "variable tracking",
    "changed": "changed facts",
    "before": "facts before a change",
    "hop": "two facts together",
    "who_said": "who said it",
    "several": "lists",
    "when": "times and dates",
}


def main() -> None:
    """Draw every plot whose data is there."""
    if (RESULTS / "training.jsonl").exists():
        lines = (RESULTS / "training.jsonl").read_text(encoding="utf-8").splitlines()
        # A resumed run writes the steps after its checkpoint again: the last word counts.
        _training(list({r["step"]: r for r in map(json.loads, lines)}.values()))
    for name in ("haystack", "single_fact"):
        if (path := RESULTS / f"{name}.json").exists():
            _depths(json.loads(path.read_text(encoding="utf-8")), f"{name}.svg")


def _training(log: list[dict[str, Any]]) -> None:
    figure, axis = plt.subplots(figsize=(7, 3.6))
    for key, name in (
        ("retrieval_accuracy", "source chunk first by landmark"),
        ("rerank_accuracy", "source chunk first after reranking"),
        ("pointer_accuracy", "source token attended to"),
        ("answer_accuracy", "copied token right"),
    ):
        points = [(r["tokens"] / 1e6, r[key]) for r in log if key in r]
        axis.plot(*zip(*_smooth(points), strict=True), label=name)
    starts = [
        a["tokens"] / 1e6 for a, b in zip(log, log[1:], strict=False) if a["stage"] != b["stage"]
    ]
    for start in starts:
        axis.axvline(start, color="0.8", linewidth=1, zorder=0)
    axis.set(xlabel="million tokens (lines: stages)", ylabel="share", ylim=(0, 1))
    axis.set_title("Training of mini: all tasks, held-in wordings")
    axis.legend(frameon=False)
    _save(figure, "training.svg")


def _smooth(points: list[tuple[float, float]], width: int = 5) -> list[tuple[float, float]]:
    """Mean over a few neighbouring points."""
    out = []
    for i, (x, _) in enumerate(points):
        near = [y for _, y in points[max(0, i - width + 1) : i + 1]]
        out.append((x, sum(near) / len(near)))
    return out


def _depths(result: dict[str, Any], name: str) -> None:
    """Exact answers over the place of the fact in the history, a row per task."""
    tasks = {k: v for k, v in result["tasks"].items() if v["depths"] and k in TASK_NAMES}
    depths = sorted({float(d) for v in tasks.values() for d in v["depths"]})
    grid = [
        [v["depths"].get(f"{d:g}", {}).get("share", float("nan")) for d in depths]
        for v in tasks.values()
    ]
    figure, axis = plt.subplots(figsize=(7, 0.5 * len(tasks) + 1.4))
    axis.imshow(grid, vmin=0, vmax=1, cmap="RdYlGn", aspect="auto")
    for row, shares in enumerate(grid):
        for column, share in enumerate(shares):
            axis.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8)
    axis.set_yticks(range(len(tasks)), [TASK_NAMES[k] for k in tasks])
    axis.set_xticks(range(len(depths)), [f"{100 * d:.0f}%" for d in depths])
    axis.set_xlabel("place of the fact in the history")
    which = "one fact" if result.get("alone") else "all facts side by side"
    axis.set_title(f"Exact answers (%) in {result['length']:,} tokens, {which}", fontsize=11)
    _save(figure, name)


def _save(figure: Any, name: str) -> None:
    figure.tight_layout()
    figure.savefig(DOCS / name, metadata={"Date": None})
    print(f"docs/{name}")


if __name__ == "__main__":
    main()
