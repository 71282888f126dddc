"""Triton kernels of `landmark_topk`: the best of a span of landmarks for one token; for many tokens
maxima of groups of landmarks, and scores of candidates; and the choice of the best keys.

A key is a score with its place, packed in an int64: the score in the upper half, in an order that
integers share, and 0x7FFFFFFF - place in the lower half, so that of equal scores the lowest place
is the largest key. Maxima and candidates take the product of the same tile shapes in the same order
over E: a score is the same in both, bit by bit.

Letters: B batch, T query tokens, R retrieval heads, E dimensions, C landmarks, K slots, KP the
power of two they are padded to; BM x BN a tile of query tokens x landmarks, BE a block of
dimensions, GS landmarks per group.
"""

import triton
import triton.language as tl

# The key of a landmark that nobody sees: -inf, in the last place.
EMPTY = tl.constexpr(-0x7F800001 << 32)


@triton.jit
def _unpack(b_k):
    """Scores and places of keys; -1 where nothing was found."""
    bits = (b_k >> 32).to(tl.int32)
    scores = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(tl.float32, bitcast=True)
    places = 0x7FFFFFFF - (b_k & 0x7FFFFFFF)
    return scores, tl.where(scores == float("-inf"), -1, places)


@triton.jit
def _pack(scores, places):
    # -0.0 and 0.0 are equal scores, so they must have equal bits.
    bits = tl.where(scores == 0, 0.0, scores).to(tl.int32, bitcast=True)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.to(tl.int64) << 32) | (0x7FFFFFFF - places.to(tl.int32)).to(tl.int64)


@triton.jit
def _load_queries(p_q, m_q, e: tl.constexpr, E: tl.constexpr, BE: tl.constexpr):
    o_e = e + tl.arange(0, BE)
    m = m_q[:, None]
    if e + BE > E:
        m = m & (o_e < E)[None, :]
    return tl.load(p_q[:, None] + o_e[None, :], mask=m, other=0)  # [BM, BE]


@triton.jit
def _load_landmarks(
    p_l, m_l, e: tl.constexpr, E: tl.constexpr, BE: tl.constexpr, WHOLE: tl.constexpr
):
    o_e = e + tl.arange(0, BE)
    p = p_l[None, :] + o_e[:, None]  # [BE, BN]
    if WHOLE and e + BE <= E:
        return tl.load(p)
    m = (o_e < E)[:, None]
    if not WHOLE:
        m = m & m_l[None, :]
    return tl.load(p, mask=m, other=0)


@triton.jit
def _products(b_q, p_q, m_q, p_l, m_l, E: tl.constexpr, BE: tl.constexpr, WHOLE: tl.constexpr):
    """Products [BM, BN] of a tile; `b_q` is its first block of dimensions."""
    if b_q.dtype == tl.int8:
        b_s = tl.zeros([b_q.shape[0], p_l.shape[0]], tl.int32)
    else:
        b_s = tl.zeros([b_q.shape[0], p_l.shape[0]], tl.float32)
    for e in tl.static_range(0, E, BE):
        b_l = _load_landmarks(p_l, m_l, e, E, BE, WHOLE)
        b_e = b_q if e == 0 else _load_queries(p_q, m_q, e, E, BE)
        if b_q.dtype == tl.int8:
            b_s += tl.dot(b_e, b_l, out_dtype=tl.int32)
        else:
            b_s = tl.dot(b_e, b_l, b_s, input_precision="ieee")
    return b_s


@triton.jit
def _hide(b_s, o_n, b_limit, i_b, noise, m_t, MASK, chunks):
    """Add the noise and hide what a token may not see; `noise` points to the tokens' rows."""
    m_s = o_n[None, :] < b_limit[:, None]
    if MASK is not None:
        b_m = tl.load(MASK + i_b * chunks + o_n, mask=o_n < chunks, other=0)
        m_s = m_s & (b_m != 0)[None, :]
    if noise is not None:
        m_n = m_s & m_t[:, None]
        b_s += tl.load(noise[:, None] + o_n[None, :], mask=m_n, other=0).to(tl.float32)
    return tl.where(m_s, b_s, float("-inf"))


