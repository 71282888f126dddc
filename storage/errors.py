"""Errors of the store; every one of them is a StoreError.

StoreError
 +-- StoreLocked        another process holds the catalog for too long
 +-- SessionBusy        another writer has this session open
 +-- SessionExists      there is a session of that name already
 +-- SessionHasForks    a session from which others were forked cannot go before them
 +-- SharedTurn         a turn belongs to the session that this one was forked from
 +-- SessionMissing     no session of that name
 +-- SessionClosed      the handle was closed, or belongs to the parent of a fork
 +-- ReadOnly           a write through a read-only handle
 +-- Erased             the session was deleted while this handle was open
 +-- FencedWriter       a newer writer has taken the session over
 +-- DurabilityLost     an fsync or commit failed; reopen from disk
 +-- StoreFull          no space left; nothing acknowledged was lost
 |    `-- QuotaExceeded the user's quota leaves no room for what was to be appended
 +-- UserMissing        no user of that name
 +-- NotAllowed         administration through a handle that was opened for a user
 +-- KeyMissing         the sessions are encrypted and no key was given
 +-- WrongKey           a key that does not fit, or is no key at all
 +-- NotEncrypted       a key was given for sessions that are stored as they are
 +-- NoCipher           the package that encrypts is not installed
 +-- StorePermission    the operating system refused access
 +-- UnsafeFilesystem   the store is to be written on a network file system
 +-- StoreUnreachable   a server of the store does not answer; nothing was written
 +-- InvalidAddress     no URL of a database or an object storage (also a ValueError)
 +-- NotAFolder         a file stands where the store is to be, or above it
 +-- CorruptMetadata    a database row or a file header fails its checksum
 +-- CorruptChunk       derived bytes of some chunks fail their checksum
 +-- ModelMismatch      the session was written by another model
 +-- TurnConflict       a turn id is known with another content
 +-- ImportRejected     a file is no export, or not the one that was written
 +-- LimitExceeded      a value is larger than the format allows (also a ValueError)
 +-- FormatTooNew       written by a newer hsa-memory
 +-- FormatTooOld       written by a version that this one no longer reads
"""

from __future__ import annotations

from collections.abc import Sequence


class StoreError(Exception):
    """Base of everything the store raises on purpose."""


class StoreLocked(StoreError):
    """The catalog's lock stayed with another process longer than we wait."""


class SessionBusy(StoreError):
    """Another handle, in this process or another one, writes to the session."""


class SessionMissing(StoreError):
    """The named session does not exist and creation was not asked for."""


class SessionExists(StoreError):
    """There is a session of that name already."""


class SessionHasForks(StoreError):
    """Sessions that were forked from this one still read its turns and chunks."""


class SharedTurn(StoreError):
    """The turn belongs to the session that this one was forked from."""


class SessionClosed(StoreError):
    """The handle was closed, or was inherited through a fork."""


class ReadOnly(StoreError):
    """A write was asked of a handle that was opened read-only."""


class Erased(StoreError):
    """The session's files were deleted while the handle was open."""


class FencedWriter(StoreError):
    """A newer writer has opened the session; this one wrote nothing."""


class DurabilityLost(StoreError):
    """An fsync or commit failed; what reached the disk is known only after a reopen."""


class StoreFull(StoreError):
    """The disk or the quota is full; acknowledged turns are safe and readable."""


class QuotaExceeded(StoreFull):
    """An append would go beyond the user's quota; nothing of it was written."""


class UserMissing(StoreError):
    """The named user does not exist."""


class NotAllowed(StoreError):
    """Administration was asked of a handle that was opened for a user."""


class KeyMissing(StoreError):
    """The sessions are encrypted, and the store was opened without a key."""


class WrongKey(StoreError):
    """The key does not open what is stored, or is not a key at all."""


class NotEncrypted(StoreError):
    """The store was opened with a key, and the user's sessions are stored as they are."""


class NoCipher(StoreError):
    """The package `cryptography` is not installed."""


class StorePermission(StoreError):
    """The operating system refused to open or change a file of the store."""


class UnsafeFilesystem(StoreError):
    """The store is to be written where locks and shared memory cannot be trusted."""


class StoreUnreachable(StoreError):
    """The database server or the object store does not answer; nothing was written."""


class InvalidAddress(StoreError, ValueError):
    """What is to be the URL of a database or an object storage is none that can be used."""


class NotAFolder(StoreError):
    """A file stands where the store is to be, or above it."""


class CorruptMetadata(StoreError):
    """A row of a database or the header of a file is not what was written."""


class CorruptChunk(StoreError):
    """Stored bytes of some chunks are not what was written for their tokens.

    Attributes:
        chunk_ids: indexes of the chunks, ascending. Lower the watermark to the first of
            them (`SessionStore.rollback`) and encode again from the tokens.
    """

    def __init__(self, message: str, *, chunk_ids: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.chunk_ids = list(chunk_ids)


class ModelMismatch(StoreError):
    """The session's derived files belong to another model or layout.

    Attributes:
        field: name of the layout field that differs.
        expected: its value in the session's files.
        found: its value in the layout that was passed in.
        num_tokens: length of the session.
    """

    def __init__(
        self, message: str, *, field: str, expected: object, found: object, num_tokens: int
    ) -> None:
        super().__init__(message)
        self.num_tokens = num_tokens
        self.field = field
        self.expected = expected
        self.found = found


class TurnConflict(StoreError):
    """A turn with this id is stored already, with another role or text."""


class ImportRejected(StoreError):
    """A file is no export of ours, or not as it was written; the store is unchanged."""


class LimitExceeded(StoreError, ValueError):
    """A value is larger than a documented limit of the format."""


class FormatTooNew(StoreError):
    """The file was written by a newer version of the format."""


class FormatTooOld(StoreError):
    """The file was written by a version of the format that is no longer read."""
