"""Answers: streaming, citations, support, filters, remembering."""

import time
from pathlib import Path

import pytest
import torch

import hsa_memory
from hsa_memory import Memory, MemorySession
from hsa_memory.answering import _Text
from hsa_memory.excerpts import fork_of_excerpts
from hsa_memory.filters import make_filter
from hsa_memory.fork import Fork

QUESTION = "Where is the spare key?"


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path):
    folder = tmp_path_factory.mktemp("answering")
    with hsa_memory.open(folder / "memory", model=tiny_checkpoint) as opened:
        yield opened


@pytest.fixture(scope="module")
def session(memory: Memory) -> MemorySession:
    opened = memory.session("alice")
    fill(opened)
    return opened


def fill(session: MemorySession) -> None:
    session.add_messages(
        {
            "role": "user" if i % 2 else "assistant",
            "content": f"The code of locker {i} is {i * 37}.",
            "timestamp": 100.0 * i,
            "metadata": {"i": i},
        }
        for i in range(40)
    )


def test_a_stream_is_the_answer_in_pieces(session: MemorySession) -> None:
    asked = session.ask(QUESTION, max_tokens=20)
    stream = session.stream(QUESTION, max_tokens=20)
    pieces = list(stream)
    assert "".join(pieces) == stream.answer.text == asked.text
    assert all(pieces)
    assert stream.answer.citations[0].message == asked.citations[0].message
    assert stream.answer.support == asked.support
    assert asked.stats.tokens_generated == 20
    assert asked.finish_reason == "length"
    # Asking for the answer first runs to the end too.
    assert session.stream(QUESTION, max_tokens=20).answer.text == asked.text


def test_a_stream_that_is_closed_has_no_answer(session: MemorySession) -> None:
    stream = session.stream(QUESTION, max_tokens=20)
    next(stream)
    stream.close()
    with pytest.raises(hsa_memory.SessionClosed, match="stream was closed"):
        _ = stream.answer


def test_a_stream_of_a_cleared_session_has_no_answer(memory: Memory) -> None:
    session = memory.session("cleared")
    session.add_messages({"role": "user", "content": f"The code is {i}."} for i in range(20))
    stream = session.stream(QUESTION, max_tokens=20)
    next(stream)
    session.clear()
    for _ in range(2):
        with pytest.raises(hsa_memory.SessionClosed, match="session"):
            _ = stream.answer


def test_asking_leaves_no_trace(session: MemorySession) -> None:
    before = session.stats()
    first = session.ask(QUESTION, max_tokens=10)
    session.ask("Something else?", max_tokens=30)
    second = session.ask(QUESTION, max_tokens=10)
    assert session.stats() == before
    assert (first.text, first.support) == (second.text, second.support)
    assert [c.weight for c in first.citations] == [c.weight for c in second.citations]


def test_draws_follow_their_seed(session: MemorySession) -> None:
    def draw(seed: int) -> str:
        return session.ask(QUESTION, max_tokens=12, temperature=1.0, seed=seed).text

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(4)}) > 1


def test_special_tokens_are_never_part_of_an_answer(session: MemorySession) -> None:
    answer = session.ask(QUESTION, max_tokens=64, temperature=50.0, seed=3)
    assert answer.stats.tokens_generated <= 64
    assert "<|" not in answer.text


def test_citations_name_messages_by_falling_weight(session: MemorySession) -> None:
    before = time.time()
    answer = session.ask(QUESTION, max_tokens=10)
    after = time.time()
    weights = [citation.weight for citation in answer.citations]
    assert weights == sorted(weights, reverse=True)
    assert 0 < sum(weights) <= 1 + 1e-4
    messages = session.messages()
    for citation in answer.citations:
        assert citation.message == messages[citation.seq]
        assert before - 1 < citation.timestamp + citation.age_seconds < after + 1
        for chunk in citation.chunk_ids:
            (turns,) = session._store.turns_in_tokens([(chunk * 8, chunk * 8 + 8)])
            assert citation.seq in [turn.seq for turn in turns]
        for start, end in citation.spans:
            assert citation.text[start:end]


def test_an_empty_memory_supports_nothing(memory: Memory) -> None:
    answer = memory.session("empty").ask(QUESTION, max_tokens=5)
    assert (answer.support, answer.citations) == (0.0, ())
    assert answer.stats.prefilled_history == answer.stats.tail_tokens == 0


