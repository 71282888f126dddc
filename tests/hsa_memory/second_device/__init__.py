"""A GPU that is not there: tensors that say they are on "cuda" and are computed on the CPU.

What a real one refuses is refused here too: a tensor of one device beside one of the other, numpy
on the device's tensors, and pinned memory that is written before it was copied. What makes a
program wait for the device is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

DEVICE = torch.device("cuda", 0)
aten = torch.ops.aten
# These take tensors of both devices.
_CROSSING = (
    aten._to_copy.default,
    aten.copy_.default,
    aten._has_compatible_shallow_copy_type.default,
)
# It is made of operators that copy between the devices; others that are composed run whole.
_IN_PARTS = (aten.to,)
# How many values come out is known on the device only.
_SIZED = (aten.nonzero.default, aten._unique2.default, aten.masked_select.default)
_METHODS = {
    Tensor.copy_: aten.copy_,
    Tensor.__invert__: aten.bitwise_not,
    Tensor.contiguous: aten.contiguous,
}
_SCALARS: dict[Any, Callable[[Any], Any]] = {
    Tensor.item: lambda x: x,
    Tensor.__float__: float,
    Tensor.__int__: int,
    Tensor.__index__: int,
    Tensor.__bool__: bool,
}


class OnDevice(Tensor):
    """A tensor of the second device; `held` has its values."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        """Wrap a tensor of the CPU."""
        # A view of a parameter must be no inference tensor, whatever holds its values.
        with torch.inference_mode(False):
            made: OnDevice = Tensor._make_wrapper_subclass(
                cls,
                held.shape,
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                device=DEVICE,
            )
        made.held = held
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Go past the few methods that in C++ ask for a driver of the device."""
        with torch._C.DisableTorchFunctionSubclass():
            if func in _METHODS:
                return _METHODS[func](*args, **(kwargs or {}))
            if func in _SCALARS:
                return _SCALARS[func](aten._local_scalar_dense(args[0]))
            if func not in (Tensor.__getitem__, Tensor.__setitem__):
                return func(*args, **(kwargs or {}))
            flat = tree_flatten(args)[0]
            tensors = [x for x in flat if isinstance(x, Tensor)]
            _require_one_device(func, tensors, [x for x in tensors if isinstance(x, OnDevice)])
            mode = _get_current_dispatch_mode()
            assert isinstance(mode, SecondDevice)
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(i, list) for i in index):
                mode.wait("up")
            if any(isinstance(i, Tensor) and i.dtype == torch.bool for i in index):
                mode.wait("size")
            made = func(*tree_map(_held, args))
            return None if made is None else OnDevice(made)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} outside of the second device's mode")

    def __repr__(self, **_: Any) -> str:
        return f"OnDevice({self.held!r})"

    def tolist(self) -> Any:
        """One copy to the host, as on a real device."""
        return self.cpu().tolist()


class MixedDevices(RuntimeError):
    """Tensors of two devices met."""


class OverwrittenInFlight(RuntimeError):
    """Pinned memory was changed before its copy to the device was over."""


