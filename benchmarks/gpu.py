"""The Triton kernels on a GPU: first whether they are right, then how fast they are.

Checked at real sizes against float64 in plain PyTorch: chunk attention with all gradients, landmark
search, paged decoding, in float32, float16 and bfloat16. A wrong result ends the run. Timed, in
bfloat16, 16 query heads, chunks of 64 tokens, random chunks chosen: each beside the least time its
bytes and its products take at the rates this GPU shows for a copy and for a large product, beside
FlashAttention (SDPA) and FlexAttention on as many tokens, and beside plain PyTorch.

    python benchmarks/gpu.py --json docs/results/gpu.json

Without a GPU only `--quick` runs: tiny sizes in Triton's interpreter, whose times mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

if "--quick" in sys.argv and not torch.cuda.is_available():
    # Read when Triton is imported.
    os.environ["TRITON_INTERPRET"] = "1"

from _gpu_cases import Case, Row, attention, attention_floor, cases, decode, full_attention, search
from _gpu_checks import check
from _gpu_timing import NARROW, Clock, Rates
from _machine import finish, parser
from rich.progress import track

from hsa_memory.cli_view import console
from hsa_memory.model import PRESETS, HSAConfig, HSATransformer

PARTS = ("checks", "decode", "search", "model", "full", "attention")
_K = 1 << 10
_DTYPES = dict.fromkeys((torch.float32, torch.float16, NARROW))


def arguments() -> argparse.Namespace:
    """The command line."""
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options.add_argument("--longest", type=int, default=1 << 24, help="tokens of the longest case")
    options.add_argument("--minutes", type=float, default=9.0, help="no new case after so long")
    return options.parse_args()


class Run:
    """Measures case after case until the time is up."""

    def __init__(self, args: argparse.Namespace, device: torch.device) -> None:
        self._until = time.monotonic() + 60 * args.minutes
        self._on_gpu = device.type == "cuda"
        self.clock = Clock(device)
        self.rates: Rates = self.clock.rates()
        self.left_out: list[str] = []

    def each(
        self,
        name: str,
        wanted: list[Case],
        measure: Callable[[Case], Row],
        expected: Callable[[Case], float],
    ) -> list[Row]:
        """Results of every case there is time and memory for; the others are named.

        Args:
            expected: about how many seconds a case takes.
        """
        rows = []
        for case in track(wanted, description=name, console=console()):
            if self._on_gpu and time.monotonic() + expected(case) > self._until:
                self.left_out.append(f"{name} {tuple(case)}: no time")
                continue
            try:
                rows.append(measure(case))
            except torch.OutOfMemoryError:
                self.left_out.append(f"{name} {tuple(case)}: no memory")
            if self._on_gpu:
                torch.cuda.empty_cache()
        return rows


def main() -> int:
    """Run the benchmark."""
    args = arguments()
    on_gpu = torch.cuda.is_available()
    if not (on_gpu or args.quick):
        raise SystemExit("no GPU here: run it with --quick, which interprets tiny sizes")
    device = torch.device("cuda" if on_gpu else "cpu")
    run = Run(args, device)
    lengths = [n for n in (8 * _K, 128 * _K, 1024 * _K, 16384 * _K) if n <= args.longest]
    slots, dims, groups = [16, 32, 64], [64, 128], [1, 2]
    if args.quick:
        lengths, slots, dims, groups = [96], [2], [16], [1]
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if on_gpu else "Triton's interpreter: no times",
        "rates": run.rates._asdict(),
    }
    every = list(cases(lengths, slots, dims, groups))
    short = lengths if args.quick else [_K << i for i in range(8)]
    name, texts = ("mini", [64]) if args.quick else ("345m", [8 * _K, 32 * _K, 128 * _K])
    clock, rates = run.clock, run.rates
    parts: dict[str, Callable[[], list[Row]]] = {
        "checks": lambda: _checks(args, device),
        "decode": lambda: run.each(
            "decoding", every, lambda c: decode(c, clock, rates, "triton"), lambda _: 5.0
        ),
        "search": lambda: run.each(
            "landmark search",
            [c for c in every if c.tokens <= 1024 * _K and c.top_k == slots[-1]],
            lambda c: search(c, clock, rates, "triton"),
            lambda c: 20 * c.tokens * c.chunks * c.dim * c.groups / rates.flops,
        ),
        "model": lambda: run.each(
            f"model {name}",
            [Case(n, 0, 0, 0) for n in texts],
            lambda c: _model(PRESETS[name], c.tokens, clock),
            lambda _: 60.0,
        ),
        "full": lambda: run.each(
            "full attention",
            [Case(n, slots[0], d, g) for n in short for d in dims for g in groups],
            lambda c: _compared(c, run),
            lambda _: 20.0,
        ),
        "attention": lambda: run.each(
            "chunk attention",
            every,
            lambda c: attention(c, clock, rates, "triton"),
            # A forward and a backward of three, each some five times.
            lambda c: 20 * attention_floor(c, rates)[0],
        ),
    }
    for part in parts:
        if part in args.only:
            figures[part] = parts[part]()
            if args.json is not None:
                # Whatever ends the run, what is known by then is kept.
                args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    figures["preset"] = name
    figures["left_out"] = run.left_out
    finish(f"kernels on {figures['device']}", _table(figures), figures, args)
    return 0


def _checks(args: argparse.Namespace, device: torch.device) -> list[Row]:
    case = Case(144, 2, 16, 1) if args.quick else Case(4 * _K, 32, 64, 1)
    wanted = [case, case._replace(groups=2, dim=2 * case.dim)]
    return [
        {**each._asdict(), "dtype": str(dtype), **check(each, device, dtype, "triton")}
        for each in wanted
        for dtype in _DTYPES
    ]


def _compared(case: Case, run: Run) -> Row:
    """Full attention beside ours with its search, both directions."""
    row = full_attention(case, run.clock)
    found = search(case, run.clock, run.rates, "triton")
    ours = attention(case._replace(top_k=16), run.clock, run.rates, "triton")["ours"]
    return {**row, "ours": ours, "search": found["ours"]}


def _model(config: HSAConfig, tokens: int, clock: Clock) -> Row:
    """Tokens per second of the whole model with random weights, one sequence."""
    dtype = torch.bfloat16 if clock.device.type == "cuda" else torch.float32
    model = HSATransformer(config).to(clock.device, dtype).eval()
    text = torch.randint(config.vocab_size, (1, tokens), device=clock.device)
    step = 8 * _K
    with torch.inference_mode():

        def ingest() -> Any:
            state = model.start(1)
            for first in range(0, tokens, step):
                state = model.ingest(text[:, first : first + step], state)
            return state

        def prefill() -> Any:
            state = model.start(1)
            for first in range(0, tokens, step):
                state = model(text[:, first : first + step], state, last_only=True).state
            return state

        ingested = clock.seconds(ingest, most=5)
        filled = clock.seconds(prefill, most=5)
        state = model(text[:, -1:], ingest()).state
        token = clock.seconds(lambda: model(text[:, :1], state), most=20)
    return {
        "tokens": tokens,
        "ingest_tokens_per_second": tokens / ingested,
        "prefill_tokens_per_second": tokens / filled,
        "decode_tokens_per_second": 1 / token,
    }


def _table(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The short table: what the targets are about."""
    rates = figures["rates"]
    rows = [
        ("copy", f"{rates['bytes_per_second'] / 1e12:.2f} TB/s"),
        ("product", f"{rates['flops'] / 1e12:.0f} TFLOP/s"),
    ]
    for row in figures.get("checks", ()):
        worst = max(v for v in row.values() if isinstance(v, float))
        rows.append((f"largest error, {row['dtype']}, D {row['dim']}", f"{worst:.1e}"))
    if not torch.cuda.is_available():
        done = sum(len(figures[part]) for part in PARTS[1:] if part in figures)
        return [*rows[2:], ("other cases that ran", str(done))]
    for row in figures.get("attention", ()):
        ours = row["ours"]
        rows.append(
            (
                f"attention {_sizes(row)}",
                f"{1e3 * ours['forward']:.2f} ms, {ours['forward'] / row['bytes_floor']:.2f} of "
                f"its bytes at memory speed; backward {_times(ours)}",
            )
        )
    for row in figures.get("decode", ()):
        rows.append((f"decode {_sizes(row)}", f"{1e6 * row['step']:.1f} us"))
    for key, length in _crossovers(figures.get("full", [])).items():
        rows.append((f"as fast as FlashAttention, {key}", length))
    for row in figures.get("model", ()):
        rows.append(
            (
                f"{figures['preset']} at {row['tokens']:,} tokens",
                f"ingest {row['ingest_tokens_per_second']:,.0f}, prefill "
                f"{row['prefill_tokens_per_second']:,.0f}, decode "
                f"{row['decode_tokens_per_second']:,.0f} tokens/s",
            )
        )
    return [*rows, ("left out", str(len(figures["left_out"])))]


def _times(row: Row) -> str:
    back: float | None = row["backward"]
    return "has no room" if back is None else f"{back / row['forward']:.1f} times"


def _sizes(row: Row) -> str:
    return f"L {row['tokens']:,} k {row['top_k']} D {row['dim']} H {row['groups']}"


def _crossovers(rows: list[Row]) -> dict[str, str]:
    """The first length at which search, forward and backward of chunk attention take no longer
    than full attention by FlashAttention. The backward of the search is not in it."""
    found: dict[str, str] = {}
    for row in rows:
        theirs, ours = row.get("SDPA FLASH_ATTENTION", {}), row["ours"]
        if theirs.get("backward") is None or ours["backward"] is None:
            continue
        key = f"D {row['dim']} H {row['groups']}"
        found.setdefault(key, "never")
        mine = row["search"] + ours["forward"] + ours["backward"]
        if found[key] == "never" and mine <= theirs["forward"] + theirs["backward"]:
            found[key] = f"{row['tokens']:,} tokens"
    return found


if __name__ == "__main__":
    sys.exit(main())
