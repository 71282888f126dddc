"""Sessions on disk: turns in SQLite, chunk memory in checksummed files. See FORMAT.md."""

from .addresses import check_addresses
from .errors import (
    CorruptChunk,
    CorruptMetadata,
    DurabilityLost,
    Erased,
    FencedWriter,
    FormatTooNew,
    FormatTooOld,
    LimitExceeded,
    ModelMismatch,
    NotAFolder,
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
)
from .leaving import close_after
from .maps import map_as_stored
from .marker import rebuild_marker
from .rows import MAX_TEXT_BYTES, check_fields
from .session import SessionStore
from .store import Store
from .types import Finding, Layout, SessionInfo, Turn, TurnIndex
from .vfs import Vfs
from .view import SessionView

__all__ = [
    "CorruptChunk",
    "CorruptMetadata",
    "DurabilityLost",
    "Erased",
    "FencedWriter",
    "Finding",
    "FormatTooNew",
    "FormatTooOld",
    "Layout",
    "LimitExceeded",
    "MAX_TEXT_BYTES",
    "ModelMismatch",
    "NotAFolder",
    "ReadOnly",
    "SessionBusy",
    "SessionClosed",
    "SessionExists",
    "SessionHasForks",
    "SessionInfo",
    "SessionMissing",
    "SessionStore",
    "SessionView",
    "SharedTurn",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StorePermission",
    "StoreUnreachable",
    "Turn",
    "TurnConflict",
    "TurnIndex",
    "Vfs",
    "check_addresses",
    "check_fields",
    "close_after",
    "map_as_stored",
    "rebuild_marker",
]
