"""Names that are to be on the disk: of a store, of the folders above it, of folders of sessions.

A name is there for every process as soon as it is given, and on the disk only when its folder was
synced. Whoever gave it may be killed in between; what the next process acknowledges would then be
lost with the name at a power cut. So whoever comes next can see that it is not synced, and does it.
"""

from __future__ import annotations

import errno
import os

from .errors import DurabilityLost, StorePermission
from .vfs import Vfs

UNSYNCED = "unsynced"
"""In tmp/ until the names of a store are on the disk; empty."""
# Folders above a store that cannot be synced: not by us, or not on their kind of file system.
_NEVER = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)


def leave_unsynced(vfs: Vfs, root: str) -> None:
    """Note that the names of a store are not on the disk, until `sync_names`."""
    path = os.path.join(root, "tmp", UNSYNCED)
    vfs.unlink(path)
    vfs.close(vfs.open(path, create=True))


def are_unsynced(vfs: Vfs, root: str) -> bool:
    """Whether whoever gave a store its names may not have synced them."""
    return vfs.lstat(os.path.join(root, "tmp", UNSYNCED)) is not None


def sync_names(vfs: Vfs, root: str) -> None:
    """Force a store's names, and those of the folders that were made for it, to the disk."""
    path = os.path.realpath(root)
    vfs.sync_dir(path)
    device = os.stat(path).st_dev
    while path != os.path.dirname(path):
        path = os.path.dirname(path)
        _sync_above(vfs, path)
        status = os.stat(path)
        # What was made for the store is ours, and on its file system.
        if status.st_uid != os.geteuid() or status.st_dev != device:
            break
    vfs.unlink(os.path.join(root, "tmp", UNSYNCED))


def _sync_above(vfs: Vfs, path: str) -> None:
    try:
        vfs.sync_dir(path)
    except StorePermission:
        pass
    except DurabilityLost as error:
        if getattr(error.__cause__, "errno", None) not in _NEVER:
            raise


def make_fan(vfs: Vfs, folder: str) -> str:
    """Make the folder that a session's `folder` goes to, with its name on the disk; returns it.

    The one above it is there: s/ of the store.
    """
    fan = os.path.dirname(folder)
    above = os.path.dirname(fan)
    # A name in a folder says that the folder's own name was synced first.
    if not vfs.list_dir(above):
        vfs.sync_dir(os.path.dirname(above))
    if vfs.lstat(fan) is None:
        vfs.make_dir(fan)
    if not vfs.list_dir(fan):
        vfs.sync_dir(above)
    return fan
