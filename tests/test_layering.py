"""Who may import whom: kernels and storage nothing of ours, model the kernels, hsa_memory all."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "hsa_memory"
FOLDERS = ("hsa_memory", "kernels", "model", "storage")
MAY_IMPORT = {
    "kernels": set(),
    "storage": set(),
    "model": {"kernels"},
    "hsa_memory": {"kernels", "model", "storage"},
}


def imported_modules(source: str, path: Path) -> Iterator[tuple[int, str, int]]:
    """Yield (line, dotted module, relative level) of every import in a file."""
    for node in ast.walk(ast.parse(source, filename=str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, 0
        elif isinstance(node, ast.ImportFrom):
            if node.module == PACKAGE and node.level == 0:
                # `from hsa_memory import model` may name a sub-package.
                for alias in node.names:
                    yield node.lineno, f"{PACKAGE}.{alias.name}", 0
            else:
                yield node.lineno, node.module or "", node.level


def violations(source: str, path: Path) -> list[str]:
    """Describe each import of a file that the layers forbid; `path` is relative to the root."""
    layer, depth = path.parts[0], len(path.parts) - 1
    found = []
    for line, module, level in imported_modules(source, path):
        first, *rest = module.split(".") if module else [""]
        where = f"{path}:{line}"
        if level > depth:
            found.append(f"{where}: the relative import of {module!r} leaves {layer}/")
        elif level == 0 and first in FOLDERS and first != PACKAGE:
            found.append(f"{where}: bare import of {module!r}; write {PACKAGE}.{module}")
        elif level == 0 and first == PACKAGE:
            target = rest[0] if rest and rest[0] in FOLDERS else PACKAGE
            if target == layer:
                found.append(f"{where}: {module!r} lies in the same folder; import it relatively")
            elif target not in MAY_IMPORT[layer]:
                found.append(f"{where}: {layer} must not import {module!r}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_upward_or_bare_import(root: Path, folder: str) -> None:
    found = []
    for path in sorted((root / folder).rglob("*.py")):
        found += violations(path.read_text(encoding="utf-8"), path.relative_to(root))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["examples", "benchmarks", "tests", "scripts"])
def test_everything_else_imports_the_package_by_its_name(root: Path, folder: str) -> None:
    found = []
    for path in sorted((root / folder).rglob("*.py")):
        for line, module, level in imported_modules(path.read_text(encoding="utf-8"), path):
            if level == 0 and module.split(".")[0] in set(FOLDERS) - {PACKAGE}:
                found.append(f"{path.relative_to(root)}:{line}: bare import of {module!r}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("kernels/a.py", "from hsa_memory.model import HSAConfig"),
        ("kernels/a.py", "from hsa_memory import model"),
        ("kernels/a.py", "import hsa_memory"),
        ("storage/a.py", "import hsa_memory.kernels.chunk_attention"),
        ("model/a.py", "from hsa_memory.storage import Store"),
        ("model/a.py", "def late():\n    from hsa_memory.errors import HSAMemoryError"),
        ("model/a.py", "from kernels.chunk_attention import chunk_attention"),
        ("model/a.py", "import storage"),
        ("model/training/a.py", "from ...storage import Store"),
        ("hsa_memory/a.py", "from hsa_memory.errors import HSAMemoryError"),
    ],
)
def test_a_forbidden_import_is_found(path: str, source: str) -> None:
    assert len(violations(source, Path(path))) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("kernels/chunk_attention/a.py", "from ..dispatch import Impl\nfrom .api import run"),
        ("model/training/a.py", "from ..config import HSAConfig\nimport torch"),
        ("model/a.py", "from hsa_memory.kernels.chunk_attention import chunk_attention"),
        (
            "hsa_memory/a.py",
            "from hsa_memory.storage import Store\nfrom .errors import SessionBusy",
        ),
    ],
)
def test_an_allowed_import_passes(path: str, source: str) -> None:
    assert violations(source, Path(path)) == []
