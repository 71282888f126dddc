"""Crash states of every scenario: nothing acknowledged is lost, nothing wrong is handed out."""

import pytest
from crash_harness.lab import Lab, Recorded, Tally, command_for
from crash_harness.scenarios import SCENARIOS

STATES = 5000
SEED = 5
# Of each scenario, of the states that are left to chance: one in ten of those of `append`, `seal`
# and `fork` loses changes that nothing had waited for.
AT_RANDOM = 30


def record_all(lab: Lab) -> list[Recorded]:
    return list(lab.each(lambda name=name: lab.record(name) for name in SCENARIOS))


def report(tally: Tally) -> str:
    lines = [f"{len(tally.wrong)} of {len(tally.distinct)} crash states are wrong"]
    for wrong in tally.wrong[:5]:
        lines += [f"{wrong['kind']} after {wrong['cut']}: {command_for(wrong)}", wrong["error"]]
    return "\n".join(lines)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_log_explains_every_byte(lab, name) -> None:
    recorded = lab.record(name)
    assert [end["trace"] for end in recorded.ends] == [""]
    assert recorded.unexplained == []
    assert recorded.kinds == lab.record(name).kinds, "not the same in every run"


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_in_any_crash_state(lab) -> None:
    recordings, tally = record_all(lab), Tally()
    fixed = [(recorded, list(range(recorded.num_fixed))) for recorded in recordings]
    for _ in lab.check(tally, fixed, seed=SEED):
        assert not tally.wrong, report(tally)
    most = sum(len(recorded.kinds) for recorded in recordings)
    shares = {recorded.scenario: len(recorded.kinds) / most for recorded in recordings}
    start, least = 0, AT_RANDOM
    while (missing := STATES - len(tally.distinct)) > 0 or least:
        # Some turn out to be equal to others.
        chosen = []
        for recorded in recordings:
            first = recorded.num_fixed + start
            share = max(least, round(1.1 * missing * shares[recorded.scenario]) + 1)
            chosen.append((recorded, list(range(first, first + share))))
        start, least = start + max(least, missing * 2), 0
        for _ in lab.check(tally, chosen, seed=SEED):
            assert not tally.wrong, report(tally)
    # The states were not all too easy.
    assert {"corrupt-tail", "corrupt-head", "corrupt-record", "lost-changes"} <= set(tally.kinds)
    print(f"{len(tally.distinct)} states, {dict(tally.kinds)}")
