"""Compile cases for one GPU and print what came out, one JSON object per line.

    python build.py MODULE TARGET [--only CASE] [--skip BUILD]

MODULE holds CASES; TARGET is sm_80, sm_90, gfx942, ... A case calls the launchers that ship, with
tensors of the CPU: types, alignment, constants and warps are those of a real call, only that every
kernel is compiled and none runs. The compiler may end this process, so each build is announced.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compiled.measure import measured  # noqa: E402

# Whatever the compiler raises is a result here.
_FAILURES = (Exception,)


class Driver:
    """Stands in for the driver of a GPU; it can say for what to compile, nothing else."""

    def __init__(self, target: GPUTarget) -> None:
        self.target = target

    def get_current_device(self) -> int:
        """One device."""
        return 0

    def get_current_stream(self, device: int) -> int:
        """The stream nothing is launched on."""
        return 0

    def get_current_target(self) -> GPUTarget:
        """What to compile for."""
        return self.target


class Build(NamedTuple):
    """One kernel of a case; the number counts its launches with other types or constants."""

    case: str
    kernel: str
    number: int

    def __str__(self) -> str:
        return "/".join((self.case, self.kernel, str(self.number)))


class Compiler:
    """Compiles in the place of a launch, and prints."""

    def __init__(self, skip: list[str]) -> None:
        self.skip = skip
        self.case = ""
        self.launches: dict[str, int] = {}
        self.seen: list[Any] = []

    def begin(self, case: str) -> None:
        """Say that a case begins."""
        self.case, self.launches = case, {}
        say({"begins": str(Build(case, "", 0))})

    def launch(self, compile_one: Callable[[], Any], kernel: str) -> None:
        """Compile one launch of the case and print its row, once for launches that are alike."""
        build = Build(self.case, kernel, self.launches.get(kernel, 0) + 1)
        if str(build) in self.skip:
            self.launches[kernel] = build.number
            return
        say({"begins": str(build)})
        began = time.perf_counter()
        try:
            made = compile_one()
            alike = any(made is one for one in self.seen)
            row = {} if alike else measured(made)
        except _FAILURES as error:
            row = {"error": f"{type(error).__name__}: {cause(str(error))}"}
            made = (build.case, kernel, row["error"])
            alike = made in self.seen
        if not alike:
            self.seen.append(made)
            self.launches[kernel] = build.number
            say({**build._asdict(), **row, "seconds": round(time.perf_counter() - began, 2)})


def cause(message: str) -> str:
    """The line of a compiler's message that says what is wrong."""
    lines = [line.strip() for line in message.splitlines() if line.strip()] or [""]
    return next((line for line in lines if "error" in line.lower()), lines[-1])


def gpu_target(name: str) -> GPUTarget:
    """The compiler's name of a target: sm_90 or gfx942."""
    if name.startswith("sm_"):
        return GPUTarget("cuda", int(name[3:]), 32)
    return GPUTarget("hip", name, 64)


def zero_unwritten() -> None:
    """Let launchers that read what a kernel should have written find zeros."""
    for name in ("empty", "empty_like"):
        allocate = getattr(torch, name)
        setattr(torch, name, lambda *args, made=allocate, **more: made(*args, **more).zero_())


def say(line: dict[str, Any]) -> None:
    """Print a line that is read even if the process ends with the next step."""
    print(json.dumps(line), flush=True)


def main() -> None:
    """Compile."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("module")
    parser.add_argument("target")
    parser.add_argument("--only", action="append", default=[], help="no other cases")
    parser.add_argument("--skip", action="append", default=[], help="none of these builds")
    chosen = parser.parse_args()
    triton.runtime.driver.set_active(Driver(gpu_target(chosen.target)))
    compiler = Compiler(chosen.skip)
    run = JITFunction.run

    def compile_only(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
        name = self.fn.__name__
        compiler.launch(lambda: run(self, *args, grid=grid, warmup=True, **kwargs), name)

    JITFunction.run = compile_only
    zero_unwritten()
    for case in importlib.import_module(chosen.module).CASES:
        if str(Build(case.name, "", 0)) in chosen.skip or (
            chosen.only and case.name not in chosen.only
        ):
            continue
        compiler.begin(case.name)
        case.run(chosen.target)


if __name__ == "__main__":
    main()
