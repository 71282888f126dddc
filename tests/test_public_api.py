"""The names users import, and what importing them costs."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import hsa_memory

HEAVY = (
    "langchain_core",
    "numpy",
    "prompt_toolkit",
    "pydantic",
    "rich",
    "safetensors",
    "sqlalchemy",
    "tokenizers",
    "torch",
    "triton",
)
# A bare interpreter plus a handful; `import typing` alone is about twenty.
MOST_MODULES = 40


def modules_loaded_by(statement: str) -> set[str]:
    """Return the modules that a statement adds to a fresh interpreter."""
    program = (
        "import json, sys\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    # -I: no environment variables and no current folder decide what is found.
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True
    )
    return set(json.loads(done.stdout))


def test_all_is_sorted_and_without_repeats() -> None:
    assert hsa_memory.__all__ == sorted(set(hsa_memory.__all__))


@pytest.mark.parametrize("name", hsa_memory.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(hsa_memory, name) is not None
    assert name in dir(hsa_memory)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Memroy'"):
        _ = hsa_memory.Memroy  # type: ignore[attr-defined]


def test_importing_the_package_is_light() -> None:
    loaded = modules_loaded_by("import hsa_memory")
    assert {name for name in loaded if name.split(".")[0] in HEAVY} == set()
    assert len(loaded) <= MOST_MODULES, sorted(loaded)


def test_type_checkers_see_every_lazy_name(root: Path) -> None:
    """The table that loads a name and the import that types it must name the same module."""
    tree = ast.parse((root / "hsa_memory" / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert typed == hsa_memory._LAZY
    assert set(hsa_memory.__all__) == {"__version__", *hsa_memory._LAZY}
