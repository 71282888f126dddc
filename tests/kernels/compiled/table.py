"""The table of compiled kernels: make it, write it down, and find what got worse.

python tests/kernels/compiled/table.py           # what differs from the committed table
python tests/kernels/compiled/table.py --write   # write the table and its document
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hsa_memory.kernels import launching

ROOT = Path(__file__).resolve().parents[3]
TABLE = ROOT / "docs" / "results" / "compiled_kernels.json"
DOCUMENT = ROOT / "docs" / "compiled_kernels.md"
TARGETS = tuple(launching.TARGETS)
SHIPPING = "compiled.builds"
AT_ONCE = 2
TIMEOUT_SECONDS = 2400
# wgmma and what took its place; a kernel that has them must not fall back to mma.sync.
WIDE = ("GMMA", "UTC")

Row = dict[str, Any]


def compile_all(
    module: str = SHIPPING,
    targets: Iterable[str] = TARGETS,
    only: Iterable[str] = (),
    seconds: dict[str, float] | None = None,
) -> list[Row]:
    """Compile the cases of a module for every target, two targets at a time.

    `seconds` gets what each build took.
    """
    seconds = {} if seconds is None else seconds
    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda target: _rows(module, target, list(only), cache, seconds), targets)
        return sorted((row for rows in found for row in rows), key=_key)


def _rows(
    module: str, target: str, only: list[str], cache: str, seconds: dict[str, float]
) -> list[Row]:
    """Compile in one process, and in another one from behind a build that ended it."""
    rows: dict[tuple[str, ...], Row] = {}
    skip: list[str] = []
    while True:
        options = [f"--only={name}" for name in only] + [f"--skip={build}" for build in skip]
        done = _run([module, target, *options], cache)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
        for line in lines:
            if "begins" not in line:
                row = {"target": target, **line}
                took = row.pop("seconds")
                if rows.setdefault(_key(row), row) is row:
                    seconds[named(row)] = took
        if done.returncode == 0:
            return list(rows.values())
        begun = [line["begins"] for line in lines if "begins" in line]
        if not begun or begun[-1] in skip:
            raise RuntimeError(f"{module} for {target}, status {done.returncode}:\n{done.stderr}")
        skip.append(begun[-1])
        case, kernel, number = begun[-1].rsplit("/", 2)
        said = (done.stderr.strip().splitlines() or [""])[-1]
        row = {"target": target, "case": case, "kernel": kernel, "number": int(number)}
        rows[_key(row)] = row | {"error": f"the process ended with {done.returncode}: {said}"}


def _run(arguments: list[str], cache: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRITON_")}
    settings = {"TRITON_CACHE_DIR": cache, "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, str(Path(__file__).with_name("build.py")), *arguments],
        env={**kept, **settings},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def _key(row: Row) -> tuple[str, ...]:
    return (row["case"], row["kernel"], f"{row['number']:03}", row["target"])


def named(row: Row) -> str:
    """The build of a row, for people."""
    more = f" ({row['number']})" if row["number"] > 1 else ""
    return f"{row['case']}: {row['kernel']}{more} for {row['target']}"


def worse(table: list[Row], rows: list[Row]) -> list[str]:
    """Say what a table promises and the compiled kernels do not keep, in sentences."""
    promised, found = ({_key(row): row for row in part} for part in (table, rows))
    said = [f"{named(row)} does not compile: {row['error']}" for row in rows if "error" in row]
    said += [f"{named(row)} spills {row['spilled_bytes']} bytes" for row in rows if _spills(row)]
    said += [f"{named(row)} {_no_room(row)}" for row in rows if _no_room(row)]
    said += [f"{named(promised[key])} is in the table only" for key in promised.keys() - found]
    for key, row in found.items():
        if "error" in row:
            continue
        if key not in promised:
            said.append(f"{named(row)} is not in the table")
        else:
            said += [f"{named(row)} {what}" for what in _lost(promised[key], row)]
    return sorted(said)


def _spills(row: Row) -> bool:
    return row.get("spilled_bytes", 0) > 0


def _no_room(row: Row) -> str:
    """What is said of a kernel that cannot start, for want of shared memory."""
    there = launching.TARGETS[row["target"]].shared
    needed: int = row.get("shared_bytes", 0)
    return f"needs {needed} bytes of shared memory, there are {there}" if needed > there else ""


def _lost(old: Row, new: Row) -> Iterable[str]:
    if _wide(old) and not _wide(new):
        yield f"lost {_products(old)}, has {_products(new) or 'no tensor-core products'}"
    elif old["products"] and not new["products"]:
        yield f"lost {_products(old)}, has no tensor-core products"
    before, after = (sorted(row["in_flight"], reverse=True) for row in (old, new))
    after += [0] * (len(before) - len(after))
    if any(now < then for then, now in zip(before, after, strict=False)):
        yield f"lost its pipeline: copies in flight {new['in_flight']}, were {old['in_flight']}"


def _wide(row: Row) -> bool:
    return any(part in name for name in row["products"] for part in WIDE)


def _products(row: Row) -> str:
    return ", ".join(f"{count} {name}" for name, count in row["products"].items())


def changed(table: list[Row], rows: list[Row]) -> list[str]:
    """Name the builds whose numbers are not those of the table."""
    promised = {_key(row): row for row in table}
    return [named(row) for row in rows if promised.get(_key(row), row) != row]


def read() -> dict[str, Any]:
    """The committed table: {"triton": version, "builds": rows}."""
    held: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return held


def written(rows: list[Row]) -> str:
    """The table's file, a line per build."""
    lines = ",\n".join(f"  {json.dumps(row, sort_keys=True)}" for row in rows)
    body = f"\n{lines}\n " if rows else ""
    return f'{{\n "triton": "{version("triton")}",\n "builds": [{body}]\n}}\n'