def test_support_is_a_share(session: MemorySession) -> None:
    for question in ("What is the code?", QUESTION, "x"):
        assert 0 <= session.ask(question, max_tokens=6).support <= 1


def test_a_filtered_answer_depends_on_allowed_messages_alone(
    memory: Memory, session: MemorySession
) -> None:
    """Two histories that differ in everything but the allowed messages give one answer."""
    other = memory.session("other")
    kept = [m for m in session.messages() if m.role == "user"]
    for i, message in enumerate(kept):
        other.add("assistant", f"something quite different, number {i}")
        other.add_messages([message])
    filtered = session.ask(QUESTION, max_tokens=12, role="user")
    unfiltered = memory.session("kept")
    unfiltered.add_messages(kept)
    for answer in (filtered, other.ask(QUESTION, max_tokens=12, role="user")):
        assert answer.text == unfiltered.ask(QUESTION, max_tokens=12).text
        assert {citation.role for citation in answer.citations} == {"user"}
        assert answer.stats.prefilled_history > 0
    ids = {c.id for c in filtered.citations}
    assert ids <= {m.id for m in kept}


def test_logits_under_a_filter_do_not_know_the_rest(memory: Memory) -> None:
    """The text that is filtered out is replaced, and not a bit of the logits changes."""
    found = []
    for rest in ("The harbour was quiet.", "The combination is 4817, behind the tower " * 9):
        session = memory.session(f"with {len(rest)}")
        for i in range(12):
            session.add("assistant", f"{rest} {i}", timestamp=1000 + i, metadata={"keep": 0})
            session.add(
                "user", f"Number {i}: {i * 7919 % 997}.", timestamp=2000, metadata={"keep": 1}
            )
        for options in ({"role": "user"}, {"where": {"keep": 1}}, {"since": 2000}):
            filter = make_filter(*(options.get(x) for x in ("role", "since", "until", "where")))
            source, prompt = session._source, session._engine.question(QUESTION)
            history = Fork.of_history(source)
            fork = fork_of_excerpts(source, history, prompt, filter, session._metadata)
            with torch.inference_mode():
                tokens = torch.tensor([[*fork.padding(), *prompt]])
                found.append(fork.forward(tokens, fork.state).logits)
    assert all(torch.equal(logits, found[0]) for logits in found)


def test_a_filter_that_nothing_passes_leaves_an_empty_memory(
    memory: Memory, session: MemorySession
) -> None:
    answer = session.ask(QUESTION, max_tokens=8, where={"i": "none"})
    assert (answer.citations, answer.support) == ((), 0.0)
    empty = memory.session("nothing").ask(QUESTION, max_tokens=8)
    assert answer.text == empty.text


def test_a_long_message_is_read_in_part_under_a_filter(memory: Memory) -> None:
    session = memory.session("long")
    words = " ".join(f"tower {i} of the harbour" for i in range(900))
    session.add("document", words)
    session.add("user", "hello")
    answer = session.ask(QUESTION, max_tokens=4, role="document")
    assert 0 < answer.stats.prefilled_history <= 4096
    for citation in answer.citations:
        assert all(words[start:end] for start, end in citation.spans)


def test_remembering_adds_question_and_answer(memory: Memory) -> None:
    session = memory.session("remembering")
    session.add("user", "The spare key is under the blue flowerpot.")
    answer = session.ask(QUESTION, max_tokens=8, remember=True)
    added = [(m.role, m.text) for m in session.messages()[1:]]
    assert added == [("user", QUESTION), ("assistant", answer.text)][: len(added)]
    assert len(added) == (2 if answer.text else 1)
    assert answer.stats.tokens_ingested > 0


@pytest.mark.parametrize("text", ["  Größe 🐕‍🦺 naïve \n", "\n\n a  b ", "", "   ", "é"])
def test_text_comes_in_whole_characters_without_outer_space(text: str) -> None:
    stream = _Text()
    data = text.encode()
    pieces = [stream.feed(data[i : i + 1]) for i in range(len(data))] + [stream.finish()]
    assert "".join(pieces) == stream.whole == text.strip()


def test_bytes_that_are_no_text_are_replaced() -> None:
    stream = _Text()
    assert stream.feed(b"a\xf0\x9f") + stream.finish() == "a\N{REPLACEMENT CHARACTER}"
