"""Triton functions that kernels of several operators are made of; only `device.py` files import it.

`o_` offsets, `b_` values in registers, `m_` masks. R query heads of one KV head, S chunk size, D
head dimension, K slots; SP, DP, KP are the powers of two they are padded to.
"""

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def load_slots(INDICES, at, K, KP: tl.constexpr):
    """The chunks [KP] of one token and KV head, and which slots are used; empty ones get a chunk
    that the token reads anyway.

    They stay in registers: an index that is loaded in the loop keeps the compiler from copying the
    next chunk while this one is computed.
    """
    o_k = tl.arange(0, KP)
    b_i = tl.load(INDICES + at * K + o_k, mask=o_k < K, other=-1).to(tl.int32)
    return tl.where(b_i >= 0, b_i, tl.maximum(tl.max(b_i, 0), 0)), b_i >= 0


@triton.jit
def load_weights(WEIGHTS, at, b_used, K, KP: tl.constexpr):
    """Their weights [KP]; 0 for empty slots."""
    return tl.load(WEIGHTS + at * K + tl.arange(0, KP), mask=b_used, other=0.0)


@triton.jit
def pick(b_x, j, KP: tl.constexpr):
    """Element `j` of a vector [KP] in registers."""
    return tl.sum(tl.where(tl.arange(0, KP) == j, b_x, 0), 0)


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
        begin = tl.load(FIRST + tl.minimum(chunk, C))
        end = tl.load(FIRST + tl.minimum(chunk + 1, C))
        begin += (i_p - tl.load(PIECE_FIRST + tl.minimum(chunk, C))) * PIECE
        count = tl.minimum(end - begin, PIECE)
    else:
        chunk = i_p
        begin = tl.load(FIRST + chunk)
        count = tl.load(FIRST + chunk + 1) - begin
    return chunk, begin, count.to(tl.int32)


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
