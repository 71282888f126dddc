"""A model of a disk: what a power cut may leave of a sequence of changes.

Files and directories keep what is durable and what is pending. A sync of a file makes its bytes
durable and nothing else, a sync of a directory its entries and nothing else: file systems promise
no more, though most do more. A sync that failed drops what was pending: the kernel marks such pages
clean, so they are seen until they leave the cache and no later sync writes them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from .oplog import Op

PAGE, SECTOR = 4096, 512


@dataclass(eq=False)
class File:
    """Bytes on the disk, changes that a sync would write, and what readers see."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)
    memory: bytearray = field(default_factory=bytearray)

    def change(self, op: Op) -> None:
        """Take in a write, truncate or allocate."""
        self.pending.append(op)
        apply(self.memory, op)

    def sync(self, *, failed: bool) -> None:
        """Everything pending is durable now; or, if it failed, will never be."""
        for op in self.pending if not failed else ():
            apply(self.durable, op)
        self.pending.clear()


@dataclass(eq=False)
class Folder:
    """Entries on the disk."""

    durable: dict[bytes, Node] = field(default_factory=dict)


Node = File | Folder
Place = tuple[Folder, bytes]


@dataclass(eq=False)
class Entry:
    """A pending change of names: `gone` lose what they name, `at` gets `node`. All or nothing."""

    node: Node
    at: Place | None = None
    gone: Place | None = None

    @property
    def places(self) -> list[Place]:
        """Every name that it changes."""
        return [place for place in (self.gone, self.at) if place is not None]


def apply(data: bytearray, op: Op) -> None:
    """Do to bytes what an operation does to a file."""
    if op.kind == "write":
        if len(data) < op.a:
            data.extend(bytes(op.a - len(data)))
        data[op.a : op.a + len(op.data)] = op.data
    elif op.kind == "truncate":
        del data[op.a :]
        data.extend(bytes(op.a - len(data)))
    elif op.kind == "allocate":
        data.extend(bytes(max(0, op.a + op.b - len(data))))


Entries = dict[Folder, dict[bytes, Node]]


