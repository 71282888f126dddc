"""Small work uses one thread and leaves the caller's setting as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import hsa_memory
from hsa_memory.model import HSATransformer
from hsa_memory.threads import threads_for


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_few_tokens_get_one_thread_and_many_get_all() -> None:
    for num_tokens, threads in ((1, 1), (512, 1), (513, 3)):
        with threads_for(num_tokens):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 3
    with threads_for(1), threads_for(10_000):
        assert torch.get_num_threads() == 1
    with pytest.raises(ValueError, match="inside"), threads_for():
        raise ValueError("inside")
    assert torch.get_num_threads() == 3


def test_questions_run_on_one_thread_and_long_texts_on_all(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    lower_half = HSATransformer._lower_half

    def spy(self, tokens, *rest):
        seen.append((tokens.shape[1], torch.get_num_threads()))
        return lower_half(self, tokens, *rest)

    monkeypatch.setattr(HSATransformer, "_lower_half", spy)
    with hsa_memory.open(tmp_path / "m", model=tiny_checkpoint) as memory:
        session = memory.session("s")
        session.add("user", "a long story " * 400)
        assert {threads for tokens, threads in seen if tokens > 512} == {3}
        seen.clear()
        session.add("user", "a word")
        session.search("a question")
        for _ in session.stream("another"):
            # Between two pieces the caller's code runs, with the caller's threads.
            assert torch.get_num_threads() == 3
        assert seen
        assert {threads for _, threads in seen} == {1}
    assert torch.get_num_threads() == 3
