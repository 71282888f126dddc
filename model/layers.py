"""Parts that every layer uses: RMSNorm, rotary positions, feed-forwards.

Letters: B batch, T tokens, H heads, D head dim, h hidden size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import HSAConfig, MoEConfig


class RMSNorm(nn.Module):
    """Divide by the root mean square over the last dimension and scale by a learned weight."""

    def __init__(self, size: int, eps: float, gain: float = 1.0) -> None:
        super().__init__()
        self.eps = eps
        self.gain = gain
        self.weight = nn.Parameter(torch.empty(size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to its initial value."""
        nn.init.constant_(self.weight, self.gain)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` [..., size]."""
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Rotation(NamedTuple):
    """Cosine and sine of each position's angles, [B or 1, T, 1, D/2]."""

    cos: Tensor
    sin: Tensor


def rotation(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> Rotation:
    """Return the rotation of `positions` [B or 1, T] (any integer, exact to 16M and beyond)."""
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float64, device=positions.device)
    angles = positions.to(torch.float64)[..., None] * theta ** (-exponent / head_dim)
    angles = angles[:, :, None]
    return Rotation(angles.cos().to(dtype), angles.sin().to(dtype))


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Apply rotary positions to `x` [B, T, H, D]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * by.cos - second * by.sin, second * by.cos + first * by.sin], dim=-1)


class SwiGLU(nn.Module):
    """Dense feed-forward: down(silu(gate(x)) * up(x))."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(hidden_size, 2 * intermediate_size, bias=False)
        self.down = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` [..., h] to the same shape."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        out: Tensor = self.down(F.silu(gate) * up)
        return out


class MoE(nn.Module):
    """Routed experts beside shared ones; balanced by a bias on the choice, without extra loss.

    The router scores experts by a sigmoid. The bias takes part in choosing, not in weighting; after
    each training step `update_bias` raises it for experts that got less than their share. Its
    steps and the loads are counted as integers, which no cast to bfloat16 can round.
    """

    load: Tensor
    balance: Tensor

    def __init__(self, hidden_size: int, config: MoEConfig) -> None:
        super().__init__()
        self.config = config
        self.router = nn.Linear(hidden_size, config.num_experts, bias=False)
        self.experts = nn.ModuleList(
            SwiGLU(hidden_size, config.expert_size) for _ in range(config.num_experts)
        )
        shared = config.num_shared_experts * config.expert_size
        self.shared = SwiGLU(hidden_size, shared) if shared else None
        none = torch.zeros(config.num_experts, dtype=torch.int64)
        self.register_buffer("balance", none)
        self.register_buffer("load", none.clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` [B, T, h] to the same shape."""
        flat = x.reshape(-1, x.shape[-1])  # [N, h]
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        affinity = torch.sigmoid(self.router(flat).to(exact))  # [N, experts]
        bias = self.balance * self.config.bias_update_rate
        chosen = (affinity + bias).topk(self.config.experts_per_token).indices
        weights = affinity.gather(1, chosen)
        weights = (weights / weights.sum(1, keepdim=True)).to(x.dtype)
        out = torch.zeros_like(flat) if self.shared is None else self.shared(flat)
        for index, expert in enumerate(self.experts):
            # A GPU is waited for: how many tokens an expert gets decides the shapes.
            row, slot = (chosen == index).nonzero(as_tuple=True)
            out = out.index_add(0, row, expert(flat[row]) * weights[row, slot, None])
        if self.training:
            self.load += torch.bincount(chosen.flatten(), minlength=len(self.experts))
        return out.reshape(x.shape)

    @torch.no_grad()
    def update_bias(self) -> Tensor:
        """Move the bias toward equal load; returns and forgets the load since the last call."""
        load = self.load.clone()
        self.balance += torch.sign(load.sum() - load * len(load))
        self.load.zero_()
        return load


def feed_forward(config: HSAConfig, *, first: bool = False) -> SwiGLU | MoE:
    """Return a layer's feed-forward; the first layer of a mixture-of-experts model is dense."""
    if config.moe is None or first:
        return SwiGLU(config.hidden_size, config.intermediate_size)
    return MoE(config.hidden_size, config.moe)
