"""Which code runs an operator: PyTorch on any device, or Triton on GPUs."""

from __future__ import annotations

import os
from importlib.util import find_spec

import torch
from torch import Tensor

BACKENDS = ("torch", "triton")
OLDEST_CAPABILITY = (8, 0)
TRITON_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
# Both are fixed when Triton is imported.
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
_INSTALLED = find_spec("triton") is not None


class BackendUnavailable(RuntimeError):
    """The backend that was asked for, or that a GPU's tensors need, cannot run them."""


def require_one_device(**tensors: Tensor | None) -> None:
    """Raise a `ValueError` that names the devices if the tensors are on several.

    A kernel would read the memory of another device as its own.
    """
    found = {name: x.device for name, x in tensors.items() if x is not None}
    if len(set(found.values())) > 1:
        told = ", ".join(f"{name} on {device}" for name, device in found.items())
        raise ValueError(f"all tensors must be on one device; found {told}")


def resolve(backend: str | None, x: Tensor) -> str:
    """Say which backend runs an operator on tensors like `x`: "torch" or "triton".

    Args:
        backend: the caller's choice; None is Triton for tensors on a GPU and PyTorch for others.
            Nothing else is tried where that one cannot run.

    Raises:
        ValueError: if there is no backend of that name.
        BackendUnavailable: if it cannot run tensors like `x` here; the message says why.
    """
    if backend not in (None, *BACKENDS):
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}; found {backend!r}")
    chosen = backend or ("triton" if x.is_cuda else "torch")
    if chosen == "triton":
        _require_triton(x)
    return chosen


def _require_triton(x: Tensor) -> None:
    if not _INSTALLED:
        raise BackendUnavailable("triton is not installed: pip install triton, or backend='torch'")
    if not (x.is_cuda or _INTERPRETED):
        raise BackendUnavailable(
            f"Triton runs tensors on a GPU, these are on {x.device}: move them, take "
            "backend='torch', or set TRITON_INTERPRET=1 before Python starts (slow, for tests)"
        )
    if x.dtype not in TRITON_DTYPES:
        raise BackendUnavailable(
            f"the Triton kernels take float32, bfloat16 and float16, found {x.dtype}; "
            "backend='torch' takes it"
        )
    if x.is_cuda and torch.version.hip is None:
        found = torch.cuda.get_device_capability(x.device)
        if found < OLDEST_CAPABILITY:
            raise BackendUnavailable(
                f"the Triton kernels need compute capability {_dotted(OLDEST_CAPABILITY)} or more, "
                f"this GPU has {_dotted(found)}; backend='torch' runs on it"
            )


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))
