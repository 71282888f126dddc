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
from io import RawIOBase

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
    with os.fdopen(ours, "rb", buffering=0) as pipe:
        present = _next_report(pipe)
        if present is not None:
            counts.opened += 1
            _compare(present, counts)
            started, appends = time.perf_counter(), rng.randrange(1, 6)
            for _ in range(appends):
                counts.acknowledged.update(_next_report(pipe) or {})
            # Some time in the next append, as long as the last ones took.
            time.sleep(rng.random() * (time.perf_counter() - started) / appends)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        counts.kills += 1
        while (report := _next_report(pipe)) is not None:
            counts.acknowledged.update(report)


def _next_report(pipe: RawIOBase) -> dict[str, str] | None:
    """The messages that the process reports next; None if it has ended, or is silent a minute."""
    ready, _, _ = select.select([pipe], [], [], 60.0)
    line = pipe.readline() if ready else b""
    # The last line may have been cut by the kill.
    return json.loads(line) if line.endswith(b"\n") else None


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
