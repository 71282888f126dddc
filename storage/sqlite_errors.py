"""What SQLite complains about, as the store's errors."""

from __future__ import annotations

import os
import sqlite3

from .errors import (
    CorruptMetadata,
    DurabilityLost,
    StoreError,
    StoreFull,
    StoreLocked,
    StorePermission,
)
from .mounts import is_full


def typed_error(path: str, error: BaseException | None, action: str) -> Exception:
    """The store's error for one of SQLite's."""
    text = str(error)
    where = f"cannot {action} {path}: {text}"
    cramped = action != "write" and "disk I/O error" in text and is_full(path)
    if cramped or "is full" in text:
        return StoreFull(f"{where}. Free space and try again.")
    if "unable to open" in text and _is_missing(path):
        return CorruptMetadata(f"{path} is missing. Run check, or restore a backup.")
    if "unable to open" in text and os.access(path, os.W_OK):
        return StoreError(f"{where}. The disk is full or fails; make space and try again.")
    if "readonly" in text or "unable to open" in text:
        return StorePermission(f"{where}. Check who owns it.")
    if "locked" in text or "busy" in text:
        return StoreLocked(f"{where}. Another program holds the database open.")
    if action == "write" and type(error) is sqlite3.OperationalError:
        return DurabilityLost(f"{where}. Close the session and open it again.")
    return CorruptMetadata(f"{where}. Run check.")


def _is_missing(path: str) -> bool:
    """Whether a file is not there, and not only out of our reach."""
    folder = os.path.dirname(path)
    while folder != os.path.dirname(folder) and not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return os.access(folder, os.X_OK) and not os.path.exists(path)