class Disk:
    """The model; `run` takes changes in, `tree` gives what a crash leaves.

    Args:
        base: a directory whose whole content counts as durable.
        inodes: number of every file and directory, by path, as the changes will name them.
    """

    def __init__(self, base: Path, inodes: Mapping[str, int]) -> None:
        self._by_inode: dict[int, Node] = {}
        self.entries: list[Entry] = []
        root = self._load(base, ".", inodes)
        assert isinstance(root, Folder)
        self.root = root

    def _load(self, base: Path, path: str, inodes: Mapping[str, int]) -> Node:
        inode, full = inodes[path], base / path
        if inode in self._by_inode:
            return self._by_inode[inode]  # a second name of a file
        node: Node
        if full.is_dir():
            node = Folder()
            for name in sorted(os.listdir(full)):
                below = os.path.normpath(os.path.join(path, name))
                node.durable[os.fsencode(name)] = self._load(base, below, inodes)
        else:
            data = full.read_bytes()
            node = File(bytearray(data), memory=bytearray(data))
        self._by_inode[inode] = node
        return node

    # ---- taking changes in

    def run(self, ops: Iterable[Op]) -> None:
        """Take in changes in their order."""
        for op in ops:
            self._run(op)

    def _run(self, op: Op) -> None:
        if op.kind in ("write", "truncate", "allocate"):
            file = self._by_inode[op.inode]
            assert isinstance(file, File)
            file.change(op)
        elif op.kind == "sync":
            self._sync(self._by_inode[op.inode], failed=bool(op.error))
        elif op.kind in ("create", "mkdir"):
            node = self._by_inode[op.inode] = File() if op.kind == "create" else Folder()
            self.entries.append(Entry(node, at=self._place(op.data)))
        elif op.kind in ("unlink", "rmdir"):
            place = self._place(op.data)
            self.entries.append(Entry(self._look(place), gone=place))
        else:
            old, new = self._place(op.data), self._place(op.target)
            gone = old if op.kind == "rename" else None
            self.entries.append(Entry(self._look(old), at=new, gone=gone))

    def _sync(self, node: Node, *, failed: bool) -> None:
        if isinstance(node, File):
            node.sync(failed=failed)
        elif not failed:
            self._sync_names(node)

    def _sync_names(self, node: Node) -> None:
        """Entries of a folder are durable, and what came before them under the same names."""
        mine: list[Entry] = []
        names: set[tuple[int, bytes]] = set()
        for entry in reversed(self.entries):
            own = {(id(folder), name) for folder, name in entry.places}
            if names & own or any(folder is node for folder, _ in entry.places):
                mine.append(entry)
                names |= own
        for entry in reversed(mine):
            put(entry, lambda folder: folder.durable)
        self.entries = [entry for entry in self.entries if entry not in mine]

    def _place(self, path: bytes) -> Place:
        """The folder, as the process sees it, and the name in it."""
        *above, name = path.strip(b"/").split(b"/")
        names = self._names(self.entries)
        folder = self.root
        for part in above:
            child = names(folder)[part]
            assert isinstance(child, Folder)
            folder = child
        return folder, name

    def _look(self, place: Place) -> Node:
        return self._names(self.entries)(place[0])[place[1]]

    def _names(self, entries: Iterable[Entry]) -> Callable[[Folder], dict[bytes, Node]]:
        """Entries of any folder after some of the pending changes."""
        copies: Entries = {}

        def names(folder: Folder) -> dict[bytes, Node]:
            return copies.setdefault(folder, dict(folder.durable))

        for entry in entries:
            put(entry, names)
        return names

    # ---- what a crash leaves

    def tree(
        self, keep: Iterable[Entry], content: Callable[[File], bytes]
    ) -> dict[str, bytes | None]:
        """Path -> bytes of every file that can be reached; None stands for a directory.

        SQLite's -shm is left out: its content is not logged, and made anew by whoever opens the
        database first.

        Args:
            keep: those of `entries` that reached the disk.
            content: what is left of a file.
        """
        names = self._names(keep)
        found: dict[str, bytes | None] = {}
        # A file of two names is one file.
        bytes_of = cache(content)

        def walk(folder: Folder, path: str) -> None:
            for name, node in sorted(names(folder).items()):
                below = os.path.join(path, os.fsdecode(name))
                if below.endswith("-shm"):
                    continue
                if isinstance(node, Folder):
                    found[below] = None
                    walk(node, below)
                else:
                    found[below] = bytes_of(node)

        walk(self.root, "")
        return found


def put(entry: Entry, names: Callable[[Folder], dict[bytes, Node]]) -> None:
    """Change names as an entry says."""
    if entry.gone is not None:
        names(entry.gone[0]).pop(entry.gone[1], None)
    if entry.at is not None:
        names(entry.at[0])[entry.at[1]] = entry.node


def inodes_below(folder: Path) -> dict[str, int]:
    """Inode number of a directory and of all in it, by path from it."""
    found = {".": folder.stat().st_ino}
    for path in folder.rglob("*"):
        found[str(path.relative_to(folder))] = path.lstat().st_ino
    return found


def write_tree(tree: dict[str, bytes | None], folder: Path) -> None:
    """Make a directory hold a tree."""
    folder.mkdir(mode=0o700)
    for path, data in tree.items():
        full = os.path.join(folder, path)
        if data is None:
            os.mkdir(full, 0o700)
        else:
            fd = os.open(full, os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, data)
            os.close(fd)


# ---- which of the pending changes reached the disk


def everything(file: File) -> bytes:
    """What readers see: the process was killed, the machine was not."""
    return bytes(file.memory)


def all_pending(file: File) -> bytes:
    """All that a sync would write."""
    data = bytearray(file.durable)
    for op in file.pending:
        apply(data, op)
    return bytes(data)


def nothing(file: File) -> bytes:
    """Only what was synced."""
    return bytes(file.durable)


