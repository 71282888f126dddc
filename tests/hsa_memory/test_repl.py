"""The chat: what lines do, and how it behaves in a real terminal."""

import io
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

import hsa_memory
from hsa_memory import Memory
from hsa_memory.errors import HSAMemoryError, InvalidArgument
from hsa_memory.repl import Repl, history_file, is_question
from hsa_memory.repl_view import ReplView

PROGRAM = "import sys; from hsa_memory.cli import main; sys.exit(main())"
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[=>]")


@pytest.mark.parametrize(
    "text",
    [
        "What is my dog called?",
        "my dog is called what?  ",
        "where did I put the key",
        "Who's my dentist",
        "did I tell you about Clara",
    ],
)
def test_questions_are_recognised(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize(
    "text",
    [
        "My dog is called Biscuit.",
        "What a day!",
        "When I was six we moved to Lisbon.",
        "whatever you say",
        "Isabel lives in Porto",
        "ok",
    ],
)
def test_statements_are_not_questions(text: str) -> None:
    assert not is_question(text)


@pytest.fixture
def memory(tmp_path: Path, tiny_checkpoint: Path) -> Iterator[Memory]:
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:
        yield memory


@pytest.fixture
def repl(memory: Memory) -> Iterator[Repl]:
    with Repl(memory, "alice", ReplView()) as repl:
        yield repl


def texts(memory: Memory, session: str) -> list[tuple[str, str]]:
    with memory.session(session, read_only=True) as reader:
        return [(message.role, message.text) for message in reader.messages()]


def test_a_statement_is_remembered(
    repl: Repl, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    repl.handle("My dog is called Biscuit.")
    repl.handle("/say What a question?")
    assert re.search(r"remembered \(\d+ tokens, [\d.]+ m?s\)", capsys.readouterr().out)
    assert texts(memory, "alice") == [
        ("user", "My dog is called Biscuit."),
        ("user", "What a question?"),
    ]


def test_a_question_is_answered_and_both_are_remembered(
    repl: Repl, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    repl.handle("My dog is called Biscuit.")
    repl.handle("What is my dog called?")
    out = capsys.readouterr().out
    assert "just now" in out
    assert re.search(r"support [01]\.\d\d, .* tokens generated", out)
    assert texts(memory, "alice")[1] == ("user", "What is my dog called?")
    repl.handle("/why")
    out = capsys.readouterr().out
    assert "What is my dog called? →" in out
    assert "message 0, user, chunks 0" in out


def test_ctrl_c_ends_an_answer_between_two_pieces(
    repl: Repl, memory: Memory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repl.handle("My dog is called Biscuit.")
    pieces: list[str] = []

    def interrupted(view: ReplView, text: str) -> None:
        pieces.append(text)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ReplView, "piece", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    repl.handle("What is my dog called?")
    assert len(pieces) == 1
    assert "stopped; not remembered" in capsys.readouterr().out
    assert len(texts(memory, "alice")) == 1
    assert signal.getsignal(signal.SIGINT) is handler


def test_commands_print_what_they_promise(repl: Repl, capsys: pytest.CaptureFixture[str]) -> None:
    repl.handle("My dog is called Biscuit.")
    for line, expected in (
        ("/search dog", "My dog is called Biscuit."),
        ("/context dog", "My dog is called Biscuit."),
        ("/history", "My dog is called Biscuit."),
        ("/history 1", "My dog is called Biscuit."),
        ("/stats", "per token"),
        ("/sessions", "alice"),
        ("/why", "no answer yet"),
        ("/help", "/session NAME"),
        ("   ", ""),
    ):
        capsys.readouterr()
        repl.handle(line)
        assert expected in capsys.readouterr().out, line


def test_the_help_names_every_command(repl: Repl, capsys: pytest.CaptureFixture[str]) -> None:
    repl.handle("/help")
    out = capsys.readouterr().out
    assert [name for name in repl.command_names if name not in out] == []


@pytest.mark.parametrize("line", ["/nonsense", "/search", "/session  ", "/history many"])
def test_a_wrong_command_is_an_error_that_says_so(repl: Repl, line: str) -> None:
    with pytest.raises(InvalidArgument, match=line.split()[0]):
        repl.handle(line)


def test_switching_leaves_the_old_session_free(repl: Repl, memory: Memory) -> None:
    repl.handle("/session bob")
    repl.handle("I am Bob.")
    assert texts(memory, "bob") == [("user", "I am Bob.")]
    with memory.session("alice"):
        with pytest.raises(HSAMemoryError):
            repl.handle("/session alice")
        repl.handle("Still Bob.")
    assert len(texts(memory, "bob")) == 2


def test_stored_escape_sequences_stay_out_of_the_terminal(
    repl: Repl, capsys: pytest.CaptureFixture[str]
) -> None:
    repl.handle("/say evil \x1b]0;owned\x07 title [bold]x[/bold]")
    for line in ("/history", "/search evil", "/context evil"):
        repl.handle(line)
    out = capsys.readouterr().out
    assert "\x1b]0" not in out
    assert "[bold]x[/bold]" in out


def test_the_loop_goes_on_after_errors_and_interrupts(
    repl: Repl, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    class Script:
        lines = iter(["/nonsense", KeyboardInterrupt(), "Stored.", EOFError()])

        def read(self, prompt: str) -> str:
            assert prompt == "alice> "
            line = next(self.lines)
            if isinstance(line, str):
                return line
            raise line

    repl.run(Script())
    out = capsys.readouterr().out
    assert "InvalidArgument: no command /nonsense" in out
    assert "Ctrl-D or /exit leaves" in out
    assert texts(memory, "alice") == [("user", "Stored.")]


def test_history_lies_in_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history_file() == tmp_path / "hsa-memory" / "chat_history"
    assert history_file().stat().st_mode & 0o077 == 0


def command(tmp_path: Path, model: Path) -> list[str]:
    store = ["--store", str(tmp_path / "store"), "--model", str(model)]
    return ["-c", PROGRAM, *store, "chat"]


def test_without_a_terminal_it_reads_lines(tmp_path: Path, tiny_checkpoint: Path) -> None:
    done = subprocess.run(
        [sys.executable, *command(tmp_path, tiny_checkpoint)],
        input="My dog is called Biscuit.\n/history\n/exit\nNever read.\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "remembered (" in done.stdout
    assert "My dog is called Biscuit." in done.stdout
    assert "Never read." not in done.stdout


class Terminal:
    """A chat in a pseudo-terminal."""

    def __init__(self, tmp_path: Path, model: Path) -> None:
        self.log = io.StringIO()
        self.child = pexpect.spawn(
            sys.executable,
            command(tmp_path, model),
            cwd=str(tmp_path),
            env={
                "PATH": "/usr/bin:/bin",
                "TERM": "xterm",
                "HOME": str(tmp_path),
                "XDG_STATE_HOME": str(tmp_path / "state"),
                "OMP_NUM_THREADS": "1",
                "PROMPT_TOOLKIT_NO_CPR": "1",
            },
            dimensions=(40, 110),
            encoding="utf-8",
            timeout=300,
        )
        self.child.logfile_read = self.log

    def __enter__(self) -> "Terminal":
        try:
            self.child.expect("default>")
        except pexpect.ExceptionPexpect:
            self.child.close(force=True)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.child.close(force=True)

    def say(self, line: str, expected: str) -> None:
        self.press(line + "\r", expected)

    def press(self, keys: str, expected: str, prompt: str = "default>") -> None:
        """Press keys, wait for what they show, then for the next prompt."""
        self.child.send(keys)
        self.child.expect(expected)
        self.child.expect(prompt)

    @property
    def shown(self) -> str:
        return ESCAPES.sub("", self.log.getvalue())


@pytest.mark.slow
def test_in_a_terminal(tmp_path: Path, tiny_checkpoint: Path) -> None:
    with Terminal(tmp_path, tiny_checkpoint) as terminal:
        terminal.say("My dog is called Biscuit.", r"remembered \(\d+ tokens")
        terminal.say("What is my dog called?", "support ")
        terminal.say("/why", "message 0, user")
        terminal.press("\x03", "Ctrl-D or /exit leaves")
        terminal.child.sendcontrol("d")
        terminal.child.expect("everything said is on disk")
        terminal.child.expect(pexpect.EOF)
        terminal.child.close()
        assert terminal.child.exitstatus == 0
        assert "just now" in terminal.shown
    # The next process knows both what was said and what was typed.
    with Terminal(tmp_path, tiny_checkpoint) as terminal:
        terminal.child.send("\x1b[A")
        terminal.child.expect("/why")
        terminal.child.send("\x1b[A")
        # Only what differs from the line before is drawn again.
        terminal.child.expect("my dog called")
        terminal.press("\x03", "Ctrl-D or /exit leaves")
        terminal.say("/history 1", "What is my dog called|assistant|user")
        terminal.press("/session bob\r", "session .*bob.*: 0 messages", "bob>")
        terminal.child.send("/exit\r")
        terminal.child.expect(pexpect.EOF)


@pytest.mark.slow
def test_ctrl_c_stops_an_answer_and_not_the_chat(tmp_path: Path, tiny_checkpoint: Path) -> None:
    with Terminal(tmp_path, tiny_checkpoint) as terminal:
        terminal.say("My dog is called Biscuit.", "remembered")
        terminal.child.send("What is my dog called?\r")
        terminal.child.expect("What is my dog called")
        terminal.child.sendcontrol("c")
        # Either the answer was stopped, or it was quicker than the key.
        terminal.child.expect(["stopped; not remembered", "support ", "Ctrl-D or /exit leaves"])
        terminal.child.expect("default>")
        terminal.say("/stats", "per token")
        terminal.child.send("/exit\r")
        terminal.child.expect(pexpect.EOF)
