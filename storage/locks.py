"""flock files: one writer per session, one writer of the catalog.

flock and not fcntl locks, because those vanish when an unrelated descriptor of the file is
closed. A child of a fork inherits the descriptor and with it the lock, so it closes it at once.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from .errors import StoreLocked
from .files import OwnedFile
from .vfs import Vfs

_POLL_SECONDS = 0.005
_WAIT_SECONDS = 10.0
_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


class Lock(Protocol):
    """The right to write, until it is released."""

    def release(self) -> None:
        """Free the lock; a second call does nothing."""


class FileLock(OwnedFile):
    """An open lock file; its lock is held until `release`, or to the end of the process.

    Args:
        fd: descriptor of the file; this object's from now on.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        _held.add(self)

    def take(self, vfs: Vfs) -> bool:
        """Lock the file if nobody else holds it."""
        return vfs.try_lock(self.fd)

    def release(self) -> None:
        """Free the lock; a second call does nothing."""
        self.close()


def try_lock(vfs: Vfs, path: str) -> FileLock | None:
    """Take a lock if nobody holds it. The file, and its folder, are created and never removed."""
    try:
        fd = vfs.open(path, write=True)
    except FileNotFoundError:
        vfs.ensure_dir(os.path.dirname(path))
        try:
            fd = vfs.open(path, create=True)
        except FileExistsError:
            fd = vfs.open(path, write=True)
    lock = FileLock(fd)
    if lock.take(vfs):
        return lock
    lock.release()
    return None


def lock_within(vfs: Vfs, path: str, seconds: float) -> FileLock | None:
    """As `try_lock`, but wait so long for whoever holds it."""
    deadline = time.monotonic() + seconds
    while (lock := try_lock(vfs, path)) is None:
        if time.monotonic() > deadline:
            return None
        time.sleep(_POLL_SECONDS)
    return lock


def catalog_lock(vfs: Vfs, root: str) -> AbstractContextManager[None]:
    """Hold the lock of a store's catalog for the length of a block; raises StoreLocked."""
    return _waited_for(vfs, os.path.join(root, "locks", "catalog.lock"))


def branch_lock(vfs: Vfs, root: str, session_id: str) -> AbstractContextManager[None]:
    """Hold the lock under which a session gets forks, and forgets turns; raises StoreLocked."""
    return _waited_for(vfs, os.path.join(root, "locks", f"b-{session_id}.lock"))


@contextmanager
def _waited_for(vfs: Vfs, path: str) -> Iterator[None]:
    lock = lock_within(vfs, path, _WAIT_SECONDS)
    if lock is None:
        raise StoreLocked(f"{path} is held by another process for {_WAIT_SECONDS:g} s; try again")
    try:
        yield
    finally:
        lock.release()


def _release_in_child() -> None:
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)
