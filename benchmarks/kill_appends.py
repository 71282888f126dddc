"""kill -9 during 200 random appends: is every acknowledged message there, does it open every time?

A process adds random messages (one by one and in batches) and reports each acknowledgement through
a pipe; it is killed at a random moment, and the next one opens the session, compares every message
with what was acknowledged, and goes on adding. At the end `check` reads every byte.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field

import torch
from _machine import finish, parser

import hsa_memory
from hsa_memory.engine import load_engine

WORDS = ("harbour", "lantern", "4817", "Biscuit", "naïve", "日本", "jasmine", "\n", "quiet", "🙂")


@dataclass
class Counts:
    """What happened so far."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    """Id -> text."""
    opened: int = 0
    kills: int = 0
    lost: int = 0
    changed: int = 0
    unacknowledged: int = 0
    """Messages that were there without an acknowledgement: killed after the commit."""


def main() -> int:
    """Run the benchmark; 1 if a message was lost or changed, or if a check finds something."""
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args()
    kills = 3 if args.quick else args.kills
    # The processes are forks of this one, which has loaded the weights: no import is repeated. A
    # fork must not inherit a pool of threads.
    torch.set_num_threads(1)
    load_engine(args.model, "auto")
    rng, counts = random.Random(args.seed), Counts()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hsa-bench-") as folder:
        for _ in range(kills):
            _round(args.model, folder, rng, counts)
        with hsa_memory.open(folder, model=args.model, create=False) as memory:
            findings = memory.check()
            with memory.session("s", create=False) as session:
                session.search("Where is the lantern?")
                _compare({m.id: m.text for m in session.messages()}, counts)
    figures = {
        "kills": counts.kills,
        "opened": counts.opened,
        "acknowledged": len(counts.acknowledged),
        "lost": counts.lost,
        "changed": counts.changed,
        "committed_without_acknowledgement": counts.unacknowledged,
        "check_findings": len(findings),
        "seconds": time.perf_counter() - started,
    }
    rows = [(name.replace("_", " "), f"{value:,.0f}") for name, value in figures.items()]
    finish("kill -9 during random appends", rows, figures, args)
    good = counts.opened == counts.kills and not (counts.lost or counts.changed or findings)
    return 0 if good else 1


def _round(model: str, folder: str, rng: random.Random, counts: Counts) -> None:
    """One process that adds until it is killed."""
    ours, theirs = os.pipe()
    seed = rng.getrandbits(32)
    child = os.fork()
    if child == 0:
        os.close(ours)
        _append_forever(model, folder, random.Random(seed), theirs)
    os.close(theirs)
    reports = _Reports(ours)
    present = reports.next()
    if present is not None:
        counts.opened += 1
        _compare(present, counts)
        started, appends = time.perf_counter(), rng.randrange(1, 6)
        for _ in range(appends):
            counts.acknowledged.update(reports.next() or {})
        # Some time in the next append, as long as the last ones took.
        time.sleep(rng.random() * (time.perf_counter() - started) / appends)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    counts.kills += 1
    while (report := reports.next()) is not None:
        counts.acknowledged.update(report)
    os.close(ours)


class _Reports:
    """What a process says through a pipe, line by line."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._data = b""

    def next(self) -> dict[str, str] | None:
        """The next messages; None if the process has ended, or is silent for a minute."""
        # A line that was cut by the kill has no end, and counts as not said.
        while b"\n" not in self._data:
            ready, _, _ = select.select([self._pipe], [], [], 60.0)
            data = os.read(self._pipe, 1 << 16) if ready else b""
            if not data:
                return None
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        messages: dict[str, str] = json.loads(line)
        return messages


def _compare(present: dict[str, str], counts: Counts) -> None:
    for name, text in counts.acknowledged.items():
        counts.lost += name not in present
        counts.changed += present.get(name, text) != text
    extra = {name: text for name, text in present.items() if name not in counts.acknowledged}
    counts.unacknowledged += len(extra)
    # From now on they are part of the history like any other.
    counts.acknowledged |= extra


def _append_forever(model: str, folder: str, rng: random.Random, pipe: int) -> None:
    """Open, report what is there, then add messages and report each acknowledgement."""
    memory = hsa_memory.open(folder, model=model)
    session = memory.session("s")
    _report(pipe, {m.id: m.text for m in session.messages()})
    while True:
        texts = [_text(rng) for _ in range(rng.choice((1, 1, 1, 5)))]
        messages = [{"role": "user", "content": text} for text in texts]
        if len(messages) == 1:
            ids = session.add("user", texts[0]).ids
        else:
            ids = session.add_messages(messages).ids
        _report(pipe, dict(zip(ids, texts, strict=True)))


def _report(pipe: int, messages: dict[str, str]) -> None:
    data = (json.dumps(messages) + "\n").encode()
    while data:
        data = data[os.write(pipe, data) :]


def _text(rng: random.Random) -> str:
    words = [rng.choice(WORDS) for _ in range(rng.choice((3, 20, 300)))]
    return f"{rng.getrandbits(64)} {' '.join(words)}."


if __name__ == "__main__":
    sys.exit(main())
