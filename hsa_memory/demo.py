"""`hsa-memory demo`: a long history, a killed process, a restored memory, answered questions.

Two child processes do the work. The first one reads a book with the demo's user, message by
message, and ends with SIGKILL right after the last one was acknowledged. The second one opens what
is on disk and answers. This process only starts them and prints.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .cli_commands import print_json
from .demo_dialogue import FACTS
from .demo_view import DemoView
from .errors import HSAMemoryError, InvalidArgument

BOOK = Path("examples") / "data" / "adventures_of_sherlock_holmes.txt"
NEEDED_SHARE = 7 / 8
"""Share of right answers below which the demo fails."""


class DemoFailed(HSAMemoryError):
    """A child process of the demo did not end as it has to."""


def run_demo(args: argparse.Namespace) -> int:
    """Run the demo; 0 if at least 7 of 8 answers are right."""
    book = _book(args.book)
    if not 1 <= args.questions <= len(FACTS):
        raise InvalidArgument(f"--questions: 1 to {len(FACTS)}; found {args.questions}")
    view = DemoView(quiet=args.json)
    with ExitStack() as cleanup:
        if args.keep:
            folder = _new_folder(Path(args.keep))
        else:
            folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="hsa-demo-")))
        store = folder / "memory"
        view.begin(book)
        ingest = _ingest_and_die(args, book, store)
        view.killed(ingest)
        answers = _restore_and_answer(args, store)
        report = {**summary(ingest, answers), "answers": answers["answers"]}
    if args.json:
        print_json(report)
    view.end(report, kept=store if args.keep else None)
    enough = report["right"] >= NEEDED_SHARE * report["asked"]
    return 0 if enough else 1


def summary(ingest: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of the demo's table from what the two processes reported."""
    asked = answers["answers"]
    return {
        "asked": len(asked),
        "right": sum(a["right"] for a in asked),
        "cited_first": sum(bool(a["citations"]) and a["citations"][0]["told_it"] for a in asked),
        "cited": sum(any(c["told_it"] for c in a["citations"]) for a in asked),
        "tokens_in_context": answers["tokens"],
        "messages": answers["messages"],
        "messages_lost": ingest["messages"] + 1 - answers["messages"],
        "weights_seconds": answers["weights_seconds"],
        "restore_seconds": answers["restore_seconds"],
        "reingest_seconds_saved": ingest["seconds"] - answers["restore_seconds"],
        "ingest_tokens_per_second": ingest["tokens"] / ingest["seconds"],
        "prefilled_history": sum(a["prefilled_history"] for a in asked),
        "seconds_per_answer": sum(a["seconds"] for a in asked) / len(asked),
        "bytes_per_token": answers["bytes_per_token"],
    }


def _ingest_and_die(args: argparse.Namespace, book: Path, store: Path) -> dict[str, Any]:
    report = store.parent / "ingest.json"
    code = _child(args, "ingest", store, report, "--book", str(book), "--kv-dtype", args.kv_dtype)
    if code != -signal.SIGKILL:
        raise DemoFailed(f"the ingesting process ended with {code}, not with SIGKILL")
    return _read_report(report)


def _restore_and_answer(args: argparse.Namespace, store: Path) -> dict[str, Any]:
    report = store.parent / "answers.json"
    code = _child(args, "answer", store, report, "--questions", str(args.questions))
    if code != 0:
        raise DemoFailed(f"the answering process ended with {code}")
    return _read_report(report)


def _child(args: argparse.Namespace, step: str, store: Path, report: Path, *more: str) -> int:
    command = [sys.executable, "-m", "hsa_memory.demo_steps", step, str(store), str(report), *more]
    model = str(Path(args.model).resolve()) if Path(args.model).is_dir() else args.model
    command += ["--model", model, "--device", args.device]
    command += ["--quiet"] if args.json else []
    # -m makes the current folder importable; the repository's folders `model` and `kernels` must
    # not become packages of those names.
    process = subprocess.Popen(command, cwd=store.parent)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.kill()
        process.wait()
        raise


def _read_report(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def _book(given: str | None) -> Path:
    if given:
        path = Path(given)
        if not path.is_file():
            raise InvalidArgument(f"--book: no file {given}")
        return path.resolve()
    # The book is part of the repository, not of the installed package.
    path = Path(__file__).resolve().parent.parent / BOOK
    if not path.is_file():
        raise InvalidArgument(
            f"the demo's book is not at {path}; outside of the repository give it a text of some "
            "400 KB or more: hsa-memory demo --book FILE"
        )
    return path


def _new_folder(path: Path) -> Path:
    if path.exists() and any(path.iterdir()):
        raise InvalidArgument(f"--keep: {path} is not empty")
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()
