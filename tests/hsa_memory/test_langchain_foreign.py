"""Messages whose own metadata holds the key under which the adapter keeps its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hsa_memory
from hsa_memory import MemorySession
from hsa_memory.langchain import HSAChatMessageHistory, HSARetriever

FOREIGN = (
    "v0.3",
    "",
    True,
    3,
    None,
    ["a"],
    {"a": 1},
    "{}",
    "[]",
    "null",
    "[" * 5000,
    json.dumps({"type": "human", "data": 5}),
    json.dumps({"type": "nothing", "data": {}}),
    json.dumps({"type": "tool", "data": {}}),
)


@pytest.fixture
def session(tmp_path: Path, tiny_checkpoint: Path) -> Iterator[MemorySession]:
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:
        yield memory.session("alice")


@pytest.mark.parametrize("value", FOREIGN, ids=lambda x: repr(x)[:20])
def test_a_foreign_value_is_ordinary_metadata(session: MemorySession, value: Any) -> None:
    session.add("user", "My dog is called Biscuit.", metadata={"langchain": value})
    history = HSAChatMessageHistory(session)
    history.add_user_message("And my cat?")
    assert [(m.type, m.content) for m in history.messages] == [
        ("human", "My dog is called Biscuit."),
        ("human", "And my cat?"),
    ]
    found = {
        d.page_content: d.metadata for d in HSARetriever(session=session, k=10).invoke("Biscuit")
    }
    assert found["My dog is called Biscuit."]["langchain"] == value
    assert "langchain" not in found.get("And my cat?", {})
