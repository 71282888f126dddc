"""Mixture of experts: routing, balance, shared experts, gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hsa_memory.model import HSATransformer, MoEConfig
from hsa_memory.model.layers import MoE, SwiGLU

Build = Callable[..., HSATransformer]
CONFIG = MoEConfig(num_experts=4, experts_per_token=2, expert_size=8, bias_update_rate=0.02)


def spread(load: Tensor) -> float:
    """Most loaded expert against the mean."""
    return float(load.max() / load.double().mean())


def test_the_output_is_the_shared_expert_and_the_chosen_ones() -> None:
    moe = MoE(6, CONFIG).double()
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    assert moe.shared is not None
    affinity = torch.sigmoid(moe.router(x))
    best = affinity.topk(2)
    expected = moe.shared(x)
    for index, expert in enumerate(moe.experts):
        weight = (best.values * (best.indices == index)).sum(-1) / best.values.sum(-1)
        expected = expected + weight[..., None] * expert(x)
    torch.testing.assert_close(moe(x), expected, rtol=1e-12, atol=1e-12)


def test_the_shared_expert_serves_every_token() -> None:
    moe = MoE(6, CONFIG)
    x = torch.randn(1, 9, 6)
    routed = MoE(6, MoEConfig(num_experts=4, experts_per_token=2, expert_size=8,
                              num_shared_experts=0))  # fmt: skip
    assert routed.shared is None
    missing = routed.load_state_dict(
        {n: t for n, t in moe.state_dict().items() if not n.startswith("shared")}
    )
    assert not missing.missing_keys
    assert moe.shared is not None
    torch.testing.assert_close(moe(x) - routed(x), moe.shared(x))


def test_the_bias_moves_the_choice_and_not_the_weights() -> None:
    moe = MoE(6, CONFIG).double().eval()
    x = torch.randn(1, 40, 6, dtype=torch.float64)
    before = moe(x)
    moe.balance += 7  # the same for all experts: no other choice, so no other output
    assert torch.equal(moe(x), before)
    moe.balance[3] += 1000
    moe.train()(x)
    assert moe.load[3] == 40


def test_balancing_evens_the_load_out() -> None:
    moe = MoE(6, CONFIG)
    with torch.no_grad():
        # The first expert is everyone's favourite.
        moe.router.weight.zero_()
        moe.router.weight[0, 0] = 2.0
    x = torch.randn(1, 400, 6)
    x[..., 0] = x[..., 0].abs() + 0.6
    moe.train()
    loads = []
    for _ in range(60):
        moe(x + 0.1 * torch.randn_like(x))
        loads.append(moe.update_bias())
    assert loads[0][0] == 400
    assert spread(loads[0]) == 2.0
    assert spread(torch.stack(loads[-10:]).sum(0)) < 1.3
    assert moe.load.sum() == 0


def test_evaluation_counts_no_load() -> None:
    moe = MoE(6, CONFIG).eval()
    moe(torch.randn(1, 9, 6))
    assert moe.load.sum() == 0
    moe.train()(torch.randn(1, 9, 6))
    assert moe.load.sum() == 18


def test_the_balance_survives_a_cast_to_bfloat16() -> None:
    moe = MoE(6, CONFIG)
    moe.balance += 1001
    moe = moe.to(torch.bfloat16).train()
    moe(torch.randn(1, 301, 6, dtype=torch.bfloat16))
    assert moe.load.sum() == 602
    moe.update_bias()
    assert ((moe.balance - 1001).abs() <= 1).all()
    assert (moe.balance != 1001).any()


def test_gradients_reach_router_experts_and_shared_part() -> None:
    moe = MoE(6, CONFIG)
    moe(torch.randn(1, 50, 6)).square().sum().backward()
    for name, parameter in moe.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("moe", [None, CONFIG])
def test_the_first_layer_is_always_dense(build: Build, moe: MoEConfig | None) -> None:
    model = build(moe=moe)
    kind = SwiGLU if moe is None else MoE
    first, second = model.lower.layers
    assert isinstance(first.mlp, SwiGLU)
    assert isinstance(second.mlp, kind)
    assert all(isinstance(layer.mlp, kind) for layer in model.upper.hsa)
    assert all(isinstance(layer.mlp, kind) for group in model.upper.windows for layer in group)
    # The chunk encoder is part of the memory and stays dense.
    assert not any(isinstance(module, MoE) for module in model.encoder.modules())
