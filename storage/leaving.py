"""Leaving a `with` block: what went wrong inside counts, not what closing then meets."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .errors import StoreError

_log = logging.getLogger(__name__)


def close_after(
    error: BaseException | None, close: Callable[[], None], kind: type[Exception] = StoreError
) -> None:
    """Call `close`; if the block raised `error`, a `kind` that closing raises is only logged."""
    try:
        close()
    except kind as second:
        if error is None:
            raise
        _log.warning("closing failed after %s: %s", type(error).__name__, second)
