"""Names inside a store; only our own hex and fixed words, never a user's string."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .errors import NotAFolder
from .vfs import Vfs

_HEX = set("0123456789abcdef")


def require_folder(root: str) -> None:
    """Raise NotAFolder if a file takes a store's place, or stands above it."""
    place = root
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        raise NotAFolder(
            f"path must be a folder, or a place where one can be made; {place!r} is a file"
        )


def session_folder(root: str, session_id: str) -> str:
    """Directory of a session, fanned out by the first two digits of its id."""
    return os.path.join(root, "s", session_id[:2], session_id)


def session_ids(vfs: Vfs, root: str) -> Iterator[str]:
    """Ids of all sessions that have a directory, whatever the catalog says."""
    base = os.path.join(root, "s")
    for fan in _folders(vfs, base):
        for name in _folders(vfs, os.path.join(base, fan)):
            if len(name) == 32 and set(name) <= _HEX:
                yield name


def _folders(vfs: Vfs, path: str) -> list[str]:
    names = vfs.list_dir(path) if os.path.isdir(path) else []
    return [name for name in names if os.path.isdir(os.path.join(path, name))]


def generation_folder(folder: str, gen: int) -> str:
    """Directory of a generation's derived files."""
    return os.path.join(folder, f"g{gen}")


def file_id(path: str) -> tuple[int, int] | None:
    """Which file a path names now: another one once it is replaced; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
