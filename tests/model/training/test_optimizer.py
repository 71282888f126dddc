"""Muon's orthogonal updates, masters in float32, state that can be stored."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hsa_memory.model.training.optimizer import MasterOptimizer, orthogonalize


def small_model(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(3)
    parts = {"embedding": nn.Embedding(5, 4), "matrix": nn.Linear(4, 3), "norm": nn.LayerNorm(3)}
    return nn.ModuleDict(parts).to(dtype)


def give_gradients(model: nn.Module, seed: int = 0) -> None:
    torch.manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8), (1, 6)])
def test_orthogonalize_pushes_singular_values_toward_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape) * 1e-3
    result = orthogonalize(matrix)
    assert result.shape == matrix.shape
    values = torch.linalg.svdvals(result)
    assert values.max() < 1.3
    # The iteration is stopped early: small singular values are only on their way.
    assert values.median() > 0.6
    # Directions stay: U of the matrix maps to V of it.
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ result @ v.T
    assert (turned - turned.diagonal().diag()).abs().max() < 1e-4


def test_a_zero_gradient_stays_zero() -> None:
    assert torch.equal(orthogonalize(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_the_gradient_norm_is_reported_and_clipped() -> None:
    model = small_model()
    optimizer = MasterOptimizer(model)
    give_gradients(model)
    norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    assert optimizer.step(0.0) == pytest.approx(torch.stack(norms).norm().item())
    assert all(p.grad is None for p in model.parameters())


def test_masters_keep_steps_too_small_for_bfloat16() -> None:
    model = small_model(torch.bfloat16)
    optimizer = MasterOptimizer(model, weight_decay=0.0)
    before = {n: p.clone() for n, p in model.named_parameters()}
    for _ in range(400):
        give_gradients(model)
        optimizer.step(2e-5)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    for name, parameter in model.named_parameters():
        moved = (parameter.float() - before[name].float()).abs().mean()
        assert moved > 5e-4, name


def test_one_step_has_the_size_of_the_learning_rate() -> None:
    model = small_model()
    optimizer = MasterOptimizer(model, weight_decay=0.0)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    give_gradients(model)
    optimizer.step(0.01)
    for name, parameter in model.named_parameters():
        rms = (parameter - before[name]).square().mean().sqrt().item()
        assert 0.001 < rms < 0.02, name


def test_weight_decay_shrinks_matrices_only() -> None:
    results = []
    for decay in (0.0, 0.5):
        model = small_model()
        optimizer = MasterOptimizer(model, weight_decay=decay)
        give_gradients(model)
        optimizer.step(0.1)
        results.append({n: p.detach().clone() for n, p in model.named_parameters()})
    differ = {n for n in results[0] if not torch.equal(results[0][n], results[1][n])}
    assert differ == {"matrix.weight"}


def test_a_stored_state_goes_on_as_if_nothing_had_happened() -> None:
    model = small_model()
    optimizer = MasterOptimizer(model)
    for seed in range(3):
        give_gradients(model, seed)
        optimizer.step(0.01)
    stored = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}
    other = small_model()
    resumed = MasterOptimizer(other)
    resumed.load(stored)
    for both in ((model, optimizer), (other, resumed)):
        give_gradients(both[0], 9)
        both[1].step(0.01)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_state_of_another_model_is_refused() -> None:
    optimizer = MasterOptimizer(small_model())
    stored = optimizer.tensors()
    with pytest.raises(KeyError, match="unknown tensors in the training state.*other"):
        optimizer.load({**stored, "other:master": torch.zeros(1)})
    del stored["matrix.weight:master"]
    with pytest.raises(KeyError, match="matrix.weight:master"):
        optimizer.load(stored)
