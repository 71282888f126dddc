"""Where a session's parts lie: the hooks of a session whose folder is not all there is."""

from __future__ import annotations

import sqlalchemy as sa

from .cipher import Cipher
from .errors import Erased
from .gate import Gate
from .truth import Truth
from .vfs import Vfs


class InFolder(Gate):
    """Everything is in the session's folder; subclasses say otherwise."""

    folder: str
    _vfs: Vfs
    _truth: Truth
    # Whether other machines may have written the session since the files here were.
    _is_cache = False

    def _open_truth(self, sid: bytes, cipher: Cipher) -> Truth:
        return Truth(self._vfs, self.folder, sid, write=self._writable, cipher=cipher)

    def _require_there(self) -> None:
        """Raise Erased if the session was deleted."""
        if self._vfs.lstat(self._truth.where) is None:
            raise Erased(f"session {self._name!r} was deleted")

    def _fetch(self) -> bool:
        """Bring derived files here that lie elsewhere; whether any was replaced."""
        return False

    def _dropped(self, connection: sa.Connection, gen: int, chunks: range) -> None:
        """What was derived for these chunks is void once the transaction is committed."""

    def _published(self) -> None:
        """The watermark has moved, or holes were filled."""

    def _forgotten(self) -> None:
        """Messages were forgotten, and nothing of them is left in the folder."""

    def _settled(self) -> None:
        """The session is being closed, and everything is on disk."""
