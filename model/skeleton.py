"""A model without weights: names, shapes and structure only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .config import HSAConfig
from .transformer import HSATransformer


def skeleton(config: HSAConfig) -> HSATransformer:
    """Return the model on the meta device; any size takes a moment and no memory."""
    with torch.device("meta"), _NoInitialValues():
        return HSATransformer(config)


class _NoInitialValues(TorchFunctionMode):
    """Skips random initial values, which on the meta device would first import torch's compiler:
    seconds, for values that nobody ever sees."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.normal_ or getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
