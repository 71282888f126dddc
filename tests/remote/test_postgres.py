"""PostgresDatabase keeps to what Database promises, on a real server."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from hsa_memory.storage.addresses import parse_address
from hsa_memory.storage.errors import (
    DurabilityLost,
    FencedWriter,
    LimitExceeded,
    SessionBusy,
    SessionClosed,
    SessionMissing,
    StoreError,
    StorePermission,
    StoreUnreachable,
)
from hsa_memory.storage.leases import Leases
from hsa_memory.storage.postgres import PostgresDatabase
from hsa_memory.storage.postgres_server import Server, escape, unescape
from hsa_memory.storage.postgres_tables import open_tables
from hsa_memory.storage.tables import notes

SID = "ab" * 16
OTHER = "cd" * 16


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    server = Server(parse_address(database))
    open_tables(server, create=True)
    yield server
    server.close()


@pytest.fixture
def rows(server: Server) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(server, SID, write=True)
    yield database
    database.close()


def put(database: PostgresDatabase, key: str, value: bytes = b"v", **options: bool) -> None:
    with database.write(**options) as connection:
        connection.execute(sa.insert(notes), {"key": key, "value": value, "sum": b"s"})


def put_all(
    database: PostgresDatabase, names: list[str], after_first: Callable[[], object] = list
) -> None:
    """Put notes in one transaction; something happens after the first."""
    with database.write() as connection:
        for place, key in enumerate(names):
            connection.execute(sa.insert(notes), {"key": key, "value": b"", "sum": b""})
            if place == 0:
                after_first()


def keys(database: PostgresDatabase) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(sa.select(notes.c.key)).scalars())


def test_a_store_is_made_once_and_keeps_its_id(database: str) -> None:
    server = Server(parse_address(database))
    with pytest.raises(SessionMissing):
        open_tables(server, create=False)
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(open_tables(server, create=True)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert set(found) == {open_tables(server, create=False)}
    server.close()


def test_a_session_sees_and_changes_its_own_rows_only(
    server: Server, rows: PostgresDatabase
) -> None:
    other = PostgresDatabase(server, OTHER, write=True)
    put(rows, "mine")
    put(other, "theirs")
    put(other, "mine", b"another")
    assert keys(rows) == ["mine"]
    with rows.write() as connection:
        assert connection.execute(sa.delete(notes)).rowcount == 1
    assert keys(rows) == []
    assert keys(other) == ["mine", "theirs"]
    nobody = PostgresDatabase(server, "", write=True)
    assert keys(nobody) == []
    with pytest.raises(StoreError):
        put(nobody, "lost")


@pytest.mark.parametrize("text", ["a\0b", "\0", "\x01", "\x01\x02", "\0\x01\0", "ä\U0001f980\0"])
def test_text_with_any_character_comes_back(rows: PostgresDatabase, text: str) -> None:
    assert unescape(escape(text)) == text
    put(rows, text, text.encode())
    assert keys(rows) == [text]
    with rows.read() as connection:
        found = connection.execute(sa.text("SELECT value FROM notes WHERE key = :k"), {"k": text})
        value = found.scalar_one()
    assert (type(value), value) == (bytes, text.encode())


def test_numbers_come_back_whole(rows: PostgresDatabase) -> None:
    for number in (5e-324, 1.7976931348623157e308, 0.1, -1e-7, 1763758800.123456789):
        with rows.read() as connection:
            again = connection.execute(sa.text("SELECT :x + 0.0::float8"), {"x": number}).scalar()
        assert again == number
    with rows.read() as connection:
        assert connection.execute(sa.text("SELECT :n"), {"n": 1 << 62}).scalar() == 1 << 62


def test_a_block_that_fails_writes_nothing(rows: PostgresDatabase) -> None:
    with pytest.raises(ZeroDivisionError):
        put_all(rows, ["a"], lambda: 1 // 0)
    with pytest.raises(StoreError):
        put_all(rows, ["b", "b"])
    assert keys(rows) == []
    put(rows, "c")
    assert keys(rows) == ["c"]


def test_a_read_block_sees_one_state(server: Server, rows: PostgresDatabase) -> None:
    put(rows, "first")
    reader = PostgresDatabase(server, SID, write=False)
    with reader.read() as connection:
        assert len(connection.execute(sa.select(notes)).all()) == 1
        put(rows, "second", durable=False)
        assert len(connection.execute(sa.select(notes)).all()) == 1
    assert keys(reader) == ["first", "second"]
    with pytest.raises(StorePermission), reader.write():
        raise AssertionError
    reader.close()
    with pytest.raises(SessionClosed):
        keys(reader)


def test_a_commit_waits_for_the_disk_whatever_the_user_is_set_to(database: str) -> None:
    server = Server(parse_address(database + "&options=-csynchronous_commit%3Doff"))
    open_tables(server, create=True)
    rows = PostgresDatabase(server, SID, write=True)
    for durable, expected in ((True, "on"), (False, "off")):
        with rows.write(durable=durable) as connection:
            found = connection.exec_driver_sql("SHOW synchronous_commit").scalar()
        assert found == expected
    server.close()


def test_a_connection_that_died_while_idle_is_replaced(
    rows: PostgresDatabase, backends: Callable[[], int]
) -> None:
    put(rows, "before")
    assert backends() >= 1
    put(rows, "after")
    assert keys(rows) == ["after", "before"]


def test_a_connection_lost_before_the_commit_wrote_nothing(
    rows: PostgresDatabase, backends: Callable[[], int]
) -> None:
    with pytest.raises(StoreUnreachable):
        put_all(rows, ["a", "b"], backends)
    assert keys(rows) == []


def test_a_connection_lost_at_the_commit_is_told(
    rows: PostgresDatabase, backends: Callable[[], int]
) -> None:
    with pytest.raises(DurabilityLost):
        put_all(rows, ["a"], backends)
    assert keys(rows) == []


def test_after_an_interrupt_a_commit_under_way_is_waited_for(
    server: Server, database: str, rows: PostgresDatabase
) -> None:
    leases = Leases(server)
    lease = leases.take(SID, "alice")
    writer = PostgresDatabase(server, SID, write=True, lease=lease)
    begun = threading.Event()

    def commit_slowly() -> None:
        with writer.write() as connection:
            connection.execute(sa.insert(notes), {"key": "late", "value": b"", "sum": b""})
            begun.set()
            threading.Event().wait(0.5)

    thread = threading.Thread(target=commit_slowly)
    thread.start()
    assert begun.wait(120)
    # As an interrupt leaves it whose connection is closed here and still at work on the server.
    interrupted = PostgresDatabase(server, SID, write=True, lease=lease)
    interrupted._unsettled = True
    assert keys(interrupted) == ["late"]
    thread.join()
    lease.release()
    leases.close()


def test_no_server_is_told(database: str) -> None:
    with pytest.raises(StoreUnreachable, match="check the URL") as told:
        open_tables(Server(parse_address("postgresql://hsa@127.0.0.1:9/x")), create=True)
    assert "\n" not in str(told.value)
    missing = database.replace("/postgres?", "/nowhere?")
    with pytest.raises(StoreUnreachable, match="nowhere"):
        open_tables(Server(parse_address(missing)), create=True)


def test_a_key_that_no_index_holds_is_refused(rows: PostgresDatabase) -> None:
    with pytest.raises(LimitExceeded):
        put(rows, os.urandom(6000).hex())
    assert keys(rows) == []


@pytest.mark.parametrize(
    "url",
    [
        "mysql://x/y",
        "notes.db",
        "postgresql://h/d?schema=a-b",
        "postgresql://h/d?schema=",
        "postgresql://h/d?lease=0",
        "postgresql://h/d?lease=soon",
    ],
)
def test_an_impossible_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_address(url)


def test_an_address_hides_its_password() -> None:
    address = parse_address("postgresql://me:secret@host/db?sslmode=require&schema=b&lease=3")
    assert "secret" not in address.shown
    assert address.url == "postgresql://me:secret@host/db?sslmode=require"
    assert (address.schema, address.lease_seconds) == ("b", 3.0)


# ---- leases


def test_one_writer_has_the_lease(server: Server) -> None:
    here, there = Leases(server), Leases(server)
    lease = here.take(SID, "alice")
    with pytest.raises(SessionBusy, match="alice"):
        there.take(SID, "alice")
    there.take(OTHER, "bob").release()
    lease.release()
    there.take(SID, "alice").release()
    here.close()
    there.close()


def test_a_renewal_that_comes_late_brings_no_lease_back(server: Server) -> None:
    here, there = Leases(server), Leases(server)
    lease = here.take(SID, "alice")
    lease.release()
    # As if the thread that renews had looked before the release.
    here._held[lease.owner] = lease
    here.renew(None).close()
    there.take(SID, "alice").release()
    here.close()
    there.close()


def test_a_lease_that_nobody_has_is_freed(server: Server) -> None:
    leases = Leases(server)
    leases.take(SID, "alice")
    leases.take(SID, "alice").release()
    leases.close()


def test_an_idle_writer_keeps_its_lease_and_a_silent_one_loses_it(
    database: str, leases_end: Callable[[float], None]
) -> None:
    server = Server(parse_address(database.replace("lease=30", "lease=9")))
    open_tables(server, create=True)
    here, there = Leases(server), Leases(server)
    lease = here.take(SID, "alice")
    rows = PostgresDatabase(server, SID, write=True, lease=lease)
    put(rows, "a")
    first, deadline = end_of(rows), time.monotonic() + 120
    while end_of(rows) == first:
        assert time.monotonic() < deadline, "nobody has renewed it"
        time.sleep(0.05)
    with pytest.raises(SessionBusy):
        there.take(SID, "alice")
    here._end.set()
    assert here._keeper is not None
    here._keeper.join()
    leases_end(0)
    # It fell silent and nobody wanted the session: it goes on.
    put(rows, "b")
    with pytest.raises(SessionBusy):
        there.take(SID, "alice")
    leases_end(0)
    taken = there.take(SID, "alice")
    with pytest.raises(FencedWriter):
        put(rows, "c")
    assert keys(rows) == ["a", "b"]
    lease.release()
    with pytest.raises(SessionBusy):
        here.take(SID, "alice")
    taken.release()
    server.close()


def end_of(rows: PostgresDatabase) -> object:
    """When the lease of the session ends."""
    with rows.read() as connection:
        return connection.exec_driver_sql(
            f"SELECT expires FROM leases WHERE sid = '{SID}'"
        ).scalar_one()


def test_who_stops_in_mid_transaction_does_not_keep_the_session(database: str) -> None:
    server = Server(parse_address(database.replace("lease=30", "lease=0.6")))
    open_tables(server, create=True)
    here, there = Leases(server), Leases(server)
    lease = here.take(SID, "alice")
    rows = PostgresDatabase(server, SID, write=True, lease=lease)
    here._end.set()

    def another_takes_it() -> None:
        threading.Event().wait(1.5)
        there.take(SID, "alice").release()

    with pytest.raises(StoreError):
        put_all(rows, ["a", "b"], another_takes_it)
    assert keys(rows) == []
    server.close()
