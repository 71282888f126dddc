"""Sessions that leave a memory as one file, and come into one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from time import perf_counter, time

import numpy as np

from hsa_memory.model import ROLES
from hsa_memory.storage import (
    ArchiveReader,
    ArchiveWriter,
    Erased,
    ExportChoice,
    LimitExceeded,
    NoteRecord,
    SessionExport,
    SessionImport,
    SessionMissing,
    SessionRecord,
    SessionStore,
    StoreError,
    TokenSum,
    Turn,
    TurnConflict,
    TurnRecord,
    Vfs,
    encode_name,
)

from .arguments import require_progress
from .attachments import attachment_keys, is_attachment, require_piece
from .engine import Engine
from .errors import InvalidArgument, InvalidMessage
from .forgetting import TTL
from .messages import make_draft, make_turn, parse_ttl
from .types import Moved, MoveProgress

Opened = Callable[[], AbstractContextManager[SessionStore]]
Told = Callable[[MoveProgress], None] | None

_TRIES = 5
_BATCH_TURNS = 256
_BATCH_CHARS = 1 << 20
# What forgotten messages may unfold to: in the file each is a few bytes.
_MAX_BLANK = 1 << 24


class Teller:
    """Tells a caller how far something is."""

    def __init__(self, progress: Told, unit: str, total: int) -> None:
        require_progress(progress)
        self._progress = progress
        self._unit = unit
        self._started = perf_counter()
        self.session = ""
        self.total = total
        self.done = 0

    def add(self, count: int) -> None:
        """Note that so much more is done."""
        self.at(self.done + count, self.total)

    def at(self, done: int, total: int) -> None:
        """Note how much is done, of how much."""
        self.done, self.total = done, total
        if self._progress is not None:
            self._progress(
                MoveProgress(
                    session=self.session,
                    done=done,
                    total=max(done, total),
                    unit=self._unit,
                    seconds=self.seconds,
                )
            )

    @property
    def seconds(self) -> float:
        """Since this object was made."""
        return perf_counter() - self._started


# ---- out of a memory


def export_sessions(
    vfs: Vfs,
    path: str,
    engine: Engine,
    sessions: Sequence[Opened],
    *,
    derived: bool,
    progress: Told,
) -> Moved:
    """Write sessions, each opened by a function for the length of a block, into one file.

    A session that is changed in the middle (a message is forgotten, damage is healed) makes the
    export start again, as does one of several that is deleted; messages that are added meanwhile
    are simply not part of it.
    """
    path = os.path.abspath(path)
    if vfs.lstat(path) is not None:
        raise InvalidArgument(f"there is something at {path!r:.200} already; choose another name")
    for _ in range(_TRIES):
        try:
            moved = _export_once(vfs, path, engine, sessions, derived=derived, progress=progress)
        except Erased:
            if len(sessions) == 1:
                raise
            continue
        if moved is not None:
            return moved
    raise StoreError(
        f"nothing was exported: sessions were changed in the middle of {_TRIES} attempts; try again"
    )


def _export_once(
    vfs: Vfs,
    path: str,
    engine: Engine,
    sessions: Sequence[Opened],
    *,
    derived: bool,
    progress: Told,
) -> Moved | None:
    teller = Teller(progress, "bytes", 0)
    try:
        writer = ArchiveWriter(vfs, path)
    except FileNotFoundError as error:
        raise InvalidArgument(f"the folder of {path!r:.200} does not exist") from error
    told: list[SessionRecord] = []
    try:
        for open_session in sessions:
            # It may have been deleted since it was listed.
            with suppress(SessionMissing), open_session() as store:
                teller.session, teller.total = store.info.name, teller.done + _expected(store)
                choice = _choice(engine, store, derived=derived)
                export = SessionExport(store, writer, len(told), choice, teller.add)
                told.append(export.write())
                revision = store.revision
                store.refresh()
                if store.revision != revision:
                    return None
        about = {"created": time(), "sessions": len(told), "tokenizer": engine.tokenizer.sha256}
        try:
            writer.finish(about)
        except FileExistsError as error:
            raise InvalidArgument(f"{error}; choose another name") from error
    finally:
        writer.abandon()
    return Moved(
        path=path,
        sessions=tuple(about.name for about in told),
        num_messages=sum(about.num_turns for about in told),
        num_tokens=sum(about.num_tokens for about in told),
        num_bytes=writer.num_bytes,
        seconds=teller.seconds,
    )


def _expected(store: SessionStore) -> int:
    layout = store.layout
    return store.published * (layout.kv_bytes + layout.landmark_bytes) + 8 * store.num_tokens


def _choice(engine: Engine, store: SessionStore, *, derived: bool) -> ExportChoice:
    """What has expired is nobody's to read any more, whether or not it is forgotten yet."""
    hidden = store.expired(time())
    return ExportChoice(
        derived=derived,
        hidden=hidden,
        notes=_notes(store, set(hidden)),
        blank=engine.tokenizer.end_id,
    )


