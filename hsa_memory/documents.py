"""Files as messages: paragraphs or JSON lines, with ids that survive a re-run."""

from __future__ import annotations

import codecs
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

from .errors import InvalidMessage
from .messages import make_draft

Format = Literal["text", "jsonl"]

MESSAGE_CHARS = 2_000
"""Characters a message cut from a text file has at most."""

# Lines are read in pieces of this size: a file without line breaks must not become one string.
_READ_BYTES = 1 << 14

# Where an overlong paragraph may be cut, best first: after a sentence, between words.
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s")
_SPACE = re.compile(r"\s")


@dataclass(frozen=True, kw_only=True)
class FileMessage:
    """One message read from a file."""

    id: str
    """The same for the same message after the same beginning of a file, whatever the file's name;
    `timestamp` and `metadata` count as parts of messages."""
    role: str
    content: str
    end: int
    """Bytes of the file read when this message was complete."""
    extra: dict[str, Any] = field(default_factory=dict)
    """`timestamp` and `metadata`, where a JSON line gives them."""

    def to_dict(self) -> dict[str, Any]:
        """Return the message in the shape that `MemorySession.add_messages` takes."""
        return {"id": self.id, "role": self.role, "content": self.content, **self.extra}


def read_messages(
    file: BinaryIO, *, format: Format, encoding: str = "utf-8", source: str = ""
) -> Iterator[FileMessage]:
    """Yield the messages of a file, reading only as far as needed.

    Args:
        file: the bytes.
        format: "text": paragraphs become messages of role document and at most `MESSAGE_CHARS`
            characters. "jsonl": each line is an object with role, content and perhaps id,
            timestamp, metadata.
        encoding: of a "text" file; a byte that it cannot decode is kept as `\\xNN`. JSON lines are
            always UTF-8.
        source: part of the ids; another one makes other messages of the same content.

    Raises:
        InvalidMessage: if a line of a "jsonl" file is not such an object, or not one that can be
            stored; it names the line.
    """
    records = _read_json_lines(file) if format == "jsonl" else _read_text(file, encoding)
    chain = hashlib.sha256(source.encode("utf-8", "surrogatepass"))
    for role, content, end, extra in records:
        # The id covers all that came before: the same text later in the file is another message,
        # and a file that has grown since gives the old part its old ids.
        chain.update(f"{role}\0{len(content)}\0{content}".encode("utf-8", "surrogatepass"))
        given = extra.pop("id", None)
        if extra:
            chain.update(json.dumps(extra, sort_keys=True).encode())
        name = given if given is not None else f"file-{chain.hexdigest()[:24]}"
        yield FileMessage(id=name, role=role, content=content, end=end, extra=extra)


_Record = tuple[str, str, int, dict[str, Any]]


def _read_text(file: BinaryIO, encoding: str) -> Iterator[_Record]:
    pending, end = "", 0
    for paragraph, paragraph_end in _paragraphs(file, encoding):
        if pending and len(pending) + 2 + len(paragraph) > MESSAGE_CHARS:
            yield "document", pending, end, {}
            pending = ""
        pending = f"{pending}\n\n{paragraph}" if pending else paragraph
        end = paragraph_end
        while len(pending) > MESSAGE_CHARS:
            piece, pending = _cut(pending)
            yield "document", piece, end, {}
    if pending:
        yield "document", pending, end, {}


def _paragraphs(file: BinaryIO, encoding: str) -> Iterator[tuple[str, int]]:
    """Yield the paragraphs, without the empty lines between them, and the bytes read so far."""
    lines: list[str] = []
    held = end = 0
    for line, end in _lines(file, encoding):
        if line.strip():
            lines.append(line)
            held += len(line)
        if lines and (not line.strip() or held > _READ_BYTES):
            yield "".join(lines).rstrip(), end
            lines, held = [], 0
    if lines:
        yield "".join(lines).rstrip(), end


def _lines(file: BinaryIO, encoding: str) -> Iterator[tuple[str, int]]:
    """Yield lines, or pieces of overlong ones, and the bytes read so far."""
    # Incremental: a bounded read may end inside a character.
    decoder = codecs.getincrementaldecoder(encoding)("backslashreplace")
    end = 0
    for raw in itertools.chain(_raw_lines(file, _READ_BYTES), [b""]):
        first, end = not end, end + len(raw)
        try:
            text = decoder.decode(raw, final=not raw)
        except UnicodeError as error:
            # Some encodings do not know how to replace what they cannot decode.
            raise InvalidMessage(
                f"the file is not {encoding} before byte {end}: {error}; choose another encoding"
            ) from error
        if "\0" in text and end <= _READ_BYTES:
            raise InvalidMessage(
                f"the file has zero characters at its beginning: it is binary, or not {encoding}; "
                "expected text, or another choice of encoding"
            )
        yield (text.removeprefix("\ufeff") if first else text).replace("\r\n", "\n"), end


def _raw_lines(file: BinaryIO, limit: int = -1) -> Iterator[bytes]:
    """Yield lines, or pieces of at most `limit` bytes."""
    while True:
        try:
            raw = file.readline(limit)
        except OSError as error:
            raise InvalidMessage(
                f"the file cannot be read to its end ({error.strerror}); once it can, add it "
                "again: what is stored already is skipped"
            ) from error
        if not raw:
            return
        yield raw


def _cut(text: str) -> tuple[str, str]:
    """Split off a beginning of at most `MESSAGE_CHARS` characters at the best place."""
    for boundary in (_SENTENCE_END, _SPACE):
        ends = [m.end() for m in boundary.finditer(text, MESSAGE_CHARS // 2, MESSAGE_CHARS)]
        if ends:
            return text[: ends[-1]].rstrip(), text[ends[-1] :].lstrip()
    return text[:MESSAGE_CHARS], text[MESSAGE_CHARS:]


def _read_json_lines(file: BinaryIO) -> Iterator[_Record]:
    end = 0
    for number, raw in enumerate(_raw_lines(file), start=1):
        end += len(raw)
        if not raw.strip():
            continue
        try:
            record = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
        except (ValueError, RecursionError) as error:
            raise InvalidMessage(f"line {number} is not JSON in UTF-8: {error}") from error
        role, content = _checked_record(record, number)
        yield role, content, end, _extra(record)


def _checked_record(record: Any, number: int) -> tuple[str, str]:
    if not isinstance(record, dict):
        raise InvalidMessage(
            f"line {number} must be an object with role and content, "
            f'for example {{"role": "user", "content": "Hello"}}; found {record!r:.80}'
        )
    for key in ("role", "content"):
        if not isinstance(record.get(key), str):
            raise InvalidMessage(
                f"line {number}: {key!r} must be a string; found {record.get(key)!r:.80}"
            )
    fields = {key: record.get(key) for key in ("id", "timestamp", "metadata")}
    try:
        make_draft(record["role"], record["content"], **fields)
    except InvalidMessage as error:
        raise InvalidMessage(f"line {number}: {error}") from error
    return record["role"], record["content"]


def _extra(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("id", "timestamp", "metadata") if key in record}
