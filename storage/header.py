"""The 4096-byte header page that opens every file of ours except head.bin.

The first 12 bytes (magic, version) and the last 8 (checksum) keep their place in every
version of the format, so a damaged page is never taken for a newer one.
"""

from __future__ import annotations

import struct
from typing import Any

from .checksums import xxh3
from .errors import CorruptMetadata, FormatTooNew, FormatTooOld
from .maps import pack_map, unpack_map

HEADER_BYTES = 4096
VERSION_MAJOR = 2
VERSION_MINOR = 0
# Older versions that are read, and brought up to ours when they are opened for writing.
OLDEST_MAJOR = 1
_FIXED = struct.Struct("<10sHI")
_SUM = struct.Struct("<Q")
_MAX_BODY = HEADER_BYTES - _FIXED.size - _SUM.size

KINDS = {"store": b"ST", "kv": b"KV", "landmarks": b"LM", "tail": b"TL", "chunks": b"CH"}


def magic(kind: str) -> bytes:
    """The 10 magic bytes of a kind of file."""
    return b"\x89HSA" + KINDS[kind] + b"\r\n\x1a\n"


def encode_header(kind: str, fields: dict[str, Any]) -> bytes:
    """One header page."""
    body = pack_map(fields, "header")
    if len(body) > _MAX_BODY:
        raise ValueError(f"header of {len(body)} bytes does not fit; the limit is {_MAX_BODY}")
    page = _FIXED.pack(magic(kind), VERSION_MAJOR << 8 | VERSION_MINOR, len(body)) + body
    page = page.ljust(HEADER_BYTES - _SUM.size, b"\0")
    return page + _SUM.pack(xxh3(page))


def decode_header(kind: str, page: bytes, where: str) -> dict[str, Any]:
    """The map of a header page, once its checksum, kind and version are accepted.

    Raises:
        CorruptMetadata: wrong length, magic, checksum or body.
        FormatTooNew, FormatTooOld: another major version, or a feature we do not know.
    """
    if len(page) != HEADER_BYTES:
        raise CorruptMetadata(f"{where}: header is {len(page)} bytes, expected {HEADER_BYTES}")
    if _SUM.unpack_from(page, HEADER_BYTES - _SUM.size)[0] != xxh3(page[: -_SUM.size]):
        raise CorruptMetadata(f"{where}: header checksum does not match; run check")
    found, version, length = _FIXED.unpack_from(page)
    if found != magic(kind):
        raise CorruptMetadata(f"{where}: magic is {found!r}, expected {magic(kind)!r}")
    require_version(version >> 8, where)
    if length > _MAX_BODY:
        raise CorruptMetadata(f"{where}: header body of {length} bytes, limit {_MAX_BODY}")
    fields = unpack_map(page[_FIXED.size : _FIXED.size + length], where)
    unknown = fields.get("required_features")
    if unknown:
        raise FormatTooNew(f"{where}: needs features {unknown!r}; upgrade hsa-memory")
    return fields


def require_version(major: int, where: str) -> None:
    """Refuse major versions of the format that this version does not read."""
    reads = f"this version reads {OLDEST_MAJOR} to {VERSION_MAJOR}"
    if major > VERSION_MAJOR:
        raise FormatTooNew(f"{where}: format {major}, {reads}; upgrade hsa-memory")
    if major < OLDEST_MAJOR:
        raise FormatTooOld(
            f"{where}: format {major}, {reads}; open it with the version that wrote it"
        )


def require_fields(fields: dict[str, Any], expected: dict[str, Any], where: str) -> None:
    """Raise CorruptMetadata unless a header says what its place in the store says."""
    for name, value in expected.items():
        if fields.get(name) != value or type(fields.get(name)) is not type(value):
            raise CorruptMetadata(
                f"{where}: header says {name}={fields.get(name)!r}, expected {value!r}"
            )
