"""The command line: what it prints, where, and with which exit code."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import hsa_memory
from hsa_memory import cli

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on a store of its own; returns its parsed stdout (with --json) or text."""

    def call(*words: str, code: int = 0) -> Any:
        store = ["--store", str(tmp_path / "store"), "--model", str(tiny_checkpoint)]
        assert cli.main([*store, *words]) == code
        out = capsys.readouterr().out
        return json.loads(out) if "--json" in words and out else out

    return call


def test_the_number_format_is_that_of_the_command_that_made_the_session(run: Run) -> None:
    run("add", "My dog is called Biscuit.", "--kv-dtype", "int8")
    run("add", "My cat is called Crumb.", "--kv-dtype", "float8")
    assert run("stats", "--json")["session"]["kv_dtype"] == "int8"
    assert "int8" in run("stats")
    assert run("search", "What is my dog called?", "--json")["diagnostics"] == []
    with pytest.raises(SystemExit, match="2"):
        run("add", "More.", "--kv-dtype", "int4")


def test_add_then_search_finds_the_message(run: Run) -> None:
    added = run("add", "My dog is called Biscuit.", "--id", "dog", "--json")
    assert added["ids"] == ["dog"]
    assert added["num_added"] == 1
    assert run("add", "My dog is called Biscuit.", "--id", "dog", "--json")["num_added"] == 0
    found = run("search", "What is my dog called?", "--json")
    assert [hit["message"]["text"] for hit in found["hits"]] == ["My dog is called Biscuit."]
    assert "My dog is called Biscuit." in run("search", "What is my dog called?")


