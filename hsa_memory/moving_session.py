"""Part of a session: leaving as one file, and being encoded anew."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from typing import Protocol

from hsa_memory.storage import SessionStore, Vfs

from .arguments import require_path, require_progress
from .moving import Told, export_sessions
from .reading import SessionReader
from .types import Moved, MoveProgress


class MovingHome(Protocol):
    """What this part needs of the memory."""

    def require_no_forks(self, name: str) -> None:
        """Raise SessionHasForks if there is a fork of a session."""

    def made_anew(
        self, name: str, kv_dtype: str | None, progress: Told
    ) -> tuple[Moved, SessionStore]:
        """Encode a session again and open it."""


class MovingSession(SessionReader):
    """Part of `MemorySession`."""

    _home: MovingHome

    @abstractmethod
    def _attach(self, store: SessionStore) -> None:
        """Go on with another handle of the store."""

    @abstractmethod
    def _require_writable(self) -> None:
        """Raise SessionReadOnly unless this is the session's writer."""

    @abstractmethod
    def close(self) -> None:
        """Close all files."""

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        derived: bool = False,
        progress: Callable[[MoveProgress], None] | None = None,
    ) -> Moved:
        """Write this session into one file; see `Memory.export`."""
        target = require_path("path", path)
        with self._use(refresh=True) as store:
            return export_sessions(
                Vfs(),
                target,
                self._engine,
                [lambda: nullcontext(store)],
                derived=derived,
                progress=progress,
            )

    def reingest(
        self,
        *,
        kv_dtype: str | None = None,
        progress: Callable[[MoveProgress], None] | None = None,
    ) -> Moved:
        """Encode the whole history again with the same model, beside what is there until all is
        done; see `Memory.reingest`, which also takes a session that another model wrote.

        Raises:
            SessionReadOnly, SessionClosed: nothing was done.
            SessionBusy, StorageError: it failed; the session is as it was and this handle closed.
        """
        require_progress(progress)
        with self._use():
            self._require_writable()
            self._home.require_no_forks(self.name)
            self._store.close()
            try:
                moved, store = self._home.made_anew(self.name, kv_dtype, progress)
                self._attach(store)
            except BaseException:
                self.close()
                raise
            return moved
