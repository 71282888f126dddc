"""Notes of a session's writers: their salts, from which the keys they seal with are derived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .database import Database
from .errors import CorruptMetadata
from .maps import unpack_map
from .rows import DECODE_ERRORS, note_sum

if TYPE_CHECKING:
    from .truth import Truth

_PREFIX = "writer-"
# "." comes right after "-".
_select = sa.text("SELECT key, value, sum FROM notes WHERE key >= 'writer-' AND key < 'writer.'")


class SessionWriters:
    """The `WriterNotes` of an open session."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth

    def salts(self) -> dict[int, bytes]:
        """See `WriterNotes`."""
        # A connection of its own: the session's may be in the middle of a transaction.
        database = Database(self._truth.where, write=False)
        try:
            with database.read() as connection:
                rows = connection.execute(_select).all()
        finally:
            database.close()
        return dict(self._decode(*row) for row in rows)

    def _decode(self, key: str, value: bytes, found: bytes) -> tuple[int, bytes]:
        where = f"{self._truth.where}: note {key!r}"
        try:
            if note_sum(self._truth.sid, key, value) != found:
                raise ValueError("it fails its checksum")
            number, salt = int(key.removeprefix(_PREFIX)), unpack_map(value, where)["salt"]
        except (KeyError, *DECODE_ERRORS) as error:
            raise CorruptMetadata(f"{where} is damaged ({error}); run check") from error
        return number, bytes(salt)

    def add(self, salt: bytes) -> int:
        """See `WriterNotes`."""
        number = max(self.salts(), default=0) + 1
        with self._truth.writing(self._truth.state, durable=True) as connection:
            self._truth.put_note(connection, f"{_PREFIX}{number}", {"salt": salt})
        return number


class FirstWriter:
    """The `WriterNotes` of a session that is being made; `notes` go to the disk with what this
    writer seals, or neither does."""

    def __init__(self) -> None:
        self.notes: dict[str, dict[str, Any]] = {}

    def salts(self) -> dict[int, bytes]:
        """See `WriterNotes`."""
        return {}

    def add(self, salt: bytes) -> int:
        """See `WriterNotes`."""
        self.notes[f"{_PREFIX}1"] = {"salt": salt}
        return 1
