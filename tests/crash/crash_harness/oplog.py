"""The shim's log: one record for every change, and the notes between them."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEAD = struct.Struct("<IIQQQII")
KINDS = (
    "", "create", "write", "truncate", "allocate", "sync",
    "rename", "link", "unlink", "mkdir", "rmdir", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Op:
    """One change.

    Attributes:
        error: errno of an injected failure; only failed syncs are logged.
        inode: of the file or directory as the kernel numbers it.
        a, b: offset of a write; length of a truncate; offset and length of an allocate.
        data: what was written; the path, or the old one, below the watched folder.
        target: the new path of a rename or link.
    """

    kind: str
    error: int
    inode: int
    a: int
    b: int
    data: bytes
    target: bytes


@dataclass(frozen=True)
class Log:
    """Changes in order, and each note with the number of changes before it."""

    ops: list[Op]
    notes: list[tuple[int, dict[str, Any]]]


def read_log(path: Path) -> Log:
    """Read a whole log; a record that a kill cut off is left out."""
    data = path.read_bytes() if path.exists() else b""
    ops: list[Op] = []
    notes: list[tuple[int, dict[str, Any]]] = []
    place = 0
    while place + _HEAD.size <= len(data):
        kind, error, inode, a, b, length, second = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        first, place = data[place : place + length], place + length
        target, place = data[place : place + second], place + second
        if KINDS[kind] == "note":
            notes.append((len(ops), json.loads(first)))
        else:
            ops.append(Op(KINDS[kind], error, inode, a, b, first, target))
    return Log(ops, notes)
