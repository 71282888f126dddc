"""Make the golden store of the present format, for the tests of later versions.

    python scripts/make_golden.py tests/golden/v2.0.tar.xz

`store/raw` is written by the store alone, with bytes that tests can work out again; `store/talk` by
the memory with the bundled weights, and `answers.json` beside it says what they found;
`talk.export` is an export of it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType

import hsa_memory
from hsa_memory.storage import Store

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = ("What is my dog called?", "What is the code of my locker?")


def kit() -> ModuleType:
    """The helpers of the store's tests, which know the right bytes."""
    path = ROOT / "tests" / "storage" / "conftest.py"
    spec = importlib.util.spec_from_file_location("golden_kit", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_raw(root: Path) -> None:
    """A session with forgotten turns, a hole that is filled, an expiry, notes, and a fork."""
    tests = kit()
    with Store.open(root) as store:
        with store.session("raw", layout=tests.LAYOUT) as session:
            session.append([tests.make_turn(i) for i in range(12)])
            session.append([tests.make_turn(12, expires=4e9)])
            session.set_meta("colour", {"name": "green"})
            tests.catch_up(session)
            session.forget([3, 4], blank=0, reach=4)
            tests.fill(session)
            store.fork(session, "raw-branch", 8)
        with store.session("raw-branch", layout=tests.LAYOUT) as session:
            session.append([tests.make_turn(20)])
            tests.catch_up(session)


def write_talk(folder: Path) -> None:
    """A session of the bundled weights, what it answers, and an export of it."""
    with hsa_memory.open(folder / "store") as memory, memory.session("talk") as session:
        session.add("user", "My dog is called Biscuit.", id="dog", timestamp=1000.0)
        session.add("assistant", "Noted.", id="noted", timestamp=1001.0)
        session.add("user", "The secret is 99.", id="secret", timestamp=1002.0)
        session.add("user", "My locker code is 4817.", id="locker", timestamp=1003.0)
        for i in range(12):
            text = f"Line {i} of a long list about the weather in the old harbour."
            session.add("user", text, id=f"line-{i}", timestamp=1010.0 + i)
        attached = {"role": "tool", "content": "A file.", "id": "file", "attachment": "its bytes"}
        session.add_messages([{**attached, "timestamp": 1030.0}])
        session.forget(["secret"])
        found = {
            "fingerprint": memory.stats().fingerprint,
            "num_tokens": session.stats().num_tokens,
            "answers": {question: session.ask(question).text for question in QUESTIONS},
            "hits": {q: [hit.id for hit in session.search(q, k=3)] for q in QUESTIONS},
        }
        session.export(folder / "talk.export", derived=True)
    (folder / "answers.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The member without whose it was; no locks and shared memory, which every reader makes."""
    if info.name.endswith(("-shm", "-wal", ".lock")):
        return None
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def main() -> int:
    """Write the archive; refuses to replace one: a golden store is never made twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="a new file")
    target: Path = parser.parse_args().file
    if target.exists():
        print(f"{target} is there; a golden store stays as its version made it", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_raw(folder / "store")
        write_talk(folder)
        with tarfile.open(target, "w:xz") as archive:
            for part in ("store", "talk.export", "answers.json"):
                archive.add(folder / part, part, filter=_plain)
    print(f"{target}: {target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
