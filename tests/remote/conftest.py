"""Real servers, one of each per run, and stores on them that know nothing of each other."""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
pytest.importorskip("obstore", reason="the extra `s3` is not installed")

_numbers = itertools.count()
KEYS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


_servers = _load(Path(__file__).parents[2] / "benchmarks" / "_servers.py")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a running PostgreSQL server. It need not survive its machine."""
    try:
        running = _servers.postgres_server("fsync=off", "max_connections=200")
        with running as url:
            yield url
    except _servers.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def database(postgres: str) -> str:
    """URL of a place for one store."""
    return f"{postgres}?schema=store_{os.getpid()}_{next(_numbers)}&lease=5"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Address of a running S3-compatible server."""
    try:
        running = _servers.s3_server()
        with running as address:
            yield address
    except _servers.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty bucket; the environment says how to reach it."""
    for key, value in {**KEYS, "AWS_ENDPOINT": s3}.items():
        monkeypatch.setenv(key, value)
    name = f"bucket-{os.getpid()}-{next(_numbers)}"
    make = urllib.request.Request(f"{s3}/{name}", method="PUT")
    urllib.request.urlopen(make).close()
    return f"s3://{name}/some/prefix"


@pytest.fixture
def backends(postgres: str) -> Callable[[str], int]:
    """Ends the server's side of every connection that matches a condition on pg_stat_activity."""
    import psycopg

    def end(condition: str = "application_name = 'hsa-memory'") -> int:
        with psycopg.connect(postgres) as connection:
            found = connection.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {condition}"
            )
            return len(found.fetchall())

    return end
