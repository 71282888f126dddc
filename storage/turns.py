"""Reading turns, from a session's own database and from that of the one it was forked from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .checksums import xxh3_bytes
from .cipher import Cipher
from .database import USER_VERSION, Database
from .errors import CorruptMetadata
from .rows import DECODE_ERRORS, SCALARS, State, check_row, decode_turn, expiry_sum
from .token_stream import TokenStream
from .types import Turn

if TYPE_CHECKING:
    from .truth import Truth

_BATCH = 500

Rows = list[Sequence[Any]]
# Statements of the restore path are text: they cost no compiling in a fresh process.
_light = ", ".join((*SCALARS, "sums"))
_select_light = sa.text(
    f"SELECT {_light} FROM turns WHERE seq >= :start AND seq < :stop ORDER BY seq"
)
_select_turns = sa.text(
    f"SELECT {_light}, meta, text, tok FROM turns WHERE seq >= :start AND seq < :stop ORDER BY seq"
)
_select_covering = sa.text(
    f"SELECT {_light}, meta, text, tok FROM turns WHERE tok0 < :stop "
    "AND tok0 >= (SELECT max(tok0) FROM turns WHERE tok0 <= :start) ORDER BY seq"
)
_select_id = sa.text(f"SELECT {_light}, meta, text, tok FROM turns WHERE turn_id = :id")
_select_ids = sa.text(
    f"SELECT {_light}, meta, text, tok FROM turns WHERE turn_id IN :ids"
).bindparams(sa.bindparam("ids", expanding=True))
# By the index of ids, not by reading every row.
_count_forgotten = sa.text(
    "SELECT count(*) FROM turns WHERE turn_id >= 'forgotten-' AND turn_id < 'forgotten.' "
    "AND flags >= 2 AND seq < :stop"
)
_select_expiries = sa.text("SELECT seq, at, sum FROM expiries")


@dataclass(frozen=True)
class Base:
    """What a fork shares with the session it was forked from."""

    truth: Truth
    turns: int
    """Turns below this number are the other session's."""
    tokens: int
    """And so are stream positions below this one."""


