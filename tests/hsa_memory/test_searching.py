"""Search: the reader's own retrieval, filters before the choice, context for other models."""

from pathlib import Path

import pytest
import torch

import hsa_memory
from hsa_memory import MemorySession, searching
from hsa_memory.filters import Metadata, allowed_turns, make_filter, touched_chunks
from hsa_memory.fork import Fork
from hsa_memory.model import ChunkKV, ChunkMemory

ROLES = ["user", "assistant", "tool"]
QUESTION = "Who built the tower?"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path):
    folder = tmp_path_factory.mktemp("searching")
    with hsa_memory.open(folder / "memory", model=tiny_checkpoint) as memory:
        opened = memory.session("alice")
        opened.add_messages(
            {
                "role": ROLES[i % 3],
                "content": f"{i}: " + "nobody could remember the tower " * (1 + i % 4),
                "timestamp": 1000 + i,
                "metadata": {"topic": "odd" if i % 2 else "even", "deep": {"n": i % 5}},
            }
            for i in range(60)
        )
        opened.add("user", "the last words", timestamp=2000)
        yield opened


def test_all_messages_are_found_with_falling_scores_that_add_up(session: MemorySession) -> None:
    found = session.search(QUESTION, k=1000)
    assert sorted(hit.seq for hit in found) == list(range(61))
    scores = [hit.score for hit in found]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-4)
    assert [hit.message for hit in found] == [session.messages()[hit.seq] for hit in found]
    few = session.search(QUESTION, k=4)
    assert len(few) == 4
    assert sum(hit.score for hit in few) <= 1


def test_spans_lie_in_the_chunks_found(session: MemorySession) -> None:
    for hit in session.search(QUESTION, k=10):
        tokens = session._store.turns(hit.seq, hit.seq + 1)[0]
        for start, end in hit.spans:
            assert 0 <= start < end <= len(hit.text)
        covered = sum(end - start for start, end in hit.spans)
        assert (covered == len(hit.text)) <= (len(tokens.tokens) <= 8 * len(hit.chunk_ids))


def test_scores_are_those_the_reader_uses(session: MemorySession) -> None:
    """What the reader chooses for the first token of its answer is among what search ranks."""
    fork = Fork.of_history(session._source)
    with torch.inference_mode():
        prompt = torch.tensor([fork.engine.question(QUESTION)])
        traces = fork.forward(prompt, fork.state).traces
    read = {int(i) for trace in traces for i in trace.indices[0, -1].flatten() if i >= 0}
    found = {chunk for hit in session.search(QUESTION, k=1000) for chunk in hit.chunk_ids}
    assert read & set(range(session.stats().num_chunks)) <= found


def test_shares_are_divided_as_the_reader_fuses_them(session: MemorySession) -> None:
    fork = Fork.of_history(session._source)
    memory = fork.state.memory
    prompt = torch.tensor([fork.engine.question(QUESTION)])
    with torch.inference_mode():
        traces = fork.forward(prompt, fork.state).traces
        queries = fork.queries(prompt)
        every = torch.ones(memory.num_source_chunks + memory.landmarks.shape[1], dtype=torch.bool)
        by_landmark = searching._chunk_shares(queries, memory, every)
        shares = by_landmark.clone()
        searching._rerank(fork, queries, memory, shares, tail=0)
    assert not torch.equal(shares, by_landmark)
    torch.testing.assert_close(shares.sum(-1), torch.ones(shares.shape[:2]))
    for trace, one in zip(traces, shares, strict=True):
        chosen = one.gather(-1, trace.indices[0, -1])
        torch.testing.assert_close(
            chosen / chosen.sum(-1, keepdim=True), trace.weights[0, -1], rtol=1e-4, atol=1e-6
        )


def test_padding_of_the_unfinished_chunk_does_not_count(session: MemorySession) -> None:
    """Its score is that of its own tokens, whatever fills up the chunk."""
    fork = Fork.of_history(session._source)
    with torch.inference_mode():
        memory, tail = searching._with_unfinished_chunks(fork)
        size = fork.engine.config.chunk_size
        assert 0 < tail < size
        queries = fork.queries(torch.tensor([fork.engine.question(QUESTION)]))
        held = memory.kv.k.shape[1]
        every = torch.zeros(memory.num_source_chunks + held, dtype=torch.bool)
        every[-2:] = True
        results = []
        for padding in (0.0, 30.0):
            memory.kv.k[:, held - 1, tail:] = padding
            shares = searching._chunk_shares(queries, memory, every)
            searching._rerank(fork, queries, memory, shares, tail)
            results.append(shares)
    torch.testing.assert_close(results[0], results[1])


