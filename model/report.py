"""What a configuration costs, without building its weights."""

from __future__ import annotations

from typing import NamedTuple

from .config import HSAConfig
from .layers import MoE
from .skeleton import skeleton

# Landmarks, keys and values are kept in bfloat16, whatever the model computes in.
_BYTES_PER_VALUE = 2


class ModelReport(NamedTuple):
    """Sizes that follow from a configuration."""

    parameters: int
    """All weights."""
    active_parameters: int
    """Weights that a token can meet: all but the routed experts it does not use."""
    memory_bytes_per_token: float
    """Landmark, K and V of a chunk, divided by its tokens."""


def describe(config: HSAConfig) -> ModelReport:
    """Report the sizes of the model that `config` describes."""
    model = skeleton(config)
    parameters = sum(p.numel() for p in model.parameters())
    idle = sum(_idle(module) for module in model.modules() if isinstance(module, MoE))
    values = sum(config.memory_values_per_chunk) if config.num_groups else 0
    return ModelReport(parameters, parameters - idle, values * _BYTES_PER_VALUE / config.chunk_size)


def _idle(moe: MoE) -> int:
    """Weights of the experts that one token does not use."""
    one = sum(p.numel() for p in moe.experts[0].parameters())
    return one * (moe.config.num_experts - moe.config.experts_per_token)
