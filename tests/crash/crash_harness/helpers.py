"""Turns and chunks whose right bytes follow from a number: those of the store's other tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hsa_memory.storage import SessionStore, Store, Turn

_PATH = Path(__file__).parents[2] / "storage" / "conftest.py"
_spec = importlib.util.spec_from_file_location("crash_harness.storage_helpers", _PATH)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

LAYOUT = _module.LAYOUT
expected_rows = _module.expected_rows
tail_of = _module.tail_of

# Turns of these numbers can be told from all others by any few bytes of them; the later ones are to
# be forgotten at some time.
SECRETS = range(500, 600)
LAPSING = range(560, 600)
# Turns below are in the golden stores, and have no attachments there.
FIRST = 12
BLANK, REACH = 0, 4
# What is kept for "eve" is encrypted, for others it is not.
KEY = bytes(range(32))


class Wrong(AssertionError):
    """A promise of the store does not hold."""


def must(holds: object, text: str) -> None:
    """Raise Wrong unless something holds."""
    if not holds:
        raise Wrong(text)


# ---- users: "ann/diary" is the name of a session of "ann"


def user_of(name: str) -> str | None:
    """Whose session it is, by its name; None if the store's own."""
    return name.partition("/")[0] if "/" in name else None


def handle_for(name: str) -> dict[str, Any]:
    """How a store is opened for a session of that name."""
    user = user_of(name)
    return {"user": user, "key": KEY if user == "eve" else None}


def names_in(store: Store) -> set[str]:
    """Names of all sessions, whoever they belong to."""
    return {info.name for info in store.every_session()}


@contextmanager
def opened(store: Store, name: str, **options: Any) -> Iterator[SessionStore]:
    """A session of a store, with a handle of its user's."""
    options = {"layout": LAYOUT, "read_only": store.read_only, **options}
    if user_of(name) is None:
        with store.session(name, **options) as session:
            yield session
        return
    with Store.open(store.root, read_only=store.read_only, **handle_for(name)) as own:
        with own.session(name, **options) as session:
            yield session


# ---- turns: [number, tokens], the number of a forgotten one as -1 - number


def make_turn(number: int, size: int) -> Turn:
    """The turn of a number."""
    if number not in SECRETS:
        return _module.make_turn(number, size)
    text = f"secret {number}, never to be found again"
    return _module.make_turn(number, size, text=text, expires=lapse_of(number))


def lapse_of(number: int) -> float | None:
    """When a turn is to be forgotten, in Unix seconds; None: never."""
    return 5000.0 + number if number in LAPSING else None


def make_turns(known: Sequence[Sequence[int]]) -> list[Turn]:
    """The turns of several numbers."""
    return [make_turn(number, size) for number, size in known]


def has_attachment(number: int) -> bool:
    """Whether a turn has a note of its own."""
    return number >= FIRST and number % 3 == 0


def attachment_key(number: int) -> str:
    """Name of the note of a turn."""
    return f"attachment-of-{number}"


def attachments_of(known: Sequence[Sequence[int]]) -> dict[str, dict[str, Any]]:
    """The notes that are appended with turns."""
    numbers = [number for number, _ in known if has_attachment(number)]
    return {attachment_key(number): {"number": number} for number in numbers}


def turns_of(session: SessionStore) -> list[list[int]]:
    """All turns of a session, each equal to what was appended under its number."""
    found = [_number_of(session, seq, turn) for seq, turn in enumerate(session.turns())]
    lapses = {seq: lapse_of(number) for seq, (number, _) in enumerate(found)}
    wanted = {seq: lapse for seq, lapse in lapses.items() if lapse is not None}
    must(session.expiries() == wanted, f"times {session.expiries()}; expected {wanted}")
    return found


def _number_of(session: SessionStore, seq: int, turn: Turn) -> list[int]:
    size = len(turn.tokens)
    if turn.forgotten:
        # Its time is what is left of its number.
        number = round(turn.timestamp - make_turn(0, 1).timestamp)
        right = make_turn(number, size)
        left = (turn.seq, turn.text, turn.metadata, turn.role, turn.timestamp)
        must(left == (seq, "", {}, right.role, right.timestamp), f"turn {seq} is not as forgotten")
        must((turn.tokens == BLANK).all() and turn.turn_id != right.turn_id, "it is not blank")
        return [-1 - number, size]
    number = int(turn.turn_id.removeprefix("turn-"))
    right = make_turn(number, size)
    found = (turn.seq, turn.role, turn.text, turn.timestamp, turn.metadata)
    wanted = (seq, right.role, right.text, right.timestamp, right.metadata)
    must(found == wanted, f"turn {number} is not as appended: {found}")
    must(np.array_equal(turn.tokens, right.tokens), f"turn {number} has other tokens")
    if has_attachment(number):
        must(
            session.get_meta(attachment_key(number), of_turn=seq) == {"number": number},
            "no attachment",
        )
    return [number, size]


# ---- chunks


def publish_chunks(session: SessionStore, step: int) -> Iterator[int]:
    """Write and publish every chunk whose tokens are there; the watermark after each step."""
    available = session.num_tokens // session.layout.chunk_size
    while session.published < available:
        first, stop = session.published, min(available, session.published + step)
        session.write_chunks(first, *expected_rows(session, first, stop))
        session.publish(stop, tail_of(stop))
        yield stop


def whole_chunks(session: SessionStore) -> list[int]:
    """Published chunks that are in no hole."""
    missing = {chunk for hole in session.holes for chunk in hole}
    return [chunk for chunk in range(session.published) if chunk not in missing]


def traces_of(session: SessionStore, seq: int) -> list[bytes]:
    """Bytes that only one turn, a secret one, has brought into the session's files."""
    turn = session.turns(seq, seq + 1)[0]
    stop, size = turn.token_start + len(turn.tokens), session.layout.chunk_size
    traces = [turn.text.encode(), turn.turn_id.encode(), turn.tokens[:4].tobytes()]
    chunks = range(-(-turn.token_start // size), min(stop // size, session.published))
    for chunk in chunks:
        landmarks, kv = expected_rows(session, chunk, chunk + 1)
        traces += [landmarks.tobytes(), kv.tobytes()[:32]]
    return traces


def stored_traces(store: Store, name: str) -> list[bytes]:
    """Bytes that only one session, with secret turns in it, has brought into the store's files."""
    with opened(store, name, read_only=True) as session:
        seqs = [turn.seq for turn in session.turns() if int(turn.turn_id[5:]) in SECRETS]
        traces = [trace for seq in seqs for trace in traces_of(session, seq)]
        chunk = session.turns()[seqs[0]].token_start // session.layout.chunk_size + 2
        # As they lie there, encrypted or not.
        landmarks, blocks = session._derived.generation.stored([chunk])
        traces += [bytes(row)[:32] for row in (*landmarks, *blocks)]
    user = store._catalog.user(user_of(name) or "")
    return [*traces, *([user.key] if user and user.key else [])]
