"""Several hosts at work on one list of jobs."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from .host import Host
from .shim import build
from .states import FIXED

_BATCH = 40
# A state takes less than 1 MB; a container may have little shared memory, and others use it too.
_ROOM = 1 << 29


@dataclass(frozen=True)
class Recorded:
    """A recorded scenario, as `Lab.record` gives it."""

    scenario: str
    folder: Path
    kinds: list[str]
    """Of its operations."""
    ends: list[dict[str, Any]]
    unexplained: list[str]

    @property
    def num_fixed(self) -> int:
        """States that are not left to chance; their numbers come first."""
        return (len(self.kinds) + 1) * len(FIXED)


Wanted = tuple[Recorded, list[int]]


@dataclass
class Tally:
    """What came of checking states."""

    tried: int = 0
    distinct: set[int] = field(default_factory=set)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    """Of what the openings and repairs found."""

    def add(self, scenario: str, seed: int, answer: dict[str, Any]) -> None:
        """Take in the answer of one job."""
        self.tried += len(answer["digests"])
        self.distinct.update(answer["digests"])
        self.wrong += [{"scenario": scenario, "seed": seed, **told} for told in answer["wrong"]]
        self.kinds.update(answer["kinds"])


def command_for(wrong: dict[str, Any]) -> str:
    """The command that checks a state again."""
    return (
        f"python tests/crash/campaign.py --seed {wrong['seed']} "
        f"--scenario {wrong['scenario']} --only {wrong['number']}"
    )


class Lab:
    """Hosts with a folder in memory where there is one; a context manager.

    Args:
        workers: number of hosts.
        mutation: what is wrong with all that they do.
    """

    def __init__(self, workers: int = 2, *, mutation: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="crash-", dir=_fast_folder()))
        shim = build(self.folder)
        self._hosts: list[Host] = []
        for number in range(workers):
            scratch = self.folder / f"host-{number}"
            scratch.mkdir()
            self._hosts.append(Host(shim, scratch))
        self._free: SimpleQueue[Host] = SimpleQueue()
        for host in self._hosts:
            if mutation:
                host.run("mutate", mutation=mutation)
            self._free.put(host)
        self._pool = ThreadPoolExecutor(workers)
        self._numbers = itertools.count()

    def run(self, job: str, **options: Any) -> dict[str, Any]:
        """One job, on the next host that is free."""
        host = self._free.get()
        try:
            return host.run(job, **options)
        finally:
            self._free.put(host)

    def each(self, calls: Iterable[Callable[[], Any]]) -> Iterator[Any]:
        """Results of calls, in their order, made by as many threads as there are hosts."""
        return self._pool.map(lambda call: call(), calls)

    def record(self, scenario: str, **options: Any) -> Recorded:
        """Record a scenario; options as of `Jobs.record`."""
        folder = self.folder / f"{scenario}-{next(self._numbers)}"
        told = self.run("record", scenario=scenario, folder=str(folder), **options)
        return Recorded(scenario, folder, told["kinds"], told["ends"], told["unexplained"])

    def check(
        self,
        tally: Tally,
        wanted: Iterable[tuple[Recorded, list[int]]],
        *,
        seed: int,
        **options: Any,
    ) -> Iterator[Tally]:
        """Check states of recordings by their numbers; the tally after every batch."""
        batches = [
            (recorded, numbers[first : first + _BATCH])
            for recorded, numbers in wanted
            for first in range(0, len(numbers), _BATCH)
        ]

        def call(recorded: Recorded, numbers: list[int]) -> Callable[[], dict[str, Any]]:
            folder = str(recorded.folder)
            return lambda: self.run("states", folder=folder, seed=seed, numbers=numbers, **options)

        answers = self.each(itertools.starmap(call, batches))
        for (recorded, _), answer in zip(batches, answers, strict=True):
            tally.add(recorded.scenario, seed, answer)
            yield tally

    def close(self) -> None:
        """End the hosts and remove their folder."""
        for host in self._hosts:
            host.close()
        self._pool.shutdown()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fast_folder() -> str | None:
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM:
        return str(memory)
    return None
