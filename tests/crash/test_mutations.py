"""Tests of the tests: protocols that are wrong must be seen to be wrong."""

import itertools

import pytest
from crash_harness.lab import Lab, Recorded, Tally
from crash_harness.mutations import MUTATIONS
from crash_harness.oplog import read_log
from crash_harness.states import FIXED

SEED = 11


def hunt(lab: Lab, recorded: Recorded, chance: int = 400) -> list[str]:
    """Errors of the first states that are wrong: the fixed ones, then some by chance."""
    assert [end["trace"] for end in recorded.ends] == [""]
    tally = Tally()
    numbers = list(range(recorded.num_fixed + chance))
    for _ in lab.check(tally, [(recorded, numbers)], seed=SEED, stop=True):
        if tally.wrong:
            break
    return [wrong["error"].strip().splitlines()[-1] for wrong in tally.wrong]


@pytest.mark.parametrize(
    ("mutation", "scenario", "seen"),
    [
        ("synchronous-normal", "append", ("turns {", "acknowledged")),
        ("synchronous-off", "append", ("turns {", "acknowledged", "sessions [", "Corrupt")),
        ("no-chunk-sync", "seal", ("chunks of", "bad K/V")),
        ("no-sync-at-seal", "seal", ("chunks of", "bad K/V")),
        ("publish-before-write", "append", ("a kill needs recovery", "chunks of", "bad K/V")),
        ("no-directory-sync", "create", ("sessions [", "turns {", "missing")),
        ("no-directory-sync", "seal", ("chunks of",)),
    ],
)
def test_a_wrong_protocol_is_caught(lab, mutation, scenario, seen) -> None:
    found = hunt(lab, lab.record(scenario, mutation=mutation))
    assert any(word in error for error in found for word in seen), found


def at_reports(recorded: Recorded) -> list[int]:
    """Fixed states at the moments when something is gone for good, or a backup is done."""
    notes = [(at, note) for at, note in read_log(recorded.folder / "log").notes if "gone" in note]
    reports = [
        at
        for (_, before), (at, note) in itertools.pairwise(notes)
        if (note["gone"], note["backed_up"]) != (before["gone"], before["backed_up"])
    ]
    assert reports
    return [at * len(FIXED) + kind for at in reports for kind in range(len(FIXED))]


@pytest.mark.parametrize(
    ("mutation", "scenario", "seen"),
    [
        ("no-directory-sync", "delete", "is in"),
        ("no-directory-sync", "delete-user", "is in"),
        ("no-directory-sync", "back-up", "the backup is gone"),
    ],
)
def test_what_is_reported_too_early_is_caught(lab, mutation, scenario, seen) -> None:
    for patch in ("", mutation):
        recorded, tally = lab.record(scenario, mutation=patch), Tally()
        assert [end["trace"] for end in recorded.ends] == [""]
        for _ in lab.check(tally, [(recorded, at_reports(recorded))], seed=SEED):
            pass
        found = [wrong["error"] for wrong in tally.wrong]
        assert bool(found) == bool(patch), found
    assert any(seen in error for error in found), found


def test_the_sync_of_a_new_header_is_not_needed(lab) -> None:
    # See mutations.py: what must hold is that a lost header is seen, and costs only chunks that
    # were not synced yet.
    recorded, tally = lab.record("append", mutation="no-header-sync"), Tally()
    assert [end["trace"] for end in recorded.ends] == [""]
    numbers = list(range(recorded.num_fixed + 200))
    for _ in lab.check(tally, [(recorded, numbers)], seed=SEED):
        assert not tally.wrong
    assert tally.kinds["bad-segment"] > 0


def test_checksums_that_are_not_bound_to_the_tokens_hand_out_wrong_bytes() -> None:
    with Lab(mutation="unbound-checksums") as lab:
        found = hunt(lab, lab.record("go-back"))
        assert any("SILENT" in error for error in found), found
        # Where every turn is durable before its chunks, the order alone keeps them right.
        assert hunt(lab, lab.record("append"), chance=100) == []


def test_a_sync_that_failed_must_not_be_tried_again(lab) -> None:
    kinds = lab.record("seal").kinds
    found: list[str] = []
    for at in (at for at, kind in enumerate(kinds) if kind == "sync"):
        fault = {"kind": "eio", "at": at}
        honest = lab.record("seal", fault=fault)
        again = lab.record("seal", fault=fault, mutation="sync-again")
        if not honest.ends[0]["error"] or again.ends[0]["error"]:
            continue  # one of SQLite's own
        tally = Tally()
        for recorded in (honest, again):
            last = len(recorded.kinds) * 4
            numbers = [*range(last, last + 4), *range(recorded.num_fixed, recorded.num_fixed + 40)]
            assert all(_ for _ in lab.check(tally, [(recorded, numbers)], seed=SEED))
            if recorded is honest:
                assert tally.wrong == []
        found += [wrong["error"] for wrong in tally.wrong]
        if found:
            break
    assert any("chunks of" in error or "bad K/V" in error for error in found), found


def test_every_mutation_has_a_test(request) -> None:
    source = request.path.read_text(encoding="utf-8")
    assert [name for name in MUTATIONS if f'"{name}"' not in source] == []
