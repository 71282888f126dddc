"""Generation: greedy or drawn, stopping, and scoring what was generated."""

from collections.abc import Sequence

import pytest
import torch

from hsa_memory.model import HSAConfig, HSATransformer
from hsa_memory.model.generate import generate, score

CONFIG = HSAConfig(
    vocab_size=50,
    hidden_size=32,
    intermediate_size=48,
    num_lower_layers=1,
    num_upper_layers=2,
    num_groups=2,
    num_heads=2,
    num_kv_heads=1,
    head_dim=16,
    hsa_num_heads=2,
    chunk_size=4,
    top_k=2,
    window=8,
    retrieval_dim=16,
)
PROMPT = [3, 20, 21, 22, 1, 4]


@pytest.fixture(scope="module")
def model() -> HSATransformer:
    torch.manual_seed(0)
    return HSATransformer(CONFIG).double().eval().requires_grad_(False)


def test_greedy_tokens_are_those_of_full_forward_passes(model: HSATransformer) -> None:
    with torch.no_grad():
        state = model.ingest(torch.arange(8, 30)[None])
    steps = list(generate(model, PROMPT, state, max_tokens=12, stop=1))
    tokens = [*range(8, 30), *PROMPT]
    for step in steps:
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, -1]
        assert step.token == int(logits.argmax())
        assert step.log_probability == pytest.approx(float(logits.log_softmax(-1).max()), abs=1e-5)
        tokens.append(step.token)
    assert len(steps) == 12 or steps[-1].token == 1


def test_a_state_is_not_changed_by_what_is_generated_from_it(model: HSATransformer) -> None:
    state = model.ingest(torch.arange(8, 30)[None])
    runs = [
        [s.token for s in generate(model, PROMPT, state, max_tokens=6, stop=1)] for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert state.lengths == (22,)


def test_it_ends_with_the_stop_token(model: HSATransformer) -> None:
    first = next(generate(model, PROMPT, model.start(1), max_tokens=5, stop=1)).token
    steps = list(generate(model, PROMPT, model.start(1), max_tokens=5, stop=first))
    assert [step.token for step in steps] == [first]


def test_forbidden_tokens_are_never_chosen(model: HSATransformer) -> None:
    allowed = [7, 9]
    forbidden = [i for i in range(50) if i not in allowed]
    for temperature in (0.0, 5.0):
        options = {"max_tokens": 8, "stop": 1, "forbidden": forbidden, "temperature": temperature}
        steps = list(generate(model, PROMPT, model.start(1), **options))
        assert {step.token for step in steps} <= set(allowed)


def test_draws_follow_seed_and_temperature(model: HSATransformer) -> None:
    def draw(**options: float) -> list[int]:
        steps = generate(model, PROMPT, model.start(1), max_tokens=10, stop=1, **options)
        return [step.token for step in steps]

    assert draw(temperature=1.0, seed=5) == draw(temperature=1.0, seed=5)
    for temperature in (1e-6, 1e-40, 5e-324):
        assert draw(temperature=temperature) == draw()
    # Every token is as likely as the one to stop at: seeds of which none draws that one early.
    assert [len(draw(temperature=1e300, seed=seed)) for seed in (1, 2, 3)] == [10] * 3


def test_traces_belong_to_the_predicting_position(model: HSATransformer) -> None:
    state = model.ingest(torch.arange(8, 40)[None])
    for step in generate(model, PROMPT, state, max_tokens=3, stop=1):
        assert len(step.traces) == CONFIG.num_groups
        for trace in step.traces:
            assert trace.indices.shape == (1, 1, 1, 2)
            assert trace.attention_query.shape == (1, 1, 2, 16)


@pytest.mark.parametrize("forbidden", [(), range(2, 30)])
def test_scores_are_the_log_probabilities_of_the_steps(
    model: HSATransformer, forbidden: Sequence[int]
) -> None:
    options = {"max_tokens": 7, "stop": 1, "forbidden": forbidden}
    steps = list(generate(model, PROMPT, model.start(1), **options))
    tokens = [step.token for step in steps]
    found = score(model, PROMPT, tokens, model.start(1), forbidden=forbidden)
    expected = torch.tensor([step.log_probability for step in steps])
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("prompt", "temperature"), [([], 0.0), ([3], -1.0)])
def test_bad_arguments_are_refused(
    model: HSATransformer, prompt: list[int], temperature: float
) -> None:
    with pytest.raises(ValueError, match="expected a prompt"):
        next(generate(model, prompt, model.start(1), max_tokens=1, stop=1, temperature=temperature))
