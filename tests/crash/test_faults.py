"""kill -9, a failing disk and a full disk at the operations of every scenario."""

import pytest
from crash_harness.lab import Lab
from crash_harness.recording import FAULTS
from crash_harness.scenarios import SCENARIOS

EVERY = 43


def wrong_of(kind: str, at: int, told: dict) -> str:
    """What is wrong with one run, or nothing."""
    untyped = [end["trace"] for end in told["ends"][:1] if not end["typed"]]
    # Whoever comes after a fault must not fail.
    untyped += [end["trace"] for end in told["ends"][1:] if end["error"]]
    return (
        "\n".join([f"{kind} at {at}:", *untyped, told["wrong"]]) if untyped or told["wrong"] else ""
    )


def run_all(lab: Lab, name: str, faults: list[tuple[str, int]]) -> list[str]:
    def call(kind: str, at: int):
        return lambda: wrong_of(kind, at, lab.run("fault", scenario=name, kind=kind, at=at))

    return [wrong for wrong in lab.each([call(*fault) for fault in faults]) if wrong]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_fault_at_an_operation_loses_nothing(lab, name) -> None:
    others = [kind for kind in FAULTS if kind != "kill"]
    # The campaign does each of them to every operation; here others in each scenario.
    first = sorted(SCENARIOS).index(name) % EVERY
    faults = []
    for at in range(first, len(lab.record(name).kinds), EVERY):
        faults += [("kill", at), (others[at // EVERY % len(others)], at)]
    assert run_all(lab, name, faults) == []


def test_whoever_was_killed_before_a_name_was_synced_costs_nobody_a_turn(lab) -> None:
    # STORE gets its name, then the session: whoever comes next finds names that are not synced.
    kinds = lab.record("create").kinds
    names = [at for at, kind in enumerate(kinds) if kind in ("mkdir", "rename")]
    assert len(names) > 5
    faults = [(kind, at + after) for at in names for after in (1, 2) for kind in ("kill", "eio")]
    assert run_all(lab, "create", faults) == []


def test_sessions_whose_listing_may_not_be_on_the_disk_are_all_there_or_not_at_all(lab) -> None:
    # They are in their places, and the commit that lists them fails: others may yet see it.
    kinds = lab.record("bring-in").kinds
    moved = max(at for at, kind in enumerate(kinds) if kind == "rename")
    syncs = [at for at in range(moved, moved + 20) if kinds[at] == "sync"]
    assert len(syncs) > 4
    faults = [(kind, at) for at in syncs for kind in ("eio", "enospc", "eio, kill")]
    assert run_all(lab, "bring-in", faults) == []


def test_whoever_repairs_after_a_killed_repair_does_not_build_on_names_of_memory(lab) -> None:
    kinds = lab.record("repair-catalog").kinds
    names = [at for at, kind in enumerate(kinds) if kind == "rename"]
    assert names
    faults = [(kind, at + after) for at in names for after in (1, 2) for kind in ("kill", "eio")]
    assert run_all(lab, "repair-catalog", faults) == []


def test_a_change_that_failed_does_not_come_back_under_what_followed(lab) -> None:
    # Imports, replacements and deletions; the same handle goes on, and others after it.
    kinds = lab.record("go-on-here").kinds
    moves = [at for at, kind in enumerate(kinds) if kind == "rename"]
    near = {at for move in moves for at in range(move - 15, move + 20)}
    syncs = [("eio", at) for at in sorted(near) if kinds[at] == "sync"]
    assert len(syncs) > 30
    assert run_all(lab, "go-on-here", syncs) == []


def test_a_turn_that_follows_a_failed_sync_does_not_hang_on_lost_bytes(lab) -> None:
    kinds = lab.record("append").kinds
    syncs = [("eio, kill", at) for at, kind in enumerate(kinds) if kind == "sync"]
    assert len(syncs) > 5
    assert run_all(lab, "append", syncs) == []


def test_a_full_disk_goes_on_when_there_is_space(lab) -> None:
    kinds = lab.record("append").kinds
    ends = []
    for at in range(0, len(kinds), 9):
        told = lab.run("fault", scenario="append", kind="full", at=at)
        assert wrong_of("full", at, told) == ""
        ends += [end["error"] for end in told["ends"]]
    # Some runs get to their end once `heal` has made space, some fail where nobody waits for it.
    assert None in ends
    assert set(ends) <= {None, "StoreFull", "StorePermission", "StoreError"}
