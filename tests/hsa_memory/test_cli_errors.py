"""What goes wrong around the command line: one line that says what to do, and nothing lost."""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hsa_memory
from hsa_memory import cli

Fail = Callable[..., str]
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that succeeds; returns its stdout and stderr."""

    def call(*words: str, code: int = 0) -> str:
        folder = ["--store", str(tmp_path / "store"), "--model", str(tiny_checkpoint)]
        assert cli.main([*folder, *words]) == code
        return "".join(capsys.readouterr())

    return call


@pytest.fixture
def fail(run: Run) -> Fail:
    """Run a command that fails; returns the one line that says why."""

    def call(*words: str) -> str:
        said = run(*words, code=cli.EXIT_ERROR)
        assert said.startswith("hsa-memory: ")
        assert said.count("\n") == 1
        assert "Traceback" not in said
        return said.removeprefix("hsa-memory: ")

    return call


PATHS = {
    "a zero character": ("a\0b", "zero character"),
    "too long a name": ("x" * 300, "too long"),
    "too long a path": ("x/" * 3000, "too long"),
    "a lone surrogate": ("a\ud800b", "surrogate"),
    "nothing": ("", "must be a path"),
}


@pytest.mark.parametrize("name", PATHS)
def test_an_impossible_path_is_refused(fail: Fail, tiny_checkpoint: Path, name: str) -> None:
    path, complaint = PATHS[name]
    for command in (["add", "x"], ["search", "x"], ["check", "--repair"]):
        said = fail("--store", path, *command)
        assert said.startswith("InvalidArgument: path ")
        assert complaint in said
        assert len(said) < 300
    assert fail("--model", path, "add", "x").startswith("InvalidArgument: model ")
    for arguments in ({"path": path}, {"path": tiny_checkpoint, "model": path}):
        with pytest.raises(hsa_memory.InvalidArgument, match=complaint):
            hsa_memory.open(**arguments)


def test_a_file_is_no_store(fail: Fail, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for path in (file, file / "below"):
        for command in (["add", "x"], ["search", "x"], ["check"], ["check", "--repair"]):
            said = fail("--store", str(path), *command)
            assert said.startswith("InvalidArgument: path must be a folder")
            assert repr(str(file)) in said
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may go anywhere")
def test_a_folder_without_permission_is_named(fail: Fail, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    for command in (["add", "x"], ["search", "x"], ["check", "--repair"]):
        said = fail("--store", str(tmp_path / "closed" / "store"), *command)
        assert said.startswith("StorePermission: ")


def test_a_folder_may_have_any_name_that_the_system_allows(run: Run, tmp_path: Path) -> None:
    store = os.fsdecode(bytes(tmp_path) + b"/caf\xe9 ?#%41")
    run("--store", store, "add", "Hello.")
    assert "Hello." in run("--store", store, "search", "Hello")
    run("--store", store, "stats", "--json")
    assert "as it was written" in run("--store", store, "check", "--repair")


def test_surrogates_in_names_and_texts_are_refused(fail: Fail, run: Run) -> None:
    run("add", "Hello.")
    bad = os.fsdecode(b"\xff")
    for words in (
        ["add", bad],
        ["add", "x", "--id", bad],
        ["add", "x", "--session", bad],
        ["search", bad],
        ["search", "x", "--session", bad],
        ["search", "x", "--where", f"{bad}=1"],
        ["search", "x", "--role", bad],
        ["ask", bad],
        ["context", bad],
    ):
        assert "surrogate" in fail(*words) or "--role" in words
    assert "Hello." in run("search", "x")


@pytest.mark.parametrize("command", ["search x", "ask x", "context x", "stats"])
def test_reading_makes_no_session(fail: Fail, run: Run, command: str) -> None:
    run("add", "Hello.")
    assert fail(*command.split(), "--session", "other").startswith("SessionNotFound: ")
    assert "other" not in run("sessions")


@pytest.mark.parametrize("command", ["search", "ask", "context", "add"])
def test_nothing_cannot_be_asked_or_said(fail: Fail, run: Run, command: str) -> None:
    run("add", "Hello.")
    assert "white space" in fail(command, " ")


def test_a_huge_k_finds_what_there_is(run: Run) -> None:
    run("add", "Hello.")
    assert "Hello." in run("search", "x", "-k", "9" * 18)


FILES = {
    "binary": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", [], "InvalidMessage: .*binary, or not utf-8"),
    "UTF-16": ("words".encode("utf-16"), [], "InvalidMessage: .*binary, or not utf-8"),
    "no UTF-16": (b"words", ["--encoding", "utf-16"], "InvalidMessage: .*not utf-16"),
    "no replacement": (b"\xff words", ["--encoding", "idna"], "InvalidMessage: .*not idna"),
    "no codec": (b"words", ["--encoding", "undefined"], "InvalidArgument: --encoding"),
    "a zero in the codec": (b"words", ["--encoding", "a\0"], "InvalidArgument: --encoding"),
    "no JSON": (b"\x89PNG\n", ["--format", "jsonl"], "InvalidMessage: line 1 is not JSON"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_text_is_refused(fail: Fail, run: Run, tmp_path: Path, name: str) -> None:
    data, options, complaint = FILES[name]
    file = tmp_path / "file"
    file.write_bytes(data)
    run("add", "Hello.")
    assert re.match(complaint, fail("ingest", str(file), *options))
    assert '"num_messages": 1' in run("stats", "--json")


def test_a_file_that_cannot_be_opened_is_named(fail: Fail, run: Run, tmp_path: Path) -> None:
    for file in (tmp_path / "missing", tmp_path, tmp_path / "a\0b", tmp_path / ("x" * 300)):
        said = fail("ingest", str(file))
        assert said.startswith("InvalidArgument: cannot read ")
        assert "expected a file" in said
    assert not (tmp_path / "store").exists()


def test_closed_streams_are_no_traceback(
    fail: Fail, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    for command in ("add", "ingest"):
        assert "stdin, which is closed" in fail(command, "-")
    run("chat")
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    assert run("add", "Hello.") == ""


@pytest.mark.parametrize("damage", ["STORE", "landmarks.bin", "lost log"])
def test_damage_is_told_and_repaired_where_it_can_be(
    fail: Fail, run: Run, tmp_path: Path, tiny_checkpoint: Path, damage: str
) -> None:
    store = tmp_path / "store"
    with hsa_memory.open(tmp_path / "work", model=tiny_checkpoint) as memory:
        session = memory.session("default")
        session.add("user", "Nobody could remember who built the tower of the old harbour.")
        session._store._truth.database.checkpoint()
        session.add("user", "The spare key is under the blue flowerpot.")
        shutil.copytree(tmp_path / "work", store)
    if damage == "lost log":
        next(store.rglob("session.db-wal")).unlink()
        assert "1 are lost, numbers 1 to 1" in fail("search", "key")
        assert "LOST" in run("check", "--repair", code=cli.EXIT_ERROR)
        assert "harbour" in run("context", "tower")
        return
    file = next(store.rglob(damage))
    data = bytearray(file.read_bytes())
    data[30] ^= 4
    file.write_bytes(data)
    if damage == "STORE":
        for words in (["search", "key"], ["add", "x"], ["check"]):
            assert "`hsa-memory check --repair`" in fail(*words)
    else:
        said = run("context", "key")
        assert "note: s/" in said
        assert "landmarks.bin is damaged" in said
        assert "flowerpot" in said
    assert "NOT" not in run("check", "--repair")
    assert "note" not in run("add", "Hello.") + run("search", "key")
    assert "as it was written" in run("check")


def test_a_read_error_says_that_the_rest_can_follow() -> None:
    from hsa_memory.documents import read_messages

    class Failing(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            raise OSError(5, "Input/output error")

    for format in ("text", "jsonl"):
        file = io.BufferedReader(Failing())
        with pytest.raises(hsa_memory.InvalidMessage, match="cannot be read to its end"):
            list(read_messages(file, format=format))


def test_an_interrupt_waits_for_an_import(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'numpy':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from hsa_memory.cli import main\n"
        "sys.exit(main(['search', 'x']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (cli.EXIT_INTERRUPTED, "interrupted\n")


def test_a_network_file_system_is_written_only_when_it_is_allowed(
    fail: Fail, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("add", "Hello.")
    monkeypatch.setattr("hsa_memory.storage.Vfs.filesystem", lambda self, path: "nfs4")
    for command in (["add", "x"], ["check", "--repair"]):
        assert fail(*command).startswith("UnsafeFilesystem: ")
        run(*command, "--allow-network-files")
    for command in (["search", "Hello"], ["sessions"], ["stats"], ["check"]):
        run(*command)
