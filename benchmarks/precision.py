"""Keys and values on disk as bfloat16, int8 and float8: bytes, answers, logits, restores.

Every format is asked the same questions about the same histories, each a single fact in unseen text
as in `haystack.py`. The difference of logits is that of the right answer's tokens, each after the
right ones before it. Restores of the formats take turns, each in a new process: their ratio stands,
however busy the machine. `bit_equal.py --kv-dtype` tells whether they are equal to the bit.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from _machine import book_messages, finish, parser, percentile
from restore import drop_from_page_cache, restore_once
from torch import Tensor

import hsa_memory
from hsa_memory import evaluation
from hsa_memory.engine import Engine, load_engine
from hsa_memory.evaluation_memory import ingest
from hsa_memory.evaluation_report import summarize
from hsa_memory.evaluation_scoring import Asker, Outcome, Proportion
from hsa_memory.precision import PRECISIONS
from hsa_memory.threads import threads_for

BASE, *OTHERS = PRECISIONS


def main() -> int:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--task", default="niah,code,dialogue", help="as of `hsa-memory eval`")
    options.add_argument("--tokens", type=int, default=131_072, help="of each history")
    options.add_argument("--questions", type=int, default=100, help="per task and history")
    options.add_argument("--histories", type=int, default=2)
    options.add_argument("--runs", type=int, default=15, help="restores of each format")
    options.add_argument("--part", choices=("answers", "disk"), help="default: both")
    args = options.parse_args()
    if args.quick:
        args.tokens, args.questions, args.histories, args.runs = 2_048, 2, 1, 1
    figures: dict[str, Any] = {"tokens": args.tokens}
    rows: list[tuple[str, str]] = []
    if args.part != "disk":
        figures["answers"] = _answers(load_engine(args.model, "auto"), args)
        rows += _answer_rows(figures["answers"])
    if args.part != "answers":
        figures["disk"] = _disk(args)
        rows += _disk_rows(figures["disk"])
    finish(f"keys and values of {args.tokens:,} tokens", rows, figures, args)
    return 0


def _answers(engine: Engine, args: argparse.Namespace) -> dict[str, Any]:
    """What each format answers, and how far its logits are from those of bfloat16."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in PRECISIONS}
    distances: dict[str, list[Tensor]] = {name: [] for name in OTHERS}
    for seed in range(args.histories):
        settings = evaluation.Settings(
            length=args.tokens,
            tasks=tuple(args.task.split(",")),
            questions=args.questions,
            alone=True,
            seed=seed,
        )
        haystack = evaluation.build(engine, settings)
        tokens = torch.from_numpy(haystack.tokens)
        exact: list[Tensor] = []
        for name in PRECISIONS:
            state = ingest(engine, tokens, kv_dtype=name)
            asker = Asker(engine, haystack, state, alone=True)
            with threads_for():
                outcomes[name] += [asker.ask(placed) for placed in haystack.placed]
                logits = [asker.logits(placed) for placed in haystack.placed]
            if name == BASE:
                exact = logits
            else:
                pairs = zip(logits, exact, strict=True)
                distances[name] += [(ours - theirs).abs().flatten() for ours, theirs in pairs]
            right = sum(o.exact for o in outcomes[name])
            print(f"history {seed}, {name}: {right} right so far", file=sys.stderr)
    found: dict[str, Any] = {
        name: {"exact": _share(answers), "tasks": summarize(answers, 10)}
        for name, answers in outcomes.items()
    }
    for name in OTHERS:
        away = torch.cat(distances[name])
        found[name]["logits"] = {"largest": float(away.max()), "mean": float(away.mean())}
        found[name]["against"] = _against(outcomes[BASE], outcomes[name])
    return found


