"""Numbers, ages and excerpts as short text; the command line, the REPL and the demo share them."""

from __future__ import annotations

import re

_AGE_UNITS = (
    ("year", 365 * 86400.0),
    ("month", 30 * 86400.0),
    ("day", 86400.0),
    ("hour", 3600.0),
    ("minute", 60.0),
)
_EIGHTHS = " ▏▎▍▌▋▊▉█"
# Terminal control sequences and other control characters: stored text must not move the cursor.
_CONTROL = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)|[\x00-\x1f\x7f-\x9f]"
)


def age(timestamp: float, now: float) -> str:
    """Return how long ago a time was, for example "3 days ago"; both in Unix seconds."""
    passed = now - timestamp
    suffix, passed = ("ago", passed) if passed >= 0 else ("from now", -passed)
    for unit, seconds in _AGE_UNITS:
        if passed >= seconds:
            count = int(passed / seconds)
            return f"{count} {unit}{'' if count == 1 else 's'} {suffix}"
    return "just now"


def bar(share: float, width: int = 8) -> str:
    """Return a share from 0 to 1 as a bar of `width` characters."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def plain(text: str) -> str:
    """Return text on one line, without control characters or escape sequences."""
    return " ".join(_CONTROL.sub(" ", text).split())


def safe(text: str) -> str:
    """Return text that keeps its lines and tabs, but no other control character."""
    return _CONTROL.sub(lambda match: match[0] if match[0] in "\n\t" else "", text)


def excerpt(text: str, start: int = 0, stop: int = 0, width: int = 72) -> str:
    """Return at most `width` characters of a text on one line, around text[start:stop]."""
    line_start = len(plain(text[:start]))
    line = plain(text)
    if len(line) <= width:
        return line
    room = max(width - 2, 1)
    middle = line_start + min(max(stop - start, 0), room) // 2
    begin = min(max(middle - room // 2, 0), len(line) - room)
    piece = line[begin : begin + room]
    return ("…" if begin else "") + piece.strip() + ("…" if begin + room < len(line) else "")


def count(value: float) -> str:
    """Return a whole number with thousands separated, for example "131,072"."""
    return f"{round(value):,}"


def size(num_bytes: float) -> str:
    """Return bytes in the unit that suits them, for example "12.4 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(num_bytes) < 1000:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"


def duration(seconds: float) -> str:
    """Return seconds in the unit that suits them, for example "12.3 ms"."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min"
