"""head.bin: the newest commit of a session, kept apart from SQLite."""

from __future__ import annotations

import os

from .files import OwnedFile
from .rows import HEAD_BYTES, Head, State, decode_head, encode_head
from .vfs import Vfs


class HeadFile:
    """The file; opened for writing by the first `write`.

    Args:
        folder: the session's directory.
        sid: the session's id, 16 bytes.
    """

    def __init__(self, vfs: Vfs, folder: str, sid: bytes) -> None:
        self._vfs = vfs
        self._path = os.path.join(folder, "head.bin")
        self._sid = sid
        self._file: OwnedFile | None = None

    def read(self) -> Head | None:
        """What the file says now; None if it is missing or damaged."""
        try:
            fd = self._vfs.open(self._path)
        except FileNotFoundError:
            return None
        try:
            return decode_head(self._vfs.read(fd, HEAD_BYTES, 0), self._sid)
        finally:
            self._vfs.close(fd)

    def write(self, state: State) -> None:
        """Note the newest acknowledged turn; not synced, never ahead."""
        if self._file is None:
            exists = self._vfs.lstat(self._path) is not None
            self._file = OwnedFile(self._vfs.open(self._path, write=True, create=not exists))
        self._vfs.write(self._file.fd, encode_head(state, self._sid), 0)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
