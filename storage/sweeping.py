"""Finishing what an earlier process left undone."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from .catalog import Catalog
from .errors import StoreFull
from .locks import try_lock
from .staging import sweep_leftover
from .vfs import Vfs

_log = logging.getLogger(__name__)


def sweep(vfs: Vfs, root: str, catalog: Catalog, finish: Callable[[str], None]) -> None:
    """Finish deletions and empty tmp and trash, if something is there and nobody is busy.

    Args:
        finish: removes what is left of a session whose deletion was decided.
    """
    folders = [os.path.join(root, name) for name in ("tmp", "trash")]
    leftovers = [os.path.join(folder, x) for folder in folders for x in _names(vfs, folder)]
    if not leftovers:
        return
    lock = try_lock(vfs, os.path.join(root, "locks", "catalog.lock"))
    if lock is None:
        return
    try:
        for session_id in catalog.deleted_ids():
            finish(session_id)
        for path in leftovers:
            sweep_leftover(vfs, root, path, catalog)
    except StoreFull as error:
        # What is there can be read all the same, and deleted.
        _log.warning("%s: unfinished deletions stay for now: %s", root, error)
    finally:
        lock.release()


def _names(vfs: Vfs, folder: str) -> list[str]:
    try:
        return vfs.list_dir(folder)
    except FileNotFoundError:
        return []
