"""Check as many crash states as wanted, every one a function of (seed, number).

    python tests/crash/campaign.py --states 1000000 --seed 7
    python tests/crash/campaign.py --faults
    python tests/crash/campaign.py --seed 7 --scenario append --only 4711 --keep wrong-state

State i of a campaign is state i // n of scenario i % n. What is wrong is printed with the command
that does it again; an interrupted campaign goes on with --first.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from crash_harness import shim
from crash_harness.lab import Lab, Recorded, Tally, command_for
from crash_harness.recording import FAULTS
from crash_harness.scenarios import SCENARIOS
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# So many states of every scenario between two words about where to go on.
_ROUND = 200
_console = Console()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--states", type=int, default=100_000, help="states to try")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first state")
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    parser.add_argument("--only", type=int, help="check this one state of one scenario")
    parser.add_argument("--keep", default="", help="put the files of a wrong state here")
    parser.add_argument("--faults", action="store_true", help="every fault at every operation")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def progress() -> Progress:
    """A bar with what was found so far."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=_console,
    )


def run_states(lab: Lab, options: argparse.Namespace) -> int:
    """Check states; the number of those that are wrong."""
    names = options.scenario or list(SCENARIOS)
    recordings = [lab.record(name) for name in names]
    tally, started, told = Tally(), time.monotonic(), 0
    first, stop = options.first, options.first + options.states
    try:
        with progress() as bar:
            task = bar.add_task("states", total=options.states)
            while first < stop:
                after = min(stop, first + _ROUND * len(names))
                for _ in lab.check(
                    tally, numbers_of(recordings, first, after), seed=options.seed, thorough=True
                ):
                    found = f"{len(tally.distinct)} different, {len(tally.wrong)} wrong"
                    bar.update(task, completed=tally.tried, description=found)
                    for wrong in tally.wrong[told:]:
                        _console.print(f"{wrong['kind']}: {command_for(wrong)}", markup=False)
                        _console.print(wrong["error"], markup=False)
                    told = len(tally.wrong)
                first = after
    except KeyboardInterrupt:
        _console.print("interrupted")
    seconds = time.monotonic() - started
    _console.print(
        f"{tally.tried} states, {len(tally.distinct)} of them different, {len(tally.wrong)} wrong, "
        f"{seconds:.0f} s; found and recovered: {dict(tally.kinds)}"
    )
    _console.print(f"go on with --seed {options.seed} --first {first}")
    return len(tally.wrong)


def numbers_of(
    recordings: list[Recorded], first: int, stop: int
) -> list[tuple[Recorded, list[int]]]:
    """States first..stop-1 of a campaign, by recording."""
    count = len(recordings)
    return [
        (recorded, [i // count for i in range(first, stop) if i % count == place])
        for place, recorded in enumerate(recordings)
    ]


def run_faults(lab: Lab, options: argparse.Namespace) -> int:
    """Every fault at every operation; the number of runs that went wrong."""
    names = options.scenario or list(SCENARIOS)
    runs = [
        (name, kind, at)
        for name in names
        for at in range(len(lab.record(name).kinds))
        for kind in FAULTS
    ]
    wrong = 0
    with progress() as bar:
        task = bar.add_task("faults", total=len(runs))

        def run(name: str, kind: str, at: int) -> dict[str, object]:
            return lab.run("fault", scenario=name, kind=kind, at=at)

        calls = [lambda run_=run_: run(*run_) for run_ in runs]
        for (name, kind, at), told in zip(runs, lab.each(calls), strict=True):
            ends = told["ends"]
            untyped = [end["trace"] for end in ends[:1] if not end["typed"]]
            untyped += [end["trace"] for end in ends[1:] if end["error"]]
            if untyped or told["wrong"]:
                wrong += 1
                _console.print(f"{kind} at {at} of {name}", *untyped, told["wrong"], markup=False)
            bar.update(task, advance=1, description=f"{wrong} wrong")
    _console.print(f"{len(runs)} runs, {wrong} wrong")
    return wrong


def run_one(lab: Lab, options: argparse.Namespace) -> int:
    """Check one state again."""
    tally = Tally()
    wanted = [(lab.record(options.scenario[0]), [options.only])]
    for _ in lab.check(tally, wanted, seed=options.seed, thorough=True, keep=options.keep):
        for wrong in tally.wrong:
            _console.print(f"{wrong['kind']} after {wrong['cut']}", wrong["error"], markup=False)
    _console.print(f"{len(tally.wrong)} wrong")
    return len(tally.wrong)


def main() -> int:
    """1 if anything was wrong."""
    options = arguments()
    if reason := shim.missing():
        _console.print(reason)
        return 2
    if options.only is not None and len(options.scenario or []) != 1:
        _console.print("--only needs one --scenario")
        return 2
    with Lab(1 if options.only is not None else options.workers) as lab:
        if options.only is not None:
            return bool(run_one(lab, options))
        return bool(run_faults(lab, options) if options.faults else run_states(lab, options))


if __name__ == "__main__":
    sys.exit(main())
