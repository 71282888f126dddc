"""Perplexity of the same held-out text at growing context.

The last tokens of a passage are predicted after more and more of the text before them; only the
context changes. Means over passages, in bits per token, with intervals by bootstrap. With `--twin`
the same is done with another checkpoint of the same tokenizer, such as one with full attention.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
from _shared import (
    mean_interval,
    model_facts,
    options,
    plotter,
    results_folder,
    short,
    text_facts,
    tokens,
    write,
)
from rich.progress import Progress
from rich.table import Table
from torch import Tensor

from hsa_memory import evaluation
from hsa_memory.boundary import public_errors
from hsa_memory.cli_view import console
from hsa_memory.engine import Engine, load_engine
from hsa_memory.errors import InvalidArgument
from hsa_memory.evaluation_haystack import Filler
from hsa_memory.evaluation_memory import ingest, require_room
from hsa_memory.machine import describe, machine
from hsa_memory.model.tokenizer import SPECIAL_TOKENS

QUICK_CONTEXTS = [256, 512, 1024]
CONTEXTS = [256 << i for i in range(9)]


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    found = options(__doc__)
    found.add_argument(
        "--contexts", nargs="+", type=tokens, metavar="N", help="default: 256 512 1K ... 64K"
    )
    found.add_argument("--targets", type=tokens, default=256, metavar="N", help="tokens predicted")
    found.add_argument("--passages", type=int, default=20, help="so many, spread over the text")
    found.add_argument("--twin", metavar="DIR", help="a second checkpoint, measured beside it")
    args = found.parse_args(argv)
    args.contexts = sorted(set(args.contexts or (QUICK_CONTEXTS if args.quick else CONTEXTS)))
    if args.passages < 2:
        found.error(f"--passages: at least 2 are needed for an interval; found {args.passages}")
    if args.quick:
        args.passages, args.targets = 2, min(32, args.targets)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    args = arguments(argv)
    draw = plotter(args, "perplexity")
    with public_errors():
        engines = {"model": load_engine(args.model, args.device)}
        if args.twin is not None:
            engines["twin"] = load_engine(args.twin, args.device, plain=True)
    engine = engines["model"]
    if any(e.tokenizer.sha256 != engine.tokenizer.sha256 for e in engines.values()):
        raise InvalidArgument("--twin has another tokenizer: bits per token cannot be compared")
    require_room(engine, args.contexts[-1])
    text = read_text(engine, args)
    starts = places(len(text), args.contexts[-1], args.targets, args.passages)
    with evaluation.progress() as bar:
        losses = {
            name: measure(each, text, starts, args.contexts, args.targets, bar)
            for name, each in engines.items()
        }
    figures = summarize(losses, args.contexts)
    facts = machine()
    show(figures)
    console().print(f"machine: {describe(facts)}", markup=False, highlight=False)
    names = {"model": args.model, "twin": args.twin}
    summary = {
        "models": {name: model_facts(each, names[name]) for name, each in engines.items()},
        "text": text_facts(args.text),
        "targets": args.targets,
        "passages": len(starts),
        "starts": starts,
        "machine": facts,
        "time": time.time(),
        **figures,
    }
    with results_folder(args) as folder:
        write(summary, args.json or folder / "perplexity.json")
    draw(figures)
    return 0


def read_text(engine: Engine, args: argparse.Namespace) -> Tensor:
    """Return the tokens [n] of the text, once, as messages of a history."""
    filler = Filler(engine.tokenizer, args.text)
    messages = []
    # It begins again when all was handed out.
    while (message := next(filler)) and filler.used <= filler.lap_tokens:
        messages.append(message)
    return torch.tensor(list(itertools.chain.from_iterable(messages)))


def places(length: int, context: int, targets: int, passages: int) -> list[int]:
    """Return where the predicted tokens of each passage begin: evenly spread, none of them twice,
    all with the longest context before them.

    Raises:
        InvalidArgument: the text is too short.
    """
    last = length - targets
    if last - context < (passages - 1) * targets:
        raise InvalidArgument(
            f"the text has {length} tokens, too few for {passages} passages of {targets} tokens "
            f"after {context}: name more with --text, or take fewer"
        )
    return [context + i * (last - context) // (passages - 1) for i in range(passages)]


def measure(
    engine: Engine,
    text: Tensor,
    starts: Sequence[int],
    contexts: Sequence[int],
    targets: int,
    bar: Progress,
) -> list[list[float]]:
    """Return the bits per token of each passage (rows) at each context (columns)."""
    task = bar.add_task("passages", total=len(starts) * len(contexts))
    rows = []
    for start in starts:
        row = []
        for context in contexts:
            row.append(bits(engine, text[start - context : start + targets], targets))
            bar.update(task, advance=1)
        rows.append(row)
    return rows


@torch.inference_mode()
def bits(engine: Engine, text: Tensor, targets: int) -> float:
    """Return the mean bits of the last `targets` tokens of a text [n] that are not special, each
    given all before it.

    The context is read as a session reads history; beyond the windows only memory knows it.
    """
    first = len(text) - targets
    state = ingest(engine, text[: first - 1])
    given = text[first - 1 : -1].to(engine.device)
    logits = engine.model(given[None], state).logits[0].float()
    wanted = text[first:].to(engine.device)
    loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
    ordinary = wanted >= len(SPECIAL_TOKENS)
    return float(loss[ordinary].mean()) / math.log(2)


def summarize(
    losses: dict[str, list[list[float]]], contexts: Sequence[int]
) -> dict[str, list[dict[str, Any]]]:
    """Return bits per token at each context, by how much that is less than with the shortest, and
    the ratio of the perplexities of model and twin, as plain data."""
    rows = []
    for column, context in enumerate(contexts):
        row: dict[str, Any] = {"context": context}
        for name, table in losses.items():
            values = [passage[column] for passage in table]
            row[name] = mean_interval(values)
            row[name]["perplexity"] = 2 ** row[name]["mean"]
            row[name]["gain"] = mean_interval(
                [passage[0] - value for passage, value in zip(table, values, strict=True)]
            )
            row[name]["passages"] = values
        if "twin" in losses:
            pairs = zip(losses["model"], losses["twin"], strict=True)
            row["difference"] = mean_interval([m[column] - t[column] for m, t in pairs])
            row["ratio"] = 2 ** row["difference"]["mean"]
        rows.append(row)
    return {"contexts": rows}


def show(figures: dict[str, list[dict[str, Any]]]) -> None:
    """Print a table: a row for each context."""
    rows = figures["contexts"]
    names = [name for name in ("model", "twin") if name in rows[0]]
    table = Table(title="the same text after more and more context, with 95% intervals")
    for name in ("context", *(f"{n}: {w}" for n in names for w in _COLUMNS)):
        table.add_column(name, justify="right")
    if "ratio" in rows[0]:
        table.add_column("perplexity, model / twin", justify="right")
    for row in rows:
        cells = [short(row["context"])]
        for name in names:
            one = row[name]
            cells += [_cell(one), f"{one['perplexity']:.1f}", _cell(one["gain"])]
        if "ratio" in row:
            low, high = (2**bound for bound in row["difference"]["interval"])
            cells.append(f"{row['ratio']:.3f} ({low:.3f} to {high:.3f})")
        table.add_row(*cells)
    console().print(table)


_COLUMNS = ("bits per token", "perplexity", "bits gained")


def _cell(figure: dict[str, Any]) -> str:
    low, high = figure["interval"]
    return f"{figure['mean']:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    sys.exit(main())
