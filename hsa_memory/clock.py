"""What time it is, and whether that can be believed."""

from __future__ import annotations

import time

# Of the wall clock against one that nobody can set and that goes on while the machine sleeps.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_ALLOWED_SECONDS = 60.0


def _ahead() -> float:
    return time.time() - time.clock_gettime(_CLOCK)


_started = _ahead()


def is_steady() -> bool:
    """Whether the wall clock has gone on as it should since this process began.

    After a jump messages that seem to have expired are hidden, which the next jump can undo, and
    not removed.
    """
    return abs(_ahead() - _started) < _ALLOWED_SECONDS
