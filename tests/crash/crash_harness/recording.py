"""Recording a scenario, and a recording as a sequence of crash states."""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import shutil
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hsa_memory.storage import StoreError, derived, geometry

from .disk import Disk, inodes_below
from .mutations import MUTATIONS
from .oplog import read_log
from .play import Expected, Play
from .scenarios import LONG, SCENARIOS, Scenario
from .shim import Mode, Shim

# Segments of 8 chunks and syncs every 5: a short run sees everything.
_CAP, _CHECKPOINT = 8, 5


# What the shim is to do, and with which error.
FAULTS = {
    "kill": (Mode.KILL, 0),
    "eio": (Mode.FAIL, errno.EIO),
    "enospc": (Mode.FAIL, errno.ENOSPC),
    "full": (Mode.FAIL_FROM_HERE, errno.ENOSPC),
    "eio, kill": (Mode.FAIL_AND_DIE, errno.EIO),
}


@dataclass(frozen=True)
class Fault:
    """What happens to which operation of a run.

    Attributes:
        kind: "kill"; "eio", "enospc" for an error; "full" for a disk that stays full; "eio, kill"
            for a process that dies of the error, at its next change.
        at: number of the operation, from 0.
    """

    kind: str
    at: int

    @property
    def armed(self) -> tuple[Mode, int, int]:
        """As the shim wants it."""
        mode, error = FAULTS[self.kind]
        return mode, self.at, error


def make_small() -> None:
    """Small segments and frequent syncs, and no word about faults that are meant."""
    logging.disable()
    for module, name, value in (
        (geometry, "_MAX_CAP", _CAP),
        (derived, "_CHECKPOINT_CHUNKS", _CHECKPOINT),
        (derived, "_CHECKPOINT_SECONDS", float("inf")),
    ):
        assert hasattr(module, name), f"{module.__name__}.{name} is gone"
        setattr(module, name, value)


def reseed(text: str) -> None:
    """Begin the random ids and the clock anew."""
    rng, clock = random.Random(text), iter(range(1_000_000_000, 2_000_000_000))
    os.urandom = rng.randbytes
    time.time = lambda: float(next(clock))


class Recording:
    """A run: what was there before it, its log, and what was expected when.

    Args:
        folder: of `record`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = read_log(folder / "log")
        told = json.loads((folder / "run.json").read_text())
        self._inodes: dict[str, int] = told["inodes"]
        self._before = Expected(**told["expected"])
        self._disk: Disk | None = None
        self._at = 0

    @property
    def num_ops(self) -> int:
        """Changes that were made."""
        return len(self.log.ops)

    def disk_at(self, cut: int) -> Disk:
        """The disk after so many changes; cheapest for cuts that do not go back."""
        if self._disk is None or cut < self._at:
            self._disk, self._at = Disk(self.folder / "base", self._inodes), 0
        self._disk.run(self.log.ops[self._at : cut])
        self._at = cut
        return self._disk

    def expected_at(self, cut: int) -> Expected:
        """What was expected when so many changes were made."""
        found = self._before
        for ops, note in self.log.notes:
            if ops > cut:
                break
            if "worlds" in note:
                found = Expected(**note)
        return found

    def outcomes(self) -> list[dict[str, Any]]:
        """How the run ended, and the one after it: {"error": name or None, "typed", "trace"}.

        A run that was killed has none.
        """
        return [note["end"] for _, note in self.log.notes if "end" in note]


def _scenario(name: str) -> Scenario:
    return SCENARIOS.get(name) or LONG[name]


def prepare(name: str, folder: Path) -> Play:
    """Make what a scenario begins with, in folder/base."""
    base = folder / "base"
    base.mkdir(parents=True)
    reseed(f"prepare {name}")
    play = Play(base)
    _scenario(name).prepare(play)
    return play


def record(
    name: str,
    folder: Path,
    shim: Shim,
    *,
    prepared: tuple[Play, Path],
    mutation: str = "",
    fault: Fault | None = None,
    after: bool = False,
) -> bool:
    """Run a scenario in a child of this process, with its log in `folder`; whether somebody went on
    after it.

    Args:
        prepared: of `prepare`.
        mutation: what is wrong with the store there, if anything.
        fault: what happens during the run.
        after: if an fsync has failed, or after every second kill, go on in another process, without
            faults.
    """
    before, base = prepared
    folder.mkdir(parents=True, exist_ok=True)
    arena = folder / "arena"
    shutil.copytree(base, arena)
    if not (folder / "base").exists():
        os.symlink(base, folder / "base")
    told = {"inodes": inodes_below(arena), "expected": asdict(before.expected)}
    (folder / "run.json").write_text(json.dumps(told))
    _in_child(lambda: _run(name, folder, shim, before, mutation, fault))
    if after and fault is not None:
        failed = any(op.error for op in read_log(folder / "log").ops)
        if failed or (fault.kind == "kill" and fault.at % 2):
            _in_child(lambda: _go_on(folder, shim, dropped=failed))
            return True
    return False


def _in_child(body: Any) -> None:
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            body()
            code = 0
        finally:
            os._exit(code)
    os.waitpid(pid, 0)


def _run(
    name: str, folder: Path, shim: Shim, before: Play, mutation: str, fault: Fault | None
) -> None:
    reseed(f"run {name}")
    if mutation:
        MUTATIONS[mutation]()
    play = Play(folder / "arena", before.expected)
    play.note = shim.note
    if fault is not None and fault.kind == "full":
        play.heal = shim.heal
    shim.arm(folder / "arena", folder / "log", *(fault.armed if fault else ()))
    _to_the_end(play, lambda: _scenario(name).run(play), shim)


def _go_on(folder: Path, shim: Shim, *, dropped: bool) -> None:
    """Whoever comes next opens what is there, and is killed with everything acknowledged."""
    recording = Recording(folder)
    reseed("go on")
    play = Play(folder / "arena", recording.expected_at(recording.num_ops))
    play.note = shim.note
    shim.arm(folder / "arena", folder / "log")
    _to_the_end(play, lambda: play.go_on(dropped=dropped), shim)


def _to_the_end(play: Play, body: Any, shim: Shim) -> None:
    end = {"error": None, "typed": True, "trace": ""}
    try:
        body()
    except BaseException as error:  # noqa: BLE001
        end = {
            "error": type(error).__name__,
            "typed": isinstance(error, StoreError),
            "trace": traceback.format_exc(),
        }
    shim.note(json.dumps({"end": end}))
