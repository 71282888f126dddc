"""The log of a database is emptied for good, and nobody's locks are lost by that."""

import os
import subprocess
import sys
from pathlib import Path

from hsa_memory.storage import Vfs
from hsa_memory.storage.log_files import settle_log

# Of another process: locks of one's own are not in one's way. Those that are free are printed.
_TRY = """
import fcntl, sys
for path in sys.argv[1:]:
    with open(path, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            print(path)
        except OSError:
            pass
"""


def free(*paths: Path) -> list[str]:
    """Those of some files on which nobody else holds a lock."""
    command = [sys.executable, "-I", "-S", "-c", _TRY, *map(str, paths)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_settling_the_log_keeps_the_locks_of_sqlite(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(0)])
    database = Path(session.folder) / "session.db"
    files = [database, Path(f"{database}-shm")]
    assert free(*files) == []
    settle_log(Vfs(), str(database))
    assert free(*files) == []
    # What must never be done to it while SQLite has it open.
    os.close(os.open(database, os.O_RDONLY))
    assert free(*files) == [str(database)]


def test_sqlite_holds_no_lock_on_the_log(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(0)])
    log = Path(session.folder) / "session.db-wal"
    assert log.stat().st_size > 0
    assert free(log) == [str(log)]
    with session._truth.database.write():
        assert free(log) == [str(log)]


class Syncs(Vfs):
    """Inodes of what was synced."""

    def __init__(self) -> None:
        self.synced: list[int] = []

    def sync(self, fd: int, *, data_only: bool = False) -> None:
        self.synced.append(os.fstat(fd).st_ino)
        super().sync(fd, data_only=data_only)


def test_a_log_that_is_away_has_its_name_synced(tmp_path: Path) -> None:
    vfs, log, folder = Syncs(), tmp_path / "session.db-wal", tmp_path.stat().st_ino
    settle_log(vfs, str(tmp_path / "session.db"))
    assert vfs.synced == [folder]
    log.write_bytes(b"")
    settle_log(vfs, str(tmp_path / "session.db"))
    assert vfs.synced == [folder, log.stat().st_ino, folder]