def _share(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    right = Proportion(successes=sum(o.exact for o in outcomes), count=len(outcomes))
    return {"share": right.share, "interval": list(right.interval), "count": right.count}


def _against(base: Sequence[Outcome], other: Sequence[Outcome]) -> dict[str, Any]:
    """Questions that only one of two formats answers right, and the difference of the shares with
    its 95% interval (of pairs, after Agresti and Min)."""
    lost = sum(a.exact and not b.exact for a, b in zip(base, other, strict=True))
    gained = sum(b.exact and not a.exact for a, b in zip(base, other, strict=True))
    changed = sum(a.answer != b.answer for a, b in zip(base, other, strict=True))
    count = len(base) + 2
    middle = (gained - lost) / count
    half = 1.959964 * math.sqrt((gained + lost + 1) / count - middle**2) / math.sqrt(count)
    return {
        "lost": lost,
        "gained": gained,
        "answers_changed": changed,
        "difference": (gained - lost) / len(base),
        "interval": [middle - half, middle + half],
    }


def _disk(args: argparse.Namespace) -> dict[str, Any]:
    """Sizes of one session in each format, and restores of them in turns."""
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
        found = {name: _write(Path(folder) / name, name, args) for name in PRECISIONS}
        for cold in (False, True) if hasattr(os, "posix_fadvise") else (False,):
            times: dict[str, list[float]] = {name: [] for name in PRECISIONS}
            for run in range(args.runs + 1):
                for name in PRECISIONS:
                    if cold:
                        drop_from_page_cache(Path(folder) / name)
                    seconds = restore_once(args.model, str(Path(folder) / name))["restore"]
                    # The first of each may be the one that fills the page cache.
                    times[name] += [seconds] if run else []
            for name in PRECISIONS:
                found[name]["cold" if cold else "warm"] = {
                    "seconds": times[name],
                    "ratios": [a / b for a, b in zip(times[name], times[BASE], strict=True)],
                }
    return found


def _write(folder: Path, name: str, args: argparse.Namespace) -> dict[str, Any]:
    memory = hsa_memory.open(folder, model=args.model, kv_dtype=name)
    messages = book_messages(memory.tokenizer, args.tokens)
    with memory, memory.session("s") as session:
        session.add("user", "My dog is called Biscuit.")
        started = time.perf_counter()
        session.add_messages(messages)
        seconds = time.perf_counter() - started
        stats = session.stats()
        block = session._store.layout.kv_bytes
    return {
        "bytes_per_token": stats.bytes_per_token,
        "kv_bytes_per_token": block / stats.chunk_size,
        "bytes": dict(stats.bytes_on_disk),
        "ingest_tokens_per_second": stats.num_tokens / seconds,
    }


def _answer_rows(answers: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, found in answers.items():
        low, high = found["exact"]["interval"]
        share = f"{found['exact']['share']:.1%} ({low:.1%} to {high:.1%})"
        yield f"{name}, exact", f"{share} of {found['exact']['count']}"
        if name != BASE:
            against, logits = found["against"], found["logits"]
            low, high = against["interval"]
            yield (
                f"{name} against {BASE}",
                f"{against['lost']} lost, {against['gained']} gained, difference "
                f"{against['difference']:+.1%} ({low:+.1%} to {high:+.1%})",
            )
            yield (
                f"{name}, logits",
                f"difference at most {logits['largest']:.2f}, mean {logits['mean']:.4f}",
            )


def _disk_rows(disk: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, found in disk.items():
        whole, block = found["bytes_per_token"], found["kv_bytes_per_token"]
        yield f"{name}, on disk", f"{whole:.0f} bytes a token, of which K/V {block:.0f}"
        for state in ("warm", "cold"):
            if state in found:
                middle = 1000 * percentile(found[state]["seconds"], 50)
                ratios = found[state]["ratios"]
                yield (
                    f"{name}, restore, {state}",
                    f"median {middle:.0f} ms; of {BASE} in the same turn: median "
                    f"{percentile(ratios, 50):.2f}, {min(ratios):.2f} to {max(ratios):.2f}",
                )


if __name__ == "__main__":
    sys.exit(main())
