"""The Triton kernels on a GPU: first whether they are right, then how fast they are.

Checked against float64 in plain PyTorch, in float32, float16 and bfloat16: every operator with all
its gradients, searches of 262,144 landmarks, addresses beyond 2^31 values. A wrong result ends the
run. Timed, in bfloat16, 16 query heads, chunks of 64 tokens, random chunks chosen: each beside the
least time its bytes and its products take at the rates this GPU shows for a copy and for a large
product, beside FlashAttention (SDPA) and FlexAttention on as many tokens, and beside plain PyTorch.

    python benchmarks/gpu.py --json docs/results/gpu.json --plots docs

What the project aims at is measured first. The figures are written after every case; a run that is
out of time says what it left out, and another adds it to the same file:

    python benchmarks/gpu.py --json docs/results/gpu.json --add --only long flex model
    python benchmarks/gpu.py --show docs/results/gpu.json --plots docs

Without a GPU only `--quick` runs: tiny sizes in Triton's interpreter, whose times mean nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

_STARTED = time.monotonic()

import torch  # noqa: E402  its import is part of the time

# Python leaves a script's folder out where PYTHONSAFEPATH is set.
if (_FOLDER := str(Path(__file__).parent)) not in sys.path:
    sys.path.insert(0, _FOLDER)
if "--quick" in sys.argv and not torch.cuda.is_available():
    # Read when Triton is imported.
    os.environ["TRITON_INTERPRET"] = "1"

from _gpu_cases import Case, Row, attention_floor, cases  # noqa: E402
from _gpu_checks import WrongResult, all_of, landmarks, window  # noqa: E402
from _gpu_far import long_gradients, many_chunks, many_tokens  # noqa: E402
from _gpu_measures import attention, crossover, decode, flex, model, scores, search  # noqa: E402
from _gpu_report import table  # noqa: E402
from _gpu_run import Run, earlier, facts, in_order, require_same  # noqa: E402
from _gpu_timing import NARROW, Clock  # noqa: E402
from _gpu_window import sliding_window  # noqa: E402
from _machine import finish, parser  # noqa: E402

from hsa_memory.model import PRESETS  # noqa: E402

_K = 1 << 10
_M = 1 << 20
_DTYPES = tuple(dict.fromkeys((torch.float32, torch.float16, NARROW)))
Check = tuple[str, Callable[[], Row]]


class Sizes:
    """What is measured: real sizes, or with `--quick` some that an interpreter can do."""

    def __init__(self, quick: bool) -> None:
        self.lengths = [144] if quick else [8 * _K, 128 * _K, _M]
        self.long = [] if quick else [16 * _M]
        self.slots = [2] if quick else [16, 32, 64]
        self.dims = [16] if quick else [64, 128]
        self.groups = [1] if quick else [1, 2]
        self.crossover = [128] if quick else [*(_K << i for i in range(8)), _M]
        self.flex = [64] if quick else [8 * _K, 32 * _K, 128 * _K]
        self.window = (100, 20, [16]) if quick else (8 * _K, 512, [128, 256, 512])
        self.model = ("mini", [64]) if quick else ("345m", [8 * _K, 32 * _K, 128 * _K])

    def every(self, lengths: list[int]) -> list[Case]:
        """All cases of these lengths."""
        return list(cases(lengths, self.slots, self.dims, self.groups))


def arguments() -> argparse.Namespace:
    """The command line."""
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options.add_argument("--minutes", type=float, default=8.5, help="no new case after so long")
    options.add_argument("--add", action="store_true", help="keep what the JSON file has so far")
    options.add_argument("--plots", type=Path, metavar="DIR", help="draw SVG files there")
    options.add_argument("--show", type=Path, metavar="FILE", help="measure nothing, show that run")
    return options.parse_args()


def main() -> int:
    """Run the benchmark."""
    args = arguments()
    # Before anything is measured: nothing must fail for want of it at the end.
    draw = _plots() if args.plots is not None else None
    figures = earlier(args.show or (args.json if args.add else None))
    if args.show is not None:
        args.json = None
    else:
        figures = _measure(args, figures)
    finish(f"kernels on {figures.get('device', 'a GPU')}", table(figures), figures, args)
    if draw is not None:
        for path in draw(figures, args.plots):
            print(path)
    failures = figures.get("failed", {}).values()
    return 1 if "wrong" in figures or any(failures) else 0


def _plots() -> Callable[[dict[str, Any], Path], list[Path]]:
    try:
        from _gpu_plots import draw
    except ModuleNotFoundError as error:
        raise SystemExit(f"--plots needs {error.name}: pip install 'hsa-memory[plots]'") from error
    return draw


def _measure(args: argparse.Namespace, figures: dict[str, Any]) -> dict[str, Any]:
    on_gpu = torch.cuda.is_available()
    if not (on_gpu or args.quick):
        raise SystemExit("no GPU here: run it with --quick, which interprets tiny sizes")
    if str(figures.get("wrong", "")).partition(":")[0] in args.only:
        del figures["wrong"]
    now = facts()
    require_same(figures, now)
    clock = Clock(torch.device("cuda" if on_gpu else "cpu"))
    rates = clock.rates()
    figures |= {**now, "rates": rates._asdict()}
    # An interpreter that other processes slow down has all the time it needs.
    until = _STARTED + 60 * args.minutes if on_gpu else float("inf")
    run = Run(until, args.json, figures)
    parts = {**_checked(run, args.quick, clock), **_timed(run, Sizes(args.quick), clock, rates)}
    try:
        for part in PARTS:
            if part in args.only:
                parts[part]()
    except WrongResult as error:
        figures["wrong"] = f"{part}: {error}"
        print(f"WRONG RESULT: {error}", file=sys.stderr)
    run.save()
    return figures


def _checked(run: Run, quick: bool, clock: Clock) -> dict[str, Callable[[], None]]:
    """What each part of checks compares; see `_gpu_checks.py` and `_gpu_far.py`."""
    where = clock.device
    small = Case(144, 2, 16, 1) if quick else Case(4 * _K, 32, 64, 1)
    wide = small._replace(groups=2, dim=2 * small.dim)
    few = small._replace(tokens=3, top_k=2) if quick else small._replace(tokens=300)
    one = few._replace(tokens=1)
    marks = 700 if quick else 1 << 18
    edges = [(40, 12, 9)] if quick else [(2000, 511, 512), (100, 301, 512)]
    ends = (NARROW,) if quick else (torch.float32, NARROW)
    near: list[Check] = []
    for dtype in _DTYPES:
        # An interpreter takes its time.
        for case in (small,) if quick and dtype != NARROW else (small, wide):
            near.append((f"{dtype} {case}", partial(all_of, case, where, dtype, "triton")))
        # The last are so few that they are not grouped.
        for case, count in ((one, marks), (few, marks), (few, few.top_k + 5)):
            work = partial(landmarks, case, count, where, dtype, "triton")
            near.append((f"{dtype} {count:,} landmarks {case}", work))
        for edge in edges:
            near.append((f"{dtype} window {edge}", partial(window, *edge, where, dtype)))
    long = Case(66, 2, 16, 1) if quick else Case(32 * _K, 16, 64, 1)
    for dtype in ends:
        work = partial(long_gradients, long, where, dtype, "triton")
        near.append((f"{dtype} gradients {long}", work))
    text = long if quick else Case(16 * _M, 4, 64, 1)
    pool, asking = (Case(640, 2, 16, 2), 3) if quick else (Case(16 * _M, 32, 128, 2), 256)
    far: list[Check] = [
        ("many chunks", partial(many_chunks, pool, asking, where, NARROW, "triton")),
        ("many tokens", partial(many_tokens, text, where, NARROW, "triton")),
    ]

    def all_in(part: str, checks: list[Check]) -> None:
        run.each(part, checks, lambda c: c[1](), lambda _: 10.0, lambda c: c[0])

    return {"checks": lambda: all_in("checks", near), "far": lambda: all_in("far", far)}


def _timed(run: Run, sizes: Sizes, clock: Clock, rates: Any) -> dict[str, Callable[[], None]]:
    """What each part of the times measures; see `_gpu_measures.py`."""
    triton = "triton"
    preset, texts = sizes.model
    shapes = [Case(1, 0, d, g) for d in sizes.dims for g in sizes.groups]
    longest = max(sizes.slots)

    def of_attention(part: str, lengths: list[int], work: Callable[..., Row]) -> None:
        # A forward and a backward of three, each some five times; then what compiling takes.
        run.each(
            part,
            sizes.every(in_order(lengths, [128 * _K])),
            lambda c: work(c, clock, rates, triton),
            lambda c: 5 + 20 * attention_floor(c, rates)[0],
        )

    def of_search() -> None:
        wanted = [c for c in sizes.every(sizes.lengths) if c.top_k == longest]
        run.each(
            "search",
            wanted,
            lambda c: search(c, clock, triton, rates),
            lambda c: 5 + 40 * c.tokens * c.chunks * c.dim * c.groups / rates.flops,
        )

    def of_crossover() -> None:
        wanted = [
            shape._replace(tokens=n)
            for n in in_order(sizes.crossover, [8 * _K, 4 * _K])
            for shape in shapes
        ]
        run.each(
            "crossover",
            wanted,
            # Where nothing is left to compare with, one line of the plot goes on.
            lambda c: crossover(
                c, sizes.slots if c.tokens < _M else sizes.slots[:1], clock, triton
            ),
            lambda c: 5 + 30 * c.tokens / _M,
        )

    return {
        "decode": lambda: run.each(
            "decode",
            sizes.every(in_order([*sizes.lengths, *sizes.long], [_M])),
            lambda c: decode(c, clock, rates, triton),
            lambda _: 5.0,
        ),
        "crossover": of_crossover,
        "attention": lambda: of_attention("attention", sizes.lengths, attention),
        "long": lambda: of_attention("long", sizes.long, attention),
        "search": of_search,
        "scores": lambda: of_attention("scores", sizes.lengths[:2], scores),
        "window": lambda: run.each(
            "window",
            [sizes.window],
            lambda w: sliding_window(*w, clock),
            lambda _: 40.0,
        ),
        "flex": lambda: run.each(
            "flex",
            [shapes[0]._replace(tokens=n) for n in sizes.flex],
            lambda c: flex(c, clock),
            lambda _: 25.0,
        ),
        "model": lambda: run.each(
            "model",
            texts,
            lambda n: {"preset": preset, **model(PRESETS[preset], n, clock)},
            lambda _: 30.0,
        ),
    }


# In this order: what the project aims at first, then where it may break, then the rest.
PARTS = (
    "checks",
    "decode",
    "crossover",
    "attention",
    "far",
    "search",
    "scores",
    "window",
    "model",
    "long",
    "flex",
)


if __name__ == "__main__":
    sys.exit(main())
