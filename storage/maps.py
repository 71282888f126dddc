"""Strict msgpack for the few small maps of the format."""

from __future__ import annotations

from typing import Any, NoReturn

import msgpack

from .errors import CorruptMetadata, LimitExceeded

MAX_MAP_BYTES = 64 * 1024
_MAX_ITEMS = 16 * 1024
# How a timestamp begins: msgpack decodes that extension by itself.
_TIMESTAMPS = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")


def _reject_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"msgpack extension type {code} ({len(data)} bytes) is not part of the format")


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _reject_timestamps(value: Any) -> None:
    if isinstance(value, msgpack.Timestamp):
        _reject_extension(-1, value.to_bytes())
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _reject_timestamps(part)


def _unpack(blob: bytes) -> Any:
    value = _unpack_any(blob)
    # Those bytes may be part of a number or a text as well.
    if any(start in blob for start in _TIMESTAMPS):
        _reject_timestamps(value)
    return value


def _unpack_any(blob: bytes) -> Any:
    return msgpack.unpackb(
        blob,
        raw=False,
        strict_map_key=True,
        object_pairs_hook=_unique,
        ext_hook=_reject_extension,
        max_str_len=MAX_MAP_BYTES,
        max_bin_len=MAX_MAP_BYTES,
        max_array_len=_MAX_ITEMS,
        max_map_len=_MAX_ITEMS,
    )


def pack_map(value: dict[str, Any], what: str = "metadata") -> bytes:
    """Pack a map, having made sure that it can be read back.

    Raises:
        ValueError: keys other than str or bytes, or values msgpack does not know.
        LimitExceeded: more than 64 KiB packed.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a dict, got {type(value).__name__}")
    try:
        blob = bytes(msgpack.packb(value, use_bin_type=True))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{what} cannot be stored as msgpack: {error}") from error
    if len(blob) > MAX_MAP_BYTES:
        raise LimitExceeded(f"{what} is {len(blob)} bytes packed; the limit is {MAX_MAP_BYTES}")
    if not value:
        return blob
    try:
        _unpack(blob)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        why = str(error) or type(error).__name__
        raise ValueError(f"{what} cannot be read back from msgpack: {why}") from error
    return blob


def map_as_stored(value: dict[str, Any], what: str = "metadata") -> dict[str, Any]:
    """Return a map as it would be read back; raises what `pack_map` does."""
    return unpack_map(pack_map(value, what), what)


def unpack_map(blob: object, where: str) -> dict[str, Any]:
    """Decode a map that came from disk; anything unexpected is CorruptMetadata."""
    if not isinstance(blob, bytes) or len(blob) > MAX_MAP_BYTES:
        raise CorruptMetadata(f"{where}: expected a msgpack map of at most {MAX_MAP_BYTES} bytes")
    try:
        value = _unpack(blob)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        why = str(error) or type(error).__name__
        raise CorruptMetadata(f"{where}: not a msgpack map ({why})") from error
    if not isinstance(value, dict):
        raise CorruptMetadata(f"{where}: expected a map, found {type(value).__name__}")
    return value
