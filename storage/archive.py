"""An export: a tar that holds what its manifest says, and not one byte more or other.

Nothing in it is compressed, so what it unpacks to is never longer than the file. Every header is
the one that we would write for that name and size, padding is zero, and the manifest at the end has
the sha256 of each member and of itself: no byte can change unnoticed, and no link, device, foreign
path or second member of a name can be in it.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

from .errors import CorruptMetadata, ImportRejected
from .maps import pack_map, unpack_map
from .vfs import Vfs

FORMAT = "hsa-memory export"
VERSION = (1, 0)
MANIFEST = "manifest"
MAX_MEMBERS = 1 << 20
MAX_MEMBER_BYTES = (8 << 30) - 1  # what a tar header can say
MAX_MANIFEST_BYTES = 64 << 20

_BLOCK = 512
_END = bytes(2 * _BLOCK)
_PIECE = 1 << 20
_SHA_BYTES = 32
_LENGTH = struct.Struct("<I")
_NUMBER = "(?:0|[1-9][0-9]{0,6})"
_NAME = re.compile(f"{_NUMBER}/(?:truth|landmarks|kv|tail)-{_NUMBER}")
# name, mode, uid, gid, size, mtime, checksum, type, linkname, magic, version, users, device, prefix
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_TYPES = {
    b"1": "a link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
}


class Member(NamedTuple):
    """A member of an export."""

    name: str
    offset: int
    """Of its first byte in the file."""
    size: int
    sha256: bytes


def _header(name: str, size: int) -> bytes:
    """The one header that a member of this name and size may have."""

    def fields(checksum: bytes) -> bytes:
        zero = b"0000000\0"
        numbers = (b"0000600\0", zero, zero, b"%011o\0" % size, b"00000000000\0", checksum)
        return _HEADER.pack(
            name.encode("ascii"), *numbers, b"0", b"", b"ustar\0", b"00", b"", b"", zero, zero, b""
        )

    return fields(b"%06o\0 " % sum(fields(b" " * 8)))


class ArchiveWriter:
    """An export on its way: under another name until `finish`.

    Args:
        path: where it is to be; nothing may be there.
    """

    def __init__(self, vfs: Vfs, path: str) -> None:
        self._vfs = vfs
        self._path = path
        folder, name = os.path.split(path)
        self._staged = os.path.join(folder, f".{name[:100]}.{os.urandom(8).hex()}.partial")
        self._fd = vfs.open(self._staged, create=True)
        self._offset = 0
        self._members: list[Member] = []

    @property
    def num_bytes(self) -> int:
        """Bytes written so far."""
        return self._offset

    @contextmanager
    def member(self, name: str) -> Iterator[Callable[[bytes | memoryview], None]]:
        """A member; the block calls the given function with its bytes, part by part."""
        if not _NAME.fullmatch(name) or len(self._members) >= MAX_MEMBERS:
            raise ValueError(f"{name!r} is no name of a member, or there are too many")
        start = self._offset
        self._offset += _BLOCK
        digest = hashlib.sha256()

        def write(data: bytes | memoryview) -> None:
            digest.update(data)
            self._vfs.write(self._fd, data, self._offset)
            self._offset += len(data)

        yield write
        size = self._offset - start - _BLOCK
        if size > MAX_MEMBER_BYTES:
            raise ValueError(f"member {name!r} has {size} bytes; the limit is {MAX_MEMBER_BYTES}")
        self._members.append(Member(name, start + _BLOCK, size, digest.digest()))
        self._close_member(name, start, size)

    def _close_member(self, name: str, start: int, size: int) -> None:
        self._vfs.write(self._fd, _header(name, size), start)
        padding = -size % _BLOCK
        self._vfs.write(self._fd, bytes(padding), self._offset)
        self._offset += padding

    def finish(self, about: dict[str, Any]) -> None:
        """Write the manifest, force everything to the disk, and give the file its name.

        Args:
            about: what else the manifest says; 64 KiB packed.

        Raises:
            FileExistsError: something took the name meanwhile.
        """
        packed = pack_map({"format": FORMAT, "version": list(VERSION), **about}, "manifest")
        lines = [f"{x.name} {x.size} {x.sha256.hex()}\n" for x in self._members]
        body = _LENGTH.pack(len(packed)) + packed + "".join(lines).encode()
        body += hashlib.sha256(body).digest()
        start = self._offset
        self._vfs.write(self._fd, body, start + _BLOCK)
        self._offset += _BLOCK + len(body)
        self._close_member(MANIFEST, start, len(body))
        self._vfs.write(self._fd, _END, self._offset)
        self._offset += len(_END)
        self._vfs.sync(self._fd)
        self._close()
        if self._vfs.lstat(self._path) is not None:
            raise FileExistsError(f"{self._path} is there already")
        self._vfs.rename(self._staged, self._path)
        self._vfs.sync_dir(os.path.dirname(self._path))

    def abandon(self) -> None:
        """Remove what was written, unless it is finished; may be called again."""
        self._close()
        self._vfs.unlink(self._staged)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._vfs.close(fd)


class ArchiveReader:
    """An export that was checked from its first byte to its last; a context manager.

    Args:
        progress: called with the bytes checked so far and all bytes.

    Raises:
        ImportRejected: it is not what `ArchiveWriter` wrote.
        FileNotFoundError.
    """

    def __init__(
        self, vfs: Vfs, path: str, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self._vfs = vfs
        self._path = path
        self.members: dict[str, Member] = {}
        # By their names up to the last dash, in order.
        self.series: dict[str, list[str]] = {}
        # Who names a link means the file.
        self._fd = vfs.open(os.path.realpath(path))
        try:
            self._size = vfs.size(self._fd)
            self.manifest = self._read_manifest(progress or (lambda done, total: None))
        except BaseException:
            self.close()
            raise

    def _read_manifest(self, progress: Callable[[int, int], None]) -> dict[str, Any]:
        *members, last = self._scan()
        if last.name != MANIFEST or any(x.name == MANIFEST for x in members):
            self.reject("its last member is not the manifest, or there are two")
        if len({x.name for x in members}) < len(members):
            self.reject("two members have the same name")
        about, lines = self._split_manifest(last)
        # A list of msgpack would be made as long as it claims to be before it is read.
        expected = [f"{x.name} {x.size}" for x in members]
        if [line.rpartition(" ")[0] for line in lines] != expected:
            self.reject("its members are not those of its manifest")
        for member, line in zip(members, lines, strict=True):
            try:
                own = bytes.fromhex(line.rpartition(" ")[2])
            except ValueError:
                self.reject("its manifest is not one of ours")
            self.members[member.name] = member._replace(sha256=own)
            self.series.setdefault(member.name.rpartition("-")[0], []).append(member.name)
        for member in members:
            for _ in self.pieces(member.name):
                pass
            progress(member.offset + member.size, self._size)
        return about

    def _scan(self) -> list[Member]:
        """Names and places of all members, from headers that are as they must be."""
        found: list[Member] = []
        offset = 0
        while (block := self._vfs.read(self._fd, _BLOCK, offset)) != bytes(_BLOCK):
            if len(block) < _BLOCK:
                self.reject(f"it ends after {self._size} bytes, in the middle of a member")
            name, size = self._checked_header(block, offset)
            if len(found) > MAX_MEMBERS:
                self.reject(f"it has more than {MAX_MEMBERS} members")
            found.append(Member(name, offset + _BLOCK, size, b""))
            end = offset + _BLOCK + size
            offset = end + -size % _BLOCK
            if offset > self._size:
                self.reject(f"it ends after {self._size} bytes, in the middle of {name!r}")
            if any(self._vfs.read(self._fd, offset - end, end)):
                self.reject(f"there are bytes between {name!r} and what follows")
        if self._vfs.read(self._fd, len(_END) + 1, offset) != _END:
            self.reject("it does not end where it says")
        if not found:
            self.reject("it is empty")
        return found

    def _checked_header(self, block: bytes, offset: int) -> tuple[str, int]:
        values = _HEADER.unpack(block)
        name, size, kind = values[0].rstrip(b"\0"), values[4], values[7]
        if kind in _TYPES:
            self.reject(f"{name!r:.100} is {_TYPES[kind]}")
        try:
            text, length = name.decode("ascii"), int(size.rstrip(b"\0 "), 8)
            good = 0 <= length <= MAX_MEMBER_BYTES and _header(text, length) == block
        except (UnicodeDecodeError, ValueError, struct.error):
            self.reject(f"at byte {offset} is no header of an export")
        if text != MANIFEST and not _NAME.fullmatch(text):
            self.reject(f"{text!r:.100} is no name of a member")
        if not good:
            self.reject(f"the header of {text!r} is not as it was written")
        return text, length

    def _split_manifest(self, member: Member) -> tuple[dict[str, Any], list[str]]:
        if not _SHA_BYTES < member.size <= MAX_MANIFEST_BYTES:
            self.reject(f"its manifest has {member.size} bytes")
        data = self._vfs.read(self._fd, member.size, member.offset)
        body, own = data[:-_SHA_BYTES], data[-_SHA_BYTES:]
        if hashlib.sha256(body).digest() != own:
            self.reject("its manifest fails its checksum")
        try:
            (length,) = _LENGTH.unpack_from(body)
            about = unpack_map(body[_LENGTH.size : _LENGTH.size + length], "manifest")
            lines = body[_LENGTH.size + length :].decode("ascii").splitlines()
        except (struct.error, UnicodeDecodeError, CorruptMetadata) as error:
            self.reject(f"its manifest cannot be read ({error})")
        self._require_version(about)
        return about, lines

    def _require_version(self, about: dict[str, Any]) -> None:
        version = about.get("version")
        if about.get("format") != FORMAT or not isinstance(version, list) or not version:
            self.reject("its manifest is not one of ours")
        if version[0] != VERSION[0] or about.get("required_features"):
            self.reject(
                f"it has version {version!r:.50} of the format, this one reads {VERSION[0]}.x; "
                "import it with a newer version of hsa-memory, or the one that wrote it"
            )

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of a member in parts of at most 1 MiB.

        Raises:
            ImportRejected: after the last of them, if they are not those of the manifest.
        """
        member = self.members[name]
        digest = hashlib.sha256()
        for start in range(0, member.size, _PIECE):
            length = min(_PIECE, member.size - start)
            piece = self._vfs.read(self._fd, length, member.offset + start)
            digest.update(piece)
            yield piece
        if digest.digest() != member.sha256:
            self.reject(f"{name!r} fails its checksum")

    def reject(self, why: str) -> NoReturn:
        """Raise ImportRejected."""
        raise ImportRejected(f"{self._path} is no export that can be imported: {why}")

    def close(self) -> None:
        """Close the file; may be called again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._vfs.close(fd)

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
