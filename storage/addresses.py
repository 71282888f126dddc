"""Addresses of the servers that may hold a store, without asking them anything."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from .errors import InvalidAddress

DEFAULT_SCHEMA = "hsa_memory"
DEFAULT_LEASE_SECONDS = 15.0
_DATABASES = ("postgresql", "postgres", "postgresql+psycopg")
_OBJECTS = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "file", "memory")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SECONDS = re.compile(r"\d{1,4}(\.\d+)?")
_SHORTEST_LEASE = 0.5


@dataclass(frozen=True)
class Address:
    """Where a store's truth lies."""

    url: str
    """As libpq takes it."""
    schema: str
    """Schema of the store's tables: a database may hold several stores."""
    lease_seconds: float
    """How long a writer that falls silent keeps its sessions."""
    shown: str
    """For messages: without a password."""


def parse_address(url: str) -> Address:
    """The address in a URL; `schema` and `lease` (seconds) of its query are ours, the rest libpq's.

    Raises:
        InvalidAddress: not a URL of PostgreSQL, or an impossible schema or lease.
    """
    parts = _split("database", url)
    if parts.scheme not in _DATABASES:
        raise InvalidAddress(
            f"database must be a URL like postgresql://user@host/name; found {_hidden(url)!r}"
        )
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    schema = query.pop("schema", DEFAULT_SCHEMA)
    if not _NAME.fullmatch(schema):
        raise InvalidAddress(
            f"schema must be 1 to 63 of a-z, 0-9 and _, not a digit first; found {schema!r}"
        )
    lease = query.pop("lease", str(DEFAULT_LEASE_SECONDS))
    if not _SECONDS.fullmatch(lease) or float(lease) < _SHORTEST_LEASE:
        raise InvalidAddress(f"lease must be {_SHORTEST_LEASE} to 9999 seconds; found {lease!r}")
    shown = _hidden(parts._replace(scheme="postgresql", query="").geturl())
    if schema != DEFAULT_SCHEMA:
        shown += f"?schema={schema}"
    plain = parts._replace(scheme="postgresql", query=urlencode(query)).geturl()
    return Address(plain, schema, float(lease), shown)


def _split(what: str, url: str) -> SplitResult:
    complaint = f"{what} must be a URL; found {_hidden(url)!r}"
    # urlsplit drops some control characters without a word.
    if any(char < " " or "\ud800" <= char <= "\udfff" for char in url):
        raise InvalidAddress(f"{complaint}, which has a control character or a lone surrogate")
    try:
        return urlsplit(url)
    except ValueError as error:
        raise InvalidAddress(f"{complaint} ({error})") from error


def _hidden(url: str) -> str:
    return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:***@", url)


def require_objects(url: str) -> str:
    """The scheme of an object storage's URL; raises InvalidAddress if it is none of those known."""
    scheme = _split("objects", url).scheme
    if scheme not in _OBJECTS:
        raise InvalidAddress(
            f"objects must be a URL like s3://bucket/prefix (or {', '.join(_OBJECTS[2:])}); found "
            f"{url!r}"
        )
    return scheme


def check_addresses(database: str | None, objects: str | None) -> None:
    """Raise InvalidAddress unless both can be a store's addresses.

    Args:
        database: URL of the truth's database; None: it lies in the store's folder.
        objects: URL of the chunks' object storage; None: nowhere but in that folder.
    """
    if database is not None:
        parse_address(database)
    if objects is not None:
        require_objects(objects)
        if database is None:
            raise InvalidAddress(
                "objects needs database as well: with the truth in a folder no other machine could "
                "open a session. To keep a copy elsewhere, back the folder up."
            )
