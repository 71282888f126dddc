"""One length of history: its questions, spread over as many histories as they need, asked in
several ways of what each history holds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from _shared import model_facts, text_facts
from rich.progress import Progress

from hsa_memory import evaluation
from hsa_memory.engine import Engine
from hsa_memory.evaluation_haystack import Filler, Haystack, build_haystack
from hsa_memory.evaluation_memory import bytes_needed, ingest
from hsa_memory.evaluation_report import as_json, summarize
from hsa_memory.evaluation_scoring import Asker, Outcome
from hsa_memory.machine import machine
from hsa_memory.model import Tokenizer
from hsa_memory.model.training.evalsets import EvalItem

WAYS = ("alone", "together")
"""The facts of other questions are hidden, or not, while one is asked."""
Item = tuple[EvalItem, float | None]


def wanted(
    engine: Engine, settings: evaluation.Settings, fill: float, ways: Sequence[str]
) -> dict[str, Any]:
    """Return what decides the results of a length, as plain data."""
    facts = model_facts(engine, "")
    plain = asdict(settings)
    return {
        **{name: plain[name] for name in ("length", "questions", "depths", "split", "seed")},
        "tasks": list(settings.tasks),
        "kv_dtype": settings.kv_dtype,
        "text": text_facts(settings.text),
        "fill": fill,
        "ways": list(ways),
        **{name: facts[name] for name in ("fingerprint", "dtype", "device")},
    }


def measure(
    engine: Engine,
    settings: evaluation.Settings,
    *,
    fill: float,
    ways: Sequence[str],
    name: str,
    bar: Progress,
) -> dict[str, Any]:
    """Ask all questions of one length; returns the report as plain data.

    Args:
        engine: the model.
        settings: what to ask; its `alone` is not looked at.
        fill: largest share of a history that statements may take.
        ways: of WAYS; each history is read once for all of them.
        name: of the model.
        bar: shows how far it is.
    """
    rng = np.random.default_rng(settings.seed)
    filler = Filler(engine.tokenizer, settings.text)
    parts = spread(evaluation.draw_items(settings, rng), engine.tokenizer, settings.length * fill)
    outcomes: dict[str, list[Outcome]] = {way: [] for way in ways}
    seconds = laps = 0.0
    asked = bar.add_task("questions", total=len(ways) * sum(map(len, parts)))
    for items in parts:
        haystack = build_haystack(engine.tokenizer, items, filler, settings.length, rng)
        laps = max(laps, haystack.laps)
        started = time.perf_counter()
        state = _read(engine, haystack, settings, bar)
        seconds += time.perf_counter() - started
        for way in ways:
            asker = Asker(engine, haystack, state, alone=way == "alone")
            for placed in haystack.placed:
                outcomes[way].append(asker.ask(placed))
                bar.update(asked, advance=1)
    bar.remove_task(asked)
    statements = sum(statement_tokens(item, engine.tokenizer) for part in parts for item, _ in part)
    return {
        "wanted": wanted(engine, settings, fill, ways),
        "length": settings.length,
        "depths": settings.depths,
        "histories": len(parts),
        "laps": laps,
        "statement_share": statements / (len(parts) * settings.length),
        "bytes_needed": bytes_needed(engine, settings.length),
        "ingest": {"tokens": len(parts) * settings.length, "seconds": seconds},
        "model": model_facts(engine, name),
        "machine": machine(),
        "time": time.time(),
        "tasks": {way: summarize(found, settings.depths) for way, found in outcomes.items()},
        "questions": {way: [as_json(o) for o in found] for way, found in outcomes.items()},
    }


def _read(engine: Engine, haystack: Haystack, settings: evaluation.Settings, bar: Progress) -> Any:
    task = bar.add_task(f"history of {settings.length:,}", total=settings.length)
    state = ingest(
        engine,
        torch.from_numpy(haystack.tokens),
        lambda n: bar.update(task, advance=n),
        kv_dtype=settings.kv_dtype,
    )
    bar.remove_task(task)
    return state


def spread(items: Sequence[Item], tokenizer: Tokenizer, most_tokens: float) -> list[list[Item]]:
    """Deal the items of each task out to as few histories as hold `most_tokens` of statements.

    Each history gets neighbours of a task, whose places take turns, so that all depths are in it.
    """
    by_kind: dict[str, list[Item]] = {}
    for item in items:
        by_kind.setdefault(item[0].kind, []).append(item)
    total = sum(statement_tokens(item, tokenizer) for item, _ in items)
    most = max(len(found) for found in by_kind.values())
    count = min(most, max(1, -(-int(total) // max(1, int(most_tokens)))))
    parts: list[list[Item]] = [[] for _ in range(count)]
    for found in by_kind.values():
        for index, item in enumerate(found):
            parts[index * count // len(found)].append(item)
    return parts


def statement_tokens(item: EvalItem, tokenizer: Tokenizer) -> int:
    """Tokens of everything that is told for a question; messages have two more each."""
    return sum(
        len(tokenizer.encode(text)) + (0 if item.raw else 2)
        for group in item.statements
        for _, text in group
    )
