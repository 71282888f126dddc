"""What a compiled kernel needs and does, read from its code."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import triton

# Names of tensor-core instructions: wgmma is HGMMA or IGMMA, mma.sync HMMA, IMMA or DMMA, and
# Blackwell's UTC...MMA.
_PRODUCT = re.compile(r"\b([HIQ]GMMA|[HIDQO]MMA|UTC\w*?MMA)\b")
_USAGE = re.compile(r"REG:(\d+) STACK:(\d+) .*?LOCAL:(\d+)")
# A while loop goes on after "} do {".
_ENDS = re.compile(r"\s*\}(?! do \{)")
_WAIT = re.compile(r"ttg\.async_wait .*?num = (\d+)")


def measured(kernel: Any) -> dict[str, Any]:
    """Return the row of a compiled kernel: see `docs/compiled_kernels.md` for the fields."""
    meta = kernel.metadata
    row = {"warps": meta.num_warps, "stages": meta.num_stages, "shared_bytes": meta.shared}
    code = _on_amd(kernel) if "amdgcn" in kernel.asm else _on_nvidia(kernel)
    return {**row, **code, "in_flight": in_flight(kernel.asm["ttgir"])}


def _on_nvidia(kernel: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(kernel.asm["cubin"])
        usage = _USAGE.search(_cuobjdump("-res-usage", path))
        sass = _cuobjdump("-sass", path)
    if usage is None:
        raise RuntimeError("cuobjdump says nothing of registers")
    registers, stack, local = map(int, usage.groups())
    return {
        "registers": registers,
        "spilled_bytes": max(stack, local),
        "spills": len(re.findall(r"\b(?:STL|LDL)\b", sass)),
        "products": dict(sorted(Counter(_PRODUCT.findall(sass)).items())),
        "async_copies": len(re.findall(r"\bLDGSTS\b", sass)),
    }


def _cuobjdump(option: str, path: Path) -> str:
    command = [triton.knobs.nvidia.cuobjdump.path, option, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _on_amd(kernel: Any) -> dict[str, Any]:
    code = kernel.asm["amdgcn"]
    products = len(re.findall(r"^\s+v_mfma_", code, re.M))
    return {
        "registers": _field(code, "vgpr_count"),
        "spilled_bytes": _field(code, "private_segment_fixed_size"),
        "spills": _field(code, "vgpr_spill_count") + _field(code, "sgpr_spill_count"),
        "products": {"MFMA": products} if products else {},
        "async_copies": len(re.findall(r"^\s+(?:buffer|global)_load\w*.*\blds\b", code, re.M)),
    }


def _field(code: str, name: str) -> int:
    found = re.search(rf"\.{name}:\s+(\d+)", code)
    if found is None:
        raise RuntimeError(f"the code has no .{name}")
    return int(found[1])


def in_flight(ttgir: str) -> list[int]:
    """Return, for each loop that waits for copies, how many groups of them it leaves running.

    0 is a loop that waits for what it has just asked for: no copy runs while it computes.
    """
    return [max(waits) for waits in _waits_of_loops(ttgir) if waits]


def _waits_of_loops(ttgir: str) -> Iterator[list[int]]:
    loops: list[tuple[int, list[int]]] = []
    for line in ttgir.splitlines():
        indent = len(line) - len(line.lstrip())
        if "scf.for" in line or "scf.while" in line:
            loops.append((indent, []))
        elif loops and indent == loops[-1][0] and _ENDS.match(line):
            yield loops.pop()[1]
        if loops and (wait := _WAIT.search(line)):
            loops[-1][1].append(int(wait[1]))
