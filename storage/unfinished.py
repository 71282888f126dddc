"""Derived state of a session that is not in use: of a re-ingest that is on its way or was, and of
the generation before it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from .errors import CorruptMetadata
from .layouts import layout_key
from .tables import holes, notes, seams, segments
from .truth import Truth
from .vfs import Vfs

BUILDING = "building"
"""Key of the note that holds the watermark of a generation that is being built."""

_select_begun = sa.text(f"SELECT key FROM notes WHERE key = '{BUILDING}'")
_GENERATION = re.compile(r"g([1-9][0-9]{0,17})")
_PIECE = 1 << 20


def drop_unfinished(vfs: Vfs, folder: str, truth: Truth) -> None:
    """Remove everything derived but the generation in use, overwriting it first: it may hold what
    is about to be forgotten."""
    paths = [path for path, gen in _generations(vfs, folder) if gen != truth.state.gen]
    place = os.path.join(folder, "next")
    if vfs.lstat(place) is not None:
        paths.append(place)
    with truth.database.read() as connection:
        begun = connection.execute(_select_begun).first() is not None
    if not paths and not begun:
        return
    for path in paths:
        _overwrite(vfs, path)
        vfs.remove_tree(path)
    vfs.sync_dir(folder)
    own = layout_key(truth.state.gen)
    with truth.writing(truth.state, durable=True) as connection:
        others = notes.c.key.startswith(own[: own.rindex("-") + 1]) & (notes.c.key != own)
        connection.execute(sa.delete(notes).where(others | (notes.c.key == BUILDING)))
        for table in (segments, holes, seams):
            connection.execute(sa.delete(table).where(table.c.gen != truth.state.gen))


def clear_generations(vfs: Vfs, root: str, folder: str, truth: Truth) -> None:
    """Throw away generations that are neither in use nor being built: a crash came between a
    switch and the removal of the old one."""
    others = [(path, gen) for path, gen in _generations(vfs, folder) if gen != truth.state.gen]
    if others:
        note: dict[str, Any] = {}
        # A damaged one cannot be gone on with.
        with suppress(CorruptMetadata):
            note = truth.note(BUILDING) or {}
        for path, gen in others:
            if gen != note.get("gen"):
                throw_away(vfs, root, path)


def throw_away(vfs: Vfs, root: str, path: str) -> None:
    """Move a folder of a session to the trash and remove it there."""
    trash = os.path.join(root, "trash")
    session = os.path.basename(os.path.dirname(path))
    grave = os.path.join(trash, f"{session}-{os.path.basename(path)}")
    vfs.ensure_dir(trash)
    vfs.remove_tree(grave)
    vfs.rename(path, grave)
    vfs.sync_dir(os.path.dirname(path))
    vfs.remove_tree(grave)
    # It may hold what is forgotten next, which nobody would look for there.
    vfs.sync_dir(trash)


def _generations(vfs: Vfs, folder: str) -> list[tuple[str, int]]:
    found = [(name, _GENERATION.fullmatch(name)) for name in vfs.list_dir(folder)]
    return [(os.path.join(folder, name), int(match[1])) for name, match in found if match]


def _overwrite(vfs: Vfs, path: str) -> None:
    """Put zeros into all files below a folder; nobody has any of them open."""
    for folder, _, names in os.walk(path):
        for name in names:
            fd = vfs.open(os.path.join(folder, name), write=True)
            try:
                size = vfs.size(fd)
                for start in range(0, size, _PIECE):
                    vfs.write(fd, bytes(min(_PIECE, size - start)), start)
                vfs.sync(fd)
            finally:
                vfs.close(fd)
