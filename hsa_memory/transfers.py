"""What a memory can do with whole sessions: export, import, back up, encode anew."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hsa_memory import storage
from hsa_memory.storage import Store

from .arguments import require_name, require_names, require_path
from .boundary import public_errors
from .engine import Engine
from .errors import InvalidArgument, SessionExists
from .moving import Teller, checked_export, export_sessions, new_names, take_in
from .precision import Precision, require_precision
from .reingesting import reingest
from .types import Finding, Moved, MoveProgress

if TYPE_CHECKING:
    from .session import MemorySession


class Transfers(ABC):
    """Part of `Memory`."""

    path: Path
    _store: Store
    _engine: Engine
    _precision: Precision

    @abstractmethod
    def _use(self) -> AbstractContextManager[None]:
        """Hold the memory, which is open."""

    @abstractmethod
    def session(self, name: str, *, create: bool = True, read_only: bool = False) -> MemorySession:
        """Open a session."""

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        sessions: Iterable[str] | None = None,
        derived: bool = False,
        progress: Callable[[MoveProgress], None] | None = None,
    ) -> Moved:
        """Write sessions into one file, from which any memory can import them.

        Their writers may go on: the file has each session as it was at one moment. Messages that
        have expired are in it as if they were forgotten. The file is plain: what is encrypted in
        the memory is not encrypted there.

        Args:
            path: of the new file; nothing may be there.
            sessions: names; None: all.
            derived: whether landmarks, K/V and tails go along, so that a memory with the same model
                can answer at once; without them the file is a hundred times smaller.
            progress: called now and then.

        Raises:
            SessionNotFound: one of the names.
            InvalidArgument, StorageError: no file was made.
        """
        target = require_path("path", path)
        named = None if sessions is None else require_names(sessions)
        with self._use():
            store = self._store
            known = [info.name for info in store.list_sessions()]
        wanted = known if named is None else list(dict.fromkeys(named))
        with public_errors():
            for name in wanted:
                # A name that is not there is no session that was deleted meanwhile.
                if name not in known:
                    store.session(name, layout=None, create=False, read_only=True).close()
            opened = [
                partial(store.session, name, layout=None, create=False, read_only=True)
                for name in wanted
            ]
            return export_sessions(
                store.vfs, target, self._engine, opened, derived=derived, progress=progress
            )

    def import_file(
        self,
        path: str | os.PathLike[str],
        *,
        rename: Mapping[str, str] | None = None,
        progress: Callable[[MoveProgress], None] | None = None,
    ) -> Moved:
        """Add all sessions of a file that `export` wrote.

        Every byte of the file is checked first, and all of its sessions appear at once or, after
        an error or a crash, none. Derived state that came along is used if it was made by this
        model of these tokens; else the messages are encoded, as after `add`: if that is interrupted
        the next use of the session goes on with it.

        Args:
            path: of the file.
            rename: new names for sessions of the file.
            progress: called now and then: in bytes while the file is checked, then in tokens.

        Raises:
            ImportRejected: it is no such file, or not as it was written.
            SessionExists: one of the names is taken; give it another in `rename`.
            InvalidArgument, SessionReadOnly, StorageError: nothing was imported.
        """
        source = require_path("path", path)
        if rename is not None and not isinstance(rename, Mapping):
            raise InvalidArgument(f"rename must be a map of names; found {rename!r:.100}")
        with self._use():
            store = self._store
        with public_errors(), checked_export(store.vfs, source, progress) as (archive, sessions):
            names = new_names(archive, sessions, rename or {})
            for name in names:
                if store.has_session(name):
                    raise SessionExists(
                        f"there is a session {name!r} already; give the imported one another name"
                    )
            total = sum(session.about.num_tokens for session in sessions)
            teller = Teller(progress, "tokens", total)
            whole, messages, tokens = [], 0, 0
            with store.staging() as staging:
                infos = []
                for session, name in zip(sessions, names, strict=True):
                    teller.session = name
                    created = session.about.created
                    layout = session.layout_of(self._engine.layouts(self._precision))
                    with store.make_staged(staging, name, created, layout) as staged:
                        whole.append(take_in(self._engine, archive, session, staged))
                        infos.append(staged.info)
                        messages, tokens = messages + staged.num_turns, tokens + staged.num_tokens
                store.install(staging, infos)
        encoded = 0
        for name, has_derived, imported in zip(names, whole, sessions, strict=True):
            teller.session = name
            encoded += self._encode(name, teller)
            if has_derived:
                teller.add(imported.about.num_tokens)
        return Moved(
            path=source,
            sessions=tuple(names),
            num_messages=messages,
            num_tokens=tokens,
            tokens_ingested=encoded,
            seconds=teller.seconds,
        )

    def backup(
        self,
        folder: str | os.PathLike[str],
        *,
        progress: Callable[[MoveProgress], None] | None = None,
    ) -> Moved:
        """Copy the whole memory, all users with it, into another folder, which
        `hsa_memory.open` opens.

        Writers go on meanwhile: each session is copied as it was at one moment, derived state and
        all, so that the copy answers with the same bits and encodes nothing again. The copy is
        verified before the folder gets its name. Encrypted sessions are copied as they are; without
        their key only their checksums are verified. What is forgotten in the memory later stays in
        its backups.

        Args:
            folder: missing or empty. `<folder>.partial` is used on the way.

        Returns:
            With `findings`, if something was damaged: it is in the copy as `check(repair=True)`
            leaves it.

        Raises:
            InvalidArgument: the folder is inside of the memory, or below a file.
            NotAllowed: this memory was opened for a user.
            StorageError: the folder is not empty, or copying failed; there is no backup.
        """
        target = require_path("folder", folder)
        teller = Teller(progress, "bytes", 0)

        def on_session(name: str, done: int, total: int) -> None:
            teller.session = name
            teller.at(done, total)

        with self._use():
            store = self._store
        with public_errors():
            copied, num_bytes, found = store.backup(target, on_session)
        return Moved(
            path=target,
            sessions=tuple(session.name for session in copied),
            num_messages=sum(session.turns for session in copied),
            num_tokens=sum(session.tokens for session in copied),
            num_bytes=num_bytes,
            seconds=teller.seconds,
            findings=tuple(public_findings(found)),
        )

    def reingest(
        self,
        name: str,
        *,
        kv_dtype: str | None = None,
        force: bool = False,
        progress: Callable[[MoveProgress], None] | None = None,
    ) -> Moved:
        """Encode a session that another model wrote with this one; then this one opens it.

        The messages stay as they are, forgotten ones forgotten. What the other model wrote stays,
        and readers with that model go on, until everything is encoded; then the session goes over
        at once, the old files are removed, and those readers get `ModelMismatch`. If it is
        interrupted, or the process killed, the next call goes on where this one was.

        Where the new model cuts messages into other tokens, the session gets a new id, and readers
        with the other model get `SessionDeleted`.

        Args:
            name: of the session.
            kv_dtype: number format of its keys and values from now on, as in `hsa_memory.open`;
                None keeps the one it has.
            force: encode it again also if this model wrote it in that format.
            progress: called after each piece, in tokens.

        Raises:
            SessionBusy: somebody writes to it, or has it open for writing.
            StorageError: it has forks, or is one; or the disk failed: the session is as it was.
            SessionNotFound, SessionReadOnly.
        """
        require_name(name)
        teller = Teller(progress, "tokens", 0)
        precision = None if kv_dtype is None else require_precision(kv_dtype)
        with self._use():
            store = self._store
        with public_errors():
            messages, tokens, encoded = reingest(
                store, self._engine, name, precision=precision, force=force, teller=teller
            )
        return Moved(
            path=str(self.path),
            sessions=(name,),
            num_messages=messages,
            num_tokens=tokens,
            tokens_ingested=encoded,
            seconds=teller.seconds,
        )

    def _encode(self, name: str, teller: Teller) -> int:
        before = teller.done
        with self.session(name, create=False) as session:
            stats = session.catch_up(
                progress=lambda told: teller.at(before + told.tokens_ingested, teller.total)
            )
        return stats.tokens_ingested


def public_findings(found: Iterable[storage.Finding]) -> list[Finding]:
    """Findings of the store as the API shows them."""
    return [
        Finding(
            session=x.session,
            path=x.path,
            kind=x.kind,
            detail=x.detail,
            repaired=x.repaired,
            user=x.user,
        )
        for x in found
    ]
