"""Triton kernels of chunk attention. See `docs/kernels.md`; names as in `kernels/tiles.py`.

No kernel keeps anything for the backward pass: the softmax of a chunk is over 64 keys that are all
in one tile, and its delta is the gradient of the chunk's weight.
"""

import triton
import triton.language as tl

from ..tiles import (
    add_rows,
    columns_of,
    keys_times,
    list_of_program,
    load_rows,
    next_pairs,
    next_slot,
    next_weight,
    slots_to_walk,
    softmax_of_columns,
    softmax_of_rows,
    store_rows,
)


@triton.jit
def forward_kernel(
    Q, KEYS, VALUES, INDICES, WEIGHTS, OUT,
    scale, T, G, K,
    stride_kb, stride_kc, stride_ks, stride_kg,
    stride_vb, stride_vc, stride_vs, stride_vg,
    R: tl.constexpr, S: tl.constexpr, D: tl.constexpr,
    RP: tl.constexpr, SP: tl.constexpr, DP: tl.constexpr,
    TRANSPOSED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One token and one KV head: out = sum_c w_c softmax(q K_c^T) V_c, chunk after chunk.

    TRANSPOSED multiplies keys [S, D] by queries [D, R]: 64 keys fill a wgmma, 16 heads do not.
    """
    i_t = tl.program_id(0).to(tl.int64)
    i_g = tl.program_id(1).to(tl.int64)
    i_b = i_t // T
    o_r = tl.program_id(2) * RP + tl.arange(0, RP)
    o_s = tl.arange(0, SP)
    m_r, m_s = o_r < R, o_s < S
    first = (i_t * G + i_g) * R
    b_q = load_rows(Q + first * D, D, o_r, m_r, D, DP)
    INDICES += (i_t * G + i_g) * K
    WEIGHTS += (i_t * G + i_g) * K
    KEYS += i_b * stride_kb + i_g * stride_kg
    VALUES += i_b * stride_vb + i_g * stride_vg
    acc = tl.zeros([DP, RP] if TRANSPOSED else [RP, DP], tl.float32)
    count, chunk = slots_to_walk(INDICES, K)
    slot, w = next_slot(INDICES, 0, count), next_weight(WEIGHTS, 0, count)
    for j in range(count):
        used = slot >= 0
        chunk, weight = tl.where(used, slot, chunk), tl.where(used, w, 0.0)
        slot, w = next_slot(INDICES, j + 1, count), next_weight(WEIGHTS, j + 1, count)
        at_k, at_v = chunk.to(tl.int64) * stride_kc, chunk.to(tl.int64) * stride_vc
        b_k = load_rows(KEYS + at_k, stride_ks, o_s, m_s, D, DP).to(b_q.dtype)
        b_v = load_rows(VALUES + at_v, stride_vs, o_s, m_s, D, DP).to(b_q.dtype)
        if TRANSPOSED:
            b_s = tl.dot(b_k, tl.trans(b_q), input_precision=PRECISION)
            b_p = softmax_of_columns(b_s, m_s, scale) * weight
            acc = tl.dot(tl.trans(b_v), b_p.to(b_q.dtype), acc, input_precision=PRECISION)
        else:
            b_s = tl.dot(b_q, tl.trans(b_k), input_precision=PRECISION)
            b_p = softmax_of_rows(b_s, m_s, scale) * weight
            acc = tl.dot(b_p.to(b_q.dtype), b_v, acc, input_precision=PRECISION)
    if TRANSPOSED:
        acc = tl.trans(acc)
    store_rows(OUT + first * D, D, o_r, m_r, acc, D, DP)


@triton.jit
def backward_queries_kernel(
    GRAD, Q, KEYS, VALUES, INDICES, WEIGHTS, DQ, DW,
    scale, T, G, K,
    stride_kb, stride_kc, stride_ks, stride_kg,
    stride_vb, stride_vc, stride_vs, stride_vg,
    R: tl.constexpr, S: tl.constexpr, D: tl.constexpr,
    RP: tl.constexpr, SP: tl.constexpr, DP: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One token and up to RP heads of one KV head: dq and their share of dw, as the forward walks.

    DW [blocks of heads, tokens, G, K] holds zeros: dw is a sum over all heads.
    """
    i_t = tl.program_id(0).to(tl.int64)
    i_g = tl.program_id(1).to(tl.int64)
    i_r = tl.program_id(2).to(tl.int64)
    i_b = i_t // T
    o_r = tl.program_id(2) * RP + tl.arange(0, RP)
    o_s = tl.arange(0, SP)
    m_r, m_s = o_r < R, o_s < S
    first = (i_t * G + i_g) * R
    b_q = load_rows(Q + first * D, D, o_r, m_r, D, DP)
    b_g = load_rows(GRAD + first * D, D, o_r, m_r, D, DP)
    INDICES += (i_t * G + i_g) * K
    WEIGHTS += (i_t * G + i_g) * K
    KEYS += i_b * stride_kb + i_g * stride_kg
    VALUES += i_b * stride_vb + i_g * stride_vg
    DW += ((i_r * tl.num_programs(0) + i_t) * G + i_g) * K
    b_dq = tl.zeros([RP, DP], tl.float32)
    count, chunk = slots_to_walk(INDICES, K)
    slot, w = next_slot(INDICES, 0, count), next_weight(WEIGHTS, 0, count)
    for j in range(count):
        used = slot >= 0
        chunk, weight = tl.where(used, slot, chunk), tl.where(used, w, 0.0)
        slot, w = next_slot(INDICES, j + 1, count), next_weight(WEIGHTS, j + 1, count)
        at_k, at_v = chunk.to(tl.int64) * stride_kc, chunk.to(tl.int64) * stride_vc
        b_k = load_rows(KEYS + at_k, stride_ks, o_s, m_s, D, DP)
        b_v = load_rows(VALUES + at_v, stride_vs, o_s, m_s, D, DP)
        b_s = tl.dot(b_q, tl.trans(b_k), input_precision=PRECISION)
        b_p = softmax_of_rows(b_s, m_s, scale)
        b_dp = tl.dot(b_g, tl.trans(b_v), input_precision=PRECISION)
        b_delta = tl.sum(b_p * b_dp, 1)
        tl.store(DW + j, tl.sum(b_delta, 0), mask=used)
        b_ds = b_p * (b_dp - b_delta[:, None]) * weight
        b_dq = tl.dot(b_ds.to(b_q.dtype), b_k, b_dq, input_precision=PRECISION)
    store_rows(DQ + first * D, D, o_r, m_r, b_dq * scale, D, DP)


@triton.jit
def backward_chunks_kernel(
    GRAD, Q, KEYS, VALUES, WEIGHTS, PAIRS, FIRST, PIECE_CHUNK, PIECE_FIRST, DK, DV,
    scale, T, G, K, C, num_pairs, num_pieces,
    stride_kb, stride_kc, stride_ks, stride_kg,
    stride_vb, stride_vc, stride_vs, stride_vg,
    R: tl.constexpr, S: tl.constexpr, D: tl.constexpr, SP: tl.constexpr, DP: tl.constexpr,
    N: tl.constexpr, RU: tl.constexpr, PIECE: tl.constexpr, PRECISION: tl.constexpr,
    TRANSPOSED: tl.constexpr, WANT_K: tl.constexpr, WANT_V: tl.constexpr,
):  # fmt: skip
    """One piece of the list of (token, slot) pairs that chose one chunk: its share of dk and dv.

    Columns are the heads of several pairs side by side, N // RU units of RU heads. PIECE pairs make
    a piece, whose share is added atomically; with PIECE = 0 one program walks the whole list, and
    the order of the sum is always the same. Wide float32 has no room for both results at once.
    """
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
    VALUES += i_b * stride_vb + i_g * stride_vg + chunk * stride_vc
    b_k = load_rows(KEYS, stride_ks, o_s, m_s, D, DP)
    if WANT_K:
        b_v = load_rows(VALUES, stride_vs, o_s, m_s, D, DP)
        b_dk = tl.zeros([SP, DP], tl.float32)
    if WANT_V:
        b_dv = tl.zeros([SP, DP], tl.float32)
    PAIRS += i_bg * num_pairs + begin
    UNITS: tl.constexpr = (R + RU - 1) // RU
    PER_STEP: tl.constexpr = N // RU
    last = count * UNITS
    b_pair = next_pairs(PAIRS, 0, last, N, RU, UNITS)
    for at in range(0, last, PER_STEP):
        o_r, o_row, o_k, m_n = columns_of(b_pair, at, i_b, i_g, T, G, K, R, RU)
        b_q = load_rows(Q, D, o_row * R + o_r, m_n, D, DP)
        b_g = load_rows(GRAD, D, o_row * R + o_r, m_n, D, DP)
        b_w = tl.load(WEIGHTS + o_row * K + o_k, mask=m_n, other=0.0)
        b_pair = next_pairs(PAIRS, at + PER_STEP, last, N, RU, UNITS)
        b_s = keys_times(b_k, b_q, TRANSPOSED, PRECISION)
        b_p = softmax_of_columns(b_s, m_s, scale)
        b_wp = b_p * b_w[None, :]
        if WANT_V:
            b_dv = tl.dot(b_wp.to(b_g.dtype), b_g, b_dv, input_precision=PRECISION)
        if WANT_K:
            b_dp = keys_times(b_v, b_g, TRANSPOSED, PRECISION)
            b_ds = b_wp * (b_dp - tl.sum(b_p * b_dp, 0)[None, :])
            b_dk = tl.dot(b_ds.to(b_q.dtype), b_q, b_dk, input_precision=PRECISION)
    row = ((i_b * C + chunk) * S + o_s) * G + i_g
    if WANT_K:
        add_rows(DK, D, row, m_s, b_dk * scale, D, DP, PIECE > 0)
    if WANT_V:
        add_rows(DV, D, row, m_s, b_dv, D, DP, PIECE > 0)
