"""Memory of a launch: what its programs may touch, and which of them stored where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

from .arithmetic import is_bf16

ARGUMENT = "argument"
_plain_load = InterpreterBuilder.create_masked_load
_plain_store = InterpreterBuilder.create_masked_store
_plain_cas = InterpreterBuilder.create_atomic_cas
_plain_rmw = InterpreterBuilder.create_atomic_rmw


class OutOfBounds(Exception):
    """A lane reads or writes outside the tensors of the launch."""


class Race(Exception):
    """Two programs of a launch touch one address, one of them with a plain store."""


class Span(NamedTuple):
    """The storage of a tensor that a launch was given."""

    name: str
    start: int
    end: int


class Launch:
    """The tensors of the running launch, and which program stored where."""

    def __init__(self, kernel: str, tensors: dict[str, torch.Tensor]) -> None:
        self.kernel = kernel
        self.names = {id(tensor): name for name, tensor in tensors.items()}
        self.tensors = tensors
        self.spans = {name: _span(name, tensor) for name, tensor in tensors.items()}
        unique = {span.start: span for span in self.spans.values() if span.end > span.start}
        self.sorted = [unique[start] for start in sorted(unique)]
        self.starts = np.array([span.start for span in self.sorted], dtype=np.uint64)
        self.ends = np.array([span.end for span in self.sorted], dtype=np.uint64)
        self.writers: dict[int, np.ndarray] = {}

    def check(self, what: str, pointers: TensorHandle, mask: np.ndarray) -> None:
        """Refuse active lanes that touch a byte outside the tensors, or race with a store."""
        addresses = _active(pointers.data, mask)
        if not addresses.size:
            return
        width = max(1, pointers.get_element_ty().primitive_bitwidth // 8)
        for span, touched in self._by_span(what, addresses, width, pointers.attr.get(ARGUMENT)):
            if what != "atomic":
                self._track(span, (touched - np.uint64(span.start)).astype(np.int64), what)

    def _by_span(
        self, what: str, addresses: np.ndarray, width: int, argument: str | None
    ) -> list[tuple[Span, np.ndarray]]:
        if argument is not None:
            span = self.spans[argument]
            bad = (addresses < span.start) | (addresses + np.uint64(width) > span.end)
            if bad.any():
                self._refuse(what, addresses[bad], addresses.size, span)
            return [(span, addresses)]
        if not self.sorted:
            raise OutOfBounds(f"{what} in {self.kernel}, which was given no memory")
        place = np.searchsorted(self.starts, addresses, side="right").astype(np.int64) - 1
        bad = (place < 0) | (addresses + np.uint64(width) > self.ends[place])
        if bad.any():
            nearest = self.sorted[max(int(place[bad][0]), 0)]
            self._refuse(what, addresses[bad], addresses.size, nearest)
        return [(self.sorted[i], addresses[place == i]) for i in np.unique(place)]

    def _refuse(self, what: str, bad: np.ndarray, lanes: int, span: Span) -> None:
        raise OutOfBounds(
            f"{what} out of bounds in {self.kernel}, program {_program()}: byte "
            f"{int(bad[0]) - span.start} of {span.name}, whose storage has "
            f"{span.end - span.start} bytes; {bad.size} of {lanes} active lanes"
        )

    def _track(self, span: Span, offsets: np.ndarray, what: str) -> None:
        writers = self.writers.get(span.start)
        if writers is None:
            if what == "load":
                return
            writers = self.writers[span.start] = np.zeros(span.end - span.start, np.int32)
        me = _number()
        others = (writers[offsets] != 0) & (writers[offsets] != me)
        if others.any():
            raise Race(
                f"{what} in {self.kernel}, program {_program()}: byte {int(offsets[others][0])} of "
                f"{span.name} was stored by another program of the same launch"
            )
        if what == "store":
            writers[offsets] = me


def _span(name: str, tensor: torch.Tensor) -> Span:
    storage = tensor.untyped_storage()
    start = storage.data_ptr()
    return Span(name, start, start + storage.nbytes())


def _active(pointers: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return pointers[np.broadcast_to(mask, pointers.shape).astype(bool)]


def _program() -> tuple[int, int, int]:
    place: tuple[int, int, int] = interpreter.interpreter_builder.grid_idx
    return place


def _number() -> int:
    """The running program's number, from 1."""
    (x, y, z), grid = _program(), interpreter.interpreter_builder.grid_dim
    return 1 + (x * grid[1] + y) * grid[2] + z


class Running:
    """The launch that runs now; kernels do not launch kernels."""

    launch: Launch | None = None
    patched = False


def _check(what: str, pointers: TensorHandle, mask: np.ndarray) -> None:
    if Running.launch:
        Running.launch.check(what, pointers, mask)


def masked_load(self: Any, ptrs: Any, mask: Any, *rest: Any) -> TensorHandle:
    _check("load", ptrs, mask.data)
    return _plain_load(self, ptrs, mask, *rest)


def masked_store(self: Any, ptrs: Any, value: Any, mask: Any, *rest: Any) -> Any:
    _check("store", ptrs, mask.data)
    return _plain_store(self, ptrs, value, mask, *rest)


def atomic_cas(self: Any, ptr: Any, cmp: Any, *rest: Any) -> TensorHandle:
    _check("atomic", ptr, np.ones_like(ptr.data, dtype=bool))
    return _plain_cas(self, ptr, cmp, *rest)


def atomic_rmw(self: Any, op: Any, ptr: Any, val: Any, mask: Any, *rest: Any) -> TensorHandle:
    _check("atomic", ptr, mask.data)
    if not is_bf16(val):
        return _plain_rmw(self, op, ptr, val, mask, *rest)
    before = np.zeros(val.data.shape, dtype=np.uint16)
    active = np.broadcast_to(mask.data, val.data.shape)
    # Lanes may share an address: one after the other.
    for lane in zip(*np.nonzero(active), strict=True):
        one = TensorHandle(ptr.data[lane].reshape(1), ptr.dtype)
        on = TensorHandle(np.array([True]), tl.int1)
        old = _plain_load(self, one, on, None, None, None, False)
        new = self.create_fadd(old, TensorHandle(val.data[lane].reshape(1), tl.bfloat16))
        _plain_store(self, one, new, on, None, None)
        before[lane] = old.data[0]
    return TensorHandle(before, tl.bfloat16)


def keeping_argument(method: Callable[..., TensorHandle], at: int) -> Callable[..., TensorHandle]:
    """Let a result point where its pointer argument pointed."""

    def run(self: Any, *args: Any) -> TensorHandle:
        result = method(self, *args)
        source = args[at].attr.get(ARGUMENT)
        if source is not None and isinstance(args[at].dtype.scalar, tl.pointer_type):
            result.attr[ARGUMENT] = source
        return result

    return run
