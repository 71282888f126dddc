"""tail-{0,1}.bin: the state that goes with the watermark, in two alternating slots.

The session's state row names the serial it believes in; serial s lies in slot s % 2, so the
published tail is never the one being overwritten.
"""

from __future__ import annotations

import os
from typing import Any

from .checksums import bound_sum
from .cipher import Cipher, place_of
from .errors import CorruptMetadata, LimitExceeded
from .header import HEADER_BYTES, decode_header, encode_header, require_fields
from .vfs import Vfs

MAX_TAIL_BYTES = 1 << 30


class Tails:
    """Both slots of a generation.

    Args:
        fields: what every header of the generation says.
        cipher: how the blob is stored.
    """

    def __init__(self, vfs: Vfs, folder: str, fields: dict[str, Any], cipher: Cipher) -> None:
        self._cipher = cipher
        self._vfs = vfs
        self._folder = folder
        self._fields = fields

    def path(self, serial: int) -> str:
        """The slot of a serial."""
        return os.path.join(self._folder, f"tail-{serial % 2}.bin")

    def write(self, serial: int, num_chunks: int, chain: int, blob: bytes) -> None:
        """Fill the slot of a serial; not synced, a torn one fails its checksum."""
        if len(blob) > MAX_TAIL_BYTES:
            raise LimitExceeded(f"tail of {len(blob)} bytes; the limit is {MAX_TAIL_BYTES}")
        blob = self._cipher.seal(blob, self._place(serial))
        fields = {
            **self._fields,
            "serial": serial,
            "num_chunks": num_chunks,
            "bytes": len(blob),
            "blob_sum": bound_sum(self._fields["gen"], num_chunks, chain, blob),
        }
        path = self.path(serial)
        fd = self._vfs.open(path, write=True, create=self._vfs.lstat(path) is None)
        try:
            self._vfs.write(fd, encode_header("tail", fields), 0)
            self._vfs.write(fd, blob, HEADER_BYTES)
        finally:
            self._vfs.close(fd)

    def read(self, serial: int, num_chunks: int, chain: int) -> bytes:
        """The blob written under a serial for that many chunks.

        Raises:
            CorruptMetadata: missing, torn, damaged, or not the one asked for.
        """
        path = self.path(serial)
        try:
            fd = self._vfs.open(path)
        except FileNotFoundError as error:
            raise CorruptMetadata(f"{path}: the tail is missing") from error
        try:
            fields = decode_header("tail", self._vfs.read(fd, HEADER_BYTES, 0), path)
            expected = {**self._fields, "serial": serial, "num_chunks": num_chunks}
            require_fields(fields, expected, path)
            length = fields.get("bytes")
            if not isinstance(length, int) or not 0 <= length <= MAX_TAIL_BYTES:
                raise CorruptMetadata(f"{path}: tail of {length!r} bytes")
            blob = self._vfs.read(fd, min(length, self._vfs.size(fd)), HEADER_BYTES)
        finally:
            self._vfs.close(fd)
        if len(blob) != length or fields.get("blob_sum") != bound_sum(
            self._fields["gen"], num_chunks, chain, blob
        ):
            raise CorruptMetadata(f"{path}: the tail fails its checksum")
        return self._cipher.open(blob, self._place(serial))

    def _place(self, serial: int) -> bytes:
        return place_of(bytes.fromhex(self._fields["sid"]), self._fields["gen"], "tail", serial)

    def wipe(self) -> None:
        """Overwrite both slots with zeros, force that to the disk, and remove them."""
        for serial in (0, 1):
            try:
                fd = self._vfs.open(self.path(serial), write=True)
            except FileNotFoundError:
                continue
            try:
                self._vfs.write(fd, bytes(self._vfs.size(fd)), 0)
                self._vfs.sync(fd)
            finally:
                self._vfs.close(fd)
            self._vfs.unlink(self.path(serial))
