"""Whether a place is fit for a store: on a local file system, owned by us, closed to others."""

from __future__ import annotations

import os

from .errors import StorePermission, UnsafeFilesystem
from .vfs import Vfs

# A store needs locks that every process sees, and SQLite's log needs memory that they share.
_REMOTE = {
    "acfs",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fhgfs",
    "fuse",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "ocfs2",
    "orangefs",
    "pvfs2",
    "smb3",
    "smbfs",
}


def is_remote(kind: str) -> bool:
    """Whether a kind of file system may be shared with other machines.

    Args:
        kind: as the kernel calls it, for example "ext4", "nfs4", "fuse.sshfs"; "" is unknown.
    """
    family = kind.split(".")[0].lower()
    return family in _REMOTE or family.rstrip("234") in _REMOTE


def require_safe(
    vfs: Vfs, root: str, *, read_only: bool, allow_network_files: bool = False
) -> None:
    """Refuse a place where a store could not be kept safe; the folder may be missing still.

    Raises:
        StorePermission: everybody may write to the folder, or another user owns the store.
        UnsafeFilesystem: it is to be written, and may lie on another machine.
    """
    status = vfs.lstat(os.path.realpath(root))
    if status is not None and status.st_mode & 0o002:
        raise StorePermission(f"{root} is writable by everybody; run chmod o-w on it")
    if read_only:
        return
    marker, user = vfs.lstat(os.path.join(root, "STORE")), os.geteuid()
    if marker is not None and marker.st_uid != user:
        raise StorePermission(
            f"the store in {root} belongs to user {marker.st_uid}, this process is user {user}: "
            "files it writes would be closed to the owner. Run it as the owner, change the owner "
            "of all files, or open it with read_only=True"
        )
    kind = "" if allow_network_files else vfs.filesystem(root)
    if is_remote(kind):
        raise UnsafeFilesystem(
            f"{root} lies on a file system of kind {kind!r}, which other machines may share: their "
            "locks and writes need not be seen here, and turns could be lost. Keep the store on a "
            "local disk, open it with read_only=True, or, if no other machine ever writes to it, "
            "with allow_network_files=True"
        )