class SecondDevice(TorchDispatchMode):
    """While it is active, "cuda" is there.

    Attributes:
        waits: how often the program waited for the device, by cause.
        room: bytes that are left; None for any number. Allocations beyond it are out of memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.room: int | None = None
        self._pinned: dict[int, Tensor] = {}  # by address of the storage, kept alive
        self._flying: list[tuple[Tensor, Tensor]] = []  # source, and what it held

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Some operators would ask a real device which of them is meant.
        args, kwargs = tree_map(_numbered, (args, dict(kwargs or {})))
        if func.overloadpacket in _IN_PARTS:
            with self:
                return func.decompose(*args, **kwargs)
        return self._run(func, args, kwargs)

    def _run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        flat, layout = tree_flatten((args, kwargs))
        tensors = [x for x in flat if isinstance(x, Tensor)]
        here = [x for x in tensors if isinstance(x, OnDevice)]
        target = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        on_device = target.type == "cuda" if target is not None else bool(here)
        if func not in _CROSSING:
            _require_one_device(func, tensors, here)
        self._note(func, args, kwargs, here, on_device)
        inner = [_held(x) for x in flat]
        inner_args, inner_kwargs = tree_unflatten(inner, layout)
        if target is not None:
            inner_kwargs["device"] = torch.device("cpu")
        pinned = bool(inner_kwargs.pop("pin_memory", False))
        if on_device and "empty" in func.__name__:
            self._allocate(func, inner_args, inner_kwargs)
        made = func(*inner_args, **inner_kwargs)
        if func is aten._to_copy.default and not on_device and here:
            self._land()
        if pinned:
            self._pinned[made.untyped_storage().data_ptr()] = made
        written = [a for a, w in zip(args, _written(func), strict=False) if w]
        if "out" in kwargs:
            written = [kwargs["out"]]
        if written and isinstance(made, Tensor):
            return written[0]
        return tree_map(lambda x: _wrapped(x, on_device), made)

    def _note(
        self, func: Any, args: Any, kwargs: dict[str, Any], here: list[OnDevice], on_device: bool
    ) -> None:
        if func is aten._local_scalar_dense.default and here:
            self.wait("item")
        elif func in _SIZED and here:
            self.wait("size")
        elif func is aten._to_copy.default and bool(here) != on_device:
            self._cross(args[0], kwargs.get("non_blocking", False), down=bool(here))
        elif func is aten.copy_.default and len(here) == 1 and args[0].numel():
            blocking = len(args) < 3 or not args[2]
            self._cross(args[1], not blocking, down=isinstance(args[1], OnDevice))

    def _cross(self, source: Tensor, non_blocking: bool, *, down: bool) -> None:
        if down:
            self.wait("down")
        elif not non_blocking:
            self.wait("up")
        elif source.untyped_storage().data_ptr() in self._pinned:
            # Other memory is copied aside before the call returns.
            self._flying.append((source, source.clone()))

    def wait(self, why: str) -> None:
        """Note that the program waited until the device was done."""
        self.waits[why] += 1
        self._land()

    def _land(self) -> None:
        """End what is under way."""
        flying, self._flying = self._flying, []
        with torch._C._DisableTorchDispatch():
            for source, then in flying:
                if not torch.equal(source, then):
                    raise OverwrittenInFlight("pinned memory was written during its copy")

    def _allocate(self, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if self.room is None:
            return
        meta = func(*args, **{**kwargs, "device": torch.device("meta")})
        if meta.nbytes > self.room:
            raise torch.OutOfMemoryError(f"{meta.nbytes} bytes wanted, {self.room} are left")


class Event:
    """`torch.cuda.Event` of the second device."""

    def __init__(self, mode: SecondDevice) -> None:
        self._mode = mode

    def record(self, stream: object = None) -> None:
        """Nothing to note: a wait is for everything."""

    def synchronize(self) -> None:
        """Wait for the copies before it."""
        self._mode.wait("event")


def _numbered(x: Any) -> Any:
    return DEVICE if isinstance(x, torch.device) and x.type == "cuda" else x


def _held(x: Any) -> Any:
    return x.held if isinstance(x, OnDevice) else x


def _wrapped(x: Any, on_device: bool) -> Any:
    if on_device and isinstance(x, Tensor) and not isinstance(x, OnDevice):
        return OnDevice(x)
    return x


def _require_one_device(func: Any, tensors: list[Tensor], here: list[OnDevice]) -> None:
    strangers = [x for x in tensors if not isinstance(x, OnDevice) and x.dim() > 0]
    if here and strangers:
        shapes = [tuple(x.shape) for x in strangers]
        raise MixedDevices(f"{func} of the device's tensors with those {shapes} of the CPU")


def _written(func: Any) -> list[bool]:
    return [
        argument.alias_info is not None and argument.alias_info.is_write
        for argument in func._schema.arguments
    ]


@contextmanager
def second_device(patch: pytest.MonkeyPatch) -> Iterator[SecondDevice]:
    """Let "cuda" be there, and operators run there in PyTorch."""
    mode = SecondDevice()
    facts: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_capability": lambda *_: (9, 0),
        "current_stream": lambda *_: None,
        "mem_get_info": lambda *_: (1 << 30, 1 << 30),
        "Event": lambda: Event(mode),
    }
    for name, fact in facts.items():
        patch.setattr(torch.cuda, name, fact)
    if not torch.backends.cuda.is_built():
        patch.setattr(torch.backends.cuda, "is_built", lambda: True)
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
    # Otherwise `torch.tensor` goes past every mode to the device.
    before = torch._C._only_lift_cpu_tensors()
    # A module's parameters are to be tensors of that device, not to get their data.
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with mode:
            yield mode
    finally:
        torch._C._set_only_lift_cpu_tensors(before)
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)