def some(file: File, rng: random.Random) -> bytes:
    """Any of the changes, in their order."""
    data, share = bytearray(file.durable), rng.choice((0.1, 0.5, 0.9))
    for op in file.pending:
        if rng.random() < share:
            apply(data, op)
    return bytes(data)


def reordered(file: File, rng: random.Random) -> bytes:
    """Any of the changes, in any order."""
    data, share = bytearray(file.durable), rng.choice((0.5, 1.0))
    kept = [op for op in file.pending if rng.random() < share]
    rng.shuffle(kept)
    for op in kept:
        apply(data, op)
    return bytes(data)


def first_ones(file: File, rng: random.Random) -> bytes:
    """The oldest changes."""
    data = bytearray(file.durable)
    for op in file.pending[: rng.randint(0, len(file.pending))]:
        apply(data, op)
    return bytes(data)


def torn(file: File, rng: random.Random, unit: int) -> bytes:
    """The oldest changes, and of the next one only some pages or sectors."""
    if not file.pending:
        return bytes(file.durable)
    data, number = bytearray(file.durable), rng.randrange(len(file.pending))
    for op in file.pending[:number]:
        apply(data, op)
    last, after = file.pending[number], bytearray(data)
    apply(after, last)
    keep_old(data, after, units_of(last, unit), unit, lambda: rng.random() < 0.5)
    return bytes(after)


def each_unit_by_itself(file: File, rng: random.Random, unit: int) -> bytes:
    """Every page or sector as it was at some moment since the last sync; so the length."""
    if not file.pending:
        return bytes(file.durable)
    versions = [bytearray(file.durable)]
    for op in file.pending:
        versions.append(bytearray(versions[-1]))
        apply(versions[-1], op)
    length = len(rng.choice(versions))
    data = bytearray(length)
    changed = {place for op in file.pending for place in units_of(op, unit)}
    data[: len(file.durable)] = file.durable[:length]
    for place in sorted(changed):
        start = place * unit
        piece = rng.choice(versions)[start : start + unit]
        if start < length:
            data[start : start + len(piece)] = piece
    return bytes(data[:length])


def zeroed(file: File, rng: random.Random, unit: int) -> bytes:
    """Everything, but zeros in some of the pages or sectors that were being written."""
    data = bytearray(all_pending(file))
    for op in file.pending:
        if op.kind != "write":
            continue
        for place in units_of(op, unit):
            if rng.random() < 0.3:
                # A sector holds what it held outside of the bytes that were written.
                start = max(op.a, place * unit)
                stop = min(op.a + len(op.data), (place + 1) * unit, len(data))
                data[start:stop] = bytes(max(0, stop - start))
    return bytes(data)


def units_of(op: Op, unit: int) -> range:
    """Numbers of the pages or sectors that a write touches."""
    if op.kind != "write" or not op.data:
        return range(0)
    return range(op.a // unit, (op.a + len(op.data) - 1) // unit + 1)


def keep_old(
    old: bytearray, new: bytearray, places: Iterable[int], unit: int, drop: Callable[[], bool]
) -> None:
    """Undo some units of `new`; what had no bytes before has zeros."""
    for place in places:
        if drop():
            start, stop = place * unit, min((place + 1) * unit, len(new))
            new[start:stop] = old[start:stop].ljust(stop - start, b"\0")


# ---- which of the pending names


def any_names(entries: list[Entry], rng: random.Random) -> list[Entry]:
    """Some of the changes of names; of one name only the oldest ones."""
    share, kept = rng.choice((0.1, 0.5, 0.9)), []
    stuck: set[tuple[int, bytes]] = set()
    for entry in entries:
        names = {(id(folder), name) for folder, name in entry.places}
        if rng.random() < share and not names & stuck:
            kept.append(entry)
        else:
            stuck |= names
    return kept


def first_names(entries: list[Entry], rng: random.Random) -> list[Entry]:
    """The oldest changes of names, as a journal keeps them."""
    return entries[: rng.randint(0, len(entries))]
