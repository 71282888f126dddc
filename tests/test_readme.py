"""Every snippet in the README and the documentation runs.

A document's snippets run from top to bottom in one temporary folder, each in a process of its own.
Two markers, on the line before the fence, change that:

- `<!-- continues -->`: the Python snippet goes on from the one before it, which is run again first;
- `<!-- not run: reason -->`: the snippet is left out, for the reason given.

In shell snippets `hsa-memory` commands run; commands that set up or start longer work (make, pip,
git clone, python FILE) are checked to name something that exists, and run in tests of their own.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
]
# Only what hangs takes so long, however busy the machine is.
TIMEOUT_SECONDS = 1200
SHELL = ("bash", "console", "sh", "shell")
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w+-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```", re.M | re.S
)
MARKER = re.compile(r"<!--\s*(?P<kind>continues|not run)(?::\s*(?P<reason>.*?))?\s*-->\s*\Z", re.S)


@dataclass(frozen=True, kw_only=True)
class Snippet:
    line: int
    language: str
    text: str
    marker: str
    reason: str


def snippets(markdown: str) -> list[Snippet]:
    found = []
    for fence in FENCE.finditer(markdown):
        before = markdown[: fence.start()]
        marker = MARKER.search(before)
        indent = len(fence["indent"])
        found.append(
            Snippet(
                line=before.count("\n") + 1,
                language=fence["language"],
                text="\n".join(line[indent:] for line in fence["text"].splitlines()) + "\n",
                marker=marker["kind"] if marker else "",
                reason=(marker["reason"] or "") if marker else "",
            )
        )
    return found


def shell_commands(text: str) -> list[str]:
    """Return the commands of a shell snippet: after prompts if it shows any, else every line."""
    lines = text.replace("\\\n", " ").splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [line.strip() for line in lines if shlex.split(line, comments=True)]


def run(command: list[str], folder: Path, what: str) -> None:
    """Run a command in a folder, with this environment's scripts first on the path."""
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{what} ended with {done.returncode}:\n{done.stdout}"


def check_make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words[1:]:
        pattern = rf"^{word.split('=')[0]} \?=" if "=" in word else rf"^{re.escape(word)}:"
        assert re.search(pattern, makefile, re.MULTILINE), f"the Makefile has no {word}"


def check_pip(words: list[str]) -> None:
    assert words[1] == "install", words
    for word in words[2:]:
        name, _, extra = word.partition("[")
        assert word.startswith("-") or name in {"hsa-memory", "."}, f"pip would install {word}"
        if extra:
            text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
            assert re.search(rf"^{extra.rstrip(']')} = \[", text, re.MULTILINE), f"no extra {extra}"


def check_python(words: list[str]) -> None:
    assert (ROOT / words[1]).is_file(), f"there is no {words[1]}"


def check_git(words: list[str]) -> None:
    assert words[1] == "clone", f"git {words[1]} is no part of using this project"


def check_cd(words: list[str]) -> None:
    assert words[1:] == ["hsa-memory"], "a reader changes into the clone and nowhere else"


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "cd": check_cd,
    "git": check_git,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
}


def run_shell(text: str, folder: Path, what: str) -> None:
    for command in shell_commands(text):
        words = shlex.split(command, comments=True)
        name = Path(words[0]).name
        if name == "hsa-memory":
            run(["bash", "-o", "pipefail", "-c", command], folder, f"{what}: {command}")
        elif name in CHECKS:
            CHECKS[name]([name, *words[1:]])
        else:
            assert (ROOT / words[0]).is_file(), f"{what}: no rule for {command!r}"


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_snippet_runs(document: str, mini_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    previous = ""
    for snippet in snippets((ROOT / document).read_text(encoding="utf-8")):
        what = f"{document}:{snippet.line}"
        if snippet.marker == "not run":
            continue
        if snippet.language == "python":
            program = previous * (snippet.marker == "continues") + snippet.text
            run([sys.executable, "-c", program], tmp_path, what)
            previous = program
        elif snippet.language in SHELL:
            run_shell(snippet.text, tmp_path, what)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_snippet_left_out_gives_its_reason(document: str) -> None:
    for snippet in snippets((ROOT / document).read_text(encoding="utf-8")):
        assert snippet.language, f"{document}:{snippet.line}: name the language (text for none)"
        assert snippet.marker != "not run" or snippet.reason, f"{document}:{snippet.line}: why?"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_set_up_commands_name_what_exists(document: str) -> None:
    for snippet in snippets((ROOT / document).read_text(encoding="utf-8")):
        if snippet.language in SHELL:
            for command in shell_commands(snippet.text):
                words = shlex.split(command, comments=True)
                if words[0] in CHECKS:
                    CHECKS[words[0]](words)


def test_the_readme_names_every_folder() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    folders = {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".") and any(path.glob("**/*.*"))
    }
    generated = {"build", "dist", "runs", "agent-memory", "demo-memory"}
    unnamed = [name for name in sorted(folders - generated) if f"`{name}/`" not in readme]
    assert [name for name in unnamed if not name.endswith(".egg-info")] == []


MARKDOWN = """
Text.

```python
x = 1
```

<!-- continues -->
```python
print(x)
```

<!-- not run: it needs a microphone -->

  ```console
  $ hsa-memory chat
  you> hello
  ```
"""


def test_snippets_are_found_with_language_marker_and_line() -> None:
    first, second, third = snippets(MARKDOWN)
    assert (first.language, first.text, first.marker, first.line) == ("python", "x = 1\n", "", 4)
    assert (second.marker, second.text) == ("continues", "print(x)\n")
    assert (third.language, third.marker, third.reason) == (
        "console",
        "not run",
        "it needs a microphone",
    )
    assert shell_commands(third.text) == ["hsa-memory chat"]


def test_shell_commands_drop_comments_and_join_lines() -> None:
    text = "# first\nmake test   # takes minutes\n\nhsa-memory add \\\n  --role user 'a # b'\n"
    assert shell_commands(text) == [
        "make test   # takes minutes",
        "hsa-memory add    --role user 'a # b'",
    ]


@pytest.mark.parametrize(
    "command", ["make tset", "pip install hsa-memory[nothing]", "python gone.py", "git push"]
)
def test_a_command_without_its_target_is_found(command: str) -> None:
    with pytest.raises(AssertionError):
        run_shell(command, ROOT, "here")
