"""How often a turn waits for the disk, counted below SQLite."""

from crash_harness.lab import Lab
from crash_harness.oplog import read_log


def test_an_acknowledged_turn_waits_for_the_disk_once(lab: Lab, capsys) -> None:
    recorded = lab.record("many-turns")
    assert recorded.ends[0]["error"] is None
    log = read_log(recorded.folder / "log")
    names = {op.inode: op.data.decode().rsplit("/", 1)[-1] for op in log.ops if op.kind == "create"}
    told = [(at, note["count"]) for at, note in log.notes if "count" in note]
    spans = [(a, b, what) for (a, what), (b, _) in zip(told, told[1:], strict=False)]
    syncs: dict[str, list[list[str]]] = {"append": [], "publish": []}
    for first, stop, what in spans:
        synced = [op for op in log.ops[first:stop] if op.kind == "sync"]
        syncs[what].append([names.get(op.inode, "?") for op in synced])
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