def _notes(store: SessionStore, hidden: Collection[int]) -> dict[str, int | None]:
    """Notes of a session and of its messages, those that are hidden left out: not of what was added
    after a view's end, but of what a fork shares."""
    known = set(store.meta_keys())
    found: dict[str, int | None] = {key: None for key in known if not is_attachment(key)}
    if len(found) == len(known) and not store.num_shared:
        return found
    for first in range(0, store.num_turns, _BATCH_TURNS):
        for turn in store.turns(first, first + _BATCH_TURNS):
            if turn.seq not in hidden and not turn.forgotten:
                found |= dict.fromkeys(attachment_keys(store, turn), turn.seq)
    return found


# ---- into a memory


@contextmanager
def checked_export(
    vfs: Vfs, path: str, progress: Told
) -> Iterator[tuple[ArchiveReader, list[SessionImport]]]:
    """An export whose every byte was looked at, and the sessions in it."""
    teller = Teller(progress, "bytes", 0)
    if os.path.isdir(path):
        raise InvalidArgument(f"path must be a file that `export` wrote; {path!r:.200} is a folder")
    try:
        archive = ArchiveReader(vfs, os.path.abspath(path), teller.at)
    except FileNotFoundError as error:
        raise InvalidArgument(f"there is no file {path!r:.200}") from error
    with archive:
        count = archive.manifest.get("sessions")
        numbers = {int(name.partition("/")[0]) for name in archive.members}
        if type(count) is not int or numbers != set(range(len(numbers))) or count != len(numbers):
            archive.reject(f"it says that it has {count!r:.50} sessions, and has {len(numbers)}")
        yield archive, [SessionImport(archive, number) for number in range(count)]


def new_names(
    archive: ArchiveReader, sessions: Iterable[SessionImport], rename: Mapping[str, str]
) -> list[str]:
    """Names that imported sessions get.

    Raises:
        InvalidArgument: a new name for a session that is not in the file, or an impossible one.
        ImportRejected: an impossible name, or two sessions with the same.
    """
    found = [session.about.name for session in sessions]
    if unknown := set(rename) - set(found):
        raise InvalidArgument(f"the file has no session {sorted(unknown)[0]!r:.200}")
    for name in rename.values():
        try:
            encode_name(name)
        except ValueError as error:
            raise InvalidArgument(str(error)) from error
    names = [rename.get(name, name) for name in found]
    try:
        for name in names:
            encode_name(name)
    except ValueError as error:
        archive.reject(str(error))
    if len(set(names)) < len(names):
        archive.reject("two of its sessions would have the same name")
    return names


def take_in(
    engine: Engine, archive: ArchiveReader, session: SessionImport, store: SessionStore
) -> bool:
    """Write a session of an export into a new, empty one.

    Returns:
        Whether its derived state came along; if not it is to be encoded.
    """
    tokens = TokenSum()
    batch: list[Turn] = []
    blank = chars = 0

    def flush() -> None:
        before = store.num_turns
        store.append(batch)
        if store.num_turns - before != len(batch):
            archive.reject("two messages of a session have the same id")
        batch.clear()

    try:
        for record in session.records():
            if isinstance(record, NoteRecord):
                if batch:
                    flush()
                _require_note(record)
                store.set_meta(record.key, record.value)
                continue
            blank += record.num_tokens if record.forgotten else 0
            if blank > _MAX_BLANK:
                archive.reject(f"its forgotten messages are longer than {_MAX_BLANK} tokens")
            turn = _turn(engine, record)
            tokens.add(turn.tokens)
            batch.append(turn)
            chars += len(turn.text) + len(turn.tokens)
            if len(batch) == _BATCH_TURNS or chars > _BATCH_CHARS:
                flush()
                chars = 0
        if batch:
            flush()
    except (InvalidMessage, TurnConflict, LimitExceeded, ValueError) as error:
        archive.reject(str(error))
    if tokens.digest() != session.about.token_sum:
        # Of another tokenizer: what was made of other tokens is of no use.
        return False
    return session.put_derived(store)


def _require_note(record: NoteRecord) -> None:
    """Raise InvalidMessage unless the session can be opened with a note."""
    if is_attachment(record.key):
        require_piece(record.value)
    elif record.key == TTL and parse_ttl(record.value.get("seconds"), InvalidMessage) is None:
        raise InvalidMessage("the time that messages live is missing")


def _turn(engine: Engine, record: TurnRecord) -> Turn:
    tokenizer = engine.tokenizer
    if not record.forgotten:
        draft = make_draft(
            record.role,
            record.text,
            id=record.id,
            timestamp=record.timestamp,
            metadata=record.metadata,
        )
        return make_turn(tokenizer, draft._replace(expires=record.expires))
    if record.role not in ROLES or record.text or record.metadata:
        raise InvalidMessage("a forgotten message has an unknown role, or says something")
    return Turn(
        # Whoever adds it again gets a new message.
        turn_id=f"forgotten-{os.urandom(16).hex()}",
        role=record.role,
        text="",
        tokens=np.full(record.num_tokens, tokenizer.end_id, np.uint32),
        timestamp=record.timestamp,
        forgotten=True,
    )
