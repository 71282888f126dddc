"""Ages, bars and excerpts read well and carry no control characters."""

import pytest

from hsa_memory.text_view import age, bar, duration, excerpt, plain, safe, size

DAY = 86400.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (3 * DAY + 5, "3 days ago"),
        (45 * DAY, "1 month ago"),
        (800 * DAY, "2 years ago"),
        (-2 * DAY, "2 days from now"),
    ],
)
def test_age(seconds: float, text: str) -> None:
    assert age(1e9 - seconds, 1e9) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "    "), (1, "████"), (0.5, "██  "), (0.03125, "▏   "), (7, "████")]
)
def test_bar(share: float, text: str) -> None:
    assert bar(share, 4) == text


def test_stored_text_cannot_steer_the_terminal() -> None:
    hostile = "a\x1b[2Jb\x1b]0;title\x07c\x9b31md\ne"
    assert plain(hostile) == "a b c 31md e"
    assert "\x1b" not in safe(hostile)
    assert "\x9b" not in safe(hostile)
    assert safe("line\n\tindented") == "line\n\tindented"


def test_an_excerpt_shows_the_part_that_was_found() -> None:
    text = "before " * 50 + "HERE" + " after" * 50
    start = text.index("HERE")
    piece = excerpt(text, start, start + 4, 40)
    assert "HERE" in piece
    assert len(piece) <= 40
    assert piece[0] == piece[-1] == "…"
    assert excerpt("short\ntext", 0, 5, 40) == "short text"
    assert excerpt(text, 0, len(text), 40).startswith("before")


def test_units() -> None:
    assert [size(n) for n in (12, 12_400, 3_000_000_000_000)] == ["12 B", "12.4 kB", "3.0 TB"]
    assert [duration(s) for s in (0.0123, 12.34, 600)] == ["12.3 ms", "12.3 s", "10 min"]
