"""Models too large for every process to hold: parameters shared out among processes (FSDP2).

Sliding-window layers and the encoder are gathered when they run and given up after it; HSA layers,
embedding and output are kept from the forward to the backward pass, because losses use their
weights in between. Parameters are float32 and so their own masters; layers compute in the number
format of the training. What is stored is whole, so a run can go on with another number of
processes, or unsharded.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor, distribute_tensor

from ..config import HSAConfig
from ..errors import ConfigError
from ..skeleton import skeleton
from ..transformer import HSATransformer


def sharded_model(
    config: HSAConfig,
    device: torch.device,
    dtype: torch.dtype,
    initial: dict[str, Tensor] | None = None,
) -> HSATransformer:
    """Return a model of which each process holds a part; at no time is it whole on a device.

    Args:
        config: its dimensions.
        device: where the parts go.
        dtype: what the layers compute in.
        initial: weights and buffers by name, on every process; default: drawn at random, the same
            from the same seed for any number of processes that share the model.

    Raises:
        ConfigError: there is only one process.
    """
    if not dist.is_initialized():
        raise ConfigError("--shard needs several processes: start them with torchrun")
    # That outputs may be views matters to code that changes them in place: ours does not.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    model = skeleton(config)
    upper = model.upper
    groups = [*model.lower.layers, *(layer for group in upper.windows for layer in _layers(group))]
    if config.num_groups:
        groups.append(model.encoder)
    for layer in groups:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    for layer in upper.hsa:
        # Losses use its weights after the pass.
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=False)
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=False)
    register_fsdp_forward_method(model, "ingest")
    model.to_empty(device=device)
    for buffer in model.buffers():
        buffer.zero_()
    model.initialize(_draw_whole)
    for name, tensor in model.state_dict().items() if initial is not None else ():
        tensor.copy_(as_shard(cast("dict[str, Tensor]", initial)[name], tensor))
    return model


def whole(tensor: Tensor) -> Tensor:
    """Return what a tensor is a shard of, on the CPU, every process asking at once; or itself."""
    return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def as_shard(tensor: Tensor, like: Tensor) -> Tensor:
    """Return what `like` is of a whole tensor that every process has, its shard or all of it, where
    `like` is; a tensor of another shape as it is."""
    if tensor.shape != like.shape:
        return tensor
    moved = tensor.to(like.device, like.dtype)
    if not isinstance(like, DTensor):
        return moved
    return distribute_tensor(moved, like.device_mesh, like.placements, src_data_rank=None)


def map_whole(matrices: list[DTensor], function: Callable[[Tensor], Tensor]) -> list[DTensor]:
    """Apply a function to each matrix as a whole; the processes take turns."""
    found: list[DTensor] = []
    for start in range(0, len(matrices), dist.get_world_size()):
        some = matrices[start : start + dist.get_world_size()]
        gathered = [matrix.full_tensor() for matrix in some]
        if (own := dist.get_rank()) < len(some):
            gathered[own] = function(gathered[own])
        for owner, (matrix, result) in enumerate(zip(some, gathered, strict=True)):
            found.append(
                distribute_tensor(
                    result.contiguous(), matrix.device_mesh, matrix.placements, src_data_rank=owner
                )
            )
    return found


def _layers(group: nn.Module) -> nn.ModuleList:
    return cast(nn.ModuleList, group)


def _draw_whole(parameter: Tensor, deviation: float) -> None:
    """Fill with normal values, drawn whole: the same for any number of processes."""
    drawn = torch.empty(parameter.shape).normal_(0.0, deviation)
    parameter.copy_(as_shard(drawn, parameter))
