"""`hsa-memory eval`: questions about things told anywhere in a long history of unseen text.

One history carries what all questions need; each question then runs on a fork that leaves the
history unchanged. Answers are generated freely and compared exactly; beside that stand teacher
forcing, whether the chunk with the answer was retrieved, and the place of the message in a search.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from hsa_memory.model.training.evalsets import KINDS, EvalItem, build_together

from .boundary import public_errors
from .cli_view import console
from .demo import BOOK
from .engine import Engine, load_engine
from .errors import InvalidArgument
from .evaluation_haystack import Filler, Haystack, build_haystack
from .evaluation_memory import ingest
from .evaluation_report import as_json, show, summarize
from .evaluation_scoring import Asker, Outcome
from .machine import machine
from .precision import DEFAULT, PRECISIONS, require_precision

DEFAULT_TASKS = ("code", "dialogue", "changed", "unknown", "niah", "mq_niah", "vt")

# Every task, for `--task`.
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure."""

    length: int = 131_072
    """Tokens of the history."""
    tasks: tuple[str, ...] = DEFAULT_TASKS
    questions: int = 100
    """Questions of each task."""
    depths: int = 10
    """Equal parts of the history; each holds as many answers of a task as any other."""
    text: tuple[Path, ...] = ()
    """Text that the model has not seen; default: the demo's book."""
    alone: bool = False
    """Whether the facts of other questions are hidden while one is asked."""
    split: str = "test"
    """Wordings and vocabulary: "test" (held out) or "train"."""
    seed: int = 0
    kv_dtype: str = DEFAULT
    """Number format of the chunks' keys and values, as of `hsa_memory.open`."""

    def __post_init__(self) -> None:
        require_precision(self.kv_dtype)
        unknown = sorted(set(self.tasks) - set(KINDS))
        if unknown or not self.tasks:
            raise InvalidArgument(f"--task: {unknown} not among {', '.join(KINDS)}")
        for name in ("length", "questions", "depths"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"--{name} must be at least 1; found {getattr(self, name)}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.description = (
        "Ask questions about things told anywhere in a long history of unseen text. An answer is "
        "exact if it is the expected one but for case, white space and a final full stop."
    )
    parser.add_argument("--model", default="mini", help="bundled name or checkpoint folder")
    parser.add_argument("--length", type=int, default=131_072, help="tokens (default: 131072)")
    parser.add_argument("--questions", type=int, default=100, help="per task (default: 100)")
    parser.add_argument("--depths", type=int, default=10, help="parts of the history (default: 10)")
    parser.add_argument(
        "--task",
        default=",".join(DEFAULT_TASKS),
        metavar="TASK,..",
        help=f"of {', '.join(KINDS)}; {ALL}: every one (default: {','.join(DEFAULT_TASKS)})",
    )
    parser.add_argument(
        "--text",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="text or .jsonl.xz of the haystack (default: the demo's book)",
    )
    parser.add_argument(
        "--alone",
        action="store_true",
        help="one fact in the haystack: hide those of the other questions while one is asked",
    )
    parser.add_argument("--split", choices=("test", "train"), default="test", help="wordings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--dtype", default="auto", help="auto, bfloat16 or float32, as of hsa_memory.open"
    )
    parser.add_argument(
        "--device", default="auto", help="auto (the CPU), cpu, cuda or cuda:N (default: auto)"
    )
    parser.add_argument(
        "--kv-dtype", choices=tuple(PRECISIONS), default=DEFAULT, help="of keys and values on disk"
    )
    parser.add_argument("--show", type=int, default=0, metavar="N", help="list N wrong answers")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything here (-: print only that)"
    )


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    settings = Settings(
        length=args.length,
        tasks=KINDS if args.task == ALL else tuple(task for task in args.task.split(",") if task),
        questions=args.questions,
        depths=args.depths,
        text=tuple(args.text),
        alone=args.alone,
        split=args.split,
        seed=args.seed,
        kv_dtype=args.kv_dtype,
    )
    with public_errors():
        engine = load_engine(args.model, args.device, args.dtype)
    report = run(engine, settings, name=args.model)
    if args.json == Path("-"):
        print(json.dumps(report, indent=2, ensure_ascii=False))
        return 0
    show(report, console(), wrong=args.show)
    if args.json is not None:
        write(report, args.json)
    return 0


