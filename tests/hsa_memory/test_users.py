"""Users, quotas and keys of a memory, with a real model."""

import json
from pathlib import Path

import pytest
import torch

import hsa_memory
from hsa_memory import (
    KeyMissing,
    NotAllowed,
    QuotaExceeded,
    SessionNotFound,
    StoreFull,
    UserNotFound,
    WrongKey,
)
from hsa_memory.cli import main
from hsa_memory.fork import Fork

KEY = bytes(range(32))
TEXTS = [f"Note {i}: the code of locker {i} is {4000 + 7 * i}." for i in range(12)]


def add(memory: hsa_memory.Memory, name: str, texts: list[str]) -> None:
    with memory.session(name) as session:
        session.add_messages([{"role": "user", "content": text} for text in texts])


def test_nothing_of_another_user_is_found_or_attended_to(tmp_path, tiny_checkpoint) -> None:
    """What bob has said changes no bit of what alice's session computes."""
    seen = []
    for root, others in (
        ("alone", []),
        ("together", [f"Bob says {i}, canary." for i in range(20)]),
    ):
        folder = tmp_path / root
        if others:
            with hsa_memory.open(folder, user="bob", model=tiny_checkpoint) as memory:
                add(memory, "diary", others)
        with hsa_memory.open(folder, user="alice", model=tiny_checkpoint) as memory:
            add(memory, "diary", TEXTS)
            if others:
                add(memory, "canary", ["Alice has a canary too."])
            with memory.session("diary") as session:
                found = session.search("canary", k=50)
                answer = session.ask("Which code has locker 3?", max_tokens=8)
                fork = Fork.of_history(session._source)
                tokens = torch.tensor([memory.tokenizer.encode("locker")])
                seen.append(
                    (
                        [(hit.text, hit.score) for hit in found],
                        (answer.text, [(c.text, c.weight) for c in answer.citations]),
                        fork.forward(tokens, fork.state).logits.tolist(),
                    )
                )
    assert seen[0] == seen[1]
    assert {text for text, _ in seen[1][0]} <= set(TEXTS)


def test_an_encrypted_session_answers_bit_for_bit_alike(tmp_path, tiny_checkpoint) -> None:
    seen = []
    for key in (None, KEY):
        folder = tmp_path / f"encrypted-{key is not None}"
        options = {"user": "alice", "key": key, "model": tiny_checkpoint}
        with hsa_memory.open(folder, **options) as memory:
            with memory.session("diary") as session:
                for i, text in enumerate(TEXTS):
                    session.add("user", text, id=f"m{i}", timestamp=1000.0 + i)
                session.forget(["m2"])
        # Restored.
        with hsa_memory.open(folder, **options) as memory:
            with memory.session("diary") as session:
                found = session.search("code of locker 5", k=8)
                answer = session.ask("Which code has locker 3?", max_tokens=8)
                fork = Fork.of_history(session._source)
                tokens = torch.tensor([memory.tokenizer.encode("locker")])
                seen.append(
                    (
                        [(hit.text, hit.score, hit.chunk_ids) for hit in found],
                        (
                            answer.text,
                            answer.support,
                            [(c.text, c.weight) for c in answer.citations],
                        ),
                        fork.forward(tokens, fork.state).logits.tolist(),
                    )
                )
                assert found.stats.prefilled_history == answer.stats.prefilled_history == 0
            assert memory.check() == []
    assert seen[0] == seen[1]
    with hsa_memory.open(folder, user="alice", model=tiny_checkpoint) as memory:
        with pytest.raises(KeyMissing):
            memory.session("diary")
    with pytest.raises(WrongKey):
        hsa_memory.open(folder, user="alice", key=bytes(32), model=tiny_checkpoint)


def test_a_fork_of_an_encrypted_session(tmp_path, tiny_checkpoint) -> None:
    with hsa_memory.open(tmp_path, user="alice", key=KEY, model=tiny_checkpoint) as memory:
        add(memory, "diary", TEXTS)
        with memory.session("diary", ttl=1e9) as session, session.fork("other") as other:
            other.add("user", "Only here: a spare key.")
            other.add("user", "And this, long ago.", timestamp=1000.0)
            expected = [hit.text for hit in other.search("spare key", k=20)]
    with hsa_memory.open(tmp_path, user="alice", key=KEY, model=tiny_checkpoint) as memory:
        with memory.session("other") as other:
            assert [message.text for message in other.messages()] == [
                *TEXTS,
                "Only here: a spare key.",
            ]
            assert [hit.text for hit in other.search("spare key", k=20)] == expected
        assert memory.check() == []
    with hsa_memory.open(tmp_path, model=tiny_checkpoint) as memory:
        assert {x.kind for x in memory.check()} == {"not-checked"}
        memory.delete_user("alice")
        assert memory.users() == []
    files = [path for path in (tmp_path / "s").rglob("*") if path.is_file()]
    assert files == []