class TurnReader(ABC):
    """Turns of one session; `Truth` writes them."""

    sid: bytes
    cipher: Cipher
    database: Database
    where: str
    state: State
    stream: TokenStream
    base: Base | None
    _expiries: dict[int, float] | None

    @abstractmethod
    def num_old(self) -> int:
        """How many turns, the first ones, were written in format 1.0."""

    @property
    def is_old(self) -> bool:
        """Whether this reader found a session of an older format."""
        return self.database.version < USER_VERSION

    def turns(self, start: int, stop: int) -> list[Turn]:
        """Verified turns start..stop-1."""
        if self.base is not None and start < self.base.turns:
            shared = self.base.truth.turns(start, min(stop, self.base.turns))
            own = self.turns(self.base.turns, stop) if stop > self.base.turns else []
            return shared + own
        with self.database.read() as connection:
            found = self._decoded(connection.execute(_select_turns, {"start": start, "stop": stop}))
        self._require_run([turn.seq for turn in found], start, stop)
        return found

    def turns_in_tokens(self, ranges: Sequence[tuple[int, int]]) -> list[list[Turn]]:
        """For each range (start, stop), the verified turns that hold positions start..stop-1."""
        found: list[list[Turn]] = []
        with self.database.read() as connection:
            for start, stop in ranges:
                # A long turn is not read anew for each of its chunks.
                known = [turn for turn in found[-1] if _holds(turn, start, stop)] if found else []
                found.append(known or self._covering(connection, start, stop))
        return found

    def _covering(self, connection: sa.Connection, start: int, stop: int) -> list[Turn]:
        if self.base is not None and start < self.base.tokens:
            middle = min(stop, self.base.tokens)
            shared = self.base.truth.turns_in_tokens([(start, middle)])[0]
            own = self._covering(connection, middle, stop) if stop > middle else []
            return shared + own
        values = {"start": start, "stop": stop}
        found = self._decoded(connection.execute(_select_covering, values))
        ends = [turn.token_start + len(turn.tokens) for turn in found]
        starts = [turn.token_start for turn in found]
        if not found or starts[0] > start or ends[-1] < stop or ends[:-1] != starts[1:]:
            raise CorruptMetadata(f"{self.where}: tokens {start}..{stop - 1} have a gap; run check")
        return found

    def find(self, turn_id: str) -> Turn | None:
        """The turn of that id, forgotten or not, or None."""
        with self.database.read() as connection:
            return self.known(connection, [turn_id]).get(turn_id)

    def light_rows(self, start: int, stop: int) -> Rows:
        """Rows start..stop-1 without their blobs, each verified and linked to the one before."""
        own, shared = start, Rows()
        if self.base is not None and start < self.base.turns:
            own = min(stop, self.base.turns)
            shared = self.base.truth.light_rows(start, own)
        link = self.link_before(own)
        rows = self._rows_alone(own, stop)
        for row in rows:
            found = check_row(row, self.sid, self.where)
            if xxh3_bytes(link + found.linked) != found.link:
                raise CorruptMetadata(f"{self.where}: turn {row[0]} does not follow its link")
            link = found.link
        if stop == self.state.n_turn and link != self.state.link:
            raise CorruptMetadata(f"{self.where}: the last turn is not the one in the state row")
        return [*shared, *rows]

    def link_before(self, seq: int) -> bytes:
        """Link of the turn before a number; 8 zero bytes before the first."""
        if seq == 0:
            return bytes(8)
        if self.base is not None and seq <= self.base.turns:
            return self.base.truth.link_before(seq)
        (row,) = self._rows_alone(seq - 1, seq)
        return check_row(row, self.sid, self.where).link

    def tokens_upto(self, seq: int) -> int:
        """Stream position after the turn before a number."""
        if seq == 0:
            return 0
        if self.base is not None and seq <= self.base.turns:
            return self.base.truth.tokens_upto(seq)
        (row,) = self._rows_alone(seq - 1, seq)
        check_row(row, self.sid, self.where)
        return int(row[5] + row[4])

    def num_forgotten(self, stop: int) -> int:
        """How many of the turns below a number are forgotten."""
        shared = self.base.truth.num_forgotten(min(stop, self.base.turns)) if self.base else 0
        if self.is_old:
            return shared
        with self.database.read() as connection:
            own = connection.execute(_count_forgotten, {"stop": stop}).scalar_one()
        return int(own) + shared

    def prefix_until(self, moment: float, num_turns: int) -> int:
        """How many turns come before the first with a time after `moment`."""
        low, high = 0, num_turns
        if self.base is not None:
            shared = min(num_turns, self.base.turns)
            low = self.base.truth.prefix_until(moment, shared)
            if low < shared:
                return low
        # Rows of format 1.0 do not say the latest time before them.
        old = min(self.num_old(), num_turns)
        for first in range(low, old, _BATCH):
            for row in self._rows_alone(first, min(first + _BATCH, old)):
                check_row(row, self.sid, self.where)
                if row[2] > moment:
                    return int(row[0])
        low = max(low, old)
        while low < high:
            middle = (low + high) // 2
            if self.newest_upto(middle) <= moment:
                low = middle + 1
            else:
                high = middle
        return low

    def newest_upto(self, seq: int) -> float:
        """Latest time of turns 0..seq."""
        if self.base is not None and seq < self.base.turns:
            return self.base.truth.newest_upto(seq)
        (row,) = self._rows_alone(seq, seq + 1)
        return check_row(row, self.sid, self.where).newest

    def _rows_alone(self, start: int, stop: int) -> Rows:
        """Rows of this session's own turns; not verified."""
        if start >= stop:
            return []
        with self.database.read() as connection:
            result = connection.execute(_select_light, {"start": start, "stop": stop})
            rows: Rows = list(result.all())
        self._require_run([row[0] for row in rows], start, stop)
        return rows

    def _require_run(self, seqs: list[int], start: int, stop: int) -> None:
        if len(seqs) != stop - start or seqs != list(range(start, stop)):
            raise CorruptMetadata(
                f"{self.where}: {len(seqs)} of the turns {start}..{stop - 1} are there; run check"
            )

    def known(self, connection: sa.Connection, ids: list[str]) -> dict[str, Turn]:
        """Turns by id, forgotten or not, those of the ids that there are."""
        found: dict[str, Turn] = {}
        if self.base is not None:
            base = self.base
            with base.truth.database.read() as reading:
                shared = base.truth.known(reading, ids)
            found = {id: turn for id, turn in shared.items() if turn.seq < base.turns}
        if len(ids) == 1:
            # A list of values is expanded anew at every call.
            rows = self.database.rows(connection, _select_id, {"id": ids[0]})
            turns = [decode_turn(row, self.sid, self.where, self.cipher) for row in rows]
            return found | {turn.turn_id: turn for turn in turns}
        for first in range(0, len(ids), _BATCH):
            result = connection.execute(_select_ids, {"ids": ids[first : first + _BATCH]})
            found |= {turn.turn_id: turn for turn in self._decoded(result)}
        return found

    def _decoded(self, result: sa.CursorResult[Any]) -> list[Turn]:
        # An open cursor would outlive a damaged row in its traceback, and lock the database.
        with result:
            return [decode_turn(row, self.sid, self.where, self.cipher) for row in result]

    def expiries(self) -> dict[int, float]:
        """Times from which on turns are to be forgotten, by their numbers.

        Raises:
            CorruptMetadata: a row is not what was written.
        """
        if self._expiries is None:
            own = {} if self.is_old else self._read_expiries()
            base = self.base
            shared = {} if base is None else base.truth.expiries()
            self._expiries = {
                **{seq: at for seq, at in shared.items() if base and seq < base.turns},
                **own,
            }
        return self._expiries

    def _read_expiries(self) -> dict[int, float]:
        with self.database.read() as connection:
            rows = connection.execute(_select_expiries).all()
        for seq, at, found in rows:
            try:
                good = expiry_sum(self.sid, seq, at) == found
            except DECODE_ERRORS:
                good = False
            if not good:
                raise CorruptMetadata(f"{self.where}: the expiry of turn {seq!r} is damaged")
        return {seq: at for seq, at, _ in rows}

    def forgot(self) -> None:
        """Read anew what turns that are forgotten now had a part in."""
        self.stream.forget()
        self._expiries = None
        if self.base is not None:
            self.base.truth.forgot()


def _holds(turn: Turn, start: int, stop: int) -> bool:
    return turn.token_start <= start and stop <= turn.token_start + len(turn.tokens)
