"""Errors of the public API; everything raised on purpose derives from HSAMemoryError.

HSAMemoryError
 +-- InvalidMessage     a message that cannot be stored as it is (also a ValueError)
 +-- InvalidArgument    an argument outside of what is documented (also a ValueError)
 +-- ModelNotFound      no checkpoint of that name or at that path
 +-- InvalidCheckpoint  a checkpoint folder that is damaged or incomplete
 +-- DeviceFull         the memory of the GPU does not suffice
 +-- ModelMismatch      the session was written with another model
 +-- SessionHasForks    sessions that were forked from this one still read it
 +-- SessionNotFound    no session of that name
 +-- SessionExists      a session of that name is there already
 +-- ImportRejected     a file is no export, or not as it was written
 +-- SessionBusy        another writer has the session open
 +-- SessionClosed      the memory, session or stream was closed, or belongs to a fork's parent
 +-- SessionDeleted     the session was deleted while it was open here
 +-- SessionReadOnly    a write through a read-only memory or session
 +-- MessageConflict    a message id is known with another content
 +-- UserNotFound       no user of that name
 +-- NotAllowed         administration through a memory that was opened for a user
 `-- StorageError       the disk or its content
      +-- StoreFull         no space left; what was acknowledged is safe
      |    `-- QuotaExceeded the user's quota leaves no room
      +-- KeyMissing        the sessions are encrypted and no key was given
      +-- WrongKey          a key that does not fit, or is no key at all
      +-- NotEncrypted      a key was given for sessions that are stored as they are
      +-- NoCipher          the package that encrypts is not installed
      +-- StoreLocked       another process holds the catalog for too long
      +-- StorePermission   the operating system refused access
      +-- UnsafeFilesystem  the store is to be written on a network file system
      +-- StoreUnreachable  a server of the memory does not answer; nothing was written
      +-- CorruptStore      stored bytes fail their checksum and cannot be recomputed
      +-- DurabilityLost    an fsync or commit failed; open the session again
      +-- WriterFenced      a newer writer has taken the session over
      `-- UnsupportedFormat written by a version of hsa-memory that this one cannot read
"""


class HSAMemoryError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidMessage(HSAMemoryError, ValueError):
    """A message that cannot be stored; nothing of its batch was written."""


class InvalidArgument(HSAMemoryError, ValueError):
    """An argument outside of what is documented."""


class ModelNotFound(HSAMemoryError):
    """No bundled checkpoint of that name and no checkpoint folder at that path."""


class InvalidCheckpoint(HSAMemoryError):
    """A checkpoint folder that is damaged, incomplete or of another version."""


class DeviceFull(HSAMemoryError):
    """The memory of the GPU does not suffice for the model, the landmarks or what is computed."""


class ModelMismatch(HSAMemoryError):
    """The session's memory was written with another model, tokenizer or number format.

    Attributes:
        num_tokens: history that `Memory.reingest` would encode again.
        estimated_seconds: what that would take here, from a measurement.
    """

    def __init__(
        self, message: str, *, num_tokens: int = 0, estimated_seconds: float = 0.0
    ) -> None:
        super().__init__(message)
        self.num_tokens = num_tokens
        self.estimated_seconds = estimated_seconds


class SessionExists(HSAMemoryError):
    """A session of that name is there already; nothing was made."""


class SessionHasForks(HSAMemoryError):
    """Sessions that were forked from this one still read its messages; delete them first."""


class SessionNotFound(HSAMemoryError):
    """The named session does not exist and creation was not asked for."""


class ImportRejected(HSAMemoryError):
    """A file is no export, or not as it was written; the memory is unchanged."""


class SessionBusy(HSAMemoryError):
    """Another process or another handle of this one has the session open for writing."""


class SessionClosed(HSAMemoryError):
    """The memory, session or stream was closed, or was inherited through a fork."""


class SessionDeleted(HSAMemoryError):
    """The session was deleted while it was open here."""


class SessionReadOnly(HSAMemoryError):
    """A write was asked of a memory or session that was opened read-only."""


class MessageConflict(HSAMemoryError):
    """A message with this id is stored already, with another role or text."""


class UserNotFound(HSAMemoryError):
    """The named user does not exist."""


class NotAllowed(HSAMemoryError):
    """Administration was asked of a memory that was opened for a user."""


class StorageError(HSAMemoryError):
    """Base of errors about the disk and what is on it."""


class StoreFull(StorageError):
    """The disk or quota is full; acknowledged messages are safe and readable."""


class QuotaExceeded(StoreFull):
    """What was to be added goes beyond the user's quota; nothing of it was written."""


class KeyMissing(StorageError):
    """The sessions are encrypted, and the memory was opened without a key."""


class WrongKey(StorageError):
    """The key does not open what is stored, or is not a key at all."""


class NotEncrypted(StorageError):
    """The memory was opened with a key, and the user's sessions are stored as they are."""


class NoCipher(StorageError):
    """The package `cryptography`, or `keyring`, is not installed."""


class StoreLocked(StorageError):
    """Another process kept the catalog locked for longer than we wait."""


class StorePermission(StorageError):
    """The operating system refused to open or change a file of the store."""


class UnsafeFilesystem(StorageError):
    """The memory is to be written where other machines may share its files."""


class StoreUnreachable(StorageError):
    """The database server or the object storage does not answer; nothing was written."""


class CorruptStore(StorageError):
    """Stored bytes are not what was written; `Memory.check` says more."""


class DurabilityLost(StorageError):
    """An fsync or commit failed; only opening the session again tells what is on disk."""


class WriterFenced(StorageError):
    """A newer writer has opened the session; this one wrote nothing."""


class UnsupportedFormat(StorageError):
    """The files were written by a version that this one cannot read."""
