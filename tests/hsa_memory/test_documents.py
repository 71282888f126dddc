"""Files become messages whole, bounded, and with ids that a second run knows again."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsa_memory.documents import MESSAGE_CHARS, FileMessage, read_messages
from hsa_memory.errors import InvalidMessage


def read(data: bytes, **options: str) -> list[FileMessage]:
    return list(read_messages(io.BytesIO(data), **{"format": "text", **options}))  # type: ignore[arg-type]


def test_short_paragraphs_share_a_message() -> None:
    (message,) = read(b"One.\n\n\n\nTwo.\nStill two.\n")
    assert (message.role, message.content) == ("document", "One.\n\nTwo.\nStill two.")
    assert message.end == 24


@given(st.lists(st.text("ab. \n", min_size=1, max_size=4000), max_size=6))
def test_messages_are_bounded_and_keep_every_word(parts: list[str]) -> None:
    text = "\n\n".join(parts)
    messages = read(text.encode())
    assert all(0 < len(m.content) <= MESSAGE_CHARS and m.content.strip() for m in messages)
    kept = "".join("".join(m.content.split()) for m in messages)
    assert kept == "".join(text.split())


def test_a_long_paragraph_is_cut_after_a_sentence() -> None:
    sentence = "This sentence is forty characters long. "
    messages = read((sentence * 200).encode())
    assert len(messages) > 3
    assert all(m.content.endswith("long.") for m in messages)


def test_a_cut_inside_much_space_leaves_no_blank_message() -> None:
    assert [m.content for m in read(b"a" + b" " * 9000 + b"b")] == ["a", "b"]


def test_a_line_without_end_is_cut_too() -> None:
    messages = read(b"x" * 100_000)
    assert sum(len(m.content) for m in messages) == 100_000
    assert max(len(m.content) for m in messages) == MESSAGE_CHARS


def test_characters_survive_the_bounded_reads() -> None:
    text = "é€😀" * 20_000
    assert "".join(m.content for m in read(text.encode())) == text


def test_bytes_that_are_not_utf8_are_shown() -> None:
    (message,) = read(b"caf\xe9 noir")
    assert message.content == "caf\\xe9 noir"
    (message,) = read(b"caf\xe9 noir", encoding="latin-1")
    assert message.content == "café noir"


def test_a_byte_order_mark_and_windows_lines_are_read() -> None:
    messages = read(b"\xef\xbb\xbfOne.\r\n\r\nTwo.\r\n")
    assert [m.content for m in messages] == ["One.\n\nTwo."]


def test_ids_depend_on_what_came_before_only() -> None:
    page = b"A page. " * 400 + b"\n\n"
    first, grown = read(page * 4), read(page * 6)
    assert [m.id for m in grown[: len(first)]] == [m.id for m in first]
    assert len({m.id for m in grown}) == len(grown)
    assert read(b"Other.\n\n" + page)[1].id != first[0].id


def test_ids_tell_times_metadata_and_sources_apart() -> None:
    line = b'{"role": "user", "content": "Hi"%s}\n'
    extras = [b"", b', "timestamp": 1', b', "timestamp": 2', b', "metadata": {"a": 1}']
    ids = [read(line % extra, format="jsonl")[0].id for extra in extras]
    ids += [read(line % b"", format="jsonl", source=name)[0].id for name in ("a", "b")]
    assert len(set(ids)) == len(ids)


def test_json_lines_give_role_content_and_more() -> None:
    lines = (
        b'{"role": "user", "content": "Hi", "id": "a", "timestamp": 5, "metadata": {"x": 1}}\n'
        b"\n"
        b'{"role": "assistant", "content": "Hello", "name": "ignored"}\n'
    )
    first, second = read(lines, format="jsonl")
    assert first.to_dict() == {
        "id": "a",
        "role": "user",
        "content": "Hi",
        "timestamp": 5,
        "metadata": {"x": 1},
    }
    assert second.to_dict() == {"id": second.id, "role": "assistant", "content": "Hello"}
    assert second.end == len(lines)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[1]",
        b"[" * 100_000,
        b'{"role": "user"}',
        b'{"role": 1, "content": "x"}',
        b'{"role": "\xff"}',
        b'{"role": "user", "content": " "}',
        b'{"role": "robot", "content": "x"}',
        b'{"role": "user", "content": "x", "timestamp": "today"}',
    ],
)
def test_a_bad_json_line_is_named(line: bytes) -> None:
    with pytest.raises(InvalidMessage, match="line 2"):
        read(b'{"role": "user", "content": "fine"}\n' + line + b"\n", format="jsonl")


def test_an_empty_file_has_no_messages() -> None:
    assert read(b"") == read(b"\n \n\n") == read(b"", format="jsonl") == []
