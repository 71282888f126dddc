"""Objects: bytes by key in S3, Google's or Azure's storage, or a folder, through obstore.

Keys end with the sha256 of their object, so nothing is ever replaced by something else, and whether
an earlier attempt has arrived can be seen.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from .addresses import require_objects
from .errors import (
    CorruptMetadata,
    InvalidAddress,
    StoreError,
    StorePermission,
    StoreUnreachable,
)

Mode = Literal["create", "overwrite"]
_log = logging.getLogger(__name__)
_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.1
# A segment of 128 MiB over a slow line.
_REQUEST_TIMEOUT = "300s"
_DELETED_AT_ONCE = 500


class Stored(NamedTuple):
    """An object as the storage lists it."""

    key: str
    num_bytes: int


class ObjectStore:
    """A bucket, or a prefix in one.

    Args:
        url: s3://bucket/prefix, gs://..., az://..., file:///folder or memory:///. Endpoint and
            credentials come from the environment, by the names that each provider uses.

    Raises:
        InvalidAddress: no URL of a storage that is known.
        StoreError: obstore is not installed.
    """

    def __init__(self, url: str) -> None:
        scheme = require_objects(url)
        try:
            import obstore
            import obstore.exceptions
            from obstore.store import from_url
        except ImportError as error:
            raise StoreError(
                f"object storage needs obstore ({error}): pip install 'hsa-memory[s3]'"
            ) from error
        self.shown = url
        self._api = obstore
        self._errors = obstore.exceptions
        options: dict[str, Any] = {}
        if scheme == "file":
            options["mkdir"] = True
        elif scheme != "memory":
            options["client_options"] = {
                "timeout": _REQUEST_TIMEOUT,
                "connect_timeout": "10s",
                "allow_http": _is_http_meant(),
            }
            # A few tries below ours, which first look whether the last one has arrived after all.
            options["retry_config"] = {"max_retries": 1, "retry_timeout": timedelta(seconds=30)}
        try:
            self._store: Any = from_url(url, **options)
        except self._errors.BaseError as error:
            raise InvalidAddress(
                f"objects cannot be kept in {url!r}: {_first_line(error)}"
            ) from error

    def require_there(self) -> None:
        """Look for the bucket, once; a storage that cannot be asked now may answer later.

        Raises:
            InvalidAddress: there is no such bucket.
        """
        try:
            next(iter(self._api.list(self._store, chunk_size=1)), None)
        except (self._errors.BaseError, OSError) as error:
            # Of a bucket that is there a list may be empty, but it is found. Providers' answers
            # have no type of their own for this.
            if isinstance(error, FileNotFoundError) or "404 Not Found" in str(error):
                raise InvalidAddress(
                    f"there is no bucket for {self.shown}. Make it, or correct the address."
                ) from error
            _log.warning("cannot list %s yet: %s", self.shown, _first_line(error))

    def put(self, key: str, data: bytes) -> None:
        """Store an object and read it back; one that is there already with this content stays.

        Args:
            key: ends with the content's sha256.

        Raises:
            StoreUnreachable: it is not there, or not whole, after several attempts.
            StorePermission: the storage refuses.
        """
        failure: Exception | None = None
        mode: Mode = "create"
        for attempt in range(_ATTEMPTS):
            _pause(attempt)
            try:
                self._put(key, data, mode)
            except self._errors.NotSupportedError:
                mode = "overwrite"
                continue
            except (self._errors.AlreadyExistsError, self._errors.PreconditionError) as error:
                # Also after a timeout of an attempt that had arrived.
                failure = error
            except (self._errors.BaseError, OSError) as error:
                failure = self._refusal(error, "write", key)
            try:
                found = self._read(key)
            except StoreUnreachable as error:
                failure = error
                continue
            if found == data:
                return
            if found is not None:
                _log.warning("object %s in %s is damaged; writing it again", key, self.shown)
                mode = "overwrite"
        raise StoreUnreachable(
            f"cannot write object {key} to {self.shown}: {_first_line(failure)}. Try again later."
        ) from failure

    def _put(self, key: str, data: bytes, mode: Mode) -> None:
        # Whole or not at all: an upload in parts knows no "only if it is not there".
        self._api.put(self._store, key, data, mode=mode, use_multipart=False)

    def get(self, key: str, num_bytes: int, digest: bytes) -> bytes:
        """The object of that key, size and sha256.

        Raises:
            CorruptMetadata: it is missing or another.
            StoreUnreachable, StorePermission.
        """
        failure: StoreUnreachable | None = None
        for attempt in range(_ATTEMPTS):
            _pause(attempt)
            try:
                data = self._read(key, num_bytes)
            except StoreUnreachable as error:
                failure = error
                continue
            if data is None:
                raise CorruptMetadata(f"object {key} is missing in {self.shown}")
            if hashlib.sha256(data).digest() != digest:
                raise CorruptMetadata(f"object {key} in {self.shown} is not what was written")
            return data
        assert failure is not None
        raise failure

    def read(self, key: str) -> bytes:
        """An object as it is; nothing if there is none.

        Raises:
            StoreUnreachable, StorePermission.
        """
        return self._read(key) or b""

    def _read(self, key: str, num_bytes: int | None = None) -> bytes | None:
        """An object, None if there is none; b"" if it has another size than the one given."""
        try:
            found = self._api.get(self._store, key)
            if num_bytes is not None and found.meta["size"] != num_bytes:
                return b""
            return bytes(found.bytes())
        except FileNotFoundError:
            return None
        except (self._errors.BaseError, OSError) as error:
            raise self._refusal(error, "read", key) from error

    def below(self, prefix: str) -> list[Stored]:
        """All objects below a prefix, which ends where a part of the path ends.

        Raises:
            StoreUnreachable, StorePermission.
        """
        try:
            found = self._api.list(self._store, prefix).collect()
        except FileNotFoundError:
            return []
        except (self._errors.BaseError, OSError) as error:
            raise self._refusal(error, "list", prefix) from error
        return [Stored(entry["path"], entry["size"]) for entry in found]

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; missing ones are fine.

        Raises:
            StoreUnreachable, StorePermission.
        """
        left = list(keys)
        for first in range(0, len(left), _DELETED_AT_ONCE):
            batch = left[first : first + _DELETED_AT_ONCE]
            try:
                self._api.delete(self._store, batch)
            except FileNotFoundError:
                self._delete_singly(batch)
            except (self._errors.BaseError, OSError) as error:
                raise self._refusal(error, "delete", batch[0]) from error

    def _delete_singly(self, keys: list[str]) -> None:
        # A folder tells of the first one that is missing, and stops there.
        for key in keys:
            try:
                self._api.delete(self._store, key)
            except FileNotFoundError:
                continue
            except (self._errors.BaseError, OSError) as error:
                raise self._refusal(error, "delete", key) from error

    def _refusal(self, error: Exception, action: str, key: str) -> StoreUnreachable:
        """What cannot be done about an error: raises it if trying again is no use."""
        what = f"cannot {action} {key} in {self.shown}: {_first_line(error)}"
        refused = self._errors.PermissionDeniedError, self._errors.UnauthenticatedError
        if isinstance(error, (*refused, PermissionError)):
            raise StorePermission(f"{what}. Check the credentials.") from error
        return StoreUnreachable(f"{what}. Try again later.")


def _is_http_meant() -> bool:
    """Whether the environment names a server without TLS, as in a private network."""
    endpoints = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_ENDPOINT")
    return any(os.environ.get(name, "").startswith("http://") for name in endpoints)


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0][:500] if error else "no reason was given"


def _pause(attempt: int) -> None:
    if attempt:
        # Not all at the same moment.
        time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))


def digest_of(data: bytes) -> bytes:
    """sha256, 32 bytes."""
    return hashlib.sha256(data).digest()
