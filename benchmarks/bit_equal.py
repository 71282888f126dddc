"""Logits after a restore against those of a process that never stopped: are they bit-equal?

One process adds a history in several steps and computes the logits of a question after each. For
the other memory each step is a process of its own that ends with SIGKILL; then a new one restores
the session and computes the same logits. `torch.equal` decides.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from _machine import Message, book_messages, finish, parser
from safetensors.torch import load_file, save_file

import hsa_memory
from hsa_memory.engine import load_engine
from hsa_memory.fork import Fork
from hsa_memory.precision import DEFAULT, PRECISIONS
from hsa_memory.session import MemorySession

QUESTIONS = ("What is my dog called?", "Who opened the door?")


def main() -> int:
    """Run the benchmark, or one of its processes; 1 if a logit differs."""
    options = parser(__doc__)
    options.add_argument("--tokens", type=int, default=65_536)
    options.add_argument("--steps", type=int, default=6)
    options.add_argument(
        "--kv-dtype",
        nargs="+",
        choices=tuple(PRECISIONS),
        default=[DEFAULT],
        help=f"of keys and values on disk (default: {DEFAULT})",
    )
    options.add_argument("--child", choices=("continuous", "add", "logits"), help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--step", type=int, default=0, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.child:
        return _child(args)
    tokens, steps = (2_048, 2) if args.quick else (args.tokens, args.steps)
    compared = {name: _compare(args, name, tokens, steps) for name in args.kv_dtype}
    equal = {name: sum(found) for name, found in compared.items()}
    figures = {
        "tokens": tokens,
        "restores": sum(map(len, compared.values())),
        "bit_equal": sum(equal.values()),
        "by_kv_dtype": equal,
    }
    rows = [("restores after SIGKILL", str(figures["restores"]))]
    rows += [
        (f"bit-equal logits, keys and values in {name}", f"{count} of {len(compared[name])}")
        for name, count in equal.items()
    ]
    finish(f"a history of {tokens:,} tokens in {steps} steps", rows, figures, args)
    return 0 if figures["bit_equal"] == figures["restores"] else 1


def _compare(args: argparse.Namespace, kv_dtype: str, tokens: int, steps: int) -> list[bool]:
    """Whether the logits are equal after each step, with keys and values in this format."""
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as name:
        folder = Path(name)
        engine = load_engine(args.model, "auto")
        messages = book_messages(engine.tokenizer, tokens)
        size = -(-len(messages) // steps)
        parts = [messages[i : i + size] for i in range(0, len(messages), size)]
        (folder / "messages.json").write_text(json.dumps(parts), encoding="utf-8")
        _start(args, "continuous", folder, kv_dtype, 0, expected=0)
        for step in range(len(parts)):
            _start(args, "add", folder, kv_dtype, step, expected=-signal.SIGKILL)
            _start(args, "logits", folder, kv_dtype, step, expected=0)
        return [
            torch.equal(_read(folder / f"never-{step}"), _read(folder / f"again-{step}"))
            for step in range(len(parts))
        ]


def _start(
    args: argparse.Namespace, child: str, folder: Path, kv_dtype: str, step: int, *, expected: int
) -> None:
    command = [sys.executable, __file__, "--model", args.model, "--child", child]
    command += ["--folder", str(folder), "--step", str(step), "--kv-dtype", kv_dtype]
    code = subprocess.run(command, check=False).returncode
    if code != expected:
        raise SystemExit(f"the process {child!r} of step {step} ended with {code}")


def _child(args: argparse.Namespace) -> int:
    parts: list[list[Message]] = json.loads((args.folder / "messages.json").read_text("utf-8"))
    store = args.folder / ("continuous" if args.child == "continuous" else "stopped")
    memory = hsa_memory.open(store, model=args.model, kv_dtype=args.kv_dtype[0])
    with memory, memory.session("s") as session:
        if args.child == "continuous":
            for step, part in enumerate(parts):
                session.add_messages(part)
                _write(session, args.folder / f"never-{step}")
        elif args.child == "add":
            session.add_messages(parts[args.step])
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            _write(session, args.folder / f"again-{args.step}")
    return 0


def _write(session: MemorySession, path: Path) -> None:
    save_file({"logits": _logits(session)}, path)


def _read(path: Path) -> torch.Tensor:
    return load_file(path)["logits"]


@torch.inference_mode()
def _logits(session: MemorySession) -> torch.Tensor:
    """Logits [questions, vocabulary] of the first token of each answer."""
    fork = Fork.of_history(session._source)
    rows = []
    for question in QUESTIONS:
        prompt = torch.tensor([fork.engine.question(question)])
        rows.append(fork.forward(prompt, fork.state).logits[0, -1])
    return torch.stack(rows).clone()


if __name__ == "__main__":
    sys.exit(main())
