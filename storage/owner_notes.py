"""What a session keeps of its user: enough to make the user's row in the catalog again."""

from __future__ import annotations

import os
from typing import Any

from .creating import identity_from
from .errors import CorruptMetadata
from .paths import session_folder
from .truth import Truth
from .types import SessionInfo, User
from .vfs import Vfs

OWNER = "owner"
_WIPE_BYTES = 1 << 20


def owner_note(user: User) -> dict[str, Any]:
    """The note of a session whose user has no key."""
    return {"uid": user.id, "name": user.name, "created": user.created}


def read_identity(vfs: Vfs, root: str, session_id: str) -> SessionInfo:
    """What a session says of itself; raises CorruptMetadata."""
    truth = Truth(vfs, session_folder(root, session_id), bytes.fromhex(session_id), write=False)
    try:
        note = truth.note("identity")
        if note is None or note.get("sid") != session_id:
            raise CorruptMetadata(f"{truth.where}: does not say which session it is")
        return identity_from(note)
    finally:
        truth.close()


def read_owner(vfs: Vfs, root: str, session_id: str) -> dict[str, Any]:
    """What a session keeps of its user; empty if nothing."""
    truth = Truth(vfs, session_folder(root, session_id), bytes.fromhex(session_id), write=False)
    try:
        return truth.note(OWNER) or {}
    finally:
        truth.close()


def put_owner(vfs: Vfs, root: str, session_id: str, note: dict[str, Any]) -> None:
    """Replace what a session keeps of its user; the caller holds the session's lock."""
    truth = Truth(vfs, session_folder(root, session_id), bytes.fromhex(session_id), write=True)
    try:
        truth.load()
        with truth.writing(truth.state, durable=True) as connection:
            truth.put_note(connection, OWNER, note)
        truth.database.checkpoint()
    finally:
        truth.close()


def destroy_key(vfs: Vfs, folder: str) -> None:
    """Overwrite session.db and its log, which hold the wrapped key of the user."""
    for name in ("session.db", "session.db-wal"):
        try:
            fd = vfs.open(os.path.join(folder, name), write=True)
        except FileNotFoundError:
            continue
        try:
            size = vfs.size(fd)
            for offset in range(0, size, _WIPE_BYTES):
                vfs.write(fd, bytes(min(_WIPE_BYTES, size - offset)), offset)
            vfs.sync(fd)
        finally:
            vfs.close(fd)