def test_add_reads_stdin(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # Bytes that are not UTF-8 are shown, whatever the locale.
    piped = io.TextIOWrapper(io.BytesIO(b"From a pipe\xff."), encoding="ascii")
    monkeypatch.setattr(sys, "stdin", piped)
    run("add", "-", "--role", "assistant", "--timestamp", "2026-03-01T09:30")
    (message,) = run("context", "pipe", "--json")["hits"]
    assert message["message"]["text"] == "From a pipe\\xff."
    assert message["message"]["role"] == "assistant"
    assert message["message"]["timestamp"] == 1772357400.0


def test_filters_reach_the_search(run: Run, tmp_path: Path) -> None:
    lines = [
        {"role": "user", "content": "red one", "metadata": {"n": 1}, "timestamp": 1000},
        {"role": "user", "content": "red two", "metadata": {"n": 2}, "timestamp": 2000},
        {"role": "assistant", "content": "red three", "metadata": {"n": 3}, "timestamp": 3000},
    ]
    file = tmp_path / "messages.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run("ingest", str(file))

    def texts(*words: str) -> list[str]:
        hits = run("search", "red", "--json", *words)["hits"]
        return sorted(hit["message"]["text"] for hit in hits)

    assert texts("--where", "n=2") == ["red two"]
    assert texts("--role", "assistant") == ["red three"]
    assert texts("--until", "1970-01-01T00:30:00") == ["red one"]
    assert texts("--since", "1970-01-01T00:40:00") == ["red three"]
    assert len(texts("-k", "1")) == 1


def test_ask_gives_answer_citations_and_cost(run: Run) -> None:
    run("add", "My dog is called Biscuit.")
    answer = run("ask", "What is my dog called?", "--max-tokens", "4", "--json")
    assert answer["question"] == "What is my dog called?"
    assert answer["stats"]["tokens_generated"] <= 4
    assert 0 <= answer["support"] <= 1
    assert {"message", "weight", "spans", "chunk_ids", "age_seconds"} <= {*answer["citations"][0]}
    assert "support" in run("ask", "What is my dog called?", "--max-tokens", "4")
    assert run("stats", "--json")["session"]["num_messages"] == 1


def test_ask_remembers_when_told_to(run: Run) -> None:
    run("add", "My dog is called Biscuit.")
    run("ask", "What is my dog called?", "--max-tokens", "4", "--remember", "--json")
    assert run("stats", "--json")["session"]["num_messages"] >= 2


def test_sessions_stats_and_check(run: Run) -> None:
    run("add", "One.", "--session", "alice")
    run("--session", "bob", "add", "Two.")
    assert sorted(s["name"] for s in run("sessions", "--json")) == ["alice", "bob"]
    assert "alice" in run("sessions")
    stats = run("stats", "--session", "alice", "--json")
    assert stats["session"]["num_messages"] == 1
    assert stats["memory"]["num_sessions"] == 2
    assert run("stats", "--json")["session"] is None
    assert "per token" in run("stats", "--session", "bob")
    assert run("check", "--json") == []
    assert "as it was written" in run("check")


def _tokens_in(data: bytes) -> int:
    """Where the token ids of a text that repeats one word stand (text itself is compressed)."""
    for width in range(4, 36, 4):
        for at in range(len(data) - 8 * width):
            word = data[at : at + width]
            if word.count(0) < width and data[at : at + 8 * width] == word * 8:
                return at
    raise AssertionError("no repeated token ids in the file")


def test_check_finds_a_flipped_bit(run: Run, tmp_path: Path) -> None:
    run("add", "word " * 200)
    files = [p for p in (tmp_path / "store").rglob("*") if p.suffix == ".db" and p.is_file()]
    largest = max(
        (p for p in files if p.parent != tmp_path / "store"), key=lambda p: p.stat().st_size
    )
    data = bytearray(largest.read_bytes())
    data[_tokens_in(data)] ^= 1
    largest.write_bytes(data)
    code = cli.main(["--store", str(tmp_path / "store"), "check"])
    assert code == cli.EXIT_ERROR


def test_ingest_of_a_book_is_resumable(run: Run, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(f"Paragraph {n}. " + "words " * 100 for n in range(40)))
    first = run("ingest", str(book), "--json")
    assert first["messages_added"] > 10
    assert first["messages_known"] == 0
    assert first["bytes_read"] == book.stat().st_size
    again = run("ingest", str(book), "--json")
    assert (again["messages_added"], again["tokens"]) == (0, 0)
    assert again["messages_known"] == first["messages_added"]


def test_ingest_never_takes_another_message_for_a_known_one(run: Run, tmp_path: Path) -> None:
    run("add", "first", "--id", "z")
    file = tmp_path / "messages.jsonl"
    line = {"role": "human", "content": "first", "id": "z"}
    file.write_text(json.dumps(line) + "\n")
    assert run("ingest", str(file), "--json")["messages_known"] == 1
    file.write_text(json.dumps({**line, "content": "second"}) + "\n")
    run("ingest", str(file), code=cli.EXIT_ERROR)
    book = tmp_path / "book.txt"
    book.write_text("Buy milk.")
    for source in ("monday", "tuesday"):
        assert run("ingest", str(book), "--source", source, "--json")["messages_added"] == 1


def test_any_terminal_shows_any_text(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "messages.jsonl"
    line = '{"role": "user", "content": "caf\u00e9", "metadata": {"n": NaN}}\n'
    file.write_text(line, encoding="utf-8")
    run("ingest", str(file))
    for words, expected in ((["--json"], "caf\\u00e9"), ([], "caf\\xe9")):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
        run("context", "coffee", *words)
        shown = written.getvalue().decode("ascii")
        assert expected in shown
        assert "NaN" not in shown


def test_an_interrupted_ingest_goes_on_where_it_stopped(
    tmp_path: Path, tiny_checkpoint: Path, start_process: Callable[..., subprocess.Popen[str]]
) -> None:
    lines = [json.dumps({"role": "user", "content": f"Number {n}."}) + "\n" for n in range(100)]
    file = tmp_path / "messages.jsonl"
    file.write_text("".join(lines))
    program = "import sys; from hsa_memory.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "--json", "--model", str(tiny_checkpoint)]
    command += ["--store", str(tmp_path / "store"), "ingest", "--format", "jsonl"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = start_process([*command, "-"], text=True, cwd=tmp_path, **pipes)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("".join(lines[:50]))
    process.stdin.flush()
    # A pipe that stays open: the process still waits for more when the signal comes.
    wait_for_messages(tmp_path / "store", tiny_checkpoint)
    process.send_signal(signal.SIGINT)
    with suppress(BrokenPipeError):
        process.stdin.write("".join(lines[50:]))
        process.stdin.close()
    stopped = json.loads(process.stdout.read())
    assert process.wait(300) == cli.EXIT_INTERRUPTED
    assert stopped["interrupted"] is True
    assert 0 < stopped["messages_added"] < 100

    done = subprocess.run([*command, str(file)], capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rest = json.loads(done.stdout)
    assert rest["messages_known"] == stopped["messages_added"]
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:
        with memory.session("default") as session:
            texts = [message.text for message in session.messages()]
    assert texts == [f"Number {n}." for n in range(100)]


def wait_for_messages(store: Path, model: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        time.sleep(0.2)
        try:
            with hsa_memory.open(store, model=model, create=False, read_only=True) as memory:
                with memory.session("default", create=False, read_only=True) as session:
                    if len(session):
                        return
        except hsa_memory.HSAMemoryError:
            continue
    pytest.fail("the ingesting process stored nothing")


def test_a_bad_line_ends_the_ingest_with_its_number(
    tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "messages.jsonl"
    file.write_text('{"role": "user", "content": "fine"}\n{"role": "user"}\n')
    store = ["--store", str(tmp_path / "store"), "--model", str(tiny_checkpoint)]
    assert cli.main([*store, "ingest", str(file)]) == cli.EXIT_ERROR
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("hsa-memory: InvalidMessage: line 2: 'content'")


@pytest.mark.parametrize(
    "command", ["search x", "ask x", "context x", "stats", "sessions", "check"]
)
def test_reading_makes_no_store(run: Run, tmp_path: Path, command: str) -> None:
    run(*command.split(), code=cli.EXIT_ERROR)
    assert not (tmp_path / "store").exists()


def test_errors_are_one_line_without_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["--store", str(tmp_path / "s"), "--model", "none-such", "add", "text"])
    out, err = capsys.readouterr()
    assert (code, out) == (cli.EXIT_ERROR, "")
    assert err.startswith("hsa-memory: ModelNotFound: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["search"],
        ["search", "x", "-k", "0"],
        ["search", "x", "-k", "10**6"],
        ["search", "x", "--where", "novalue"],
        ["add", "text", "--unknown"],
    ],
)
def test_wrong_usage_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == cli.EXIT_USAGE
    assert capsys.readouterr().err.startswith("usage: hsa-memory")


def test_the_store_comes_from_the_environment(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cli.STORE_VARIABLE, str(tmp_path / "elsewhere"))
    assert cli.main(["add", "Hello.", "--model", str(tiny_checkpoint)]) == 0
    assert (tmp_path / "elsewhere").is_dir()


def test_options_count_before_and_after_the_command() -> None:
    parser = cli.build_parser()
    before = parser.parse_args(["--session", "a", "--json", "stats"])
    after = parser.parse_args(["stats", "--session", "a", "--json"])
    assert (before.session, before.json) == (after.session, after.json) == ("a", True)


def test_every_command_has_its_function() -> None:
    from importlib import import_module

    for command, module in cli._MODULES.items():
        assert callable(getattr(import_module(f"hsa_memory.{module}"), f"run_{command}"))


@pytest.mark.parametrize("command", sorted(cli._DELEGATED))
def test_train_and_eval_have_their_own_arguments(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: hsa-memory {command}" in capsys.readouterr().out


def test_the_help_waits_for_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from hsa_memory.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'rich', 'sqlalchemy', 'prompt_toolkit', 'langchain_core'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    for command in [*cli._MODULES, *cli._DELEGATED]:
        assert command in done.stdout


@pytest.mark.parametrize("command", [["stats", "--json"], ["search", "Hello"]])
def test_a_reader_that_goes_away_is_no_traceback(
    tmp_path: Path, tiny_checkpoint: Path, command: list[str]
) -> None:
    words = ["--store", str(tmp_path / "s"), "--model", str(tiny_checkpoint)]
    assert cli.main([*words, "add", "Hello."]) == 0
    read_end, write_end = os.pipe()
    os.close(read_end)
    program = "import sys; from hsa_memory.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, *words, *command],
        stdout=write_end,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    os.close(write_end)
    assert done.returncode == cli.EXIT_ERROR
    assert b"Traceback" not in done.stderr


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"hsa-memory {hsa_memory.__version__}\n"
