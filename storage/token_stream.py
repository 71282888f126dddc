"""The stream of a session's tokens, read from its turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from .cipher import Cipher
from .database import Database
from .errors import CorruptMetadata
from .rows import SCALARS, check_row, decode_tokens

_BATCH = 500
# A turn of more tokens than this is kept after a read: its readers come back for more of it.
_LARGE_TURN = 1 << 16

_TokenRows = tuple[int, NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]


_light = ", ".join((*SCALARS, "sums"))
_select_at = sa.text(
    "SELECT seq, tok0, n_tok FROM turns WHERE tok0 <= :position ORDER BY tok0 DESC LIMIT 1"
)
_select_tokens = sa.text(
    f"SELECT {_light}, tok FROM turns WHERE seq >= :first AND tok0 < :stop ORDER BY seq"
)
_select_tokens_of = sa.text(f"SELECT {_light}, tok FROM turns WHERE seq IN :seqs").bindparams(
    sa.bindparam("seqs", expanding=True)
)


class TokenStream:
    """Verified tokens by their position.

    Args:
        database: of the session.
        sid: the session's id, 16 bytes.
        where: the database's path, for messages.
        cipher: opens the tokens.
    """

    def __init__(self, database: Database, sid: bytes, where: str, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher
        self._sid = sid
        self._where = where
        # Of the session this one was forked from: its stream, and the turns and tokens shared.
        self.base: tuple[TokenStream, int, int] | None = None
        self._large: _TokenRows | None = None

    def forget(self) -> None:
        """Keep no tokens: those of a turn were blanked."""
        self._large = None
        if self.base is not None:
            self.base[0].forget()

    def tokens(self, start: int, stop: int) -> NDArray[np.uint32]:
        """Verified token ids of the stream's positions start..stop-1."""
        if start >= stop:
            return np.empty(0, np.uint32)
        begin, ids, _, _ = self._token_rows(start, stop)
        return ids[start - begin : stop - begin]

    def tokens_with_ends(
        self, start: int, stop: int, size: int, lookahead: int
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Tokens [start, stop) in pieces of `size`, each with the `lookahead` tokens that follow it
        [n, size + lookahead], and the numbers of the turns that hold the last one of each."""
        begin, ids, seqs, starts = self._token_rows(start, stop + lookahead)
        pieces = np.lib.stride_tricks.sliding_window_view(ids[start - begin :], size + lookahead)
        ends = np.arange(start + size, stop + 1, size) + (lookahead - 1)
        numbers = seqs[np.searchsorted(starts, ends, "right") - 1]
        return pieces[: stop - start : size], numbers

    def _token_rows(self, start: int, stop: int) -> _TokenRows:
        """(position, ids, turns' numbers, turns' positions) of the turns that cover a range."""
        if self.base is None or start >= self.base[2]:
            return self._own_token_rows(start, stop)
        stream, _, shared = self.base
        first, ids, seqs, starts = stream._token_rows(start, min(stop, shared))
        if stop <= shared:
            return first, ids, seqs, starts
        _, more_ids, more_seqs, more_starts = self._own_token_rows(shared, stop)
        return (
            first,
            np.concatenate([ids, more_ids]),
            np.concatenate([seqs, more_seqs]),
            np.concatenate([starts, more_starts]),
        )

    def _own_token_rows(self, start: int, stop: int) -> _TokenRows:
        if self._large is not None:
            begin, ids, seqs, starts = self._large
            if begin <= start and stop <= begin + len(ids):
                return self._large
        first = self._seq_at(start)
        with self._database.read() as connection:
            result = connection.execute(_select_tokens, {"first": first, "stop": stop})
            rows = result.all()
        parts = [self._row_tokens(row) for row in rows]
        seqs = np.array([row[0] for row in rows])
        starts = np.array([row[5] for row in rows])
        ends = starts + np.array([len(part) for part in parts])
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if starts[0] > start or ends[-1] < stop or (ends[:-1] != starts[1:]).any():
            raise CorruptMetadata(
                f"{self._where}: tokens {start}..{stop - 1} have a gap; run check"
            )
        return int(starts[0]), joined, seqs, starts

    def tokens_of(self, seqs: Sequence[int]) -> dict[int, tuple[int, NDArray[np.uint32]]]:
        """(first position, verified token ids) of the given turns."""
        found: dict[int, tuple[int, NDArray[np.uint32]]] = {}
        if self.base is not None:
            stream, shared, _ = self.base
            found = stream.tokens_of([seq for seq in seqs if seq < shared])
            own = self._tokens_alone([seq for seq in seqs if seq >= shared])
            return {**found, **own}
        return self._tokens_alone(seqs)

    def _tokens_alone(self, seqs: Sequence[int]) -> dict[int, tuple[int, NDArray[np.uint32]]]:
        found = {}
        for first in range(0, len(seqs), _BATCH):
            wanted = list(seqs[first : first + _BATCH])
            with self._database.read() as connection:
                result = connection.execute(_select_tokens_of, {"seqs": wanted})
                rows = result.all()
            for row in rows:
                found[row[0]] = (row[5], self._row_tokens(row))
        if len(found) != len(set(seqs)):
            raise CorruptMetadata(
                f"{self._where}: {len(found)} of {len(set(seqs))} turns are there"
            )
        return found

    def _row_tokens(self, row: Sequence[Any]) -> NDArray[np.uint32]:
        check_row(row, self._sid, self._where)
        ids = decode_tokens(row, self._sid, self._where, self._cipher)
        if len(ids) > _LARGE_TURN:
            self._large = (row[5], ids, np.array([row[0]]), np.array([row[5]]))
        return ids

    def _seq_at(self, position: int) -> int:
        """Number of the turn that holds a stream position."""
        with self._database.read() as connection:
            row = connection.execute(_select_at, {"position": position}).one_or_none()
        if row is None or not row.tok0 <= position < row.tok0 + row.n_tok:
            raise CorruptMetadata(f"{self._where}: no turn holds token {position}; run check")
        return int(row.seq)