def test_a_filter_keeps_other_chunks_from_being_read(
    session: MemorySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[int] = set()
    gather = Fork.gather

    def spy(fork: Fork, memory: ChunkMemory, indices: torch.Tensor) -> tuple[ChunkKV, torch.Tensor]:
        read.update(indices[indices >= 0].tolist())
        return gather(fork, memory, indices)

    monkeypatch.setattr(Fork, "gather", spy)
    hits = session.search(QUESTION, k=5, until=1001)
    assert [hit.text[:2] for hit in hits] == ["0:"]
    assert read == set(hits[0].chunk_ids)


def test_what_does_not_fill_a_chunk_yet_is_found(session: MemorySession, tmp_path: Path) -> None:
    last = session.search("the last words", k=100)
    assert 60 in [hit.seq for hit in last]
    (only,) = session.search("x", since=2000)
    assert (only.text, only.spans) == ("the last words", ((0, 14),))


FILTERS = {
    "role": {"role": "user"},
    "roles": {"role": {"user", "ai"}},
    "since": {"since": 1030},
    "until": {"until": "1970-01-01T00:17:10Z"},
    "time": {"since": 1010, "until": 1011},
    "where": {"where": {"topic": "odd"}},
    "deep": {"where": {"deep": {"n": 3}}},
    "all": {"role": "tool", "since": 1003, "until": 1050, "where": {"topic": "even"}},
    "none": {"where": {"topic": "other"}},
    "never": {"since": 5000},
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters_are_exact(session: MemorySession, name: str) -> None:
    options = FILTERS[name]
    roles = {"role": {"user"}, "roles": {"user", "assistant"}, "all": {"tool"}}.get(name)
    expected = set()
    for message in session.messages():
        moment = {"until": 1030}.get(name, options.get("until", 1e9))
        passes = roles is None or message.role in roles
        passes &= options.get("since", 0) <= message.timestamp < moment
        wanted = options.get("where", {})
        passes &= all(message.metadata.get(key) == wanted[key] for key in wanted)
        if passes:
            expected.add(message.seq)
    found = session.search(QUESTION, k=1000, **options)
    assert {hit.seq for hit in found} == expected
    if expected:
        assert sum(hit.score for hit in found) == pytest.approx(1, abs=1e-4)


def test_a_chunk_takes_part_when_one_of_its_messages_passes(session: MemorySession) -> None:
    index, size = session._store.turn_index(), 8
    allowed = allowed_turns(make_filter("tool", None, None, None), index, Metadata(session._store))
    chunks = touched_chunks(index, allowed, size, session.stats().num_chunks + 1)
    for chunk, is_open in enumerate(chunks):
        span = chunk * size, min((chunk + 1) * size, session.stats().num_tokens)
        (turns,) = session._store.turns_in_tokens([span])
        assert is_open == any(turn.role == "tool" for turn in turns)


def test_an_empty_session_has_nothing(tmp_path: Path, tiny_checkpoint: Path) -> None:
    with hsa_memory.open(tmp_path / "memory", model=tiny_checkpoint) as memory:
        session = memory.session("empty")
        assert len(session.search(QUESTION)) == 0
        context = session.context(QUESTION, 100)
        assert (context.text, context.num_tokens, context.hits) == ("", 0, ())


@pytest.mark.parametrize("max_tokens", [1, 20, 40, 80, 200, 5000])
def test_context_never_exceeds_its_length(session: MemorySession, max_tokens: int) -> None:
    context = session.context(QUESTION, max_tokens)
    count = len(session._engine.tokenizer.encode(context.text))
    assert count == context.num_tokens <= max_tokens
    seqs = [hit.seq for hit in context.hits]
    assert seqs == sorted(seqs)
    if max_tokens >= 200:
        assert seqs
    for hit in context.hits:
        assert f"{hit.role}: " in context.text


def test_context_cuts_a_long_message_around_what_was_found(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    text = " ".join(f"word{i}" for i in range(800))
    with hsa_memory.open(tmp_path / "memory", model=tiny_checkpoint) as memory:
        session = memory.session("alice")
        session.add("document", text, timestamp=0)
        (hit,) = session.search("word", k=1)
        context = session.context("word", 100)
        head, _, cut = context.text.partition("document: ")
        assert head == "[1970-01-01 00:00] "
        assert cut.strip(".") in text
        assert 60 < context.num_tokens <= 100


def test_costs_are_reported(tmp_path: Path, tiny_checkpoint: Path, session: MemorySession) -> None:
    with hsa_memory.open(tmp_path / "memory", model=tiny_checkpoint, cache_bytes=0) as memory:
        fresh = memory.session("alice")
        fresh.add_messages(session.messages())
        stats = fresh.search(QUESTION).stats
        assert stats.chunks_read > 0
        assert stats.bytes_read == stats.chunks_read * fresh._store.layout.kv_bytes
        assert stats.tokens_prefilled == len(fresh._engine.question(QUESTION))
        assert 0 < stats.tail_tokens < 8
        assert (stats.prefilled_history, stats.tokens_ingested) == (0, 0)
        assert stats.seconds > 0
        # Without a cache every call reads again; the state of the tail is kept.
        again = fresh.search(QUESTION).stats
        assert (again.chunks_read, again.tail_tokens) == (stats.chunks_read, 0)
    cached = session.search(QUESTION).stats
    assert session.search(QUESTION).stats.chunks_read == 0 <= cached.chunks_read