@triton.jit
def _store_maxima(b_s, p_out, m_t, n, groups, GS: tl.constexpr):
    BM: tl.constexpr = b_s.shape[0]
    NG: tl.constexpr = b_s.shape[1] // GS
    o_g = n // GS + tl.arange(0, NG)
    if GS > 1:
        b_s = tl.max(tl.reshape(b_s, [BM, NG, GS]), axis=2)
    b_k = _pack(b_s, o_g[None, :])
    tl.store(p_out[:, None] + o_g[None, :], b_k, mask=m_t[:, None] & (o_g < groups)[None, :])


@triton.jit
def group_maxima_kernel(
    Q,
    LM,
    VISIBLE,
    MASK,
    NOISE,
    Q_SCALE,
    Q_SLACK,
    LM_SCALE,
    OUT,
    scale,
    first,
    count,
    tokens,
    chunks,
    groups,
    span,
    stride_b,
    stride_c,
    stride_r,
    R: tl.constexpr,
    E: tl.constexpr,
    BE: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    GS: tl.constexpr,
):
    """Write the key of the best landmark of each group to OUT [B, R, count, groups].

    Program (i, j, b*R + r): the i-th tile of the `count` query tokens from `first` on, the j-th
    `span` landmarks. With scales (int8), the scores are upper bounds of the true ones.
    """
    i_b = (tl.program_id(2) // R).to(tl.int64)
    i_r = (tl.program_id(2) % R).to(tl.int64)
    o_t = tl.program_id(0).to(tl.int64) * BM + tl.arange(0, BM)
    m_t = o_t < count
    o_row = i_b * tokens + first + o_t
    b_limit = tl.load(VISIBLE + o_row, mask=m_t, other=0)
    b_limit = tl.minimum(tl.maximum(b_limit, 0), chunks)
    p_q = Q + (o_row * R + i_r) * E
    b_q = _load_queries(p_q, m_t, 0, E, BE)
    p_out = OUT + (tl.program_id(2).to(tl.int64) * count + o_t) * groups
    noise = None
    if NOISE is not None:
        noise = NOISE + (o_row * R + i_r) * chunks
    if LM_SCALE is not None:
        b_scale = tl.load(Q_SCALE + o_row * R + i_r, mask=m_t, other=0)
        b_slack = tl.load(Q_SLACK + o_row * R + i_r, mask=m_t, other=0)
    head = LM + i_b * stride_b + i_r * stride_r

    start = tl.program_id(1).to(tl.int64) * span
    stop = tl.minimum(start + span, tl.cdiv(chunks, BN) * BN)
    # Tiles that all tokens see in full need no masks, those that no token sees no products.
    whole = tl.min(tl.where(m_t, b_limit, chunks), axis=0) // BN * BN
    edge = tl.cdiv(tl.max(b_limit, axis=0), BN) * BN
    if MASK is not None or NOISE is not None:
        whole = start
    whole = tl.minimum(tl.maximum(whole, start), stop)
    edge = tl.minimum(tl.maximum(edge, whole), stop)
    for n in range(start, whole, BN):
        o_n = n + tl.arange(0, BN).to(tl.int64)
        b_s = _products(b_q, p_q, m_t, head + o_n * stride_c, m_t, E, BE, True)
        if LM_SCALE is not None:
            b_l = tl.load(LM_SCALE + (i_b * chunks + o_n) * R + i_r)
            b_s = (b_s.to(tl.float32) * b_scale[:, None] + b_slack[:, None]) * b_l[None, :]
        else:
            b_s = b_s * scale
        _store_maxima(b_s, p_out, m_t, n, groups, GS)
    for n in range(whole, edge, BN):
        o_n = n + tl.arange(0, BN).to(tl.int64)
        m_n = o_n < chunks
        b_s = _products(b_q, p_q, m_t, head + o_n * stride_c, m_n, E, BE, False)
        if LM_SCALE is not None:
            b_l = tl.load(LM_SCALE + (i_b * chunks + o_n) * R + i_r, mask=m_n, other=0)
            b_s = (b_s.to(tl.float32) * b_scale[:, None] + b_slack[:, None]) * b_l[None, :]
        else:
            b_s = b_s * scale
        b_s = _hide(b_s, o_n, b_limit, i_b, noise, m_t, MASK, chunks)
        _store_maxima(b_s, p_out, m_t, n, groups, GS)
    for n in range(edge, stop, BN):
        b_s = tl.full([BM, BN], float("-inf"), tl.float32)
        _store_maxima(b_s, p_out, m_t, n, groups, GS)


@triton.jit
def candidates_kernel(
    Q,
    LM,
    VISIBLE,
    MASK,
    NOISE,
    GROUPS,
    OUT,
    scale,
    first,
    count,
    tokens,
    chunks,
    slots,
    stride_b,
    stride_c,
    stride_r,
    R: tl.constexpr,
    E: tl.constexpr,
    BE: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    GS: tl.constexpr,
):
    """Write the keys of all landmarks of the chosen groups to OUT [B, R, count, slots * GS].

    GROUPS [B, R, count, slots] are keys whose places are groups. Program (t, j, b*R + r): the j-th
    BN candidates of one query token, which fills all BM rows of the tile: only so is the product
    the instruction that the group maxima came from.
    """
    i_b = (tl.program_id(2) // R).to(tl.int64)
    i_r = (tl.program_id(2) % R).to(tl.int64)
    i_t = tl.program_id(0).to(tl.int64)
    i_row = i_b * tokens + first + i_t
    limit = tl.minimum(tl.load(VISIBLE + i_row), chunks)
    o_m = tl.zeros([BM], tl.int64)
    p_q = Q + (i_row * R + i_r) * E + o_m
    m_q = o_m == 0
    b_q = _load_queries(p_q, m_q, 0, E, BE)

    i_out = tl.program_id(2).to(tl.int64) * count + i_t
    o_c = tl.program_id(1) * BN + tl.arange(0, BN)
    m_c = o_c < slots * GS
    b_g = tl.load(GROUPS + i_out * slots + o_c // GS, mask=m_c, other=0x7FFFFFFF)
    o_n = (0x7FFFFFFF - (b_g & 0x7FFFFFFF)) * GS + o_c % GS
    m_n = m_c & (o_n < limit)
    if MASK is not None:
        m_n = m_n & (tl.load(MASK + i_b * chunks + o_n, mask=m_n, other=0) != 0)
    p_l = LM + i_b * stride_b + i_r * stride_r + o_n * stride_c
    b_s = _products(b_q, p_q, m_q, p_l, m_n, E, BE, False)
    b_s = tl.max(b_s * scale, axis=0)
    if NOISE is not None:
        b_s += tl.load(NOISE + (i_row * R + i_r) * chunks + o_n, mask=m_n, other=0).to(tl.float32)
    b_s = tl.where(m_n, b_s, float("-inf"))
    tl.store(OUT + i_out * slots * GS + o_c, _pack(b_s, o_n), mask=m_c)


@triton.jit
def best_of_spans_kernel(
    Q,
    LM,
    VISIBLE,
    MASK,
    OUT,
    scale,
    tokens,
    chunks,
    stride_b,
    stride_c,
    stride_r,
    R: tl.constexpr,
    E: tl.constexpr,
    BE: tl.constexpr,
    BN: tl.constexpr,
    KP: tl.constexpr,
):
    """Write the keys of the KP best of every BN landmarks to OUT [B, R, T, spans, KP], best first.

    Program (j, t, b*R + r): the j-th span for one query token. Its reading of landmarks is all it
    waits for: the products need no tensor cores.
    """
    i_b = (tl.program_id(2) // R).to(tl.int64)
    i_r = (tl.program_id(2) % R).to(tl.int64)
    i_row = i_b * tokens + tl.program_id(1)
    limit = tl.minimum(tl.load(VISIBLE + i_row), chunks)
    o_n = tl.program_id(0).to(tl.int64) * BN + tl.arange(0, BN)
    m_n = o_n < limit
    if MASK is not None:
        m_n = m_n & (tl.load(MASK + i_b * chunks + o_n, mask=m_n, other=0) != 0)
    p_q = Q + (i_row * R + i_r) * E
    p_l = LM + i_b * stride_b + i_r * stride_r + o_n * stride_c
    b_s = tl.zeros([BN], tl.float32)
    for e in tl.static_range(0, E, BE):
        o_e = e + tl.arange(0, BE)
        if e + BE <= E:
            b_q = tl.load(p_q + o_e)
            b_l = tl.load(p_l[:, None] + o_e[None, :], mask=m_n[:, None], other=0)
        else:
            m_e = o_e < E
            b_q = tl.load(p_q + o_e, mask=m_e, other=0)
            m_l = m_n[:, None] & m_e[None, :]
            b_l = tl.load(p_l[:, None] + o_e[None, :], mask=m_l, other=0)
        b_s += tl.sum(b_l.to(tl.float32) * b_q.to(tl.float32)[None, :], 1)
    b_k = _pack(tl.where(m_n, b_s * scale, float("-inf")), o_n)
    i_out = tl.program_id(2).to(tl.int64) * tokens + tl.program_id(1)
    p_out = OUT + (i_out * tl.num_programs(0) + tl.program_id(0)) * KP
    tl.store(p_out + tl.arange(0, KP), tl.topk(b_k, KP))


@triton.jit
def select_kernel(
    KEYS,
    OUT,
    SCORES,
    INDICES,
    rows,
    width,
    slots,
    first,
    count,
    tokens,
    R: tl.constexpr,
    BR: tl.constexpr,
    BW: tl.constexpr,
    KP: tl.constexpr,
    SELECT: tl.constexpr,
):
    """Choose the best keys of every BW columns of KEYS [rows, width], best first.

    Program (i, j): the j-th BW columns of the i-th BR rows. With OUT [rows, parts * slots] the keys
    of `slots` go there. Without, rows are [B, R, count], and scores and places go to SCORES and
    INDICES [B, tokens, R, slots] from token `first` on. SELECT False only does the latter: BW = KP
    keys each, in the order that they have.
    """
    o_r = tl.program_id(0).to(tl.int64) * BR + tl.arange(0, BR)
    o_w = tl.program_id(1) * BW + tl.arange(0, BW)
    m_k = (o_r < rows)[:, None] & (o_w < width)[None, :]
    b_k = tl.load(KEYS + o_r[:, None] * width + o_w[None, :], mask=m_k, other=EMPTY)
    if SELECT:
        b_k = tl.topk(b_k, KP)
    o_k = tl.arange(0, KP)
    if OUT is not None:
        at = (o_r * tl.num_programs(1) + tl.program_id(1)) * slots
        m_o = (o_r < rows)[:, None] & (o_k < slots)[None, :]
        tl.store(OUT + at[:, None] + o_k[None, :], b_k, mask=m_o)
    else:
        o_k += tl.program_id(1) * KP
        o_t = o_r // count // R * tokens + first + o_r % count
        at = (o_t * R + o_r // count % R) * slots
        m_o = (o_r < rows)[:, None] & (o_k < slots)[None, :]
        b_s, b_i = _unpack(b_k)
        tl.store(SCORES + at[:, None] + o_k[None, :], b_s, mask=m_o)
        tl.store(INDICES + at[:, None] + o_k[None, :], b_i, mask=m_o)
