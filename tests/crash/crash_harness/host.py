"""The process that records and checks, with the shim preloaded; and its other end.

A host reads one job per line from its input and answers with one line, both JSON. It is started
once and forks for every run, so that nothing is imported twice.
"""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xxhash

_FOLDER = Path(__file__).resolve().parent.parent


class Host:
    """A host process.

    Args:
        shim: of `shim.build`.
        scratch: a folder that is this host's own; best in memory.
    """

    def __init__(self, shim: Path, scratch: Path) -> None:
        environment = os.environ | {
            "LD_PRELOAD": str(shim),
            "PYTHONPATH": str(_FOLDER),
            "PYTHONHASHSEED": "0",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "crash_harness.host", str(scratch)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, text=True, env=environment, cwd=scratch, **pipes)

    def start(self, job: str, **options: Any) -> None:
        """Give it a job; `result` waits for it."""
        self._process.stdin.write(json.dumps({"job": job, **options}) + "\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Answer of the job that was started."""
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the host died with status {self._process.wait()}")
        answer = json.loads(line)
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        return answer

    def run(self, job: str, **options: Any) -> dict[str, Any]:
        """Do a job."""
        self.start(job, **options)
        return self.result()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class Jobs:
    """What a host can do."""

    def __init__(self, scratch: Path) -> None:
        # Here, because the tests only need `Host`.
        from . import recording, shim

        self._scratch = scratch
        self._make = recording
        self._shim = shim.Shim()
        self._shim.without_sync()
        self._prepared: dict[str, Any] = {}
        self._recordings: dict[str, recording.Recording] = {}
        self._seen: dict[str, set[int]] = {}
        recording.make_small()
        gc.freeze()

    def _prepare(self, scenario: str) -> Any:
        if scenario not in self._prepared:
            folder = self._scratch / f"prepared-{scenario}"
            self._prepared[scenario] = (
                self._make.prepare(scenario, folder),
                folder / "base",
            )
        return self._prepared[scenario]

    def scenarios(self) -> dict[str, Any]:
        """Names of what can be recorded, and of what can be wrong."""
        return {"scenarios": list(self._make.SCENARIOS), "mutations": list(self._make.MUTATIONS)}

    def mutate(self, mutation: str) -> dict[str, Any]:
        """Let something be wrong with everything that this host does from here on."""
        self._make.MUTATIONS[mutation]()
        return {}

    def record(
        self,
        scenario: str,
        folder: str,
        mutation: str = "",
        fault: dict[str, Any] | None = None,
        after: bool = False,
    ) -> dict[str, Any]:
        """Record into a folder; which changes there were, and how it ended."""
        path = Path(folder)
        went_on = self._make.record(
            scenario,
            path,
            self._shim,
            prepared=self._prepare(scenario),
            mutation=mutation,
            fault=self._make.Fault(**fault) if fault else None,
            after=after,
        )
        done = self._make.Recording(path)
        kinds = [op.kind for op in done.log.ops]
        left = self._unexplained(path, done)
        told = {"kinds": kinds, "ends": done.outcomes(), "unexplained": left}
        return {**told, "went_on": went_on}

    def _unexplained(self, path: Path, done: Any) -> list[str]:
        """Files that are not what the log makes of them: something has passed by the shim."""
        from .disk import everything

        model = done.disk_at(done.num_ops)
        tree, arena = model.tree(model.entries, everything), path / "arena"
        paths = [x for x in arena.rglob("*") if not x.name.endswith("-shm")]
        there = {str(x.relative_to(arena)): content_of(x) for x in paths}
        same = {name for name in there.keys() & tree.keys() if there[name] == tree[name]}
        return sorted((there.keys() | tree.keys()) - same)

    def fault(self, scenario: str, kind: str, at: int) -> dict[str, Any]:
        """Run a scenario with a fault, then check what is there.

        After a failed fsync, and after every second kill, somebody goes on in another process, and
        then the power is cut: what was acknowledged since must not hang on bytes that the failure
        has dropped, or on names that nobody has synced.
        """
        path = self._scratch / "fault"
        try:
            told = self.record(scenario, str(path), fault={"kind": kind, "at": at}, after=True)
            done = self._make.Recording(path)
            wrong = self._after_fault(path, done, told["went_on"])
        finally:
            shutil.rmtree(path, ignore_errors=True)
        return {"ends": told["ends"], "wrong": wrong}

    def _after_fault(self, path: Path, done: Any, went_on: bool) -> str:
        from .checker import check_state
        from .states import FIXED, Choice

        if went_on:
            for number, kind in enumerate((*FIXED, "some, names all")):
                choice = Choice(number, done.num_ops, kind, f"after:{number}")
                error, _, _ = self._check(done, choice, set())
                if error:
                    return f"{kind}: {error}"
            return ""
        expected = done.expected_at(done.num_ops)
        try:
            root = path / "arena" / "store"
            rng = random.Random(done.num_ops)
            check_state(root, expected, killed=not done.outcomes(), rng=rng, thorough=False)
        except Exception:
            return traceback.format_exc()
        return ""

    def states(
        self,
        folder: str,
        seed: int,
        numbers: list[int],
        thorough: bool = False,
        stop: bool = False,
        keep: str = "",
    ) -> dict[str, Any]:
        """Check crash states of a recording.

        Args:
            numbers: of the states; one that is equal to an earlier one is not checked again.
            stop: at the first that is wrong.
            keep: a folder that gets the files of one that is wrong.
        """
        from .states import choose

        recorded = self._recordings.setdefault(folder, self._make.Recording(Path(folder)))
        seen = self._seen.setdefault(folder, set())
        chosen = [choose(recorded.num_ops, seed, number) for number in numbers]
        wrong: list[dict[str, Any]] = []
        kinds: Counter[str] = Counter()
        digests = []
        for choice in sorted(chosen, key=lambda choice: choice.cut):
            error, found, digest = self._check(recorded, choice, seen, thorough, keep)
            kinds.update(found)
            digests.append(digest)
            if error:
                told = {"number": choice.number, "cut": choice.cut, "kind": choice.kind}
                wrong.append({**told, "error": error})
                if stop:
                    break
        return {"digests": digests, "wrong": wrong, "kinds": kinds}

    def _check(
        self, recorded: Any, choice: Any, seen: set[int], thorough: bool = False, keep: str = ""
    ) -> tuple[str, set[str], int]:
        from .checker import check_state
        from .disk import write_tree
        from .states import render

        expected = recorded.expected_at(choice.cut)
        tree = render(recorded.disk_at(choice.cut), choice)
        digest = digest_of(tree, f"{expected}{choice.killed}")
        if digest in seen:
            return "", set(), digest
        seen.add(digest)
        state = self._scratch / "state"
        write_tree(tree, state)
        self._make.reseed("check")
        try:
            rng = random.Random(choice.seed)
            options = {"killed": choice.killed, "rng": rng, "thorough": thorough}
            return "", check_state(state / "store", expected, **options), digest
        except Exception:
            if keep:
                write_tree(tree, Path(keep))
            return traceback.format_exc(), set(), digest
        finally:
            shutil.rmtree(state)


def content_of(path: Path) -> bytes | None:
    """What a tree holds for a path."""
    return None if path.is_dir() else path.read_bytes()


def digest_of(tree: dict[str, bytes | None], text: str) -> int:
    """A number that two equal states share."""
    digest = xxhash.xxh3_64(text.encode())
    for path, data in tree.items():
        digest.update(f"{path}\0{-1 if data is None else len(data)}\0".encode())
        digest.update(data or b"")
    return digest.intdigest()


def lines() -> Iterator[dict[str, Any]]:
    """Jobs as they come."""
    for line in sys.stdin:
        yield json.loads(line)


def main() -> None:
    """Do jobs until the input ends."""
    jobs = Jobs(Path(sys.argv[1]))
    for job in lines():
        try:
            answer = getattr(jobs, job.pop("job"))(**job)
        except Exception:
            answer = {"failed": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
