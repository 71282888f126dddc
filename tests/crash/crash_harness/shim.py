"""Building shim.c, and talking to it inside a process that has it preloaded."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

_SOURCE = Path(__file__).with_name("shim.c")


def missing() -> str:
    """Why there can be no shim here, or nothing."""
    if sys.platform != "linux":
        return "the shim preloads functions of Linux"
    return "" if _compiler() else "there is no C compiler (cc, gcc or clang)"


def _compiler() -> str | None:
    named = [os.environ["CC"]] if os.environ.get("CC") else []
    return next(filter(None, map(shutil.which, [*named, "cc", "gcc", "clang"])), None)


def build(folder: Path) -> Path:
    """Compile the shim into a folder; returns the library."""
    library = folder / "crash_shim.so"
    command = [_compiler() or "cc", "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    return library


class Mode(IntEnum):
    """What becomes of the operation that a shim is armed for."""

    WATCH = 0
    KILL = 1
    FAIL = 2
    FAIL_FROM_HERE = 3
    FAIL_AND_DIE = 4


class Shim:
    """The library as it is loaded in this process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.crash_arm.argtypes = [
            ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int,
        ]  # fmt: skip

    def arm(self, folder: Path, log: Path, mode: Mode = Mode.WATCH, at: int = -1, error: int = 0):
        """Log what happens below a folder; let something happen at operation `at`."""
        if self._library.crash_arm(os.fsencode(folder), os.fsencode(log), mode, at, error):
            raise OSError(f"cannot write {log}")

    def note(self, line: str) -> None:
        """Put a line into the log."""
        self._library.crash_note(line.encode())

    def heal(self) -> None:
        """No faults from here on."""
        self._library.crash_heal()

    def without_sync(self) -> None:
        """Make fsync return at once in this process."""
        self._library.crash_without_sync()
