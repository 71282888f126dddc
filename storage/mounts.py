"""Which kind of file system holds a path, and whether it is full."""

from __future__ import annotations

import os
import re

_TABLE = "/proc/self/mountinfo"
# Two pieces of the memory that readers and writers of SQLite share.
_NEEDED_BYTES = 64 << 10
_ESCAPED = re.compile(r"\\([0-7]{3})")


def filesystem_of(path: str) -> str:
    """The kind as the kernel calls it ("ext4", "nfs4", "fuse.sshfs"); "" where it does not say.

    Args:
        path: a file or folder; of a missing one, what is above it decides.
    """
    place = os.path.realpath(path)
    while not os.path.lexists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    try:
        device = os.stat(place).st_dev
        with open(_TABLE, encoding="utf-8", errors="surrogateescape") as table:
            mounts = [_parsed(line) for line in table]
    except OSError:
        return ""
    number = f"{os.major(device)}:{os.minor(device)}"
    # The last mount of a device or a place is the one that is seen.
    same = [kind for found, _, kind in mounts if found == number]
    if same:
        return same[-1]
    # Parts of one disk may have numbers of their own.
    above = [(len(point), i) for i, (_, point, _) in enumerate(mounts) if _holds(point, place)]
    return mounts[max(above)[1]][2] if above else ""


def is_full(path: str) -> bool:
    """Whether the disk that holds a file has no space for SQLite's work."""
    try:
        free = os.statvfs(os.path.dirname(os.path.abspath(path)))
    except OSError:
        return False
    return free.f_bavail * free.f_frsize < _NEEDED_BYTES


def _parsed(line: str) -> tuple[str, str, str]:
    """(device, mount point, kind) of a line of the table."""
    fields = line.split(" ")
    point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4])
    return fields[2], point, fields[fields.index("-") + 1]


def _holds(point: str, place: str) -> bool:
    return place == point or place.startswith(point.rstrip("/") + "/")
