"""Muon for the matrices, AdamW for the rest, on float32 masters of the model's own weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from .sharding import as_shard, map_whole, whole


class MasterOptimizer:
    """Keeps a float32 master of each parameter; the model itself may be bfloat16.

    Matrices inside the layers go to Muon, embeddings, norms and vectors to AdamW. Both use the same
    learning rate (Muon's update is scaled to AdamW's RMS). The parameters of a sharded model are
    float32 and their own masters.
    """

    def __init__(self, model: nn.Module, *, weight_decay: float = 0.01) -> None:
        named = list(model.named_parameters())
        self._names = [name for name, _ in named]
        self._parameters = [p for _, p in named]
        self._masters = [_master(p) for p in self._parameters]
        matrices = [m for n, m in zip(self._names, self._masters, strict=True) if _is_matrix(n, m)]
        chosen = {id(m) for m in matrices}
        others = [m for m in self._masters if id(m) not in chosen]
        self._muon = Muon(matrices, weight_decay=weight_decay)
        self._adam = torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.95), weight_decay=0.0)

    @torch.no_grad()
    def step(self, learning_rate: float, *, clip: float = 1.0) -> float:
        """Clip, update the masters, copy them into the model; returns the gradient norm."""
        copied = [pair for pair in self._pairs() if pair[0] is not pair[1]]
        for parameter, master in copied:
            master.grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        # Gradients of shards are means over all processes already.
        average([master.grad for _, master in copied if master.grad is not None])
        norm = whole(torch.nn.utils.clip_grad_norm_(self._masters, clip))
        for optimizer in (self._muon, self._adam):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
        for master in self._masters:
            master.grad = None
        self._publish()
        return float(norm)

    def tensors(self) -> dict[str, Tensor]:
        """Return masters and optimizer state as named tensors, whole, to be stored. Of a sharded
        model, every process must ask at once, and the first alone gets what was shared out."""
        stored = {}
        for name, master in zip(self._names, self._masters, strict=True):
            for key, value in {"master": master.detach(), **self._state(master)}.items():
                tensor = whole(torch.as_tensor(value))
                if not isinstance(value, DTensor) or _rank() == 0:
                    stored[f"{name}:{key}"] = tensor
        return stored

    @torch.no_grad()
    def load(self, stored: dict[str, Tensor]) -> None:
        """Take over what `tensors` returned; a missing or unknown name raises `KeyError`."""
        left = dict(stored)
        for name, master in zip(self._names, self._masters, strict=True):
            master.copy_(as_shard(left.pop(f"{name}:master"), master))
            prefix = f"{name}:"
            keys = [key for key in left if key.startswith(prefix)]
            state = {key[len(prefix) :]: as_shard(left.pop(key), master) for key in keys}
            self._state(master).update(state)
        if left:
            raise KeyError(f"unknown tensors in the training state: {sorted(left)[:5]}")
        self._publish()

    def _state(self, master: Tensor) -> dict[str, Tensor]:
        is_muon = any(master is p for g in self._muon.param_groups for p in g["params"])
        state: dict[str, Tensor] = (self._muon if is_muon else self._adam).state[master]
        return state

    def _pairs(self) -> Iterable[tuple[Tensor, Tensor]]:
        return zip(self._parameters, self._masters, strict=True)

    def _publish(self) -> None:
        for parameter, master in self._pairs():
            if parameter is not master:
                parameter.copy_(master)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised: each update of a matrix has singular values near 1.

    `torch.optim.Muon` orthogonalises in bfloat16, which most CPUs compute fifty times slower than
    float32; this one keeps the dtype it is given.
    """

    def __init__(
        self, params: list[Tensor], *, weight_decay: float = 0.01, momentum: float = 0.95
    ) -> None:
        defaults = {"lr": 0.0, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix; with several processes each orthogonalises its share of them."""
        for group in self.param_groups:
            updates = [self._direction(p, group["momentum"]) for p in group["params"]]
            updates = _orthogonalized(updates)
            for matrix, update in zip(group["params"], updates, strict=True):
                # The scale gives the update the RMS that AdamW's has.
                scale = 0.2 * max(matrix.shape) ** 0.5
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * scale)

    def _direction(self, matrix: Tensor, momentum: float) -> Tensor:
        """Return the Nesterov momentum of the gradient (none counts as zero)."""
        grad = torch.zeros_like(matrix) if matrix.grad is None else matrix.grad
        mean = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
        mean.lerp_(grad, 1 - momentum)
        return grad.lerp(mean, momentum)


def _orthogonalized(updates: list[Tensor]) -> list[Tensor]:
    if updates and isinstance(updates[0], DTensor):
        return list(map_whole(cast("list[DTensor]", updates), orthogonalize))
    for index, update in enumerate(updates):
        is_ours = index % _world() == _rank()
        update.copy_(orthogonalize(update)) if is_ours else update.zero_()
    average(updates, total=True)
    return updates


def _master(parameter: Tensor) -> Tensor:
    return parameter if isinstance(parameter, DTensor) else parameter.detach().float().clone()


def average(tensors: list[Tensor], *, total: bool = False) -> None:
    """Replace tensors by their mean (or sum) over all processes; alone: do nothing."""
    if _world() == 1 or not tensors:
        return
    flat = torch.cat([t.flatten() for t in tensors])
    dist.all_reduce(flat)
    if not total:
        flat /= _world()
    pieces = flat.split([t.numel() for t in tensors])
    for tensor, piece in zip(tensors, pieces, strict=True):
        tensor.copy_(piece.view_as(tensor))


def _world() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def orthogonalize(matrix: Tensor, steps: int = 5) -> Tensor:
    """Push the singular values of a matrix toward 1 by Newton-Schulz iteration (quintic)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.T if matrix.shape[0] > matrix.shape[1] else x
    return result


def _is_matrix(name: str, tensor: Tensor) -> bool:
    return tensor.dim() == 2 and not name.startswith(("embedding.", "head."))