def test_administration(tmp_path, tiny_checkpoint) -> None:
    for user in ("alice", "bob"):
        with hsa_memory.open(tmp_path, user=user, model=tiny_checkpoint) as memory:
            assert memory.user == user
            add(memory, "diary", TEXTS[:4])
            stats = memory.stats()
            assert stats.num_sessions == 1
            with pytest.raises(NotAllowed):
                memory.users()
    with hsa_memory.open(tmp_path, model=tiny_checkpoint) as memory:
        assert memory.sessions() == []
        assert memory.stats().num_sessions == 0
        # The catalog and the reserve for a full disk, and nothing of the users'.
        assert memory.stats().bytes_on_disk < (1 << 20) + stats.bytes_on_disk
        alice, bob = memory.users()
        assert (alice.name, alice.num_sessions, alice.encrypted) == ("alice", 1, False)
        assert alice.num_tokens == bob.num_tokens > 0
        memory.set_quota("alice", max_tokens=alice.num_tokens)
        memory.delete_user("bob")
        with pytest.raises(UserNotFound):
            memory.delete_user("bob")
    with hsa_memory.open(tmp_path, user="alice", model=tiny_checkpoint) as memory:
        with memory.session("diary") as session:
            with pytest.raises(QuotaExceeded, match="user 'alice' may have") as full:
                session.add("user", TEXTS[5])
            assert isinstance(full.value, StoreFull)
            assert len(session) == 4
            assert session.search("locker 2")
        with pytest.raises(SessionNotFound):
            memory.session("other", create=False)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_line(tmp_path: Path, tiny_checkpoint, capsys, monkeypatch) -> None:
    store = ("--store", tmp_path / "store", "--model", tiny_checkpoint)
    assert run(capsys, *store, "add", "Alice was here.", "--user", "alice")[0] == 0
    monkeypatch.setenv("HSA_MEMORY_USER", "bob")
    monkeypatch.setenv("HSA_MEMORY_KEY", KEY.hex())
    assert run(capsys, *store, "add", "Bob was here.")[0] == 0
    code, out, _ = run(capsys, *store, "search", "here", "--json")
    assert [hit["message"]["text"] for hit in json.loads(out)["hits"]] == ["Bob was here."]
    code, _, err = run(capsys, *store, "users")
    assert (code, "NotAllowed" in err) == (1, True)
    monkeypatch.delenv("HSA_MEMORY_USER")
    monkeypatch.delenv("HSA_MEMORY_KEY")
    code, _, err = run(capsys, *store, "search", "here", "--user", "bob")
    assert (code, "KeyMissing" in err) == (1, True)
    code, out, _ = run(capsys, *store, "users", "quota", "alice", "--max-tokens", 0)
    assert (code, "alice" in out, "bob" in out) == (0, True, False)
    with pytest.raises(SystemExit):
        run(capsys, *store, "users", "quota", "alice", "--max-tokens", -1)
    assert "from 0 to" in capsys.readouterr().err
    code, _, err = run(capsys, *store, "--user", "alice", "add", "Again.")
    assert (code, "QuotaExceeded" in err) == (1, True)
    found = {x["name"]: x for x in json.loads(run(capsys, *store, "users", "--json")[1])}
    assert found["alice"]["max_tokens"] == 0
    assert (found["bob"]["max_tokens"], found["bob"]["encrypted"]) == (None, True)
    code, out, _ = run(capsys, *store, "users")
    assert all(name in out for name in ("alice", "bob", "encrypted"))
    code, out, _ = run(capsys, *store, "check")
    assert (code, "bob:" in out, "not-checked" in out) == (0, True, True)
    code, _, err = run(capsys, *store, "users", "delete", "bob")
    assert (code, "say --yes" in err) == (1, True)
    assert run(capsys, *store, "users", "delete", "bob", "--yes")[0] == 0
    code, _, err = run(capsys, *store, "users", "delete", "--yes")
    assert (code, "needs the name of a user" in err) == (1, True)
    assert [x["name"] for x in json.loads(run(capsys, *store, "users", "--json")[1])] == ["alice"]
    for words in (
        ("list", "alice"),
        ("list", "--max-tokens", 5),
        ("delete", "alice", "--yes", "--max-bytes", 5),
    ):
        code, out, err = run(capsys, *store, "users", *words)
        assert (code, out, "InvalidArgument" in err) == (1, "", True)
