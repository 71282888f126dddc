"""reserve.bin: space that is given back when the disk is full, so that deleting still works.

Every deletion begins with writing: a transaction says what is to go. On a full disk that would
fail, and nothing could be removed to make room.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from .errors import StoreError, StoreFull
from .vfs import Vfs

_log = logging.getLogger(__name__)

NAME = "reserve.bin"
# A deletion writes some 20 pages of 8 KiB and the 32 KiB that SQLite's readers and writers share,
# forgetting a message of 10,000 tokens half as much again. Four times that, because others take of
# what is given back too; still no more than three new sessions take.
RESERVE_BYTES = 1 << 20

Result = TypeVar("Result")


class Reserve:
    """The reserve of the store in a directory."""

    def __init__(self, vfs: Vfs, root: str) -> None:
        self._vfs = vfs
        self._path = os.path.join(root, NAME)

    def keep(self) -> None:
        """Make it if it is missing; without space for it there is none until later."""
        status = self._vfs.lstat(self._path)
        if status is not None and status.st_size == RESERVE_BYTES:
            return
        try:
            self._make()
        except FileExistsError:
            return  # another process makes it
        except StoreError as error:
            _log.warning("no space is kept in reserve: %s", error)
            with suppress(StoreError):
                self._vfs.unlink(self._path)

    def _make(self) -> None:
        self._vfs.unlink(self._path)
        fd = self._vfs.open(self._path, create=True)
        try:
            self._vfs.allocate(fd, 0, RESERVE_BYTES)
        finally:
            self._vfs.close(fd)

    def used_by(self, action: Callable[[], Result]) -> Result:
        """Do something that frees space in the end; on a full disk, once more without the reserve.

        Args:
            action: leaves everything as it was when it raises StoreFull.

        Raises:
            StoreFull: the reserve was not enough, or is gone already.
        """
        try:
            return action()
        except StoreFull:
            if self._vfs.lstat(self._path) is None:
                raise
            self._vfs.unlink(self._path)
        return action()
