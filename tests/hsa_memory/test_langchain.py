"""A session as LangChain's retriever and chat history."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests

import hsa_memory
from hsa_memory import MemorySession
from hsa_memory.langchain import HSAChatMessageHistory, HSARetriever
from hsa_memory.langchain_messages import EMPTY_TEXT

SAID = (
    "My dog is called Biscuit.",
    "The code of my locker is 4817.",
    "The spare key is under the blue flowerpot.",
    "Nobody could remember who built the tower.",
)


@pytest.fixture
def session(tmp_path: Path, tiny_checkpoint: Path) -> Iterator[MemorySession]:
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:
        with memory.session("alice") as session:
            yield session


@pytest.fixture
def told(session: MemorySession) -> MemorySession:
    for n, text in enumerate(SAID):
        role = ("user", "assistant")[n % 2]
        session.add(role, text, id=f"m{n}", timestamp=1000.0 * n, metadata={"topic": f"t{n}"})
    return session


class TestStandardRetriever(RetrieversIntegrationTests):
    """LangChain's own tests."""

    @pytest.fixture(autouse=True)
    def _session(self, told: MemorySession) -> None:
        self.session = told

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return HSARetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"session": self.session}

    @property
    def retriever_query_example(self) -> str:
        return "What is my dog called?"


def test_documents_carry_id_score_and_provenance(told: MemorySession) -> None:
    documents = HSARetriever(session=told, k=4).invoke("What is my dog called?")
    assert {d.page_content for d in documents} == set(SAID)
    assert [d.metadata["score"] for d in documents] == sorted(
        (d.metadata["score"] for d in documents), reverse=True
    )
    (dog,) = (d for d in documents if d.id == "m0")
    assert dog.metadata["session_id"] == "alice"
    assert (dog.metadata["turn"], dog.metadata["role"]) == (0, "user")
    assert (dog.metadata["timestamp"], dog.metadata["topic"]) == (0.0, "t0")
    assert dog.metadata["chunk_ids"]
    assert dog.metadata["spans"]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"role": "assistant"}, {"m1", "m3"}),
        ({"role": ["user"], "since": 1.0}, {"m2"}),
        ({"until": datetime.fromtimestamp(1500, timezone.utc)}, {"m0", "m1"}),
        ({"where": {"topic": "t3"}}, {"m3"}),
    ],
)
def test_filters_narrow_the_search(
    told: MemorySession, filters: dict[str, Any], ids: set[str]
) -> None:
    documents = HSARetriever(session=told, **filters).invoke("the key")
    assert {d.id for d in documents} == ids


async def test_searching_leaves_the_loop_free(
    told: MemorySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever, free = HSARetriever(session=told), asyncio.Event()
    search = told.search

    def waiting(*args: Any, **kwargs: Any) -> Any:
        # Only a loop that still runs can set this while the search is under way.
        asyncio.run_coroutine_threadsafe(set_free(), loop).result(timeout=120)
        return search(*args, **kwargs)

    async def set_free() -> None:
        free.set()

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(told, "search", waiting)
    documents = await retriever.ainvoke("the key", k=2)
    assert free.is_set()
    assert len(documents) == 2


CALL = {"name": "recall", "args": {"query": "dog", "k": 3}, "id": "call-1", "type": "tool_call"}
EVERY_KIND: list[BaseMessage] = [
    HumanMessage("Hello", id="h1", name="Alice", additional_kwargs={"x": [1, {"y": None}]}),
    HumanMessage(
        [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ]
    ),
    HumanMessage([]),
    HumanMessage("  spaces kept \n"),
    AIMessage("Hi", response_metadata={"model_name": "mini", "logprobs": [0.5, -1e-9]}),
    AIMessage(
        "",
        tool_calls=[CALL],
        usage_metadata={"input_tokens": 7, "output_tokens": 2, "total_tokens": 9},
    ),
    AIMessage("Thinking", tool_calls=[CALL, {**CALL, "id": "call-2"}]),
    AIMessage(
        "",
        invalid_tool_calls=[
            {
                "name": "f",
                "args": "{broken",
                "id": "1",
                "error": "no JSON",
                "type": "invalid_tool_call",
            }
        ],
    ),
    AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "Four."}]),
    ToolMessage(
        "found", tool_call_id="call-1", artifact={"rows": [1, 2]}, status="error", name="f"
    ),
    ToolMessage([{"type": "text", "text": "block"}], tool_call_id="call-2"),
    SystemMessage("Be kind.", id="s"),
    FunctionMessage("3", name="add"),
    ChatMessage("As a critic", role="critic"),
    ChatMessage("As a user", role="user"),
    RemoveMessage(id="h1"),
    HumanMessageChunk("Hal"),
    AIMessageChunk(
        "Ye",
        tool_call_chunks=[
            {"name": "f", "args": '{"a": 1}', "id": "c", "index": 0, "type": "tool_call_chunk"}
        ],
        chunk_position="last",
    ),
    SystemMessageChunk("Be"),
    ToolMessageChunk("fo", tool_call_id="call-1"),
    FunctionMessageChunk("3", name="add"),
    ChatMessageChunk("As", role="critic"),
    HumanMessage('emoji 🐕, newline\n, quote " and \x00 byte'),
]


