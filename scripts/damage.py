"""Damage every kind of file of a store many times over, and show what came of it.

    python scripts/damage.py --flips 1000

Each flip of a bit, and each way to lose a file or a part of it, is done at five moments: before a
reader opens the store, before a writer does, under an open reader, under an open writer, and before
`check --repair`. A wrong answer, a crash or an error without a type ends the run with a traceback
that names the seed. In the table:

    told            an error that has a type, or a finding, said so
    told by check   nothing that was asked touched it, and `check` found it
    healed          computed again from what the messages say
    harmless        every answer is equal, and the check finds nothing: nobody reads those bytes
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace

from hsa_memory.storage import geometry

TESTS = Path(__file__).resolve().parent.parent / "tests" / "storage"


def main() -> int:
    """Run the campaign and print its table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument(
        "--flips", type=int, default=100, help="bits per kind of file and moment (default: 100)"
    )
    options.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    options.add_argument("--folder", type=Path, help="where to work (default: in memory)")
    args = options.parse_args()
    print(f"seed {args.seed}", flush=True)
    # Small segments, so that there are several.
    geometry._MAX_CAP = 16
    memory = Path("/dev/shm")
    parent = args.folder or (memory if memory.is_dir() else None)
    folder = Path(tempfile.mkdtemp(prefix="hsa-memory-damage-", dir=parent))
    try:
        counts = run(folder, args.flips, random.Random(args.seed))
    finally:
        shutil.rmtree(folder)
    print(_load("damage").table(counts))
    return 0


def run(folder: Path, flips: int, draw: random.Random) -> Counter[tuple[str, str]]:
    """The whole campaign; returns how often what came of which damage."""
    damage, helpers = _load("damage"), _load("conftest")
    kit = SimpleNamespace(
        layout=helpers.LAYOUT,
        turn=helpers.make_turn,
        rows=helpers.expected_rows,
        tail=helpers.tail_of,
        catch_up=helpers.catch_up,
        assert_right=helpers.assert_right,
    )
    counts: Counter[tuple[str, str]] = Counter()
    for killed in (False, True):
        (folder / str(killed)).mkdir()
        campaign = damage.Campaign(kit, folder / str(killed), killed=killed)
        for name in damage.LOGS if killed else damage.KINDS:
            print(f"{name}{' of a killed writer' if killed else ''}", flush=True)
            moments = [campaign.before_reading, campaign.before_writing]
            moments += [] if killed else [campaign.while_writing, campaign.repaired]
            for moment in moments:
                for change in damage.flips(campaign, name, flips, draw):
                    moment(name, change)
                for change in damage.structural(campaign, name).values():
                    moment(name, change)
            if not killed:
                with campaign.while_reading() as use:
                    for change in damage.flips(campaign, name, flips, draw):
                        use(name, change)
        counts += Counter(
            {(_named(k, killed), what): n for (k, what), n in campaign.counts.items()}
        )
    return counts


def _named(kind: str, killed: bool) -> str:
    return kind.replace("unopened", "killed") if killed else kind


def _load(name: str) -> ModuleType:
    """A module of the tests, which are no package."""
    known = sys.modules.get(f"storage_{name}")
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(f"storage_{name}", TESTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
