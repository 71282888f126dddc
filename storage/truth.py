"""Truth of one session: turns, state and notes in session.db, plus head.bin."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
import zstandard

from .cipher import PLAIN, Cipher, place_of
from .database import Database
from .errors import CorruptMetadata, FencedWriter, StoreError, TurnConflict
from .head import HeadFile
from .maps import pack_map, unpack_map
from .migration import OLD_TURNS, migrate_session, read_state
from .paths import session_folder
from .rows import (
    DECODE_ERRORS,
    STATE_COLUMNS,
    Head,
    State,
    encode_turn,
    expiry_row,
    note_sum,
    place_turn,
)
from .tables import expiries, notes, turns
from .token_stream import TokenStream
from .turns import Base, TurnReader
from .types import Turn
from .vfs import Vfs
from .writers import SessionWriters

_log = logging.getLogger(__name__)
# How the names of notes begin that belong to the caller.
CALLERS = "user-"
_BATCH = 500

# Statements of the restore path are text: they cost no compiling in a fresh process.
_select_note = sa.text("SELECT value, sum FROM notes WHERE key = :key")
# Text, too: of an append's own time, half was spent on making these from objects.
_turn_columns = [column.name for column in turns.columns]
_insert_turn = sa.text(
    f"INSERT INTO turns ({', '.join(_turn_columns)}) "
    f"VALUES ({', '.join(f':{name}' for name in _turn_columns)})"
)
_insert_expiry = sa.insert(expiries)
_update_state = sa.text(
    f"UPDATE state SET {', '.join(f'{name} = :{name}' for name in STATE_COLUMNS)} "
    "WHERE id = 1 AND epoch = :old_epoch AND sum = :old_sum"
)


class Truth(TurnReader):
    """What cannot be recomputed.

    Args:
        vfs: file access for head.bin.
        folder: the session's directory.
        sid: the session's id, 16 bytes.
        write: whether to open as the session's writer; a session of an older format is then brought
            up to ours.
        cipher: how values are stored.
        database: where the rows are if not in the folder; there is no head.bin then.
    """

    def __init__(
        self,
        vfs: Vfs,
        folder: str,
        sid: bytes,
        *,
        write: bool,
        cipher: Cipher = PLAIN,
        database: Database | None = None,
    ) -> None:
        self.sid = sid
        self.cipher = cipher
        self._write = write
        self._head_file = HeadFile(vfs, folder, sid) if database is None else None
        self._compressor = zstandard.ZstdCompressor(level=3)
        self.head = self.read_head()
        path = os.path.join(folder, "session.db")
        # SQLite syncs the name of a log that it makes, and not of one that it finds.
        found_log = write and vfs.lstat(path + "-wal") is not None
        if found_log:
            vfs.sync_dir(folder)
        self.database = database or Database(path, write=write)
        self.where = self.database.path
        if write:
            self.database.adopt_log()
            if found_log:
                # Whoever was killed may have emptied it for what was forgotten.
                self.database.settle_log(vfs)
            migrate_session(self.database, sid, self.where)
        self.stream = TokenStream(self.database, sid, self.where, cipher)
        self.state = State()
        self.base: Base | None = None
        self._vfs = vfs
        self.folder = folder
        # Times from which on turns are to be forgotten; None: not read yet.
        self._expiries: dict[int, float] | None = None
        # Whether this handle has begun its own epoch.
        self._fenced = False
        try:
            cipher.attach(SessionWriters(self))
        except BaseException:
            self.close()
            raise

    def load(self) -> State:
        """Read the state row again; returns it."""
        self.state = self.read_state()
        self._expiries = None
        return self.state

    def bases(self) -> list[Truth]:
        """The session that this one was forked from, the one that that one was, and so on."""
        return [] if self.base is None else [self.base.truth, *self.base.truth.bases()]

    def open_base(self, root: str) -> None:
        """Open the session that this one was forked from, if it is a fork.

        Raises:
            CorruptMetadata: it is not there any more.
        """
        if not self.state.base_turn:
            return
        parent = str((self.note("identity") or {}).get("parent", ""))
        folder = session_folder(root, parent)
        rows = self.database.of_session(parent)
        if rows is None and self._vfs.lstat(folder) is None:
            raise CorruptMetadata(
                f"{self.where}: session {parent!r}, which it was forked from, is missing"
            )
        sid = bytes.fromhex(parent)
        cipher = self.cipher.of_session(sid)
        truth = Truth(self._vfs, folder, sid, write=False, cipher=cipher, database=rows)
        try:
            truth.load()
            truth.open_base(root)
            tokens = truth.tokens_upto(self.state.base_turn)
        except BaseException:
            truth.close()
            raise
        self.base = Base(truth, self.state.base_turn, tokens)
        self.stream.base = (truth.stream, self.state.base_turn, tokens)

    def reload(self) -> None:
        """Read the state row after an interrupt: this handle's last write may be in it or not.

        Raises:
            FencedWriter: another writer has begun its own epoch meanwhile.
        """
        new = self.read_state()
        own = self.state.epoch + (not self._fenced)
        if self._write and new.epoch > own:
            raise FencedWriter(f"{self.where}: epoch {own} is over, a newer writer has the session")
        self.state = new
        self._expiries = None

    def read_state(self) -> State:
        """The state row as it is on disk now."""
        return read_state(self.database, self.sid, self.where)

    @property
    def keeps_head(self) -> bool:
        """Whether there is a head.bin."""
        return self._head_file is not None

    def read_head(self) -> Head | None:
        """What head.bin says now; None if it is missing or damaged."""
        return self._head_file.read() if self._head_file is not None else None

    def require_acknowledged(self) -> None:
        """Raise CorruptMetadata if session.db lacks turns that head.bin saw acknowledged."""
        if lost := self.lost_turns():
            raise CorruptMetadata(
                f"{self.where}: {lost}. Its log was damaged or removed. Restore a backup, or run "
                "`hsa-memory check --repair` to go on with what is left."
            )

    def lost_turns(self) -> str:
        """Which turns head.bin saw acknowledged and session.db lacks, in words, or nothing."""
        if self.head is None or self.head.n_turn == 0:
            return ""
        there, (_, n_turn, link) = self.state.n_turn, self.head
        if n_turn > there:
            return (
                f"holds {there} turns, but {n_turn} were acknowledged: {n_turn - there} are lost, "
                f"numbers {there} to {n_turn - 1}"
            )
        found = self.state.link
        if n_turn < there:
            found = self.link_before(n_turn)
        if found != link:
            return (
                f"turn {n_turn - 1} is not the one acknowledged: it is lost, and perhaps others "
                "before it"
            )
        return ""

    def lost_commits(self) -> int:
        """Commits that head.bin saw and session.db lacks: unsynced ones, after a power cut."""
        return max(0, self.head.commits - self.state.commits) if self.head else 0

    # ---- writing

    def commit_state(self, new: State, *, durable: bool = False) -> None:
        """Write the state row in a transaction of its own."""
        with self.writing(new, durable=durable):
            pass

    @contextmanager
    def writing(self, new: State, *, durable: bool = False) -> Iterator[sa.Connection]:
        """A transaction that begins with the new state row; `self.state` moves at commit."""
        with self.database.write(durable=durable) as connection:
            new = self._put_state(connection, new)
            yield connection
        self._moved(new)

    def _moved(self, new: State) -> None:
        self.state = new
        self._fenced = True
        try:
            self.write_head()
        except StoreError as error:
            # The commit stands. An older head.bin is true, a torn one is ignored, and the next
            # commit writes it again.
            _log.warning("%s: head.bin is one commit behind: %s", self.where, error)

    def _put_state(self, connection: sa.Connection, new: State) -> State:
        """Write the state row over the one this handle knows; returns it as written."""
        old = self.state
        new = replace(new, commits=old.commits + 1)
        if not self._fenced:
            # The first write of a writer opens its epoch, which shuts out any older one.
            new = replace(new, epoch=old.epoch + 1)
        row = new.to_row(self.sid)
        row |= {"old_epoch": old.epoch, "old_sum": old.checksum(self.sid)}
        if self.database.change(connection, _update_state, [row]) != 1:
            raise FencedWriter(
                f"{self.where}: epoch {old.epoch} is over, a newer writer has the session"
            )
        return new

    def empty_log(self) -> bool:
        """Empty the database's log, for good; False if a reader holds that up."""
        self.database.checkpoint()
        if self.database.wal_bytes():
            return False
        self.database.settle_log(self._vfs)
        return True

    def write_head(self) -> None:
        """Note the newest acknowledged turn outside of SQLite; not synced, never ahead."""
        if self._head_file is not None:
            self._head_file.write(self.state)

    def append(
        self,
        new_turns: Sequence[Turn],
        new_notes: Mapping[str, dict[str, Any]],
        admit: Callable[[int, int], None],
    ) -> list[Turn]:
        """Store turns and notes in one durable transaction; see SessionStore.append.

        Args:
            admit: called with the tokens and the bytes of what is new; may refuse it.
        """
        rows = [encode_turn(turn, self._compressor) for turn in new_turns]
        with self.database.write() as connection:
            stored = self.known(connection, [turn.turn_id for turn in new_turns])
            new, fresh, lapses, result = self.state, [], [], []
            for turn, row in zip(new_turns, rows, strict=True):
                known = stored.get(turn.turn_id)
                if known is None:
                    new = place_turn(row, self.sid, new, self.cipher)
                    fresh.append(row)
                    if turn.expires is not None:
                        lapses.append(expiry_row(self.sid, row["seq"], turn.expires))
                    known = replace(
                        turn, timestamp=row["ts"], seq=row["seq"], token_start=row["tok0"]
                    )
                    stored[turn.turn_id] = known
                _require_same(known, turn, self.state.n_turn)
                result.append(known)
            if fresh:
                admit(new.n_tok - self.state.n_tok, _size(fresh, new_notes))
                # First, because a writer that was shut out must not get further than this.
                new = self._put_state(connection, replace(new, clean=0))
                for key, value in new_notes.items():
                    if connection.execute(_select_note, {"key": key}).one_or_none() is None:
                        self.put_note(connection, key, value)
            for first in range(0, len(fresh), _BATCH):
                self.database.change(connection, _insert_turn, fresh[first : first + _BATCH])
            if lapses:
                connection.execute(_insert_expiry, lapses)
        if fresh:
            self._moved(new)
        if lapses and self._expiries is not None:
            self._expiries |= {row["seq"]: row["at"] for row in lapses}
        return result

    # ---- notes

    def note(self, key: str) -> dict[str, Any] | None:
        """A small map by name, or None."""
        with self.database.read() as connection:
            row = connection.execute(_select_note, {"key": key}).one_or_none()
        if row is None:
            return None
        value, found = row
        try:
            good = note_sum(self.sid, key, value) == found
        except DECODE_ERRORS as error:
            raise CorruptMetadata(f"{self.where}: note {key!r} is damaged ({error})") from error
        if not good:
            raise CorruptMetadata(f"{self.where}: note {key!r} fails its checksum; run check")
        if key.startswith(CALLERS):
            value = self.cipher.open(value, place_of(self.sid, "note", key))
        return unpack_map(value, f"{self.where}: note {key!r}")

    def num_old(self) -> int:
        """How many turns, the first ones, were written in format 1.0."""
        if self.is_old:
            return self.state.n_turn
        note = self.note(OLD_TURNS)
        return 0 if note is None else int(note["turns"])

    def note_keys(self) -> list[str]:
        """Names of all notes."""
        with self.database.read() as connection:
            return list(connection.execute(sa.select(notes.c.key)).scalars())

    def put_note(self, connection: sa.Connection, key: str, value: dict[str, Any]) -> None:
        """Set a note inside a transaction of `writing`."""
        packed = pack_map(value, f"note {key!r}")
        if key.startswith(CALLERS):
            packed = self.cipher.seal(packed, place_of(self.sid, "note", key))
        row = {"key": key, "value": packed, "sum": note_sum(self.sid, key, packed)}
        connection.execute(sa.delete(notes).where(notes.c.key == key))
        connection.execute(sa.insert(notes), row)

    def close(self) -> None:
        """Close files; the caller has committed what it wants kept."""
        if self._head_file is not None:
            self._head_file.close()
        self.database.close()
        if self.base is not None:
            self.base.truth.close()


def _size(rows: Sequence[Mapping[str, Any]], new_notes: Mapping[str, dict[str, Any]]) -> int:
    """Bytes of new rows and notes."""
    columns = ("turn_id", "role", "sums", "meta", "text", "tok")
    packed = sum(len(pack_map(value)) for value in new_notes.values())
    return packed + sum(len(row[name]) for row in rows for name in columns)


def _require_same(known: Turn, turn: Turn, num_stored: int) -> None:
    if known.role != turn.role or known.text != turn.text:
        given = "given twice," if known.seq >= num_stored else f"stored as number {known.seq}"
        raise TurnConflict(
            f"message id {turn.turn_id!r} is {given} with another role or text; use a new id"
        )
