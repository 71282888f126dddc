"""Number formats of keys and values: how far they round, what they cost, and who decides."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import hsa_memory
from hsa_memory.cli import KV_DTYPES
from hsa_memory.engine import load_engine
from hsa_memory.model import ChunkKV
from hsa_memory.precision import DEFAULT, PRECISIONS, Precision, precision_of

# The largest error, as a share of a channel's largest value: half a step.
STEPS = {"int8": 0.5 / 127, "float8": 2.0**-4}
EIGHT_BITS = tuple(STEPS)


def some_chunks(count: int = 5, seed: int = 0) -> ChunkKV:
    """Keys and values [count, 8, 2, 8], with channels of very different sizes."""
    draw = torch.Generator().manual_seed(seed)
    sizes = torch.logspace(-3, 3, 8)
    k, v = (torch.randn(count, 8, 2, 8, generator=draw) * sizes for _ in range(2))
    return ChunkKV(k, v)


def both_of(kv: ChunkKV) -> Tensor:
    return torch.stack([kv.k, kv.v])


@pytest.fixture(params=EIGHT_BITS)
def scaled(request: pytest.FixtureRequest) -> Precision:
    """A format of eight bits."""
    return PRECISIONS[request.param]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "memory"


def test_bfloat16_keeps_what_is_bfloat16() -> None:
    kv = some_chunks()
    rounded = PRECISIONS["bfloat16"].rounded(kv)
    assert torch.equal(both_of(rounded), both_of(kv).bfloat16())


def test_an_error_is_small_beside_the_largest_value_of_the_channel(scaled: Precision) -> None:
    kv = some_chunks()
    error = (both_of(scaled.rounded(kv)).float() - both_of(kv)).abs()
    # The scale, and what comes out, are rounded to bfloat16.
    bound = (STEPS[scaled.name] + 2 * 2.0**-8) * both_of(kv).abs().amax(2, keepdim=True)
    assert (error <= bound).all()
    assert error.max() > 0


def test_eight_bit_floats_keep_small_values_of_a_channel() -> None:
    kv = some_chunks()
    kv.k[0, :, 0, 0] = 2.0 ** -torch.arange(8)
    rounded = PRECISIONS["float8"].rounded(kv).k[0, :, 0, 0].float()
    assert torch.allclose(rounded, kv.k[0, :, 0, 0], rtol=0.02)


def test_a_chunk_is_encoded_alike_whatever_is_beside_it(scaled: Precision) -> None:
    kv = some_chunks(70)
    together = scaled.encode(kv)
    alone = [scaled.encode(ChunkKV(kv.k[i : i + 1], kv.v[i : i + 1]))[0] for i in range(70)]
    assert np.array_equal(together, np.stack(alone))
    every, one = scaled.rounded(kv), scaled.rounded(ChunkKV(kv.k[69:], kv.v[69:]))
    assert torch.equal(every.v[69:], one.v)


def test_scales_lie_behind_the_values(scaled: Precision) -> None:
    # As storage/FORMAT.md says: K then V [S, G, D], then a scale per channel [G, D] of each.
    kv = some_chunks(1)
    (row,) = scaled.encode(kv)
    codes = torch.from_numpy(row[:256].copy()).view(getattr(torch, scaled.dtype)).view(2, 8, 2, 8)
    scales = torch.from_numpy(row[256:].copy()).view(torch.bfloat16).view(2, 1, 2, 8)
    assert torch.equal(
        (codes.float() * scales.float()).bfloat16(), both_of(scaled.rounded(kv))[:, 0]
    )


def test_zeros_stay_zeros_and_what_is_not_finite_shows(scaled: Precision) -> None:
    kv = some_chunks()
    kv.k[0] = 0.0
    kv.v[1, 2, 0, 3] = float("inf")
    kv.v[2, 2, 0, 3] = float("nan")
    rounded = scaled.rounded(kv)
    assert (rounded.k[0] == 0).all()
    assert not rounded.v[1, 2, 0, 3].isfinite()
    assert rounded.v[2, 2, 0, 3].isnan()
    # Other channels and other chunks know nothing of it.
    assert rounded.v[..., 4:].isfinite().all()
    assert rounded.v[3:].isfinite().all()


def test_no_chunks_at_all() -> None:
    for precision in PRECISIONS.values():
        assert precision.rounded(some_chunks(0)).k.shape == (0, 8, 2, 8)


def test_a_block_holds_values_and_scales(tiny_checkpoint: Path) -> None:
    engine = load_engine(tiny_checkpoint, "cpu")
    values = 2 * 8 * 2 * 8  # K and V of 8 tokens, 2 heads, 8 channels
    sizes = {name: engine.layout(p).kv_bytes for name, p in PRECISIONS.items()}
    scaled = values + 2 * 2 * 8 * 2
    assert sizes == {"bfloat16": 2 * values, "int8": scaled, "float8": scaled}
    assert [layout.dtype for layout in engine.layouts(PRECISIONS["int8"])][0] == "int8"
    assert all(precision_of(p.dtype) is p for p in PRECISIONS.values())


@pytest.mark.parametrize("kv_dtype", PRECISIONS)
def test_a_session_stays_in_the_format_it_was_made_in(
    folder: Path, tiny_checkpoint: Path, kv_dtype: str
) -> None:
    with hsa_memory.open(folder, model=tiny_checkpoint, kv_dtype=kv_dtype) as memory:
        assert memory.stats().kv_dtype == kv_dtype
        memory.session("alice").add("user", "Where is the spare key? Under the flowerpot.")
    for other in PRECISIONS:
        with hsa_memory.open(folder, model=tiny_checkpoint, kv_dtype=other) as memory:
            with memory.session("alice") as session:
                assert session.stats().kv_dtype == kv_dtype
                session.add("user", f"More of the old harbour, in {other} this time.")
                assert session.search("Where is the key?").diagnostics == ()
            assert memory.session(f"made in {other}").stats().kv_dtype == other
            assert memory.check() == []
    with hsa_memory.open(folder, model=tiny_checkpoint) as memory:
        with memory.session("alice") as session:
            session.clear()
            assert session.stats().kv_dtype == kv_dtype
            session.add("user", "My dog is called Biscuit and the code of my locker is 4817.")
            assert session.search("dog").hits[0].seq == 0


@pytest.mark.parametrize("kv_dtype", PRECISIONS)
def test_what_forgetting_leaves_is_encoded_in_the_format_of_the_session(
    folder: Path, tiny_checkpoint: Path, kv_dtype: str
) -> None:
    with hsa_memory.open(folder, model=tiny_checkpoint, kv_dtype=kv_dtype) as memory:
        session = memory.session("alice")
        texts = [f"{i}: nobody could remember who built tower {i * i}" for i in range(12)]
        session.add_messages({"id": str(i), "role": "user", "text": t} for i, t in enumerate(texts))
        before = session._store.gather(range(session._store.published))
        assert session.forget(["2"]).tokens_ingested > 0
        after = session._store.gather(range(session._store.published))
        assert before.shape == after.shape
        # Behind the reach of the windows nothing is written anew.
        assert (before[0] == after[0]).all()
        assert (before[-1] == after[-1]).all()
        assert (before != after).any()
        assert all(hit.id != "2" for hit in session.search("Who built the tower?", k=20))
        assert memory.check() == []


@pytest.mark.parametrize("kv_dtype", ["float16", "int4", "", None, 8])
def test_an_unknown_format_is_refused(
    folder: Path, tiny_checkpoint: Path, kv_dtype: object
) -> None:
    with pytest.raises(hsa_memory.InvalidArgument, match="kv_dtype must be one of bfloat16, int8"):
        hsa_memory.open(folder, model=tiny_checkpoint, kv_dtype=kv_dtype)
    assert not folder.exists()


def test_the_command_line_knows_every_format() -> None:
    assert set(KV_DTYPES) == set(PRECISIONS)
    assert KV_DTYPES[0] == DEFAULT
