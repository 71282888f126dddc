"""Build sdist and wheel from the tracked files, install the wheel outside the tree and use it.

Run with the interpreter of the development environment: its installed dependencies serve the fresh
environment too, its editable install does not.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

IMPORT_EVERYTHING = """
import importlib, pathlib, pkgutil, sys
import hsa_memory

home = pathlib.Path(sys.prefix).resolve()
names = [found.name for found in pkgutil.walk_packages(hsa_memory.__path__, "hsa_memory.")]
for name in names:
    module = importlib.import_module(name)
    assert home in pathlib.Path(module.__file__).resolve().parents, (name, module.__file__)
print(f"imported {len(names)} modules from the wheel, version {hsa_memory.__version__}")
"""

OPEN_A_MEMORY = """
import hsa_memory

memory = hsa_memory.open("wheel-memory")
with memory.session("wheel") as session:
    session.add("user", "My dog is called Biscuit.")
    hits = session.search("What is my dog called?", k=1)
assert "Biscuit" in hits[0].text, hits
print("the bundled weights open and find a message")
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hsa-memory-wheel-") as folder:
        work = Path(folder).resolve()
        source = work / "source"
        copy_tracked_files(source)
        wheel = build(source, work / "dist")
        check_content(wheel, source)
        use(wheel, work, has_weights=(source / "hsa_memory/weights/mini").is_dir())
    print("wheel check passed")


def copy_tracked_files(target: Path) -> None:
    """Copy what git tracks, so that a file somebody forgot to add is missing here too."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def build(source: Path, dist: Path) -> Path:
    """Build the wheel from the tree and again from the sdist; both must hold the same files."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    run([*command, str(dist / "direct"), "--wheel", str(source)], cwd=dist.parent)
    run([*command, str(dist / "sdist"), str(source)], cwd=dist.parent)  # sdist, then wheel from it
    (direct,) = (dist / "direct").glob("*.whl")
    (indirect,) = (dist / "sdist").glob("*.whl")
    if wheel_names(direct) != wheel_names(indirect):
        different = set(wheel_names(direct)) ^ set(wheel_names(indirect))
        fail(f"the wheel built from the sdist differs: {sorted(different)}")
    return indirect


def wheel_names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


def check_content(wheel: Path, source: Path) -> None:
    names = wheel_names(wheel)
    top_level = {name.split("/")[0] for name in names}
    if len(top_level) != 2 or "hsa_memory" not in top_level:
        fail(f"the wheel must hold hsa_memory and its dist-info only, and holds {top_level}")
    wanted = set()
    for folder in ("hsa_memory", "kernels", "model", "storage"):
        prefix = "" if folder == "hsa_memory" else "hsa_memory/"
        files = (path.relative_to(source) for path in (source / folder).rglob("*"))
        wanted |= {f"{prefix}{path.as_posix()}" for path in files if (source / path).is_file()}
    if missing := sorted(wanted - set(names)):
        fail(f"the wheel lacks {missing}")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1e6:.1f} MB")


def use(wheel: Path, work: Path, *, has_weights: bool) -> None:
    """Install the wheel into a fresh environment and run it from an empty folder."""
    fresh, empty = work / "fresh", work / "empty"
    empty.mkdir()
    run([sys.executable, "-m", "venv", "--without-pip", str(fresh)], cwd=empty)
    python = fresh / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], cwd=empty)
    # A folder named in a .pth file is searched, but the .pth files in it are not read: the
    # dependencies are found there, the finder of the editable install is not.
    (site_packages,) = fresh.glob("lib/python*/site-packages")
    dependencies = site_packages / "dependencies.pth"
    dependencies.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    print(run([str(python), "-I", "-c", IMPORT_EVERYTHING], cwd=empty), end="")
    run([str(fresh / "bin" / "hsa-memory"), "--help"], cwd=empty)
    if has_weights:
        print(run([str(python), "-I", "-c", OPEN_A_MEMORY], cwd=empty), end="")
    else:
        print("no bundled weights in the tree: opening a memory was not tried")


def run(command: list[str], *, cwd: Path) -> str:
    """Run a command and return what it printed; when it fails, show that and stop."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        fail(f"{' '.join(command)}\n{done.stdout}\nended with {done.returncode}")
    return done.stdout


def fail(message: str) -> None:
    sys.exit(f"wheel check failed: {message}")


if __name__ == "__main__":
    main()
