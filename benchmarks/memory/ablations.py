"""What each part of the training gives: short trainings that differ in one thing, several seeds.

Every training sees the same number of tokens, then answers questions in held-out wordings about one
fact each in a history longer than any sequence it was trained on. A training that was stopped goes
on where it was, and what is finished is not done again. The figures say which parts matter, not how
good the bundled weights are: those were trained far longer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from _histories import measure
from _shared import options, plotter, results_folder, tokens, write
from rich.table import Table

from hsa_memory import evaluation
from hsa_memory.boundary import public_errors
from hsa_memory.cli_view import console
from hsa_memory.engine import load_engine
from hsa_memory.machine import describe, machine

TASKS = ("niah", "mq_niah", "code", "dialogue")
WARM_UP = {"copy": 0.4, "codes": 0.25, "dialogue": 0.25, "niah": 0.05, "text": 0.05}
MIXED = {
    **{"text": 0.05, "copy": 0.1, "codes": 0.25, "dialogue": 0.4},
    **{"niah": 0.1, "mq_niah": 0.07, "vt": 0.03},
}
MODEL: dict[str, Any] = {
    "vocab_size": 4096,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_lower_layers": 2,
    "num_upper_layers": 2,
    "num_groups": 2,
    "num_heads": 3,
    "num_kv_heads": 1,
    "hsa_num_heads": 4,
    "chunk_size": 32,
    "top_k": 16,
    "window": 64,
    "retrieval_dim": 128,
    "normalize_retrieval": True,
    "embedding_norm": True,
    "bypass_residual": False,
    "hsa_query_gain": 2.0,
    "rerank_heads": 2,
}
QUICK_MODEL = {
    **{"vocab_size": 700, "hidden_size": 32, "intermediate_size": 48, "num_heads": 1},
    **{"head_dim": 16, "hsa_num_heads": 1, "retrieval_dim": 16, "chunk_size": 16},
}
EXPERTS = {"num_experts": 8, "experts_per_token": 2, "expert_size": 128}
Recipe = dict[str, Any]


def base(tokens: int, seed: int, quick: bool) -> Recipe:
    """The whole curriculum in small: warm-up, mixture, histories, a third of the tokens each."""
    losses = {"text_sample": 0.2, "pointer_weight": 1.0, "retrieval_weight": 1.0}
    third, sizes = tokens // 3, (512, 512, 1024) if quick else (512, 1024, 4096)
    stages = [
        {"length": sizes[0], "batch": 8, "rates": (4e-3, 4e-3), "value_weight": 0.5},
        {"length": sizes[1], "batch": 8, "rates": (4e-3, 2e-3), "value_weight": 0.2},
        {"length": sizes[2], "batch": 2, "rates": (2e-3, 1e-4), "value_weight": 0.1},
    ]
    for stage, shares in zip(stages, (WARM_UP, MIXED, {"history": 1.0}), strict=True):
        first, last = stage.pop("rates")
        stage |= {"tokens": third, "learning_rate": first, "final_learning_rate": last}
        stage |= {"bank": 4096, "shares": shares, **losses}
    stages[2]["questions"] = sizes[2] // 4
    return {
        "model": {**MODEL, **(QUICK_MODEL if quick else {})},
        "seed": seed,
        "warmup_steps": 30,
        "tokenizer_bytes": 100_000 if quick else 24_000_000,
        "stages": stages,
    }


def _all(**changes: Any) -> Callable[[Recipe], None]:
    def apply(recipe: Recipe) -> None:
        for stage in recipe["stages"]:
            stage |= changes

    return apply


def _model(**changes: Any) -> Callable[[Recipe], None]:
    def apply(recipe: Recipe) -> None:
        recipe["model"] |= changes

    return apply


def _no_warm_up(recipe: Recipe) -> None:
    recipe["stages"][0]["shares"] = MIXED


def _no_histories(recipe: Recipe) -> None:
    """The same tokens and learning rates, in sequences of the mixture."""
    mixed, last = recipe["stages"][1:]
    recipe["stages"][2] = {
        **mixed,
        **{name: last[name] for name in ("learning_rate", "final_learning_rate", "value_weight")},
    }


VARIANTS: dict[str, tuple[str, Callable[[Recipe], None]]] = {
    "full": ("the whole curriculum", _all()),
    "warm-up": ("no warm-up: the mixture from the start", _no_warm_up),
    "histories": ("no histories: short sequences to the end", _no_histories),
    "retrieval": (
        "retrieval not taught: language-model loss alone chooses",
        _all(retrieval_weight=0.0, rerank_weight=0.0),
    ),
    "pointer": ("pointer and value not taught", _all(pointer_weight=0.0, value_weight=0.0)),
    "bank": ("no distractors from earlier batches", _all(bank=0)),
    "rerank": ("landmarks alone, no reranking", _model(rerank_heads=0)),
    "experts": ("8 experts, 2 for each token, balanced", _model(moe=EXPERTS)),
    "experts-free": (
        "the same experts, not balanced",
        _model(moe={**EXPERTS, "bias_update_rate": 0.0}),
    ),
    "window-256": ("windows of 256 tokens, not 64", _model(window=256)),
    "window-512": ("windows of 512 tokens, not 64", _model(window=512)),
}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    found = options(__doc__)
    found.add_argument("--data", type=Path, required=True, help="folder with the .jsonl.xz corpora")
    found.add_argument("--runs", type=Path, required=True, metavar="DIR", help="trainings go there")
    found.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    found.add_argument("--seeds", type=int, default=2, help="trainings of each (default: 2)")
    found.add_argument("--tokens", type=int, default=4_500_000, help="of each (default: 4.5M)")
    found.add_argument("--processes", type=int, default=1, help="of each training (torchrun)")
    found.add_argument("--length", type=tokens, default=16_384, help="of the histories asked about")
    found.add_argument("--questions", type=int, default=100, help="per task")
    args = found.parse_args(argv)
    if args.quick:
        args.tokens, args.length, args.questions = min(args.tokens, 12_000), 3072, 2
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    args = arguments(argv)
    draw = plotter(args, "ablations")
    rows = []
    for seed in range(args.seeds):
        for name in args.only:
            rows.append({"variant": name, "seed": seed, **_one(args, name, seed)})
    figures = {"tokens": args.tokens, "length": args.length, "runs": rows, **_means(rows)}
    show(figures)
    facts = machine()
    console().print(f"machine: {describe(facts)}", markup=False, highlight=False)
    with results_folder(args) as folder:
        write({**figures, "machine": facts}, args.json or folder / "ablations.json")
    draw(figures)
    return 0


def recipe_of(name: str, args: argparse.Namespace, seed: int) -> Recipe:
    """Return the recipe of a variant as plain data."""
    recipe = base(args.tokens, seed, args.quick)
    VARIANTS[name][1](recipe)
    return recipe


def _one(args: argparse.Namespace, name: str, seed: int) -> dict[str, Any]:
    """Train one variant and ask it, unless both were done before."""
    recipe = json.dumps(recipe_of(name, args, seed), indent=1)
    # Another recipe is another training: it must not go on from this one's checkpoint.
    mark = hashlib.sha256(recipe.encode()).hexdigest()[:8]
    folder = args.runs / f"{name}-{seed}-{mark}"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {"length": args.length, "questions": args.questions, "text": list(map(str, args.text))}
    report = folder / "report.json"
    if report.is_file():
        known: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        if known.pop("wanted") == wanted:
            return known
    (folder / "recipe.json").write_text(recipe, encoding="utf-8")
    # One vocabulary for all, so that they differ in one thing.
    shared, own = args.runs / "tokenizer.json", folder / "tokenizer.json"
    if shared.is_file() and not own.is_file():
        own.write_bytes(shared.read_bytes())
    train = [str(Path(sys.executable).with_name("hsa-memory")), "train", "--data", str(args.data)]
    train += ["--config", str(folder / "recipe.json"), "--out", str(folder)]
    if args.processes > 1:
        start = ["-m", "torch.distributed.run", "--nproc-per-node", str(args.processes)]
        train = [sys.executable, *start, "--no-python", *train, "--threads", "1"]
    subprocess.run(train, check=True)
    shared.write_bytes(own.read_bytes())
    figures = {"exact": _ask(args, folder / "checkpoint"), "expert_load": _expert_load(folder)}
    write({"wanted": wanted, **figures}, report)
    return figures


def _ask(args: argparse.Namespace, checkpoint: Path) -> dict[str, float]:
    settings = evaluation.Settings(
        length=args.length, tasks=TASKS, questions=args.questions, depths=2 if args.quick else 10,
        text=tuple(args.text),
    )  # fmt: skip
    with public_errors(), evaluation.progress() as bar:
        engine = load_engine(checkpoint, args.device)
        fill = 0.5 if args.quick else 0.1
        found = measure(
            engine, settings, fill=fill, ways=["alone"], name=checkpoint.parent.name, bar=bar
        )
    return {task: found["tasks"]["alone"][task]["exact"]["share"] for task in TASKS}


def _expert_load(folder: Path) -> float | None:
    """The load of the busiest expert over the mean, over the last third of the training."""
    log = folder / "log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    loads = [json.loads(line).get("expert_load") for line in lines]
    last = loads[-(len(loads) // 3) :]
    return statistics.fmean(last) if last and last[0] is not None else None


def _means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    means = {}
    for name in dict.fromkeys(row["variant"] for row in rows):
        own = [row["exact"] for row in rows if row["variant"] == name]
        means[name] = {task: statistics.fmean(row[task] for row in own) for task in TASKS}
    return {"means": means}


def show(figures: dict[str, Any]) -> None:
    """Print a row for each variant: the mean over the seeds and each seed."""
    table = Table(
        title=f"exact answers in %, one fact in {figures['length']:,} tokens, after training on "
        f"{figures['tokens']:,}: mean (seeds)"
    )
    for column in ("", *TASKS):
        table.add_column(column, justify="left" if not column else "right")
    for name, means in figures["means"].items():
        cells = []
        for task in TASKS:
            each = [row["exact"][task] for row in figures["runs"] if row["variant"] == name]
            seeds = ", ".join(f"{100 * share:.0f}" for share in each)
            cells.append(f"{100 * means[task]:.0f} ({seeds})")
        table.add_row(VARIANTS[name][0], *cells)
    console().print(table)
    for row in figures["runs"]:
        if row["expert_load"] is not None:
            name, seed = VARIANTS[row["variant"]][0], row["seed"]
            console().print(f"{name}, seed {seed}: busiest expert {row['expert_load']:.2f} of mean")


if __name__ == "__main__":
    sys.exit(main())
