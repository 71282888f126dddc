"""Strict msgpack for the few small maps of the format."""

from __future__ import annotations

from typing import Any, NoReturn

import msgpack

from .errors import CorruptMetadata, LimitExceeded

MAX_MAP_BYTES = 64 * 1024
_MAX_ITEMS = 16 * 1024


def _reject_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"msgpack extension type {code} ({len(data)} bytes) is not part of the format")


def _unpack(blob: bytes) -> Any:
    return msgpack.unpackb(
        blob,
        raw=False,
        strict_map_key=True,
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
        raise ValueError(f"{what} cannot be read back from msgpack: {error}") from error
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
        raise CorruptMetadata(f"{where}: not a msgpack map ({error})") from error
    if not isinstance(value, dict):
        raise CorruptMetadata(f"{where}: expected a map, found {type(value).__name__}")
    return value
