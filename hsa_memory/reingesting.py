"""A session's derived state made anew: by another model, or because nobody trusts the old one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hsa_memory import storage
from hsa_memory.model import Tokenizer
from hsa_memory.storage import Layout, Rebuilding, SessionStore, Store, Turn

from .encoding import Encoder
from .engine import Engine
from .errors import ModelMismatch
from .messages import Draft, make_turn
from .moving import Teller
from .precision import Precision, precision_of

_BATCH = 256


def mismatch(engine: Engine, name: str, error: storage.ModelMismatch) -> ModelMismatch:
    """The error of a session that another model wrote: what it would cost to make it this one's."""
    seconds = error.num_tokens / engine.tokens_per_second
    return ModelMismatch(
        f"session {name!r} was written with {error.field}={error.expected!r}, the model now has "
        f"{error.found!r}. Open it with the model that wrote it, or have its {error.num_tokens} "
        f"tokens encoded again by this one, which takes about {max(1, round(seconds))} s here: "
        f"memory.reingest({name!r}), or `hsa-memory reingest`",
        num_tokens=error.num_tokens,
        estimated_seconds=seconds,
    )


def reingest(
    store: Store,
    engine: Engine,
    name: str,
    *,
    precision: Precision | None,
    force: bool,
    teller: Teller,
) -> tuple[int, int, int]:
    """See `Memory.reingest`; returns messages, tokens, and tokens that were encoded."""
    with store.rebuilding(name) as session:
        layout = engine.layout(precision or precision_of(session.layout.dtype))
        if session.layout == layout and not force:
            session.drop_unfinished()
            return session.num_turns, session.num_tokens, 0
        teller.session = name
        session.require_alone()
        if _has_same_tokens(session, engine.tokenizer):
            session.begin(layout)
            encoded = _encode(engine, session, teller)
            store.switch(session)
            return session.num_turns, session.num_tokens, encoded
        return _replace(store, engine, session, layout, teller)


def _encode(engine: Engine, store: SessionStore, teller: Teller) -> int:
    size = engine.config.chunk_size
    encoder = Encoder(engine, store, engine.tiers(store.layout.kv_bytes, 0, 0))
    return encoder.catch_up(lambda _: teller.at(store.published * size, store.num_tokens))


def _has_same_tokens(session: SessionStore, tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer makes of every message the tokens that are stored."""
    return all(
        turn.forgotten or np.array_equal(turn.tokens, _made_anew(turn, None, tokenizer).tokens)
        for turn in _turns(session, 0)
    )


def _turns(session: SessionStore, start: int) -> Iterator[Turn]:
    for first in range(start, session.num_turns, _BATCH):
        yield from session.turns(first, min(first + _BATCH, session.num_turns))


def _made_anew(turn: Turn, expires: float | None, tokenizer: Tokenizer) -> Turn:
    """The same message as another tokenizer cuts it; of a forgotten one only the blank changes."""
    if turn.forgotten:
        blank = np.full(len(turn.tokens), tokenizer.end_id, np.uint32)
        return Turn(
            turn_id=turn.turn_id,
            role=turn.role,
            text="",
            tokens=blank,
            timestamp=turn.timestamp,
            forgotten=True,
        )
    draft = Draft(turn.turn_id, turn.role, turn.text, turn.timestamp, turn.metadata)
    return make_turn(tokenizer, draft._replace(expires=expires))


def _replace(
    store: Store, engine: Engine, session: Rebuilding, layout: Layout, teller: Teller
) -> tuple[int, int, int]:
    """Make a session with the tokens of another tokenizer, which takes this one's place and name.

    It lies in the session's own folder until it is complete, so that it goes where that goes.
    """
    with store.staging(session.next_place) as staging:
        with store.staged_successor(staging, session, layout) as successor:
            lapses = session.expiries()
            batch: list[Turn] = []
            for turn in _turns(session, successor.num_turns):
                batch.append(_made_anew(turn, lapses.get(turn.seq), engine.tokenizer))
                if len(batch) == _BATCH:
                    successor.append(batch)
                    batch = []
            if batch:
                successor.append(batch)
            for key in session.meta_keys():
                value = session.get_meta(key)
                if value is not None and successor.get_meta(key) != value:
                    successor.set_meta(key, value)
            encoded = _encode(engine, successor, teller)
            counts = successor.num_turns, successor.num_tokens, encoded
        session.close_files()
        store.install(staging, [successor.info], gone=session.info)
    return counts
