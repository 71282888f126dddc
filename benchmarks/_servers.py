"""Servers of our own for tests and benchmarks: PostgreSQL and an S3-compatible one.

Each begins in a fresh folder, listens on this machine only and ends with its `with` block.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PATIENCE_SECONDS = 180.0
# Below those that systems give to whoever asks for any.
_PORTS = range(15_000, 32_000)
_USERS = ("postgres", "nobody")


class Unavailable(Exception):
    """A server cannot be had on this machine; the message says why."""


def find_postgres() -> Path:
    """Return the folder of PostgreSQL's programs: from PATH, Debian's place, or pgserver's wheel.

    Raises:
        Unavailable: there are none.
    """
    found = shutil.which("initdb")
    if found and shutil.which("postgres"):
        return Path(found).resolve().parent
    for folder in sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True):
        if (Path(folder) / "initdb").exists():
            return Path(folder)
    with suppress(ImportError):
        import pgserver

        folder = Path(pgserver.__file__).parent / "pginstall" / "bin"
        if (folder / "initdb").exists():
            return folder
    raise Unavailable("no PostgreSQL: no initdb on PATH, in /usr/lib/postgresql, or from pgserver")


def _user() -> dict[str, object]:
    """Who the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in _USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise Unavailable(
        f"PostgreSQL does not run as root, and there is no user {' or '.join(_USERS)}"
    )


def free_port() -> int:
    """Return a TCP port that nobody listens on now, and that nobody gets who asks for any."""
    # Each process begins elsewhere: two that ask at once get two.
    first = 97 * os.getpid() % len(_PORTS)
    for port in (*_PORTS[first:], *_PORTS[:first]):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise Unavailable("no TCP port is free")


@contextmanager
def postgres_server(*settings: str) -> Iterator[str]:
    """Run a PostgreSQL server and give the URL of its database `postgres`.

    Args:
        settings: "name=value" each, for example "fsync=off".

    Raises:
        Unavailable: it cannot be started here.
    """
    programs, user = find_postgres(), _user()
    # Not below a folder that only its owner may enter: the server is another user.
    folder = Path(tempfile.mkdtemp(prefix="hsa-postgres-"))
    log = (folder / "log").open("w+")
    process = None
    try:
        if user:
            os.chown(folder, int(str(user["user"])), int(str(user["group"])))
        data, port = folder / "data", free_port()
        init = [programs / "initdb", "-D", data, "-A", "trust", "-U", "hsa", "-E", "UTF8"]
        made = subprocess.run(
            [*map(str, init), "--no-sync", "--locale=C"],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            check=False,
            **user,  # type: ignore[call-overload]
        )
        if made.returncode:
            log.seek(0)
            raise Unavailable(f"initdb failed: {log.read()[-500:]}")
        options = [x for setting in settings for x in ("-c", setting)]
        process = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
            + ["-c", "listen_addresses=127.0.0.1", *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            **user,  # type: ignore[call-overload]
        )
        _wait_for(process, port, log.name)
        url = f"postgresql://hsa@127.0.0.1:{port}/postgres"
        _wait_until_ready(url)
        yield url
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(_PATIENCE_SECONDS)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def s3_server() -> Iterator[str]:
    """Run an S3-compatible server and give its address, http://127.0.0.1:port.

    Raises:
        Unavailable: moto is not installed.
    """
    try:
        import moto.server  # noqa: F401
    except ImportError as error:
        raise Unavailable(f"no S3-compatible server: {error}") from error
    port = free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(process, port, "moto")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def _wait_until_ready(url: str) -> None:
    import psycopg

    # It listens a moment before it takes anybody in.
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise Unavailable(f"PostgreSQL takes no connection: {error}") from error
            time.sleep(0.05)


def _wait_for(process: subprocess.Popen[bytes], port: int, name: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise Unavailable(f"{name}: the server did not start (exit code {process.poll()})")
        time.sleep(0.05)
