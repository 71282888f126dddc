"""Restoring: the same bits as a process that never stopped, after any kind of end."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

import hsa_memory
from hsa_memory import Memory, MemorySession
from hsa_memory.fork import Fork
from hsa_memory.precision import DEFAULT, PRECISIONS

TEXTS = [f"{i}: nobody could remember who built tower {i * i} of the harbour" for i in range(40)]
QUESTION = "Who built the tower?"

PROGRAM = """
import os, signal, sys
import hsa_memory
from hsa_memory.encoding import Encoder

folder, model, kv_dtype, until, moment = sys.argv[1:]
session = hsa_memory.open(folder, model=model, kv_dtype=kv_dtype).session("alice")

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

for i, text in enumerate(sys.stdin.read().splitlines()):
    if i == int(until):
        if moment == "before encoding":
            Encoder._encode = die
        if moment == "before publishing":
            session._store.publish = die
        if moment == "after":
            die()
    session.add("user", text, id=str(i))
die()
"""


def logits(session: MemorySession) -> Tensor:
    """Logits of the token that starts the answer, with the whole history in reach."""
    fork = Fork.of_history(session._source)
    with torch.inference_mode():
        prompt = torch.tensor([fork.engine.question(QUESTION)])
        return fork.forward(prompt, fork.state).logits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "restored"


# For tests of what does not depend on the number format.
one_format = pytest.mark.parametrize("kv_dtype", [DEFAULT], indirect=True)


@pytest.fixture(scope="module", params=PRECISIONS)
def kv_dtype(request: pytest.FixtureRequest) -> str:
    """Number format of keys and values on disk."""
    return request.param


@pytest.fixture(scope="module")
def continuous(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, kv_dtype: str
) -> MemorySession:
    """A session that was never closed, with everything added one by one."""
    folder = tmp_path_factory.mktemp("continuous")
    session = open_memory(folder / "memory", tiny_checkpoint, kv_dtype).session("alice")
    for i, text in enumerate(TEXTS):
        session.add("user", text, id=str(i))
    return session


@contextmanager
def full_disk() -> Iterator[None]:
    """Files of derived state find no space; SQLite, which writes by itself, does."""

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        yield


def open_memory(folder: Path, model: Path, kv_dtype: str = DEFAULT) -> Memory:
    return hsa_memory.open(folder, model=model, kv_dtype=kv_dtype)


def test_closing_and_opening_changes_no_bit(
    folder: Path, tiny_checkpoint: Path, kv_dtype: str, continuous: MemorySession
) -> None:
    for i, text in enumerate(TEXTS):
        with open_memory(folder, tiny_checkpoint, kv_dtype) as memory:
            memory.session("alice").add("user", text, id=str(i))
    # Whatever sessions are made in now, this one is read as it was written.
    with open_memory(folder, tiny_checkpoint) as memory:
        session = memory.session("alice")
        assert torch.equal(logits(session), logits(continuous))
        for ours, theirs in zip(
            (session.ask(QUESTION), session.search(QUESTION)),
            (continuous.ask(QUESTION), continuous.search(QUESTION)),
            strict=True,
        ):
            assert ours.stats.prefilled_history == theirs.stats.prefilled_history == 0
            assert ours.stats.tokens_ingested == 0
        assert session.ask(QUESTION).text == continuous.ask(QUESTION).text


@pytest.mark.parametrize("moment", ["before encoding", "before publishing", "after"])
def test_a_kill_loses_no_acknowledged_message_and_no_bit(
    folder: Path, tiny_checkpoint: Path, kv_dtype: str, continuous: MemorySession, moment: str
) -> None:
    until = 23
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            *map(str, (folder, tiny_checkpoint, kv_dtype, until, moment)),
        ],
        input="\n".join(TEXTS),
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    with open_memory(folder, tiny_checkpoint, kv_dtype) as memory:
        session = memory.session("alice")
        kept = until if moment == "after" else until + 1
        assert [m.text for m in session.messages()] == TEXTS[:kept]
        waiting = session.stats().num_tokens // 8 - session.stats().num_chunks
        assert (waiting > 0) == (moment != "after")
        for i, text in enumerate(TEXTS):
            session.add("user", text, id=str(i))
        assert torch.equal(logits(session), logits(continuous))
        assert memory.check() == []


@one_format
def test_what_a_kill_left_is_encoded_when_it_is_needed(
    folder: Path, tiny_checkpoint: Path, kv_dtype: str, continuous: MemorySession
) -> None:
    with open_memory(folder, tiny_checkpoint, kv_dtype) as memory:
        session = memory.session("alice")
        session.add_messages([{"role": "user", "content": t} for t in TEXTS[:-1]])
        with full_disk():
            session.add("user", TEXTS[-1])
    with hsa_memory.open(folder, model=tiny_checkpoint, read_only=True) as memory:
        # A reader may not write: it encodes for itself, and says what that took.
        stats = memory.session("alice").ask(QUESTION).stats
        assert stats.prefilled_history > 0
        assert stats.tokens_ingested == 0
    with open_memory(folder, tiny_checkpoint, kv_dtype) as memory:
        session = memory.session("alice")
        stats = session.ask(QUESTION).stats
        assert (stats.prefilled_history, stats.tokens_ingested % 8) == (0, 0)
        assert stats.tokens_ingested > 0
        assert session.catch_up().tokens_ingested == 0
        assert torch.allclose(logits(session), logits(continuous), atol=1e-4)


def test_a_reader_that_runs_ahead_of_the_chunks_reads_the_same(
    folder: Path, tiny_checkpoint: Path, kv_dtype: str, continuous: MemorySession
) -> None:
    with open_memory(folder, tiny_checkpoint, kv_dtype) as memory:
        session = memory.session("alice")
        with full_disk():
            session.add_messages([{"role": "user", "content": text} for text in TEXTS])
        assert session.stats().num_chunks == 0
    with hsa_memory.open(folder, model=tiny_checkpoint, read_only=True) as memory:
        reader = memory.session("alice")
        assert torch.allclose(logits(reader), logits(continuous), atol=2e-3)
        assert [h.seq for h in reader.search(QUESTION, k=3)] == [
            h.seq for h in continuous.search(QUESTION, k=3)
        ]


@one_format
@pytest.mark.parametrize("damage", ["lost", "garbage", "another length"])
def test_a_lost_tail_is_computed_again(
    folder: Path, tiny_checkpoint: Path, kv_dtype: str, continuous: MemorySession, damage: str
) -> None:
    with open_memory(folder, tiny_checkpoint, kv_dtype) as memory:
        session = memory.session("alice")
        for i, text in enumerate(TEXTS):
            session.add("user", text, id=str(i))
        tail = session._store.tail()
        bad = {"lost": None, "garbage": b"\x00" * 100, "another length": tail[:-2]}[damage]
        session._store.tail = lambda: bad
        session._encoder._boundary = session._encoder._live = None
        assert torch.allclose(logits(session), logits(continuous), atol=1e-5)


def test_the_upper_half_never_runs_while_adding(folder: Path, tiny_checkpoint: Path) -> None:
    with open_memory(folder, tiny_checkpoint) as memory:
        session = memory.session("alice")
        model = session._engine.model
        runs = {"lower": 0, "encoder": 0, "upper": 0}

        def count(name: str):
            def hook(*_: object) -> None:
                runs[name] += 1

            return hook

        hooks = [getattr(model, name).register_forward_hook(count(name)) for name in runs]
        try:
            session.add("user", "hi")
            assert runs == {"lower": 0, "encoder": 0, "upper": 0}
            session.add_messages([{"role": "user", "content": text} for text in TEXTS])
            assert runs["lower"] == runs["encoder"] > 0
            assert runs["upper"] == 0
            session.ask(QUESTION, max_tokens=1)
            assert runs["upper"] > 0
        finally:
            for hook in hooks:
                hook.remove()


def test_adding_costs_the_same_however_long_the_history_is(
    folder: Path, tiny_checkpoint: Path
) -> None:
    with open_memory(folder, tiny_checkpoint) as memory:
        session = memory.session("alice")
        read: list[int] = []
        gather = session._store.gather
        session._store.gather = lambda ids, *rest: read.append(len(ids)) or gather(ids, *rest)
        messages = [{"role": "user", "content": text} for text in TEXTS]
        tokens = [session.add_messages(messages).stats.tokens_ingested for _ in range(4)]
        assert max(tokens) - min(tokens) <= 8
        assert read == []


def flip_a_bit(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ 1]))


def test_a_damaged_chunk_is_left_out_told_and_made_again(
    folder: Path, tiny_checkpoint: Path, kv_dtype: str, continuous: MemorySession
) -> None:
    with open_memory(folder, tiny_checkpoint, kv_dtype) as memory:
        session = memory.session("alice")
        for i, text in enumerate(TEXTS):
            session.add("user", text, id=str(i))
        (chunk, *_) = session.ask(QUESTION).citations[0].chunk_ids
        block = session._store.gather([chunk]).tobytes()
    (segment,) = folder.glob("s/*/*/g1/kv-0.seg")
    flip_a_bit(segment, segment.read_bytes().index(block) + 3)
    with hsa_memory.open(folder, model=tiny_checkpoint, read_only=True) as memory:
        (told,) = memory.session("alice").ask(QUESTION).diagnostics
        assert f"chunks {chunk} were damaged" in told
        assert "open the session for writing" in told
    with open_memory(folder, tiny_checkpoint, kv_dtype) as memory:
        session = memory.session("alice")
        answer = session.ask(QUESTION)
        assert "encoded again" in answer.diagnostics[0]
        assert all(chunk not in citation.chunk_ids for citation in answer.citations)
        assert session.ask(QUESTION).diagnostics == ()
        assert torch.allclose(logits(session), logits(continuous), atol=1e-2)
        assert memory.check() == []


@one_format
def test_what_is_stored_is_acknowledged_though_it_cannot_be_encoded(
    folder: Path, tiny_checkpoint: Path, kv_dtype: str, continuous: MemorySession
) -> None:
    with open_memory(folder, tiny_checkpoint, kv_dtype) as memory:
        session = memory.session("alice")
        for text in TEXTS[:30]:
            session.add("user", text)
        with full_disk():
            # More than one batch: none of them fails, and none is stored twice.
            added = session.add_messages(
                [{"role": "user", "content": text} for text in TEXTS[30:]], batch_size=4
            )
            assert added.num_added == len(added.ids) == 10
            (told,) = added.diagnostics
            assert "stored but not encoded yet" in told
            assert "No space left" in told
            assert session.stats().num_chunks < session.stats().num_tokens // 8
            with pytest.raises(hsa_memory.StoreFull):
                session.catch_up()
            # Reading needs no space.
            found = session.search(QUESTION)
            assert found.diagnostics == session.ask(QUESTION).diagnostics
            assert "No space left" in found.diagnostics[0]
            assert [hit.seq for hit in found] == [h.seq for h in continuous.search(QUESTION)]
            assert torch.allclose(logits(session), logits(continuous), atol=2e-2)
        assert [m.text for m in session.messages()] == TEXTS
        found = session.search(QUESTION)
        assert found.diagnostics == ()
        assert found.stats.tokens_ingested > 0
        assert session.stats().num_chunks == session.stats().num_tokens // 8
        assert torch.allclose(logits(session), logits(continuous), atol=2e-2)
        assert memory.check() == []


def test_an_answer_is_remembered_though_it_cannot_be_encoded(
    folder: Path, tiny_checkpoint: Path
) -> None:
    with open_memory(folder, tiny_checkpoint) as memory:
        session = memory.session("alice")
        session.add("user", TEXTS[0])
        with full_disk():
            answer = session.ask(QUESTION, remember=True, max_tokens=8)
        assert "stored but not encoded yet" in answer.diagnostics[-1]
        assert [m.text for m in session.messages()][:2] == [TEXTS[0], QUESTION]


def test_the_reason_of_a_callback_is_not_taken_for_the_disk(
    folder: Path, tiny_checkpoint: Path
) -> None:
    def fail(_: object) -> None:
        raise OSError("the screen is gone")

    with open_memory(folder, tiny_checkpoint) as memory:
        session = memory.session("alice")
        with pytest.raises(OSError, match="the screen"):
            session.add_messages([{"role": "user", "content": TEXTS[0]}], progress=fail)
        session.catch_up()
        assert memory.check() == []


def test_a_damaged_chunk_on_a_full_disk_is_left_out_and_told(
    folder: Path, tiny_checkpoint: Path
) -> None:
    with open_memory(folder, tiny_checkpoint) as memory:
        session = memory.session("alice")
        session.add_messages([{"role": "user", "content": text} for text in TEXTS])
        block = session._store.gather([0]).tobytes()
    (segment,) = folder.glob("s/*/*/g1/kv-0.seg")
    flip_a_bit(segment, segment.read_bytes().index(block) + 3)
    with open_memory(folder, tiny_checkpoint) as memory:
        session = memory.session("alice")
        with full_disk():
            told = session.search(QUESTION, k=40).diagnostics
            assert "chunks 0 were damaged" in told[-1]
            assert "No space left" in told[-1]
            assert len(session.search(QUESTION, k=40)) == len(TEXTS)
        assert session.search(QUESTION, k=40).diagnostics == ()
        assert memory.check() == []


@one_format
@pytest.mark.parametrize(
    ("name", "position"),
    [("landmarks.bin", 4100), ("landmarks.bin", 20), ("kv-0.seg", 30), ("tail-*.bin", 5000)],
)
def test_a_reader_names_the_damage_it_works_around(
    folder: Path,
    tiny_checkpoint: Path,
    kv_dtype: str,
    continuous: MemorySession,
    name: str,
    position: int,
) -> None:
    with open_memory(folder, tiny_checkpoint, kv_dtype) as memory:
        session = memory.session("alice")
        for text in TEXTS:
            session.add("user", text)
    for file in folder.glob(f"s/*/*/g1/{name}"):
        flip_a_bit(file, position)
    with hsa_memory.open(folder, model=tiny_checkpoint, read_only=True) as memory:
        reader = memory.session("alice")
        for result in (reader.search(QUESTION), reader.ask(QUESTION), reader.context(QUESTION, 99)):
            (told,) = result.diagnostics
            assert name.split("*")[0] in told
            assert "damaged" in told
            assert "check --repair" in told
        assert [h.seq for h in reader.search(QUESTION)] == [
            h.seq for h in continuous.search(QUESTION)
        ]
        # Once a writer has repaired it, there is nothing more to tell.
        with open_memory(folder, tiny_checkpoint, kv_dtype) as writing:
            writing.session("alice").search(QUESTION)
            assert writing.check(repair=True) is not None
        with open_memory(folder, tiny_checkpoint, kv_dtype) as writing:
            writing.session("alice").add("user", "more of the harbour and the tower")
            assert reader.search(QUESTION).diagnostics == ()
