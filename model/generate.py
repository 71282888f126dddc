"""Generation: one token after another, each from a state that is never changed in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import HSATrace
from .state import State
from .transformer import Output

Forward = Callable[[Tensor, State], Output]
"""Runs the whole model on tokens [1, T]; logits of the last token are enough."""


class Step(NamedTuple):
    """One generated token."""

    token: int
    log_probability: float
    """Of the token under the model, at temperature 1, among the tokens allowed."""
    state: State
    """State before the token: after everything that led to it."""
    traces: tuple[HSATrace, ...]
    """What each HSA layer did at the one position that predicted the token."""


def generate(
    forward: Forward,
    prompt: Sequence[int],
    state: State,
    *,
    max_tokens: int,
    stop: int,
    forbidden: Sequence[int] = (),
    temperature: float = 0.0,
    seed: int | None = None,
) -> Iterator[Step]:
    """Yield tokens that follow `prompt`, the stop token included.

    Args:
        forward: the model.
        prompt: token ids, at least one.
        state: what came before them.
        max_tokens: most tokens to yield.
        stop: token that ends the generation.
        forbidden: tokens never to choose.
        temperature: 0 takes the most probable token, otherwise logits are divided by it.
        seed: of the draws; default: a new one each time.

    Raises:
        ValueError: an empty prompt or a negative temperature.
    """
    if not prompt or temperature < 0:
        raise ValueError(
            f"expected a prompt and a temperature >= 0; found {len(prompt)} tokens, {temperature}"
        )
    draws = torch.Generator()
    draws.seed() if seed is None else draws.manual_seed(seed)
    tokens: Sequence[int] = prompt
    for _ in range(max_tokens):
        # Not around the whole loop: between two tokens the caller's code runs.
        with torch.inference_mode():
            output = forward(torch.tensor([tokens], device=state.recent.device), state)
            token, log_probability = _choose(output.logits[0, -1], forbidden, temperature, draws)
        traces = tuple(HSATrace(*(x[:, -1:] for x in trace)) for trace in output.traces)
        yield Step(token, log_probability, output.state, traces)
        if token == stop:
            return
        tokens, state = [token], output.state


@torch.inference_mode()
def score(
    forward: Forward,
    prompt: Sequence[int],
    tokens: Sequence[int],
    state: State,
    *,
    forbidden: Sequence[int] = (),
) -> Tensor:
    """Return the log probability [len(tokens)] of each of `tokens` after `prompt`, as `generate`
    would among the tokens that are not `forbidden`.

    `forward` must return the logits of every position.
    """
    device = state.recent.device
    output = forward(torch.tensor([[*prompt, *tokens[:-1]]], device=device), state)
    logits = output.logits[0, len(prompt) - 1 :].float()
    if forbidden:
        logits[:, torch.tensor(forbidden, device=device)] = float("-inf")
    wanted = torch.tensor(tokens, device=device)
    return logits.log_softmax(-1).gather(1, wanted[:, None])[:, 0]


def _choose(
    logits: Tensor, forbidden: Sequence[int], temperature: float, draws: torch.Generator
) -> tuple[int, float]:
    """Choose from logits [vocabulary]; returns the token and its log probability."""
    # The one copy of a step from a GPU; drawn on the CPU, a seed gives the same on any device.
    logits = logits.float().cpu()
    if forbidden:
        logits[list(forbidden)] = float("-inf")
    if temperature:
        # Relative to the largest and in float64, any temperature is small or large enough.
        shares = F.softmax((logits - logits.max()).double() / temperature, dim=-1)
        token = int(torch.multinomial(shares, 1, generator=draws))
    else:
        token = int(logits.argmax())
    return token, float(logits.log_softmax(-1)[token])
