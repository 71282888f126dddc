"""Names inside a store; only our own hex and fixed words, never a user's string."""

from __future__ import annotations

import os


def session_folder(root: str, session_id: str) -> str:
    """Directory of a session, fanned out by the first two digits of its id."""
    return os.path.join(root, "s", session_id[:2], session_id)


def generation_folder(folder: str, gen: int) -> str:
    """Directory of a generation's derived files."""
    return os.path.join(folder, f"g{gen}")
