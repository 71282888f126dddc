"""Forks: sessions that begin with what another one has, without copying it.

A fork has no turns and chunks of its own at first. It reads those below `base_turn` and
`base_chunk` from the session it was forked from, which does not know of it.
"""

from __future__ import annotations

import math

from .creating import Start
from .derived import Derived
from .layouts import read_layout
from .rows import State
from .truth import Truth


def origin_of(truth: Truth, num_turns: int) -> Truth:
    """The session whose own turns a fork after `num_turns` turns begins behind."""
    while truth.base is not None and num_turns <= truth.base.turns:
        truth = truth.base.truth
    return truth


def start_of(store_id: bytes, truth: Truth, derived: Derived, num_turns: int) -> Start:
    """What a fork after `num_turns` turns begins with."""
    state, origin = truth.state, origin_of(truth, num_turns)
    tokens = truth.tokens_upto(num_turns)
    chunks = min(derived.layout.num_chunks(tokens), derived.published)
    if origin is not truth:
        chunks = min(chunks, origin.state.pub_chunk)
    described = read_layout(truth, state.gen)
    seed = described.seed_in(store_id, truth.sid)
    own = State(
        n_turn=num_turns,
        n_tok=tokens,
        link=truth.link_before(num_turns),
        gen=state.gen,
        pub_chunk=chunks,
        durable_chunk=min(chunks, state.durable_chunk),
        base_turn=num_turns,
        base_chunk=chunks,
        newest=truth.newest_upto(num_turns - 1) if num_turns else -math.inf,
    )
    # Whatever becomes of the chunks before it, its own go on from the hash that they have now.
    seams = {chunks: derived.generation.records.chain_before(chunks)} if chunks else {}
    return Start(own, described._replace(seed=seed), seams, cipher=truth.cipher)
