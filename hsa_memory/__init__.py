"""Long-term memory for language-model agents, built on hierarchical sparse attention.

Importing this package loads nothing heavy: each public name below is imported from its module on
first use, torch with the first memory that is opened.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .answering import AnswerStream
    from .errors import (
        CorruptStore,
        DeviceFull,
        DurabilityLost,
        HSAMemoryError,
        ImportRejected,
        InvalidArgument,
        InvalidCheckpoint,
        InvalidMessage,
        KeyMissing,
        MessageConflict,
        ModelMismatch,
        ModelNotFound,
        NoCipher,
        NotAllowed,
        NotEncrypted,
        QuotaExceeded,
        SessionBusy,
        SessionClosed,
        SessionDeleted,
        SessionExists,
        SessionHasForks,
        SessionNotFound,
        SessionReadOnly,
        StorageError,
        StoreFull,
        StoreLocked,
        StorePermission,
        StoreUnreachable,
        UnsafeFilesystem,
        UnsupportedFormat,
        UserNotFound,
        WriterFenced,
        WrongKey,
    )
    from .memory import Memory, open
    from .session import MemorySession
    from .types import (
        AddResult,
        Answer,
        Citation,
        ContextResult,
        Finding,
        ForgetResult,
        Hit,
        MemoryStats,
        Message,
        Moved,
        MoveProgress,
        Progress,
        SearchResult,
        SessionInfo,
        SessionStats,
        Stats,
        UserInfo,
    )

__all__ = [
    "AddResult",
    "Answer",
    "AnswerStream",
    "Citation",
    "ContextResult",
    "CorruptStore",
    "DeviceFull",
    "DurabilityLost",
    "Finding",
    "ForgetResult",
    "HSAMemoryError",
    "Hit",
    "ImportRejected",
    "InvalidArgument",
    "InvalidCheckpoint",
    "InvalidMessage",
    "KeyMissing",
    "Memory",
    "MemorySession",
    "MemoryStats",
    "Message",
    "MessageConflict",
    "ModelMismatch",
    "ModelNotFound",
    "MoveProgress",
    "Moved",
    "NoCipher",
    "NotAllowed",
    "NotEncrypted",
    "Progress",
    "QuotaExceeded",
    "SearchResult",
    "SessionBusy",
    "SessionClosed",
    "SessionDeleted",
    "SessionExists",
    "SessionHasForks",
    "SessionInfo",
    "SessionNotFound",
    "SessionReadOnly",
    "SessionStats",
    "Stats",
    "StorageError",
    "StoreFull",
    "StoreLocked",
    "StorePermission",
    "StoreUnreachable",
    "UnsafeFilesystem",
    "UnsupportedFormat",
    "UserInfo",
    "UserNotFound",
    "WriterFenced",
    "WrongKey",
    "__version__",
    "open",
]

__version__ = "0.1.0"

# Public name -> the module of this package that defines it; the imports above say the same to type
# checkers.
_LAZY: dict[str, str] = {
    "AddResult": "types",
    "Answer": "types",
    "AnswerStream": "answering",
    "Citation": "types",
    "ContextResult": "types",
    "CorruptStore": "errors",
    "DeviceFull": "errors",
    "DurabilityLost": "errors",
    "Finding": "types",
    "ForgetResult": "types",
    "HSAMemoryError": "errors",
    "Hit": "types",
    "ImportRejected": "errors",
    "InvalidArgument": "errors",
    "InvalidCheckpoint": "errors",
    "InvalidMessage": "errors",
    "KeyMissing": "errors",
    "Memory": "memory",
    "MemorySession": "session",
    "MemoryStats": "types",
    "Message": "types",
    "MessageConflict": "errors",
    "ModelMismatch": "errors",
    "ModelNotFound": "errors",
    "MoveProgress": "types",
    "Moved": "types",
    "NoCipher": "errors",
    "NotAllowed": "errors",
    "NotEncrypted": "errors",
    "Progress": "types",
    "QuotaExceeded": "errors",
    "SearchResult": "types",
    "SessionBusy": "errors",
    "SessionClosed": "errors",
    "SessionDeleted": "errors",
    "SessionExists": "errors",
    "SessionHasForks": "errors",
    "SessionInfo": "types",
    "SessionNotFound": "errors",
    "SessionReadOnly": "errors",
    "SessionStats": "types",
    "Stats": "types",
    "StorageError": "errors",
    "StoreFull": "errors",
    "StoreLocked": "errors",
    "StorePermission": "errors",
    "StoreUnreachable": "errors",
    "UnsafeFilesystem": "errors",
    "UnsupportedFormat": "errors",
    "UserInfo": "types",
    "UserNotFound": "errors",
    "WriterFenced": "errors",
    "WrongKey": "errors",
    "open": "memory",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