def document(table: dict[str, Any]) -> str:
    """The document of a table."""
    text = _HEAD.format(triton=table["triton"])
    for target in TARGETS:
        rows = [row for row in table["builds"] if row["target"] == target]
        if rows:
            text += f"\n## {target}\n\n{_COLUMNS}" + "".join(_line(row) for row in rows)
    return text


def _line(row: Row) -> str:
    spilled = f"{row['spilled_bytes']} ({row['spills']})" if row["spilled_bytes"] else "0"
    kernel = row["kernel"] + (f" ({row['number']})" if row["number"] > 1 else "")
    flight = ", ".join(map(str, row["in_flight"])) or "-"
    cells = [row["case"], f"`{kernel}`", row["warps"], row["stages"], row["registers"], spilled]
    cells += [f"{row['shared_bytes'] / 1024:.1f}", _products(row) or "-", row["async_copies"]]
    return "| " + " | ".join(map(str, [*cells, flight])) + " |\n"


_HEAD = """# What the Triton kernels compile to

Written by `python tests/kernels/compiled/table.py --write` with Triton {triton}; do not edit. Every
build that ships is compiled ahead of time, which needs no GPU and says nothing about speed.
`tests/kernels/test_compiled.py` compiles all of it again and fails when a kernel spills, loses its
wide products (wgmma, tcgen05) or its pipeline, does not compile, or is not listed here. A kernel
that cases share is listed with the first: what walks slots is the same for 16, 32, 64 and 256.

- registers per thread (VGPRs on AMD), bytes per thread spilled to memory, with the instructions or
  registers concerned in brackets, and dynamic shared memory per program, in KB;
- products: tensor-core instructions in the code. HGMMA is wgmma, HMMA mma.sync, UTC...MMA tcgen05;
- copies: asynchronous copies (LDGSTS) in the code; in flight: for each loop that waits for copies,
  how many groups of them go on while it computes (0: none; -: nothing is copied asynchronously).
"""
_COLUMNS = (
    "| case | kernel | warps | stages | registers | spilled | shared | products | copies "
    "| in flight |\n|---|---|---|---|---|---|---|---|---|---|\n"
)


def main() -> int:
    """Compile everything; write the table or say what differs from it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the table and its document")
    parser.add_argument("--only", action="append", default=[], help="compile this case only")
    chosen = parser.parse_args()
    write, seconds = chosen.write and not chosen.only, {}
    rows = compile_all(only=chosen.only, seconds=seconds)
    for build in sorted(seconds, key=lambda name: -seconds[name])[:5]:
        print(f"{seconds[build]:.1f} s: {build}")
    failed = [f"{named(row)}: {row['error']}" for row in rows if "error" in row]
    if write and not failed:
        TABLE.write_text(written(rows), encoding="utf-8")
        DOCUMENT.write_text(document(read()), encoding="utf-8")
        return 0
    said = failed if write else worse(read()["builds"], rows) + changed(read()["builds"], rows)
    print("\n".join(said))
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
