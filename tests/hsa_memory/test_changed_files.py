"""Files that change under an open session."""

from pathlib import Path

import pytest

import hsa_memory

TEXTS = [f"Message {i}: the key of room {i * 7} hangs in room {i}." for i in range(30)]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_landmark_damaged_after_the_opening_is_left_out_and_told(
    tmp_path: Path, tiny_checkpoint: Path, read_only: bool
) -> None:
    with hsa_memory.open(tmp_path, model=tiny_checkpoint) as memory:
        memory.session("alice").add_messages([{"role": "user", "content": x} for x in TEXTS])
    with hsa_memory.open(tmp_path, model=tiny_checkpoint, read_only=read_only) as memory:
        session = memory.session("alice")
        session.stats()
        (path,) = tmp_path.glob("s/*/*/g1/landmarks.bin")
        data = bytearray(path.read_bytes())
        data[4100] ^= 1
        path.write_bytes(data)
        found = session.search("Where is the key?", k=40)
        # A session that had not looked at the file yet finds the damage as it opens it.
        assert read_only is bool(found.diagnostics) or "chunks 0 were" in found.diagnostics[-1]
        assert read_only or session.search("Where is the key?", k=40).diagnostics == ()
        assert (memory.check() == []) is not read_only
