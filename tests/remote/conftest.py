"""Real servers, one of each per run, and stores on them that know nothing of each other."""

from __future__ import annotations

import http.client
import http.server
import importlib.util
import itertools
import os
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
pytest.importorskip("obstore", reason="the extra `s3` is not installed")

import hsa_memory  # noqa: E402 - after the drivers were found
from hsa_memory import Memory  # noqa: E402
from hsa_memory.storage import SessionStore, Store  # noqa: E402
from hsa_memory.storage.objects import ObjectStore  # noqa: E402

Open = Callable[..., Store]
_numbers = itertools.count()
KEYS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_REGION": "us-east-1",
}


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_root = Path(__file__).parents[2]
_servers = _load(_root / "benchmarks" / "_servers.py", "_servers")
# Layouts, turns and chunks whose right bytes can be told, and a tiny model.
kit = _load(_root / "tests" / "storage" / "conftest.py", "_storage_kit").kit
tiny_checkpoint = _load(_root / "tests" / "hsa_memory" / "conftest.py", "_tiny").tiny_checkpoint


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
    # Longer than a busy machine may keep a process from renewing it; see `leases_end`.
    return f"{postgres}?schema=store_{os.getpid()}_{next(_numbers)}&lease=30"


@pytest.fixture
def leases_end(database: str) -> Callable[[float], None]:
    """Has all leases of the store end so many seconds from now, unless they are renewed."""
    import psycopg

    url, schema = database.split("?")[0], database.split("schema=")[1].split("&")[0]

    def end(seconds: float) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(
                f"UPDATE {schema}.leases "
                "SET expires = least(expires, clock_timestamp() + %s * interval '1 second')",
                (seconds,),
            )

    return end


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


class FaultyProxy(http.server.ThreadingHTTPServer):
    """Passes requests on to an S3 server, but for those that a test has it answer otherwise.

    Attributes:
        faults: what happens to the next PUTs: a status to answer, "lost" (done, and the answer
            lost), "torn" (half of the body stored) or "" (passed on).
        seen: method and path of every request.
    """

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.target = target.removeprefix("http://")
        self.faults: list[int | str] = []
        self.seen: list[tuple[str, str]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no news."""


class _Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path))
        faults = self.server.faults
        fault = faults.pop(0) if self.command == "PUT" and faults else ""
        if isinstance(fault, int):
            self._answer(fault, {}, b"<Error><Code>Injected</Code></Error>")
            return
        headers = dict(self.headers.items())
        if fault == "torn":
            body = body[: len(body) // 2]
            headers = {k: v for k, v in headers.items() if not k.lower().startswith("x-amz-con")}
        headers["Content-Length"] = str(len(body))
        with closing(http.client.HTTPConnection(self.server.target)) as connection:
            connection.request(self.command, self.path, body, headers)
            reply = connection.getresponse()
            status, answer, found = reply.status, dict(reply.getheaders()), reply.read()
        if fault == "lost":
            self.close_connection = True
            return
        self._answer(status, answer, found)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        skipped = ("content-length", "transfer-encoding", "connection")
        for key, value in headers.items():
            if key.lower() not in skipped:
                self.send_header(key, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815


@pytest.fixture
def faulty(s3: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """The way to the bucket leads through this proxy."""
    proxy = FaultyProxy(s3)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{proxy.server_port}")
    yield proxy
    proxy.shutdown()
    proxy.server_close()
    thread.join()


@pytest.fixture
def machine(tmp_path: Path, database: str, bucket: str) -> Iterator[Open]:
    """Opens the store as the machine of that name, with its own folder."""
    stores = []

    def opened(name: str = "here", **options: Any) -> Store:
        given = {"database": database, "objects": bucket, **options}
        store = Store.open(tmp_path / name, **given)
        stores.append(store)
        return store

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def alice(machine: Open, kit: SimpleNamespace) -> Callable[..., SessionStore]:
    """Opens the session alice on a machine."""
    return lambda name="here", **options: machine(name).session(
        "alice", **{"layout": kit.layout, **options}
    )


@pytest.fixture
def stored(bucket: str) -> Callable[[], dict[str, bytes]]:
    """All objects by key."""

    def read() -> dict[str, bytes]:
        objects = ObjectStore(bucket)
        return {found.key: objects._read(found.key) or b"" for found in objects.below("")}

    return read


@pytest.fixture
def fill(kit: SimpleNamespace) -> Callable[..., None]:
    """Appends turns to a session, and writes all their chunks."""

    def filled(session: SessionStore, first: int, stop: int, **turn: Any) -> None:
        session.append([kit.turn(number, **turn) for number in range(first, stop)])
        kit.catch_up(session, 5 if session.num_tokens < 4000 else 1000)

    return filled


@pytest.fixture
def here(tmp_path: Path, tiny_checkpoint: Path) -> Iterator[Callable[..., Memory]]:
    """Opens the memory in this process, in a folder of that name."""
    memories = []

    def opened(name: str, **servers: str) -> Memory:
        memories.append(hsa_memory.open(tmp_path / name, model=tiny_checkpoint, **servers))
        return memories[-1]

    yield opened
    for memory in memories:
        memory.close()
