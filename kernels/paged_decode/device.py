"""Triton kernels: attention of a part of a session's slots, and the sum of the parts.

Letters as in `api.py`; R query heads per KV head.
"""

import triton
import triton.language as tl

# Slots of one program. One warp holds their pages, so that to pick one needs no barrier.
MOST_SLOTS = tl.constexpr(32)
LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def _tile(base, offsets, keys, dims, SIZE: tl.constexpr, DIM: tl.constexpr):
    """Load a page's keys or values of one KV head, 0 where the tile is larger."""
    if keys.shape[0] == SIZE and dims.shape[0] == DIM:
        tile = tl.load(base + offsets)
    else:
        inside = (keys < SIZE)[:, None] & (dims < DIM)[None, :]
        tile = tl.load(base + offsets, mask=inside, other=0.0)
    return tile


@triton.jit
def _bf16_parts(x):
    """Cut float32 into three bfloat16 that add up to it; such products are exact in float32."""
    high = x.to(tl.bfloat16)
    rest = x - high.to(tl.float32)
    middle = rest.to(tl.bfloat16)
    return high, middle, (rest - middle.to(tl.float32)).to(tl.bfloat16)


@triton.jit
def _product(x, y, total):
    """Add x @ y to `total` as exactly as x is; y may be bfloat16 beside a wider x."""
    if x.dtype == tl.float32 and y.dtype == tl.bfloat16:
        high, middle, low = _bf16_parts(x)
        total = tl.dot(low, y, total)
        total = tl.dot(middle, y, total)
        total = tl.dot(high, y, total)
    else:
        total = tl.dot(x, y.to(x.dtype), total, input_precision="ieee")
    return total


@triton.jit
def _fused_softmax(scores, weight, AXIS: tl.constexpr):
    """Softmax over the keys of one chunk, times its weight; scores are in units of log 2."""
    p = tl.exp2(scores - tl.max(scores, AXIS, keep_dims=True))
    return p * (weight / tl.sum(p, AXIS, keep_dims=True))


