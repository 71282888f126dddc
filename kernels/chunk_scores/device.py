"""Triton kernels of chunk scores. See `docs/kernels.md`; names as in `kernels/tiles.py`."""

import triton
import triton.language as tl

from ..tiles import (
    LOG2E,
    add_rows,
    list_of_program,
    load_rows,
    load_slots,
    next_pairs,
    pick,
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
    RP: tl.constexpr, SP: tl.constexpr, DP: tl.constexpr, KP: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One token and one KV head: the log-sum-exp of each chosen chunk, [K, R]."""
    i_t = tl.program_id(0).to(tl.int64)
    i_g = tl.program_id(1).to(tl.int64)
    o_r = tl.program_id(2) * RP + tl.arange(0, RP)
    o_s = tl.arange(0, SP)
    m_r, m_s = o_r < R, o_s < S
    at = i_t * G + i_g
    b_q = load_rows(Q + at * R * D, D, o_r, m_r, D, DP)
    b_i, b_used = load_slots(INDICES, at, K, KP)
    KEYS += i_t // T * stride_kb + i_g * stride_kg
    for j in range(K):
        chunk = pick(b_i, j, KP).to(tl.int64)
        b_k = load_rows(KEYS + chunk * stride_kc, stride_ks, o_s, m_s, D, DP).to(b_q.dtype)
        b_s = tl.dot(b_q, tl.trans(b_k), input_precision=PRECISION)
        b_s = tl.where(m_s[None, :], b_s * (scale * LOG2E), float("-inf"))
        b_max = tl.max(b_s, 1)
        b_sum = tl.sum(tl.exp2(b_s - b_max[:, None]), 1)
        b_out = (b_max + tl.log2(b_sum)) / LOG2E
        used = pick(b_used.to(tl.int32), j, KP) > 0
        tl.store(OUT + (at * K + j) * R + o_r, tl.where(used, b_out, 0.0), mask=m_r)


@triton.jit
def backward_queries_kernel(
    GRAD, Q, KEYS, INDICES, DQ,
    scale, T, G, K,
    stride_kb, stride_kc, stride_ks, stride_kg,
    R: tl.constexpr, S: tl.constexpr, D: tl.constexpr,
    RP: tl.constexpr, SP: tl.constexpr, DP: tl.constexpr, KP: tl.constexpr,
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
    b_i, b_used = load_slots(INDICES, at, K, KP)
    KEYS += i_t // T * stride_kb + i_g * stride_kg
    b_dq = tl.zeros([RP, DP], tl.float32)
    for j in range(K):
        chunk = pick(b_i, j, KP).to(tl.int64)
        b_k = load_rows(KEYS + chunk * stride_kc, stride_ks, o_s, m_s, D, DP)
        b_g = tl.load(GRAD + (at * K + j) * R + o_r, mask=m_r, other=0.0)
        b_g = tl.where(pick(b_used.to(tl.int32), j, KP) > 0, b_g, 0.0)
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
    o_s, o_n = tl.arange(0, SP), tl.arange(0, N)
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
        o_r = ((at + o_n // RU) % UNITS) * RU + o_n % RU
        m_n = (b_pair >= 0) & (o_r < R)
        b_t = b_pair // K + i_b * T
        b_q = load_rows(Q, D, (b_t * G + i_g) * R + o_r, m_n, D, DP)
        o_grad = ((b_t * G + i_g) * K + b_pair % K) * R + o_r
        b_g = tl.load(GRAD + o_grad, mask=m_n, other=0.0)
        b_pair = next_pairs(PAIRS, at + PER_STEP, last, N, RU, UNITS)
        b_s = tl.dot(b_k, tl.trans(b_q), input_precision=PRECISION)
        b_p = softmax_of_columns(b_s, m_s, scale) * b_g[None, :]
        b_dk = tl.dot(b_p.to(b_q.dtype), b_q, b_dk, input_precision=PRECISION)
    row = ((i_b * C + chunk) * S + o_s) * G + i_g
    add_rows(DK, D, row, m_s, b_dk * scale, D, DP, PIECE > 0)