def kind_of(message: BaseMessage) -> str:
    return f"{type(message).__name__}-{str(message.content)[:12]}"


@pytest.mark.parametrize("message", EVERY_KIND, ids=kind_of)
def test_every_kind_of_message_comes_back_as_it_was(
    session: MemorySession, message: BaseMessage
) -> None:
    HSAChatMessageHistory(session).add_messages([message])
    (back,) = HSAChatMessageHistory(session).messages
    assert type(back) is type(message)
    assert back == message
    assert back.model_dump() == message.model_dump()


def test_order_and_persistence(tmp_path: Path, tiny_checkpoint: Path) -> None:
    with hsa_memory.open(tmp_path, model=tiny_checkpoint) as memory:
        history = HSAChatMessageHistory(memory.session("alice"))
        history.add_messages(EVERY_KIND)
        history.add_user_message("last")
    with hsa_memory.open(tmp_path, model=tiny_checkpoint) as memory:
        history = HSAChatMessageHistory(memory.session("alice"))
        assert history.messages == [*EVERY_KIND, HumanMessage("last")]


def test_a_history_prints_as_a_conversation(session: MemorySession) -> None:
    history = HSAChatMessageHistory(session)
    history.add_messages([HumanMessage("a"), AIMessage("b")])
    assert str(history) == "Human: a\nAI: b"


def test_a_bulk_add_is_all_or_nothing(session: MemorySession) -> None:
    history = HSAChatMessageHistory(session)
    bad = ToolMessage("x", tool_call_id="1", artifact=object())
    with pytest.raises(hsa_memory.InvalidMessage, match="tool message"):
        history.add_messages([HumanMessage("fine"), bad])
    assert history.messages == []
    history.add_messages([])
    assert len(session) == 0


def test_clear_empties_the_history(session: MemorySession) -> None:
    history = HSAChatMessageHistory(session)
    history.add_messages([HumanMessage("a"), AIMessage("b")])
    history.clear()
    assert history.messages == []
    history.add_user_message("again")
    assert history.messages == [HumanMessage("again")]


async def test_the_async_side_does_the_same(session: MemorySession) -> None:
    history = HSAChatMessageHistory(session)
    await history.aadd_messages([HumanMessage("a"), AIMessage("b")])
    assert await history.aget_messages() == history.messages == [HumanMessage("a"), AIMessage("b")]
    await history.aclear()
    assert await history.aget_messages() == []


def test_the_model_remembers_text_and_tool_calls_only(session: MemorySession) -> None:
    HSAChatMessageHistory(session).add_messages(
        [
            HumanMessage([{"type": "text", "text": "Look:"}, {"type": "image", "base64": "AAAA"}]),
            AIMessage("", tool_calls=[CALL]),
            ToolMessage("found it", tool_call_id="call-1", artifact={"big": "secret"}),
            AIMessage(""),
        ]
    )
    assert [(m.role, m.text) for m in session.messages()] == [
        ("user", "Look:"),
        ("assistant", 'recall(query="dog", k=3)'),
        ("tool", "found it"),
        ("assistant", EMPTY_TEXT),
    ]