@triton.jit(
    do_not_specialize=["batch", "num_pages", "num_chunks", "top_k", "splits", "t_b", "i_b", "w_b"]
)
def decode_kernel(
    q,
    k_pool,
    v_pool,
    page_table,
    indices,
    weights,
    out,
    scale,
    batch,
    num_pages,
    num_chunks,
    top_k,
    splits,
    q_b,
    q_h,
    q_d,
    k_b,
    k_p,
    k_s,
    k_g,
    k_d,
    v_b,
    v_p,
    v_s,
    v_g,
    v_d,
    t_b,
    t_c,
    i_b,
    i_g,
    i_k,
    w_b,
    w_g,
    w_k,
    GROUPS: tl.constexpr,
    HEADS: tl.constexpr,
    SIZE: tl.constexpr,
    DIM: tl.constexpr,
    BLOCK_HEADS: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    TRANSPOSED: tl.constexpr,
):
    """Write out [splits, B, H, D]: what slots split, split + splits, ... add to the output.

    Grid: [B * G * blocks of heads * splits]. `HEADS` is R. Without a page table every session has
    its own pages, one for each chunk: k_b and v_b then lead from one session to the next.

    Transposed, keys are the rows of the first product and heads the columns: 16 heads are enough
    for the widest tensor-core instructions, which want 64 rows. That form wants one dtype of 16
    bits.
    """
    PER_GROUP: tl.constexpr = (HEADS + BLOCK_HEADS - 1) // BLOCK_HEADS
    program = tl.program_id(0)
    split = program % splits
    block = (program // splits) % PER_GROUP
    group = ((program // splits // PER_GROUP) % GROUPS).to(tl.int64)
    row = (program // splits // PER_GROUP // GROUPS).to(tl.int64)

    # Every `splits`-th slot: empty ones lie at the end, and no split gets all of them.
    slots = tl.arange(0, MOST_SLOTS)
    at = (slots * splits + split).to(tl.int64)
    used = at < top_k
    chunk = tl.load(indices + row * i_b + group * i_g + at * i_k, mask=used, other=-1)
    used = (chunk >= 0) & (chunk < num_chunks)
    page = chunk
    if page_table is not None:
        page = tl.load(page_table + row * t_b + chunk * t_c, mask=used, other=-1)
        used = (page >= 0) & (page < num_pages)
    weight = tl.load(weights + row * w_b + group * w_g + at * w_k, mask=used, other=0.0)
    # Slots without a page read one that is read anyway, with weight 0; those at the end nothing.
    page = tl.where(used, page, -1).to(tl.int32)
    page = tl.where(used, page, tl.max(page, 0))
    count = tl.max(tl.where(used, slots + 1, 0), 0)

    heads = block * BLOCK_HEADS + tl.arange(0, BLOCK_HEADS)
    keys = tl.arange(0, BLOCK_SIZE)
    dims = tl.arange(0, BLOCK_DIM)
    live = (heads < HEADS)[:, None] & (dims < DIM)[None, :]
    head = group * HEADS + heads
    queries = tl.load(
        q + row * q_b + head[:, None] * q_h + dims[None, :] * q_d, mask=live, other=0.0
    )
    k_base = k_pool + row * k_b + group * k_g
    v_base = v_pool + row * v_b + group * v_g
    k_tile = keys.to(tl.int64)[:, None] * k_s + dims.to(tl.int64)[None, :] * k_d
    v_tile = keys.to(tl.int64)[:, None] * v_s + dims.to(tl.int64)[None, :] * v_d
    factor = scale * LOG2_E
    if TRANSPOSED:
        total = tl.zeros([BLOCK_DIM, BLOCK_HEADS], tl.float32)
    else:
        total = tl.zeros([BLOCK_HEADS, BLOCK_DIM], tl.float32)
    for j in range(0, count):
        # Picked from registers: a load here would keep the copies of pages from running ahead.
        p_id = tl.sum(tl.where(slots == j, page, 0), 0).to(tl.int64)
        w = tl.sum(tl.where(slots == j, weight, 0.0), 0)
        k = _tile(k_base + p_id * k_p, k_tile, keys, dims, SIZE, DIM)
        v = _tile(v_base + p_id * v_p, v_tile, keys, dims, SIZE, DIM)
        if TRANSPOSED:
            scores = tl.dot(k, tl.trans(queries)) * factor
            if SIZE != BLOCK_SIZE:
                scores = tl.where((keys < SIZE)[:, None], scores, float("-inf"))
            total = tl.dot(tl.trans(v), _fused_softmax(scores, w, 0).to(v.dtype), total)
        else:
            scores = tl.zeros([BLOCK_HEADS, BLOCK_SIZE], tl.float32)
            scores = _product(queries, tl.trans(k), scores) * factor
            if SIZE != BLOCK_SIZE:
                scores = tl.where((keys < SIZE)[None, :], scores, float("-inf"))
            total = _product(_fused_softmax(scores, w, 1).to(queries.dtype), v, total)
    if TRANSPOSED:
        total = tl.trans(total)
    to = (split.to(tl.int64) * batch + row) * (GROUPS * HEADS) + head
    to = to[:, None] * DIM + dims[None, :]
    tl.store(out + to, total.to(out.dtype.element_ty), mask=live)


@triton.jit(do_not_specialize=["splits", "values"])
def sum_kernel(parts, out, splits, values, BLOCK_SPLITS: tl.constexpr, BLOCK_VALUES: tl.constexpr):
    """Add parts [splits, values] into out [values]; the order depends on `splits` alone.

    Grid: [blocks of values].
    """
    at = tl.program_id(0).to(tl.int64) * BLOCK_VALUES + tl.arange(0, BLOCK_VALUES)
    total = tl.zeros([BLOCK_VALUES], tl.float32)
    for first in range(0, splits, BLOCK_SPLITS):
        part = (first + tl.arange(0, BLOCK_SPLITS)).to(tl.int64)
        there = (part < splits)[:, None] & (at < values)[None, :]
        total += tl.sum(
            tl.load(parts + part[:, None] * values + at[None, :], mask=there, other=0.0), 0
        )
    tl.store(out + at, total.to(out.dtype.element_ty), mask=at < values)
