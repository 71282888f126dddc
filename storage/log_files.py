"""The log of an SQLite database as a file: emptied for good."""

from __future__ import annotations

import os
from contextlib import suppress

from .vfs import Vfs


def settle_log(vfs: Vfs, path: str) -> None:
    """Have the log of a database stay emptied, or away, whatever becomes of the machine.

    SQLite cuts it to nothing, or removes it, and does not sync that: a power cut would bring its
    old pages back, and what they say.

    Args:
        path: of the database.

    Raises:
        DurabilityLost: it may come back.
    """
    # Whoever closes a descriptor loses all POSIX locks that the process has on that file. SQLite
    # takes its locks on the database, which is therefore not opened here, and on its -shm; never on
    # the log: unixOpen() gives locks to files of the kind SQLITE_OPEN_MAIN_DB alone, and those who
    # read and write the log lock bytes of the -shm.
    with suppress(FileNotFoundError):
        fd = vfs.open(path + "-wal", write=True)
        try:
            vfs.sync(fd)
        finally:
            vfs.close(fd)
    # The name too: who closes a database last removes its log.
    vfs.sync_dir(os.path.dirname(path))
