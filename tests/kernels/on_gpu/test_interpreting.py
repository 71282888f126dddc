"""The interpreter that kernels are tested in: as exact as a GPU, and planted faults are caught."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
import triton
import triton.language as tl
from torch import Tensor

pytestmark = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") != "1",
    reason="planted faults for the interpreter only; a GPU would do what they ask",
)


@triton.jit
def add_kernel(X, Y, OUT, N, BLOCK: tl.constexpr):
    """Add.

    def here is no definition, though this line starts like one.
    """
    o = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    b_x = tl.load(X + o, mask=o < N, other=1.5)
    b_y = tl.load(Y + o, mask=o < N, other=0.0)
    tl.store(OUT + o, b_x + b_y, mask=o < N)


@triton.jit
def product_kernel(X, Y, OUT, M: tl.constexpr, K: tl.constexpr, N: tl.constexpr, P: tl.constexpr):
    o_m, o_k, o_n = tl.arange(0, M), tl.arange(0, K), tl.arange(0, N)
    b_x = tl.load(X + o_m[:, None] * K + o_k[None, :])
    b_y = tl.load(Y + o_k[:, None] * N + o_n[None, :])
    b_out = tl.dot(b_x, b_y, input_precision=P)
    tl.store(OUT + o_m[:, None] * N + o_n[None, :], b_out.to(OUT.dtype.element_ty))


@triton.jit
def reduce_kernel(X, OUT, N: tl.constexpr):
    b_x = tl.load(X + tl.arange(0, N))
    tl.store(OUT, tl.sum(b_x, 0))
    tl.store(OUT + 1, tl.max(b_x, 0).to(OUT.dtype.element_ty))
    tl.store(OUT + 2, tl.sum((b_x > 0).to(tl.int32), 0).to(OUT.dtype.element_ty))


@triton.jit
def other_kernel(X, OUT, N, BLOCK: tl.constexpr):
    o = tl.arange(0, BLOCK)
    tl.store(OUT + o, tl.load(X + o, mask=o < N, other=-2.5))


@triton.jit
def atomic_kernel(X, OUT, BLOCK: tl.constexpr):
    o = tl.arange(0, BLOCK)
    tl.atomic_add(OUT + o % 2, tl.load(X + o))


@triton.jit
def shifted_kernel(X, OUT, SHIFT, BLOCK: tl.constexpr, ON_LOAD: tl.constexpr):
    o = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    o_x = o + SHIFT if ON_LOAD else o
    o_out = o if ON_LOAD else o + SHIFT
    tl.store(OUT + o_out, tl.load(X + o_x))


@triton.jit
def far_kernel(X, OUT, stride, BLOCK: tl.constexpr):
    o = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    b_x = tl.load(X + tl.minimum(o * stride, 0))
    tl.store(OUT + o, b_x)


@triton.jit
def wrapping_sum_kernel(X, OUT, BLOCK: tl.constexpr):
    tl.store(OUT, tl.sum(tl.load(X + tl.arange(0, BLOCK)), 0))


@triton.jit
def asserting_kernel(X, OUT):
    b_x = tl.load(X)
    tl.device_assert(b_x < 3, "three is too much")
    tl.store(OUT, b_x)


@triton.jit
def same_place_kernel(OUT, LOAD: tl.constexpr):
    if LOAD:
        b = tl.load(OUT + tl.maximum(tl.program_id(0) - 1, 0))
        tl.store(OUT + tl.program_id(0), b + 1)
    else:
        tl.store(OUT, tl.program_id(0))


@triton.jit
def doubled(b_x):
    return b_x + b_x


@triton.jit
def nested_kernel(X, OUT, BLOCK: tl.constexpr):
    o = tl.arange(0, BLOCK)
    tl.store(OUT + o, doubled(tl.load(X + o)))


def bf16(*shape: int) -> Tensor:
    return torch.randn(*shape).to(torch.bfloat16)


def caught(kernel: Any, *args: Any, programs: int = 1, **constants: Any) -> str:
    with pytest.raises(Exception) as error:  # noqa: PT011
        kernel[(programs,)](*args, **constants)
    return str(error.value)


def test_bfloat16_sums_are_torchs_bit_for_bit(device: torch.device) -> None:
    x, y = bf16(100), bf16(100) * 3
    out = torch.empty_like(x)
    add_kernel[(4,)](x, y, out, 100, BLOCK=32)
    assert torch.equal(out, x + y)


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_bfloat16_rounds_ties_to_even(device: torch.device, value: float) -> None:
    # Half a unit in the last place above an even and above an odd pattern, and a bit more.
    unit = value * 2**-7
    x = torch.tensor([value, value + unit, value, float("inf")]).to(torch.bfloat16)
    y = torch.tensor([unit / 2, unit / 2, unit * 0.51, 1.0]).to(torch.bfloat16)
    out = torch.empty_like(x)
    add_kernel[(1,)](x, y, out, 4, BLOCK=4)
    assert torch.equal(out, x + y)
    assert out[0] == x[0]
    assert out[1] == value + 2 * unit


def test_float32_is_stored_as_the_nearest_bfloat16(device: torch.device) -> None:
    x, y = torch.randn(64), torch.zeros(64)
    x[3] = float("nan")
    out = torch.empty(64, dtype=torch.bfloat16)
    add_kernel[(1,)](x, y, out, 64, BLOCK=64)
    torch.testing.assert_close(out, x.to(torch.bfloat16), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_products_are_torchs(device: torch.device, dtype: torch.dtype) -> None:
    x, y = torch.randn(16, 32).to(dtype), torch.randn(32, 8).to(dtype)
    out = torch.empty(16, 8, dtype=dtype)
    product_kernel[(1,)](x, y, out, M=16, K=32, N=8, P="ieee")
    wanted = (x.double() @ y.double()).to(dtype)
    # One unit in the last place: the sum is rounded to float32 on the way.
    torch.testing.assert_close(out, wanted, rtol=torch.finfo(dtype).eps, atol=1e-6)


def test_a_bfloat16_product_of_small_integers_is_exact(device: torch.device) -> None:
    x, y = (torch.randint(-3, 4, shape).to(torch.bfloat16) for shape in [(16, 16), (16, 16)])
    out = torch.empty(16, 16, dtype=torch.bfloat16)
    product_kernel[(1,)](x, y, out, M=16, K=16, N=16, P="ieee")
    assert torch.equal(out, x @ y)


def test_tf32_loses_the_bits_that_it_has_not(device: torch.device) -> None:
    x, y = torch.randn(16, 32), torch.randn(32, 16)
    out = torch.empty(16, 16)
    product_kernel[(1,)](x, y, out, M=16, K=32, N=16, P="tf32")
    error = (out - x @ y).norm() / out.norm()
    assert 1e-5 < error < 2e-3


def test_bfloat16_reductions(device: torch.device) -> None:
    x, out = bf16(64), torch.empty(3, dtype=torch.bfloat16)
    reduce_kernel[(1,)](x, out, N=64)
    assert out[0] == x.double().sum().to(torch.bfloat16)
    assert out[1] == x.max()
    assert out[2] == (x > 0).sum()


def test_masked_bfloat16_lanes_get_other(device: torch.device) -> None:
    x, out = bf16(8), torch.empty(16, dtype=torch.bfloat16)
    other_kernel[(1,)](x, out, 8, BLOCK=16)
    assert torch.equal(out[:8], x)
    assert (out[8:] == -2.5).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_atomic_additions_to_one_address_all_count(
    device: torch.device, dtype: torch.dtype
) -> None:
    x, out = torch.arange(8).to(dtype), torch.zeros(2, dtype=dtype)
    atomic_kernel[(2,)](x, out, BLOCK=8)
    assert out.tolist() == [24, 32]


def test_a_function_called_by_a_kernel(device: torch.device) -> None:
    x, out = bf16(8), torch.empty(8, dtype=torch.bfloat16)
    nested_kernel[(1,)](x, out, BLOCK=8)
    nested_kernel[(1,)](x, out, BLOCK=8)
    assert torch.equal(out, 2 * x)


@pytest.mark.parametrize("on_load", [True, False])
@pytest.mark.parametrize(("shift", "byte"), [(1, 128), (-1, -4), (1_000_000, 4_000_064)])
def test_reads_and_writes_out_of_bounds(
    device: torch.device, on_load: bool, shift: int, byte: int
) -> None:
    x, out = torch.zeros(32), torch.zeros(32)
    message = caught(shifted_kernel, x, out, shift, programs=2, BLOCK=16, ON_LOAD=on_load)
    place = "load" if on_load else "store"
    program = "(0, 0, 0)" if shift != 1 else "(1, 0, 0)"
    name = "X" if on_load else "OUT"
    assert f"{place} out of bounds in shifted_kernel, program {program}: byte " in message
    assert f"of {name}, whose storage has 128 bytes" in message
    if shift != 1_000_000:
        assert f"byte {byte} of" in message


def test_a_read_that_lands_in_another_argument(device: torch.device) -> None:
    x, out = torch.zeros(16), torch.zeros(4096)
    shift = (out.data_ptr() - x.data_ptr()) // 4
    message = caught(shifted_kernel, x, out, shift, BLOCK=16, ON_LOAD=True)
    assert f"byte {4 * shift} of X" in message


def test_lanes_that_are_masked_may_point_anywhere(device: torch.device) -> None:
    x, out = bf16(3), torch.empty(16, dtype=torch.bfloat16)
    other_kernel[(1,)](x, out, 3, BLOCK=16)
    assert torch.equal(out[:3], x)


def test_int32_overflow(device: torch.device) -> None:
    x, out = torch.zeros(64), torch.zeros(64)
    assert "int32 overflow" in caught(far_kernel, x, out, 2**28, BLOCK=16)


def test_int32_overflow_of_a_sum(device: torch.device) -> None:
    x = torch.full((4,), 2**30, dtype=torch.int32)
    assert "int32 overflow" in caught(wrapping_sum_kernel, x, torch.zeros_like(x), BLOCK=4)


def test_device_assert(device: torch.device) -> None:
    x = torch.tensor([3])
    assert "three is too much" in caught(asserting_kernel, x, torch.zeros_like(x))


def test_a_product_over_fewer_than_16(device: torch.device) -> None:
    x, y, out = bf16(16, 8), bf16(8, 16), torch.zeros(16, 16)
    assert "K >= 16" in caught(product_kernel, x, y, out, M=16, K=8, N=16, P="ieee")


@pytest.mark.parametrize("load", [True, False])
def test_programs_that_race(device: torch.device, load: bool) -> None:
    out = torch.zeros(4, dtype=torch.int32)
    message = caught(same_place_kernel, out, programs=3, LOAD=load)
    place = "load" if load else "store"
    assert f"{place} in same_place_kernel, program (1, 0, 0): byte 0 of OUT" in message


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int32, torch.uint8])
def test_what_nobody_wrote_is_poison(device: torch.device, dtype: torch.dtype) -> None:
    for out in (
        torch.empty(3, dtype=dtype),
        torch.empty_like(torch.zeros(3, dtype=dtype)),
        torch.zeros(1, dtype=dtype).new_empty(3),
    ):
        if dtype.is_floating_point:
            assert out.isnan().all()
        else:
            assert (out == (torch.iinfo(dtype).min or torch.iinfo(dtype).max)).all()
