"""Triton kernels of chunk scores. See `docs/kernels.md`; names as in `kernels/tiles.py`."""

import triton
import triton.language as tl

from ..tiles import (
    LOG2E,
    add_rows,
    columns_of,
    keys_times,
    list_of_program,
    load_rows,
    next_pairs,
    next_slot,
    slots_to_walk,
    softmax_of_columns,
    softmax_of_rows,
    store_rows,
)


@triton.jit
def forward_kernel(
    Q, KEYS, INDICES, OUT,
    scale, T, G, K,
    stride_kb, stride_kc, stride_ks, stride_kg,
    R: tl.constexpr, S: tl.constexpr, D: tl.constexpr,
    RP: tl.constexpr, SP: tl.constexpr, DP: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One token and one KV head: the log-sum-exp of each chosen chunk, [K, R].

    OUT holds zeros, which stay for empty slots.
    """
    i_t = tl.program_id(0).to(tl.int64)
    i_g = tl.program_id(1).to(tl.int64)
    o_r = tl.program_id(2) * RP + tl.arange(0, RP)
    o_s = tl.arange(0, SP)
    m_r, m_s = o_r < R, o_s < S
    at = i_t * G + i_g
    b_q = load_rows(Q + at * R * D, D, o_r, m_r, D, DP)
    INDICES += at * K
    OUT += at * K * R
    KEYS += i_t // T * stride_kb + i_g * stride_kg
    count, chunk = slots_to_walk(INDICES, K)
    slot = next_slot(INDICES, 0, count)
    for j in range(count):
        used = slot >= 0
        chunk = tl.where(used, slot, chunk)
        slot = next_slot(INDICES, j + 1, count)
        at_k = chunk.to(tl.int64) * stride_kc
        b_k = load_rows(KEYS + at_k, stride_ks, o_s, m_s, D, DP).to(b_q.dtype)
        b_s = tl.dot(b_q, tl.trans(b_k), input_precision=PRECISION)
        b_s = tl.where(m_s[None, :], b_s * (scale * LOG2E), float("-inf"))
        b_max = tl.max(b_s, 1)
        b_sum = tl.sum(tl.exp2(b_s - b_max[:, None]), 1)
        b_out = (b_max + tl.log2(b_sum)) / LOG2E
        tl.store(OUT + j * R + o_r, b_out, mask=m_r & used)


@triton.jit
def backward_queries_kernel(
    GRAD, Q, KEYS, INDICES, DQ,
    scale, T, G, K,
    stride_kb, stride_kc, stride_ks, stride_kg,
    R: tl.constexpr, S: tl.constexpr, D: tl.constexpr,
    RP: tl.constexpr, SP: tl.constexpr, DP: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One token and one KV head: dq = sum_c grad_c softmax(q K_c^T) K_c."""
    i_t = tl.program_id(0).to(tl.int64)
    i_g = tl.program_id(1).to(tl.int64)
    o_r = tl.program_id(2) * RP + tl.arange(0, RP)
    o_s = tl.arange(0, SP)
    m_r, m_s = o_r < R, o_s < S
    at = i_t * G + i_g
    b_q = load_rows(Q + at * R * D, D, o_r, m_r, D, DP)
    INDICES += at * K
    GRAD += at * K * R
    KEYS += i_t // T * stride_kb + i_g * stride_kg
    b_dq = tl.zeros([RP, DP], tl.float32)
    count, chunk = slots_to_walk(INDICES, K)
    slot = next_slot(INDICES, 0, count)
    for j in range(count):
        used = slot >= 0
        chunk = tl.where(used, slot, chunk)
        slot = next_slot(INDICES, j + 1, count)
        at_k = chunk.to(tl.int64) * stride_kc
        b_k = load_rows(KEYS + at_k, stride_ks, o_s, m_s, D, DP)
        b_g = tl.load(GRAD + j * R + o_r, mask=m_r & used, other=0.0)
        b_s = tl.dot(b_q, tl.trans(b_k), input_precision=PRECISION)
        b_p = softmax_of_rows(b_s, m_s, scale) * b_g[:, None]
        b_dq = tl.dot(b_p.to(b_q.dtype), b_k, b_dq, input_precision=PRECISION)
    store_rows(DQ + at * R * D, D, o_r, m_r, b_dq * scale, D, DP)


@triton.jit
def backward_chunks_kernel(
    GRAD, Q, KEYS, PAIRS, FIRST, PIECE_CHUNK, PIECE_FIRST, DK,
    scale, T, G, K, C, num_pairs, num_pieces,
    stride_kb, stride_kc, stride_ks, stride_kg,
    R: tl.constexpr, S: tl.constexpr, D: tl.constexpr, SP: tl.constexpr, DP: tl.constexpr,
    N: tl.constexpr, RU: tl.constexpr, PIECE: tl.constexpr, PRECISION: tl.constexpr,
    TRANSPOSED: tl.constexpr,
):  # fmt: skip
    """One piece of the pairs that chose one chunk: its share of dk, as in chunk attention."""
    i_p = tl.program_id(0).to(tl.int64)
    i_bg = tl.program_id(1).to(tl.int64)
    i_b, i_g = i_bg // G, i_bg % G
    chunk, begin, count = list_of_program(
        FIRST + i_bg * (C + 1), PIECE_CHUNK + i_bg * num_pieces, PIECE_FIRST + i_bg * (C + 1),
        i_p, C, PIECE,
    )  # fmt: skip
    if chunk >= C:
        return
    o_s = tl.arange(0, SP)
    m_s = o_s < S
    KEYS += i_b * stride_kb + i_g * stride_kg + chunk * stride_kc
    b_k = load_rows(KEYS, stride_ks, o_s, m_s, D, DP)
    b_dk = tl.zeros([SP, DP], tl.float32)
    PAIRS += i_bg * num_pairs + begin
    UNITS: tl.constexpr = (R + RU - 1) // RU
    PER_STEP: tl.constexpr = N // RU
    last = count * UNITS
    b_pair = next_pairs(PAIRS, 0, last, N, RU, UNITS)
    for at in range(0, last, PER_STEP):
        o_r, o_row, o_k, m_n = columns_of(b_pair, at, i_b, i_g, T, G, K, R, RU)
        b_q = load_rows(Q, D, o_row * R + o_r, m_n, D, DP)
        b_g = tl.load(GRAD + (o_row * K + o_k) * R + o_r, mask=m_n, other=0.0)
        b_pair = next_pairs(PAIRS, at + PER_STEP, last, N, RU, UNITS)
        b_s = keys_times(b_k, b_q, TRANSPOSED, PRECISION)
        b_p = softmax_of_columns(b_s, m_s, scale) * b_g[None, :]
        b_dk = tl.dot(b_p.to(b_q.dtype), b_q, b_dk, input_precision=PRECISION)
    row = ((i_b * C + chunk) * S + o_s) * G + i_g
    add_rows(DK, D, row, m_s, b_dk * scale, D, DP, PIECE > 0)
