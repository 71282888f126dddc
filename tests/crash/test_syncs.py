"""How often a turn waits for the disk, counted below SQLite."""

from itertools import pairwise

from crash_harness.lab import Lab, Recorded
from crash_harness.oplog import read_log


def syncs_of(recorded: Recorded) -> list[tuple[str, list[str]]]:
    """What was counted, and the names of the files that were synced meanwhile."""
    assert recorded.ends[0]["error"] is None
    log = read_log(recorded.folder / "log")
    names = {op.inode: op.data.decode().rsplit("/", 1)[-1] for op in log.ops if op.kind == "create"}
    told = [(at, note["count"]) for at, note in log.notes if "count" in note]
    return [
        (what, [names.get(op.inode, "?") for op in log.ops[first:stop] if op.kind == "sync"])
        for (first, what), (stop, _) in pairwise(told)
    ]


def test_chunks_that_are_durable_are_given_up_durably(lab: Lab) -> None:
    """Else a power cut could bring back a state row that trusts them, half written anew."""
    counted = syncs_of(lab.record("roll-backs"))
    (_, nothing), (_, lowered) = (x for x in counted if x[0].startswith("roll back"))
    assert nothing == []
    assert lowered == ["session.db-wal"]


def test_an_acknowledged_turn_waits_for_the_disk_once(lab: Lab, capsys) -> None:
    syncs: dict[str, list[list[str]]] = {"append": [], "publish": []}
    for what, names in syncs_of(lab.record("many-turns")):
        syncs[what].append(names)
    # The first turn after an opening also makes the log: its name and its header are synced.
    first, *others = syncs["append"]
    assert others == [["session.db-wal"]] * len(others)
    assert len(others) >= 40
    assert first[-1] == "session.db-wal"
    assert len(first) <= 3
    # Chunks are synced at checkpoints, and never within a turn.
    checkpoints = [names for names in syncs["publish"] if names]
    assert 0 < len(checkpoints) < len(syncs["publish"])
    with capsys.disabled():
        print(
            f"\nturns: {len(others)}, syncs in them: {sum(map(len, others))}; first turn after "
            f"opening: {len(first)}; publishing them: {sum(map(len, checkpoints))} in "
            f"{len(checkpoints)} of {len(syncs['publish'])} calls"
        )
