"""The one place where the store touches files of its own (SQLite's go through SQLite).

Tests inject faults by passing a subclass to `Store.open`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import repeat

from .errors import DurabilityLost, StoreError, StoreFull, StorePermission
from .mounts import filesystem_of

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.ELOOP)
# Not blocking: a pipe that nobody writes to would never open.
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# Linux guarantees 1024 buffers per call.
_MAX_BUFFERS = 1024
# Linux only; elsewhere the first try waits like the second.
_IF_CACHED = getattr(os, "RWF_NOWAIT", 0)


@contextmanager
def translated(action: str, path: str) -> Iterator[None]:
    """Turn an OSError into the store's own error; a missing file stays FileNotFoundError."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        raise _from_os_error(error, action, path) from error


def _from_os_error(error: OSError, action: str, path: str) -> StoreError:
    if error.errno in _FULL:
        return StoreFull(f"cannot {action} {path}: {error.strerror}. Free space and try again.")
    if error.errno == errno.EROFS:
        return StorePermission(
            f"cannot {action} {path}: {error.strerror}. Open it with read_only=True, or copy the "
            "store to a place that can be written."
        )
    if error.errno in _REFUSED:
        return StorePermission(f"cannot {action} {path}: {error.strerror}. Check its owner.")
    return StoreError(f"cannot {action} {path}: {error.strerror or error}")