def test_a_message_may_be_larger_than_the_metadata(session: MemorySession) -> None:
    image = {"type": "image", "base64": "iVBORw0" * 30_000}
    large = HumanMessage([{"type": "text", "text": "A photo of Biscuit"}, image])
    history = HSAChatMessageHistory(session)
    history.add_messages([HumanMessage("before"), large, HumanMessage("after")])
    assert history.messages == [HumanMessage("before"), large, HumanMessage("after")]
    # Text is all that there is for the model: no message, and no token, stands for the image.
    said = ["before", "A photo of Biscuit", "after"]
    assert [m.text for m in session.messages()] == said
    assert session.stats().num_tokens == sum(
        len(session._engine.tokenizer.encode_message("user", text)) for text in said
    )
    documents = HSARetriever(session=session, k=10).invoke("A photo of Biscuit")
    assert {d.page_content for d in documents} == set(said)
    assert not any("langchain" in key for d in documents for key in d.metadata)
    assert {c.text for c in session.ask("What is on the photo?").citations} <= set(said)
    assert "iVBORw0" not in session.context("A photo of Biscuit", 500).text
    assert session._store.check() == []


def test_a_large_message_survives_and_its_loss_is_told(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    large = HumanMessage("Look", additional_kwargs={"page": "🐕" * 50_000})
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:
        HSAChatMessageHistory(memory.session("alice")).add_messages([large])
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint, read_only=True) as memory:
        with memory.session("alice") as session:
            assert HSAChatMessageHistory(session).messages == [large]
            (message,) = session.messages()
    with hsa_memory.open(tmp_path / "store", model=tiny_checkpoint) as memory:
        # A copy of the text alone does not pass for the message.
        copy = memory.session("bob")
        copy.add_messages([message])
        with pytest.raises(hsa_memory.CorruptStore, match="attachment is missing"):
            _ = HSAChatMessageHistory(copy).messages
        copy.clear()
        assert HSAChatMessageHistory(copy).messages == []


def test_an_attachment_belongs_to_the_message_that_brought_it(session: MemorySession) -> None:
    message = {"role": "user", "content": "Look", "id": "a", "attachment": "first"}
    session.add_messages([message, {**message, "id": "b", "attachment": ""}])
    # Known by its id: nothing changes.
    plain = {"role": "user", "content": "Look", "id": "a"}
    again = session.add_messages([message, plain, {**message, "id": "c"}])
    assert again.num_added == 1
    new, bare = {**plain, "id": "d"}, {**plain, "id": "e"}
    for batch in (
        [{**message, "attachment": "second"}],
        [{**message, "attachment": "second"}, new],
        [{**new, "attachment": "first"}, {**new, "attachment": "second"}],
        [bare, {**bare, "attachment": "late"}],
    ):
        with pytest.raises(hsa_memory.MessageConflict, match="another attachment"):
            session.add_messages(batch)
    found = [session.attachment(id) for id in ("a", "b", "c", "d")]
    assert found == ["first", "", "first", None]
    for bad in (b"bytes", 5, "\ud800"):
        with pytest.raises(hsa_memory.InvalidMessage, match="attachment"):
            session.add_messages([{**message, "id": "e", "attachment": bad}])
    assert len(session) == 3


@pytest.mark.parametrize("messages", [None, 5, ["x"], [None], "text"])
def test_only_langchain_messages_are_taken(session: MemorySession, messages: Any) -> None:
    with pytest.raises(hsa_memory.InvalidMessage, match="expected"):
        HSAChatMessageHistory(session).add_messages(messages)
    assert len(session) == 0


def test_plain_messages_of_a_session_appear_too(session: MemorySession) -> None:
    for role in ("user", "assistant", "system", "document", "tool"):
        session.add(role, f"by {role}", id=role)
    assert HSAChatMessageHistory(session).messages == [
        HumanMessage("by user", id="user"),
        AIMessage("by assistant", id="assistant"),
        SystemMessage("by system", id="system"),
        ChatMessage("by document", role="document", id="document"),
        ChatMessage("by tool", role="tool", id="tool"),
    ]


def test_k_must_be_positive(session: MemorySession) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        HSARetriever(session=session, k=0)


def test_an_empty_session_gives_no_documents(session: MemorySession) -> None:
    assert HSARetriever(session=session).invoke("anything") == []


def test_a_missing_langchain_is_named_with_its_remedy() -> None:
    program = "import sys\nsys.modules['langchain_core'] = None\nimport hsa_memory.langchain\n"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    assert "hsa_memory.langchain needs langchain-core: pip install" in done.stderr
