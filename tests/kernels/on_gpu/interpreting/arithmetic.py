"""Arithmetic of the interpreter: bfloat16, tf32, and integer sums that must not wrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import triton.language as tl
from triton._C.libtriton import ir
from triton.runtime import interpreter
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

_plain_cast = InterpreterBuilder.cast_impl
_plain_binary = InterpreterBuilder.binary_op
_plain_unary = InterpreterBuilder.unary_op
_plain_ternary = InterpreterBuilder.ternary_op
_plain_fma = InterpreterBuilder.create_fma
_plain_dot = InterpreterBuilder.create_dot
_plain_fp_to_fp = InterpreterBuilder.create_fp_to_fp


def widened(bits: np.ndarray) -> np.ndarray:
    """Return the float32 values of bfloat16 patterns (uint16)."""
    return (np.ascontiguousarray(bits).astype(np.uint32) << 16).view(np.float32).reshape(bits.shape)


def rounded(values: np.ndarray) -> np.ndarray:
    """Return the bfloat16 patterns (uint16) of the nearest values, ties to even."""
    exact = np.ascontiguousarray(values, dtype=np.float32)
    bits = exact.view(np.uint32)
    nearest = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(exact), np.uint16(0x7FC0), nearest).reshape(values.shape)


def is_bf16(handle: TensorHandle) -> bool:
    # A comparison keeps the type of its operands but holds booleans.
    return handle.dtype.scalar == tl.bfloat16 and handle.data.dtype == np.uint16


def exact(handle: TensorHandle) -> TensorHandle:
    return TensorHandle(widened(handle.data), tl.float32) if is_bf16(handle) else handle


def cast(self: Any, src: TensorHandle, dst_type: Any) -> TensorHandle:
    wanted = dst_type.scalar
    if wanted == tl.bfloat16:
        if is_bf16(src):
            return src
        return TensorHandle(rounded(exact(src).data.astype(np.float32)), wanted)
    if is_bf16(src):
        return TensorHandle(widened(src.data).astype(interpreter._get_np_dtype(wanted)), wanted)
    return _plain_cast(self, src, dst_type)


def fp_to_fp(self: Any, src: TensorHandle, dst_type: Any, rounding_mode: Any) -> TensorHandle:
    both = (src.dtype.scalar, dst_type.scalar)
    towards_zero = rounding_mode == ir.ROUNDING_MODE.RTZ
    if tl.bfloat16 in both and not towards_zero and all(t.primitive_bitwidth >= 16 for t in both):
        return cast(self, src, dst_type)
    return _plain_fp_to_fp(self, src, dst_type, rounding_mode)


def binary(self: Any, lhs: TensorHandle, rhs: TensorHandle, op: Callable[..., Any]) -> TensorHandle:
    half = is_bf16(lhs) and is_bf16(rhs)
    if half and op not in (np.bitwise_and, np.bitwise_or, np.bitwise_xor):
        output = op(widened(lhs.data), widened(rhs.data))
        result = TensorHandle(output if output.dtype == bool else rounded(output), tl.bfloat16)
    else:
        result = _plain_binary(self, lhs, rhs, op)
    if result.data.dtype == bool:
        result.dtype = tl.int1
    return result


def unary(self: Any, arg: TensorHandle, op: Callable[..., Any]) -> TensorHandle:
    if is_bf16(arg):
        return TensorHandle(rounded(op(widened(arg.data))), tl.bfloat16)
    return _plain_unary(self, arg, op)


def ternary(self: Any, a: TensorHandle, b: TensorHandle, c: TensorHandle, op: Any) -> TensorHandle:
    if op is np.where or not is_bf16(c):
        return _plain_ternary(self, a, b, c, op)
    output = op(*(exact(part).data for part in (a, b, c)))
    return TensorHandle(rounded(output), tl.bfloat16)


def fma(self: Any, x: TensorHandle, y: TensorHandle, z: TensorHandle) -> TensorHandle:
    if not is_bf16(z):
        return _plain_fma(self, x, y, z)
    output = _plain_fma(self, exact(x), exact(y), exact(z))
    return TensorHandle(rounded(output.data), tl.bfloat16)


def dot(self: Any, a: Any, b: Any, d: Any, input_precision: Any, imprecise: int) -> TensorHandle:
    if a.dtype.scalar == tl.float32 and input_precision == ir.INPUT_PRECISION.TF32:
        a, b = (TensorHandle(_tf32(part.data), tl.float32) for part in (a, b))
    result = _plain_dot(self, exact(a), exact(b), exact(d), input_precision, imprecise)
    return TensorHandle(rounded(result.data), tl.bfloat16) if is_bf16(d) else result


def _tf32(values: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(values).view(np.uint32) & np.uint32(0xFFFFE000)
    return bits.view(np.float32).reshape(values.shape)


def get_bf16(self: Any, value: float) -> TensorHandle:
    return TensorHandle(rounded(np.array([value], dtype=np.float32)), tl.bfloat16)


def reduced(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Reduce or scan bfloat16 in float32 and round once; refuse integer sums that wrap; take
    exclusive ors all at once, not in Python one by one."""

    def run(self: Any, given: Any) -> Any:
        inputs = given if isinstance(given, tuple) else (given,)
        half = [part.dtype == tl.bfloat16 for part in inputs]
        if any(half):
            inputs = tuple(
                _retyped(part, widened, tl.float32) if is_half else part
                for part, is_half in zip(inputs, half, strict=True)
            )
        if self.combine_fn == tl.standard._sum_combine:
            _check_sum(inputs[0], self.axis)
        if self.combine_fn == tl.standard._xor_combine:
            found = np.bitwise_xor.reduce(
                inputs[0].handle.data, axis=self.axis, keepdims=self.keep_dims
            )
            results = (self.to_tensor(found, inputs[0].dtype),)
        else:
            results = apply(self, inputs)
        results = tuple(
            _retyped(part, rounded, tl.bfloat16) if is_half and part.dtype == tl.float32 else part
            for part, is_half in zip(results, half, strict=True)
        )
        return results if isinstance(given, tuple) else results[0]

    return run


def _retyped(part: Any, convert: Callable[[np.ndarray], np.ndarray], dtype: Any) -> Any:
    kind = tl.block_type(dtype, list(part.type.shape)) if part.type.is_block() else dtype
    return tl.core.tensor(TensorHandle(convert(part.handle.data), dtype), kind)


def _check_sum(part: Any, axis: int | None) -> None:
    held = part.handle.data.dtype
    if held.kind not in "iu" or held.itemsize >= 8:
        return
    partial = np.cumsum(part.handle.data, axis=axis, dtype=np.int64)
    limits = np.iinfo(held)
    if partial.size and (partial.max() > limits.max or partial.min() < limits.min):
        raise AssertionError(f"{held.name} overflow detected for operation sum")