class Vfs:
    """Files and directories by path, bytes by descriptor."""

    def open(self, path: str, *, write: bool = False, create: bool = False) -> int:
        """Open a regular file, never through a link; create means O_EXCL and mode 0600."""
        flags = _FLAGS | (os.O_RDWR if write or create else os.O_RDONLY)
        if create:
            flags |= os.O_CREAT | os.O_EXCL
        with translated("open", path):
            fd = os.open(path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise StorePermission(f"{path} is not a regular file; remove it and try again")
        return fd

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def size(self, fd: int) -> int:
        """Length of an open file in bytes."""
        return os.fstat(fd).st_size

    def read(self, fd: int, length: int, offset: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""
        parts = []
        with translated("read", f"descriptor {fd}"):
            while length > 0 and (part := os.pread(fd, length, offset)):
                parts.append(part)
                length -= len(part)
                offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_into(self, fd: int, buffers: Sequence[memoryview], offset: int) -> int:
        """Fill buffers from one contiguous range; returns the bytes read."""
        total = 0
        # Not `translated`: hundreds of small reads would feel a context manager each.
        try:
            for first in range(0, len(buffers), _MAX_BUFFERS):
                batch = list(buffers[first : first + _MAX_BUFFERS])
                while batch:
                    got = os.preadv(fd, batch, offset + total)
                    if got == 0:
                        return total
                    total += got
                    batch = _skip(batch, got)
        except OSError as error:
            raise _from_os_error(error, "read", f"descriptor {fd}") from error
        return total

    def read_rows(
        self, fds: Sequence[int], rows: Sequence[memoryview], offsets: Sequence[int]
    ) -> list[int]:
        """Fill many buffers, each from one range: of its descriptor, from its offset on.

        What lies in the page cache is copied first. The rest is announced to the kernel before it
        is waited for, so that the disk works on all of it at once.

        Returns:
            Places in `rows` of those whose range is not all inside its file.
        """
        # Nothing of Python's between the calls: for rows in the page cache it would cost as much.
        calls = map(os.preadv, fds, zip(rows), offsets, repeat(_IF_CACHED))
        lengths: list[int] = []
        while len(lengths) < len(rows):
            try:
                for length in calls:
                    lengths.append(length)
            except OSError:
                # Not in the cache, or a file system that cannot tell.
                lengths.append(-1)
        expected = list(map(len, rows))
        if lengths == expected:
            return []
        missed = [place for place, length in enumerate(lengths) if length != expected[place]]
        for place in missed:
            self.prefetch(fds[place], offsets[place], expected[place])
        return [
            place for place in missed if not self._fills(fds[place], rows[place], offsets[place])
        ]

    def _fills(self, fd: int, row: memoryview, offset: int) -> bool:
        return self.read_into(fd, [row], offset) == len(row)

    def prefetch(self, fd: int, offset: int, length: int) -> None:
        """Say that a range will be read soon, so that the disk works on many at once."""
        if hasattr(os, "posix_fadvise"):
            # A hint: whatever keeps it from being followed shows when the range is read.
            with suppress(OSError):
                os.posix_fadvise(fd, offset, length, os.POSIX_FADV_WILLNEED)

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        """Write all of data at offset."""
        view = memoryview(data)
        with translated("write", f"descriptor {fd}"):
            while len(view):
                done = os.pwrite(fd, view, offset)
                view = view[done:]
                offset += done

    def allocate(self, fd: int, offset: int, length: int) -> None:
        """Reserve a range on disk, so that a full disk shows here and not in mid-write."""
        with translated("allocate", f"descriptor {fd}"):
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, offset, length)
            elif offset + length > os.fstat(fd).st_size:
                os.ftruncate(fd, offset + length)

    def extend(self, fd: int, length: int) -> None:
        """Make a file longer with a hole; never shorter."""
        with translated("extend", f"descriptor {fd}"):
            if length > os.fstat(fd).st_size:
                os.ftruncate(fd, length)

    def sync(self, fd: int, *, data_only: bool = False) -> None:
        """Force a file to the disk; a failure is DurabilityLost and must not be retried."""
        try:
            if sys.platform == "darwin":
                fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            elif data_only:
                os.fdatasync(fd)
            else:
                os.fsync(fd)
        except OSError as error:
            raise DurabilityLost(
                f"fsync failed ({error.strerror}); close the session and open it again to see "
                "what reached the disk"
            ) from error

    def sync_dir(self, path: str) -> None:
        """Force a directory's entries to the disk."""
        with translated("open", path):
            # A store may be reached by a link; to sync what it leads to does no harm.
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _FLAGS & ~os.O_NOFOLLOW)
        try:
            self.sync(fd)
        finally:
            os.close(fd)

    def make_dir(self, path: str, *, parents: bool = False) -> None:
        """Create a directory with mode 0700, and on demand those above it."""
        with translated("create", path):
            if parents:
                os.makedirs(os.path.dirname(path), exist_ok=True)
            os.mkdir(path, 0o700)

    def ensure_dir(self, path: str) -> None:
        """Create a directory if it is missing; the one above it must be there."""
        try:
            self.make_dir(path)
        except FileExistsError:
            return
        except FileNotFoundError as error:
            above = os.path.dirname(path)
            raise StoreError(f"cannot create {path}: {above} is missing") from error

    def list_dir(self, path: str) -> list[str]:
        """Names in a directory, sorted."""
        with translated("list", path):
            return sorted(os.listdir(path))

    def lstat(self, path: str) -> os.stat_result | None:
        """File status without following links, or None if there is nothing."""
        with translated("look at", path):
            try:
                return os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def filesystem(self, path: str) -> str:
        """Kind of the file system that holds a path, as the kernel calls it; "" if unknown."""
        return filesystem_of(path)

    def rename(self, old: str, new: str) -> None:
        """Move a file or directory, replacing a file at the target."""
        with translated("rename", old):
            os.replace(old, new)

    def unlink(self, path: str) -> None:
        """Remove a file; a missing one is fine."""
        with translated("remove", path):
            try:
                os.unlink(path)
            except FileNotFoundError:
                return

    def remove_tree(self, path: str) -> None:
        """Remove a directory and what is in it; links are removed, not followed."""
        status = self.lstat(path)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            self.unlink(path)
            return
        # Somebody else may be removing it too.
        with suppress(FileNotFoundError):
            for name in self.list_dir(path):
                self.remove_tree(os.path.join(path, name))
            with translated("remove", path):
                os.rmdir(path)

    def try_lock(self, fd: int) -> bool:
        """Take an exclusive flock if it is free."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _skip(buffers: list[memoryview], done: int) -> list[memoryview]:
    """What is left of buffers once their first `done` bytes are filled."""
    for i, buffer in enumerate(buffers):
        if done < len(buffer):
            return [buffer[done:], *buffers[i + 1 :]]
        done -= len(buffer)
    return []
