"""Triton's interpreter, made as strict as a GPU and as exact as its arithmetic.

As it comes, the interpreter computes with the bit patterns of bfloat16, rounds towards zero, lets
int32 overflow and ignores `tl.device_assert`, reads and writes any address, takes products that no
GPU takes and multiplies tf32 exactly. `install` mends all of that for the process:

- bfloat16: operands become float32, results are rounded to nearest even, as PyTorch does it;
  constants, masked loads with `other=`, reductions, scans and atomic additions included;
- every active lane of a load, store or atomic must lie in the storage of the tensor that its
  pointer came from, or, where that cannot be told, of any tensor of the launch;
- overflow of 8 to 32 bit integers and failed `tl.device_assert` raise;
- `tl.dot` needs K >= 16 (32 for 8 bit types), and drops the bits that tf32 does not have where
  `input_precision` is "tf32", the default ("tf32x3" is taken as exact);
- two programs must not store to one address, nor one load what another one stored;
- functions called by a kernel patch the language once per launch, not once per call.

It does not see a read past a view that stays in the view's storage, a load that comes before
another program's store, nor what `break` or a loop's pipelining would do on a GPU.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter
from triton.runtime.interpreter import InterpreterBuilder

from . import arithmetic, launches


def install() -> None:
    """Mend the interpreter of this process; a second call changes nothing."""
    if InterpreterBuilder.cast_impl is arithmetic.cast:
        return
    mended = {
        "cast_impl": arithmetic.cast,
        "create_fp_to_fp": arithmetic.fp_to_fp,
        "binary_op": arithmetic.binary,
        "unary_op": arithmetic.unary,
        "ternary_op": arithmetic.ternary,
        "create_fma": arithmetic.fma,
        "create_dot": arithmetic.dot,
        "get_bf16": arithmetic.get_bf16,
        "create_masked_load": launches.masked_load,
        "create_masked_store": launches.masked_store,
        "create_atomic_cas": launches.atomic_cas,
        "create_atomic_rmw": launches.atomic_rmw,
    }
    for name, method in mended.items():
        setattr(InterpreterBuilder, name, method)
    for name in ("addptr", "broadcast", "expand_dims", "reshape", "trans", "unsplat"):
        _wrap(InterpreterBuilder, f"create_{name}", lambda m: launches.keeping_argument(m, 0))
    _wrap(InterpreterBuilder, "create_splat", lambda method: launches.keeping_argument(method, 1))
    builder = interpreter.interpreter_builder
    builder.options = dataclasses.replace(builder.options, debug=True, sanitize_overflow=True)
    builder.codegen_fns["min_dot_size"] = _min_dot_size
    _wrap(interpreter.ReduceScanOpInterface, "apply", arithmetic.reduced)
    _wrap(interpreter.GridExecutor, "_init_args_hst", _hosted)
    _wrap(interpreter.GridExecutor, "__call__", _launching)
    _wrap(interpreter, "_implicit_cvt", _named)
    _wrap(interpreter, "_patch_lang", _patched_once)
    interpreter.FunctionRewriter._find_def = _first_def


def _wrap(owner: Any, name: str, around: Callable[[Any], Any]) -> None:
    setattr(owner, name, around(getattr(owner, name)))


def _hosted(init_args: Callable[..., Any]) -> Callable[..., Any]:
    def run(self: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        hosted, hosted_kwargs = init_args(self, args, kwargs)
        named = dict(zip(self.arg_names, hosted, strict=False)) | hosted_kwargs
        tensors = {name: arg for name, arg in named.items() if isinstance(arg, torch.Tensor)}
        launches.Running.launch = launches.Launch(self.fn.__name__, tensors)
        return hosted, hosted_kwargs

    return run


def _named(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(argument: Any) -> Any:
        made = convert(argument)
        name = launches.Running.launch and launches.Running.launch.names.get(id(argument))
        if name:
            made.handle.attr[launches.ARGUMENT] = name
        return made

    return run


def _launching(call: Callable[..., Any]) -> Callable[..., Any]:
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        # A GPU says nothing of floats that overflow and of NaN either.
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                return call(self, *args, **kwargs)
        finally:
            launches.Running.launch = None

    return run


def _patched_once(patch: Callable[[Any], Any]) -> Callable[[Any], Any]:
    both = SimpleNamespace(__globals__={"language": tl, "core": tl.core})

    def run(fn: Any) -> Any:
        if launches.Running.patched:
            return interpreter._LangPatchScope()
        scope = patch(both)
        plain_restore = scope.restore
        launches.Running.patched = True

        def restore() -> None:
            launches.Running.patched = False
            plain_restore()

        scope.restore = restore
        return scope

    return run


def _first_def(self: Any, lines: list[str]) -> int:
    # The interpreter takes the last such line, which may stand in a docstring.
    return 1 + next(i for i, line in enumerate(lines) if line.strip().startswith("def "))


def _min_dot_size(lhs: Any, rhs: Any) -> tuple[int, int, int]:
    return (1, 1, 32 if lhs.scalar.primitive_bitwidth == 8 else 16)
