"""What pyproject.toml promises is what the folders hold."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import hsa_memory

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER_OF = {
    "hsa_memory": "hsa_memory",
    "hsa_memory.kernels": "kernels",
    "hsa_memory.model": "model",
    "hsa_memory.storage": "storage",
}
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins(root: Path) -> list[Requirement]:
    lines = (root / "requirements" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def packages_in_folders(root: Path) -> set[str]:
    found = set()
    for package, folder in FOLDER_OF.items():
        for init in (root / folder).rglob("__init__.py"):
            below = init.parent.relative_to(root / folder).parts
            found.add(".".join((package, *below)))
    return found


def test_the_package_list_is_the_folders(root: Path, pyproject: dict[str, Any]) -> None:
    listed = pyproject["tool"]["setuptools"]["packages"]
    assert listed == sorted(set(listed))
    assert set(listed) == packages_in_folders(root)
    assert pyproject["tool"]["setuptools"]["package-dir"] == FOLDER_OF


def test_every_folder_with_modules_is_a_package(root: Path) -> None:
    folders = {path.parent for name in FOLDER_OF.values() for path in (root / name).rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def package_data(root: Path, pyproject: dict[str, Any]) -> dict[str, list[Path]]:
    """Return the files that each package-data pattern matches, keyed by its path from the root."""
    listed = pyproject["tool"]["setuptools"]["package-data"]
    return {
        f"{folder_of(package)}/{pattern}": list((root / folder_of(package)).glob(pattern))
        for package, patterns in listed.items()
        for pattern in patterns
    }


def folder_of(package: str) -> str:
    parent = max((name for name in FOLDER_OF if package.startswith(name)), key=len)
    return FOLDER_OF[parent] + package.removeprefix(parent).replace(".", "/")


def test_every_data_pattern_matches(
    root: Path, mini_weights: Path, pyproject: dict[str, Any]
) -> None:
    matched = package_data(root, pyproject)
    assert [pattern for pattern, files in matched.items() if not files] == []


def test_every_data_file_in_a_package_is_shipped(root: Path, pyproject: dict[str, Any]) -> None:
    shipped = {path for files in package_data(root, pyproject).values() for path in files}
    present = {
        path
        for folder in FOLDER_OF.values()
        for path in (root / folder).rglob("*")
        # Another process may be writing there, under a name of the moment.
        if "__pycache__" not in path.parts
        if path.is_file() and path.suffix != ".py" and not path.name.startswith(".")
    }
    assert [str(path.relative_to(root)) for path in sorted(present - shipped)] == []


def test_the_version_has_one_source(pyproject: dict[str, Any]) -> None:
    assert "version" in pyproject["project"]["dynamic"]
    assert importlib.metadata.version("hsa-memory") == hsa_memory.__version__


def test_the_changelog_names_the_version(root: Path) -> None:
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(hsa_memory.__version__)}\]", changelog, re.MULTILINE)


@pytest.mark.parametrize("python", SUPPORTED)
def test_every_requirement_is_pinned_once_and_within_its_range(
    python: str, pyproject: dict[str, Any], pins: list[Requirement]
) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.1"}
    extras = pyproject["project"]["optional-dependencies"]
    declared = [*pyproject["project"]["dependencies"], *sum(extras.values(), [])]
    for requirement in map(Requirement, declared):
        if requirement.marker and not requirement.marker.evaluate(environment):
            continue
        found = [
            pin
            for pin in pins
            if normal(pin.name) == normal(requirement.name)
            and (pin.marker is None or pin.marker.evaluate(environment))
        ]
        assert len(found) == 1, f"{requirement.name} on Python {python}: {found}"
        (specifier,) = found[0].specifier
        assert specifier.operator == "=="
        assert requirement.specifier.contains(specifier.version), (requirement, specifier)


def test_torch_is_pinned_where_it_is_installed(root: Path, pins: list[Requirement]) -> None:
    (torch,) = (str(pin) for pin in pins if pin.name == "torch")
    assert f"TORCH := {torch}\n" in (root / "Makefile").read_text(encoding="utf-8")


def test_the_pins_name_no_package_index(root: Path) -> None:
    text = (root / "requirements" / "constraints.txt").read_text(encoding="utf-8")
    assert re.findall(r"://|index-url|find-links|^-", text, re.MULTILINE) == []


def test_the_supported_pythons_are_stated_alike(pyproject: dict[str, Any]) -> None:
    requires = SpecifierSet(pyproject["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in requires] == list(SUPPORTED)
    prefix = "Programming Language :: Python :: 3."
    classified = [c for c in pyproject["project"]["classifiers"] if c.startswith(prefix)]
    assert [c.rsplit(" ", 1)[1] for c in classified] == list(SUPPORTED)


def test_every_imported_library_is_declared(root: Path, pyproject: dict[str, Any]) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    optional = [line for name, lines in extras.items() if name != "dev" for line in lines]
    declared = {
        normal(Requirement(line).name)
        for line in [*pyproject["project"]["dependencies"], *optional]
    }
    undeclared = {}
    for folder in FOLDER_OF.values():
        for path in (root / folder).rglob("*.py"):
            for module in imported_top_level(path) - {"hsa_memory"}:
                if module not in sys.stdlib_module_names and normal(module) not in declared:
                    undeclared.setdefault(module, str(path.relative_to(root)))
    assert undeclared == {}


def imported_top_level(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names
