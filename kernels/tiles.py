"""Triton functions that kernels of several operators are made of; only `device.py` files import it.

`o_` offsets, `b_` values in registers, `m_` masks. R query heads of one KV head, S chunk size, D
head dimension, K slots; SP, DP are the powers of two they are padded to.
"""

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)
# Slots that `slots_to_walk` looks at in a step: one for each thread of four warps.
AT_ONCE = tl.constexpr(128)


@triton.jit
def slots_to_walk(INDICES, K):
    """How many slots of one token and KV head to walk, up to the last used one; and a chunk that
    the token reads, for empty slots before it."""
    o_k = tl.arange(0, AT_ONCE)
    b_count = tl.zeros([AT_ONCE], tl.int32)
    b_chunk = tl.zeros([AT_ONCE], tl.int32)
    for start in range(0, K, AT_ONCE):
        b_i = tl.load(INDICES + start + o_k, mask=start + o_k < K, other=-1).to(tl.int32)
        b_count = tl.where(b_i >= 0, start + o_k + 1, b_count)
        b_chunk = tl.maximum(b_chunk, b_i)
    return tl.max(b_count, 0), tl.max(b_chunk, 0)


@triton.jit
def next_slot(INDICES, j, count):
    """What slot `j` holds; -1 where it is empty and from `count` on.

    Loaded a step ahead. Loaded in the step that needs it, it keeps the compiler from copying a
    chunk while another one is computed; picked from a vector in registers, it costs sums across
    lanes in every step, across warps if the vector is long.
    """
    return tl.load(INDICES + j, mask=j < count, other=-1).to(tl.int32)


@triton.jit
def next_weight(WEIGHTS, j, count):
    """The weight of slot `j`, loaded a step ahead like the slot."""
    return tl.load(WEIGHTS + j, mask=j < count, other=0.0)


@triton.jit
def load_rows(X, stride_row, o_rows, m_rows, D: tl.constexpr, DP: tl.constexpr):
    """Rows [n, DP]; zeros where there is none, and beyond D."""
    o_d = tl.arange(0, DP)
    at = o_rows[:, None].to(tl.int64) * stride_row + o_d[None, :]
    return tl.load(X + at, mask=m_rows[:, None] & (o_d < D)[None, :], other=0.0)


@triton.jit
def store_rows(X, stride_row, o_rows, m_rows, b_x, D: tl.constexpr, DP: tl.constexpr):
    """Write rows [n, DP] where there are any, up to D."""
    o_d = tl.arange(0, DP)
    at = o_rows[:, None].to(tl.int64) * stride_row + o_d[None, :]
    tl.store(X + at, b_x.to(X.dtype.element_ty), mask=m_rows[:, None] & (o_d < D)[None, :])


@triton.jit
def softmax_of_rows(b_s, m_s, scale):
    """Softmax of products [n, SP] over the tokens of a chunk; those beyond S get 0."""
    b_s = tl.where(m_s[None, :], b_s * (scale * LOG2E), float("-inf"))
    b_p = tl.exp2(b_s - tl.max(b_s, 1)[:, None])
    return b_p / tl.sum(b_p, 1)[:, None]


@triton.jit
def softmax_of_columns(b_s, m_s, scale):
    """Softmax of products [SP, n] over the tokens of a chunk; those beyond S get 0."""
    b_s = tl.where(m_s[:, None], b_s * (scale * LOG2E), float("-inf"))
    b_p = tl.exp2(b_s - tl.max(b_s, 0)[None, :])
    return b_p / tl.sum(b_p, 0)[None, :]


@triton.jit
def add_rows(
    X, stride_row, o_rows, m_rows, b_x, D: tl.constexpr, DP: tl.constexpr, ATOMIC: tl.constexpr
):
    """Add rows [n, DP] to what other programs add, or write them where no other does."""
    if ATOMIC:
        o_d = tl.arange(0, DP)
        at = o_rows[:, None].to(tl.int64) * stride_row + o_d[None, :]
        tl.atomic_add(X + at, b_x, mask=m_rows[:, None] & (o_d < D)[None, :], sem="relaxed")
    else:
        store_rows(X, stride_row, o_rows, m_rows, b_x, D, DP)


@triton.jit
def list_of_program(FIRST, PIECE_CHUNK, PIECE_FIRST, i_p, C, PIECE: tl.constexpr):
    """The chunk of program `i_p`, where its pairs begin, and how many it has to walk.

    PIECE = 0: the whole list of chunk `i_p`. Else a piece of at most PIECE pairs, as `pieces_of`
    cut them; chunk C and no pair where there is no such piece.
    """
    if PIECE > 0:
        chunk = tl.load(PIECE_CHUNK + i_p)
        begin = tl.load(FIRST + tl.minimum(chunk, C)).to(tl.int64)
        end = tl.load(FIRST + tl.minimum(chunk + 1, C))
        begin += (i_p - tl.load(PIECE_FIRST + tl.minimum(chunk, C))) * PIECE
        count = tl.minimum(end - begin, PIECE)
    else:
        chunk = i_p
        begin = tl.load(FIRST + chunk).to(tl.int64)
        count = tl.load(FIRST + chunk + 1) - begin
    return chunk.to(tl.int64), begin, count.to(tl.int32)


@triton.jit
def next_pairs(PAIRS, at, last, N: tl.constexpr, RU: tl.constexpr, UNITS: tl.constexpr):
    """The pairs [N] of the columns from unit `at` on; -1 for those beyond the last unit.

    A unit is RU heads of one pair, UNITS of them make a pair. Loaded a step ahead, so that the rows
    they name can be on their way while others are computed.
    """
    o_n = tl.arange(0, N)
    o_u = at + o_n // RU
    mask = (o_n < N // RU * RU) & (o_u < last)
    return tl.load(PAIRS + o_u // UNITS, mask=mask, other=-1)


@triton.jit
def columns_of(b_pair, at, i_b, i_g, T, G, K, R: tl.constexpr, RU: tl.constexpr):
    """Of the columns [N] from unit `at` on, which hold pairs `b_pair`: the head, the row of
    (token, KV head), the slot, and whether there is one."""
    o_n = tl.arange(0, b_pair.shape[0])
    UNITS: tl.constexpr = (R + RU - 1) // RU
    o_r = ((at + o_n // RU) % UNITS) * RU + o_n % RU
    o_row = (b_pair // K + i_b * T) * G + i_g
    return o_r, o_row, b_pair % K, (b_pair >= 0) & (o_r < R)


@triton.jit
def keys_times(b_k, b_x, TRANSPOSED: tl.constexpr, PRECISION: tl.constexpr):
    """Products [SP, N] of a chunk's keys and the rows of columns, computed as they are or, not
    TRANSPOSED, as [N, SP]."""
    if TRANSPOSED:
        b_s = tl.dot(b_k, tl.trans(b_x), input_precision=PRECISION)
    else:
        b_s = tl.trans(tl.dot(b_x, tl.trans(b_k), input_precision=PRECISION))
    return b_s