def write(report: dict[str, Any], path: Path) -> None:
    """Write a report as JSON."""
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def run(engine: Engine, settings: Settings, *, name: str = "") -> dict[str, Any]:
    """Evaluate a model and return the report as plain data.

    Args:
        engine: the model.
        settings: what to measure.
        name: of the model, for the report.

    Raises:
        InvalidArgument: no text, or a history too short for the statements.
    """
    haystack = build(engine, settings)
    with progress() as bar:
        outcomes, seconds = _measure(engine, haystack, bar, settings)
    return {
        "length": len(haystack.tokens),
        "depths": settings.depths,
        "split": settings.split,
        "alone": settings.alone,
        "seed": settings.seed,
        "kv_dtype": settings.kv_dtype,
        "text": [path.name for path in text_files(settings)],
        "laps": haystack.laps,
        "model": {
            "name": name,
            "fingerprint": engine.fingerprint,
            "parameters": engine.num_parameters,
            "dtype": str(engine.dtype).removeprefix("torch."),
            "device": str(engine.device),
        },
        "machine": machine(),
        "time": time.time(),
        "ingest": {"tokens": len(haystack.tokens), "seconds": seconds},
        "tasks": summarize(outcomes, settings.depths),
        "questions": [as_json(outcome) for outcome in outcomes],
    }


def build(engine: Engine, settings: Settings) -> Haystack:
    """Return the history and the questions that `run` asks, the same for any `kv_dtype`.

    Raises:
        InvalidArgument: no text, or a history too short for the statements.
    """
    rng = np.random.default_rng(settings.seed)
    filler = Filler(engine.tokenizer, text_files(settings))
    return build_haystack(engine.tokenizer, draw_items(settings, rng), filler, settings.length, rng)


def _measure(
    engine: Engine, haystack: Haystack, bar: Progress, settings: Settings
) -> tuple[list[Outcome], float]:
    """Ingest the history and ask everything; returns outcomes and the seconds of the ingest."""
    task = bar.add_task("history", total=len(haystack.tokens))
    started = time.perf_counter()
    state = ingest(
        engine,
        torch.from_numpy(haystack.tokens),
        lambda n: bar.update(task, advance=n),
        kv_dtype=settings.kv_dtype,
    )
    seconds = time.perf_counter() - started
    asker = Asker(engine, haystack, state, alone=settings.alone)
    task = bar.add_task("questions", total=len(haystack.placed))
    outcomes = []
    for placed in haystack.placed:
        outcomes.append(asker.ask(placed))
        bar.update(task, advance=1)
    return outcomes, seconds


def draw_items(
    settings: Settings, rng: np.random.Generator
) -> Sequence[tuple[EvalItem, float | None]]:
    """Return the questions of all tasks, task by task, each with the place of its answer."""
    counts = dict.fromkeys(settings.tasks, settings.questions)
    items = build_together(counts, rng, split=settings.split)
    return [
        (item, _place(index, settings, rng))
        for kind in settings.tasks
        for index, item in enumerate(items[kind])
    ]


def _place(index: int, settings: Settings, rng: np.random.Generator) -> float:
    """Place of a task's question number `index`: the parts of the history take turns, and within a
    part the questions keep a distance."""
    part, number = index % settings.depths, index // settings.depths
    per_part = -(-settings.questions // settings.depths)
    within = (number + 0.25 + 0.5 * float(rng.random())) / per_part
    return (part + within) / settings.depths


def text_files(settings: Settings) -> tuple[Path, ...]:
    """Return the files of the haystack.

    Raises:
        InvalidArgument: none is named, and the demo's book is not here.
    """
    return settings.text or (_book(),)


def _book() -> Path:
    path = Path(__file__).resolve().parent.parent / BOOK
    if not path.is_file():
        raise InvalidArgument("--text is needed: the demo's book is not part of the package")
    return path


def progress() -> Progress:
    """Return a display for a terminal that leaves nothing behind, and nothing elsewhere."""
    return Progress(
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty() or bool(os.environ.get("NO_PROGRESS")),
    )
