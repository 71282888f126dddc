"""Rules that hold for every tracked file."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 400
# path -> why this file may be longer
LONGER: dict[str, str] = {}

SOURCES = ("hsa_memory/", "kernels/", "model/", "storage/", "examples/", "benchmarks/", "scripts/")
# Loading any of these formats runs code that the file names.
CODE_CARRYING_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
CODE_CARRYING_CALLS = {("torch", "load"), ("torch", "save")}
MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|root|Users|work|mnt)/\w")
LEFTOVER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|NotImplementedError")


def tracked(suffix: str) -> list[str]:
    """Return the tracked files that end with `suffix` and are still there."""
    done = subprocess.run(
        ["git", "ls-files", "-z", f"*{suffix}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"not a git checkout: {done.stderr.strip()}")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def sources() -> list[str]:
    return [name for name in tracked(".py") if name.startswith(SOURCES)]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_file_is_short_enough_to_read() -> None:
    lines = {name: len(text_of(name).splitlines()) for name in tracked(".py")}
    assert {n: count for n, count in lines.items() if count >= MOST_LINES and n not in LONGER} == {}
    assert [n for n in LONGER if lines.get(n, 0) < MOST_LINES] == [], "no exception needed any more"


def test_nothing_reads_or_writes_a_format_that_carries_code() -> None:
    found = [f"{name}: {what}" for name in sources() for what in code_carrying(text_of(name))]
    assert found == []


def code_carrying(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in CODE_CARRYING_MODULES]
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in CODE_CARRYING_MODULES:
                found.append(node.module or "")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in CODE_CARRYING_CALLS:
                found.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found += [] if is_false(node.value) else ["allow_pickle"]
    return found


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_no_file_names_a_path_of_one_machine() -> None:
    names = [n for suffix in (".py", ".md", ".toml", ".txt", ".json") for n in tracked(suffix)]
    names = [name for name in [*names, "Makefile", ".ci/run"] if not is_data(name)]
    assert [f"{name}: {hit}" for name in names for hit in MACHINE_PATH.findall(text_of(name))] == []


def is_data(name: str) -> bool:
    return name.startswith(("examples/data/", "hsa_memory/weights/"))


def test_no_source_is_left_unfinished() -> None:
    found = [f"{name}: {hit}" for name in sources() for hit in LEFTOVER.findall(text_of(name))]
    assert found == []


def test_no_broad_except() -> None:
    found = []
    for name in sources():
        for node in ast.walk(ast.parse(text_of(name))):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None
                or (isinstance(node.type, ast.Name) and node.type.id == "Exception")
            ):
                found.append(f"{name}:{node.lineno}")
    assert found == []


def test_no_tracked_file_is_larger_than_the_bundled_weights_may_be() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in tracked("")}
    assert {name: size for name, size in sizes.items() if size > 40_000_000} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\nx = torch.load('a')",
        "import numpy as np\nnp.load('a', allow_pickle=True)",
    ],
)
def test_a_code_carrying_format_is_found(source: str) -> None:
    assert len(code_carrying(source)) == 1


def test_a_machine_path_is_found() -> None:
    assert MACHINE_PATH.search("open('/" + "home/someone/file')")
    assert not MACHINE_PATH.search("https://example.org/" + "home/page ./w" + "ork/x ~/" + "root/x")
