"""The edge of the public API: errors of the layers below become errors of `errors.py`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hsa_memory import storage
from hsa_memory.model import ModelError

from . import errors

_PUBLIC: dict[type[Exception], type[errors.HSAMemoryError]] = {
    storage.StoreLocked: errors.StoreLocked,
    storage.ImportRejected: errors.ImportRejected,
    storage.SessionBusy: errors.SessionBusy,
    storage.SessionExists: errors.SessionExists,
    storage.SessionHasForks: errors.SessionHasForks,
    storage.SharedTurn: errors.InvalidArgument,
    storage.SessionMissing: errors.SessionNotFound,
    storage.SessionClosed: errors.SessionClosed,
    storage.ReadOnly: errors.SessionReadOnly,
    storage.Erased: errors.SessionDeleted,
    storage.FencedWriter: errors.WriterFenced,
    storage.DurabilityLost: errors.DurabilityLost,
    storage.StoreFull: errors.StoreFull,
    storage.QuotaExceeded: errors.QuotaExceeded,
    storage.UserMissing: errors.UserNotFound,
    storage.NotAllowed: errors.NotAllowed,
    storage.KeyMissing: errors.KeyMissing,
    storage.WrongKey: errors.WrongKey,
    storage.NotEncrypted: errors.NotEncrypted,
    storage.NoCipher: errors.NoCipher,
    storage.StorePermission: errors.StorePermission,
    storage.UnsafeFilesystem: errors.UnsafeFilesystem,
    storage.StoreUnreachable: errors.StoreUnreachable,
    storage.CorruptMetadata: errors.CorruptStore,
    storage.CorruptChunk: errors.CorruptStore,
    storage.ModelMismatch: errors.ModelMismatch,
    storage.InvalidAddress: errors.InvalidArgument,
    storage.NotAFolder: errors.InvalidArgument,
    storage.TurnConflict: errors.MessageConflict,
    storage.LimitExceeded: errors.InvalidMessage,
    storage.FormatTooNew: errors.UnsupportedFormat,
    storage.FormatTooOld: errors.UnsupportedFormat,
    storage.StoreError: errors.StorageError,
    ModelError: errors.InvalidCheckpoint,
}


@contextmanager
def public_errors() -> Iterator[None]:
    """Raise what happens inside as an error of the public tree, the cause attached."""
    try:
        yield
    except (storage.StoreError, ModelError) as error:
        kind = next(_PUBLIC[base] for base in type(error).__mro__ if base in _PUBLIC)
        raise kind(str(error)) from error
    except torch.OutOfMemoryError as error:
        raise errors.DeviceFull(
            f"the GPU's memory does not suffice; a smaller device_cache_bytes leaves more of it: "
            f"{error}"
        ) from error
    except PermissionError as error:
        raise errors.StorePermission(f"{error}; check who owns the memory's folder") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.StorageError(f"{error}; is somebody else changing the folder?") from error
