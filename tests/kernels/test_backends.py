"""Which backend runs an operator, and what is said when it cannot."""

from __future__ import annotations

import pytest
import torch

from hsa_memory.kernels import backends
from hsa_memory.kernels.backends import BackendUnavailable, resolve
from hsa_memory.kernels.chunk_attention import chunk_attention

X = torch.zeros(1)
on_cpu = pytest.mark.skipif(backends._INTERPRETED, reason="Triton's interpreter runs on the CPU")


def test_tensors_on_the_cpu_are_run_by_pytorch() -> None:
    assert resolve(None, X) == resolve("torch", X) == "torch"


def test_an_unknown_backend_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="one of torch, triton; found 'cuda'"):
        resolve("cuda", X)


@on_cpu
def test_triton_is_not_replaced_by_something_else_on_the_cpu() -> None:
    q, k = torch.zeros(1, 2, 1, 4), torch.zeros(1, 3, 5, 1, 4)
    indices = torch.zeros(1, 2, 1, 1, dtype=torch.int64)
    with pytest.raises(BackendUnavailable, match="a GPU, these are on cpu: move them"):
        chunk_attention(q, k, k, indices, torch.ones(1, 2, 1, 1), backend="triton")


def test_what_is_not_installed_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_INSTALLED", False)
    with pytest.raises(BackendUnavailable, match="pip install triton"):
        resolve("triton", X)


def test_a_dtype_that_the_kernels_do_not_take_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_INTERPRETED", True)
    assert resolve("triton", X) == "triton"
    with pytest.raises(BackendUnavailable, match="found torch.float64; backend='torch' takes it"):
        resolve("triton", X.double())


@pytest.mark.parametrize(("capability", "runs"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_that_is_too_old_is_told(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], runs: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    x = _OnGpu()
    if runs:
        assert resolve(None, x) == "triton"
    else:
        with pytest.raises(BackendUnavailable, match=r"need compute capability 8\.0 .* has 7\.5"):
            resolve(None, x)
    assert resolve("torch", x) == "torch"


class _OnGpu:
    """All that is asked of a tensor."""

    is_cuda, dtype, device = True, torch.float32, "cuda:0"
