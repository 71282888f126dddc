"""Sessions on disk: turns in SQLite, chunk memory in checksummed files. See FORMAT.md."""

from .addresses import check_addresses
from .administration import Usage
from .archive import ArchiveReader, ArchiveWriter
from .archive_truth import NoteRecord, SessionRecord, TurnRecord
from .creating import encode_name
from .errors import (
    CorruptChunk,
    CorruptMetadata,
    DurabilityLost,
    Erased,
    FencedWriter,
    FormatTooNew,
    FormatTooOld,
    ImportRejected,
    InvalidAddress,
    KeyMissing,
    LimitExceeded,
    ModelMismatch,
    NoCipher,
    NotAFolder,
    NotAllowed,
    NotEncrypted,
    QuotaExceeded,
    ReadOnly,
    SessionBusy,
    SessionClosed,
    SessionExists,
    SessionHasForks,
    SessionMissing,
    SharedTurn,
    StoreError,
    StoreFull,
    StoreLocked,
    StorePermission,
    StoreUnreachable,
    TurnConflict,
    UnsafeFilesystem,
    UserMissing,
    WrongKey,
)
from .exporting import ExportChoice, SessionExport, SessionImport, TokenSum
from .keys import KeySource
from .leaving import close_after
from .maps import map_as_stored
from .marker import rebuild_marker
from .rebuilding import Rebuilding
from .rows import MAX_TEXT_BYTES, check_fields
from .session import SessionStore
from .store import Store
from .types import Finding, Layout, SessionInfo, Turn, TurnIndex, User
from .vfs import Vfs
from .view import SessionView

__all__ = [
    "ArchiveReader",
    "ArchiveWriter",
    "CorruptChunk",
    "CorruptMetadata",
    "DurabilityLost",
    "Erased",
    "ExportChoice",
    "FencedWriter",
    "Finding",
    "FormatTooNew",
    "FormatTooOld",
    "ImportRejected",
    "InvalidAddress",
    "KeyMissing",
    "KeySource",
    "Layout",
    "LimitExceeded",
    "MAX_TEXT_BYTES",
    "ModelMismatch",
    "NoCipher",
    "NotAFolder",
    "NotAllowed",
    "NotEncrypted",
    "NoteRecord",
    "QuotaExceeded",
    "ReadOnly",
    "Rebuilding",
    "SessionBusy",
    "SessionClosed",
    "SessionExists",
    "SessionExport",
    "SessionHasForks",
    "SessionImport",
    "SessionInfo",
    "SessionMissing",
    "SessionRecord",
    "SessionStore",
    "SessionView",
    "SharedTurn",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StorePermission",
    "StoreUnreachable",
    "TokenSum",
    "Turn",
    "TurnConflict",
    "TurnIndex",
    "TurnRecord",
    "UnsafeFilesystem",
    "Usage",
    "User",
    "UserMissing",
    "Vfs",
    "WrongKey",
    "check_addresses",
    "check_fields",
    "close_after",
    "encode_name",
    "map_as_stored",
    "rebuild_marker",
]
