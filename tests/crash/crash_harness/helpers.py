"""Turns and chunks whose right bytes follow from a number: those of the store's other tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hsa_memory.storage import SessionStore

_PATH = Path(__file__).parents[2] / "storage" / "conftest.py"
_spec = importlib.util.spec_from_file_location("crash_harness.storage_helpers", _PATH)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

LAYOUT = _module.LAYOUT
make_turn = _module.make_turn
expected_rows = _module.expected_rows
tail_of = _module.tail_of
assert_right = _module.assert_right


class Wrong(AssertionError):
    """A promise of the store does not hold."""


def must(holds: object, text: str) -> None:
    """Raise Wrong unless something holds."""
    if not holds:
        raise Wrong(text)


def attachment_of(number: int) -> tuple[str, dict[str, Any]]:
    """Key and content of the note that is appended with a turn."""
    return f"attachment-of-{number}", {"number": number}


def publish_chunks(session: SessionStore, step: int) -> Iterator[int]:
    """Write and publish every chunk whose tokens are there; the watermark after each step."""
    available = session.num_tokens // session.layout.chunk_size
    while session.published < available:
        first, stop = session.published, min(available, session.published + step)
        session.write_chunks(first, *expected_rows(session, first, stop))
        session.publish(stop, tail_of(stop))
        yield stop


def turns_of(session: SessionStore) -> list[list[int]]:
    """[number, tokens] of every turn, each equal to what was appended under its number."""
    found = []
    for seq, turn in enumerate(session.turns()):
        number, size = int(turn.turn_id.removeprefix("turn-")), len(turn.tokens)
        right = make_turn(number, size)
        same = (turn.seq, turn.role, turn.text, turn.timestamp, turn.metadata) == (
            seq, right.role, right.text, right.timestamp, right.metadata,
        )  # fmt: skip
        must(same and np.array_equal(turn.tokens, right.tokens), f"not as appended: {turn}")
        key, content = attachment_of(number)
        must(session.get_meta(key) == content, f"the attachment of turn {number} is missing")
        found.append([number, size])
    return found
