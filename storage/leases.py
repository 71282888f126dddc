"""Leases: one writer per session across machines, by the clock of the database.

A lease is a row that names its owner and when it ends. Whoever writes makes sure of it, and renews
it, in the transaction itself; a thread renews those of writers that are idle. A writer that falls
silent loses its sessions when their leases end, and finds out at its next write.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import sys
import threading
import weakref
from typing import Any

import sqlalchemy as sa

from .errors import SessionBusy, StoreError, StoreLocked
from .postgres import PostgresDatabase
from .postgres_server import Server, driver_errors

_log = logging.getLogger(__name__)
# How the lease is called under which a session gets forks, and forgets turns.
BRANCH = "b-"
# Renewed that many times before it would end.
_RENEWALS = 3
# How long to wait for a transaction of the holder that is just being committed.
_WAIT_MS = 1000
_live: weakref.WeakSet[Leases] = weakref.WeakSet()
_take = sa.text(
    "INSERT INTO leases (sid, owner, holder, epoch, expires) VALUES (:sid, :owner, :holder, 1, "
    "clock_timestamp() + :seconds * interval '1 second') "
    "ON CONFLICT (sid) DO UPDATE SET owner = excluded.owner, holder = excluded.holder, "
    "epoch = leases.epoch + 1, expires = excluded.expires "
    "WHERE leases.expires <= clock_timestamp() RETURNING epoch"
)
_who = sa.text(
    "SELECT holder, extract(epoch FROM expires - clock_timestamp())::float8 FROM leases "
    "WHERE sid = :sid"
)
# Without an owner: a renewal that is on its way must not find it again.
_free = sa.text(
    "UPDATE leases SET owner = '', expires = '-infinity' WHERE sid = :sid AND owner = :owner"
)
_renew = (
    'WITH free AS (SELECT sid FROM "{schema}".leases WHERE owner = ANY(%s) FOR UPDATE SKIP LOCKED) '
    "UPDATE \"{schema}\".leases AS l SET expires = clock_timestamp() + %s * interval '1 second' "
    "FROM free WHERE l.sid = free.sid"
)


class Lease:
    """The right to write to one session; made by `Leases.take`.

    Args:
        leases: of the store.
        sid: the session's id in hex.
    """

    def __init__(self, leases: Leases, sid: str) -> None:
        self._leases = leases
        self.sid = sid
        self.owner = os.urandom(16).hex()
        """Random hex: every opening is another owner."""
        self.seconds = leases.seconds
        self._held = True
        self._pid = os.getpid()

    @property
    def renewal(self) -> str:
        """SQL that renews the lease; it changes no row if another owner has it."""
        return (
            f"UPDATE leases SET expires = clock_timestamp() + interval '{self.seconds} seconds' "
            f"WHERE sid = '{self.sid}' AND owner = '{self.owner}'"
        )

    def beside(self, sid: str) -> Lease | None:
        """The lease of that name that this process has too."""
        return self._leases.held(sid)

    def release(self) -> None:
        """Free the session; a second call does nothing."""
        if self._held and os.getpid() == self._pid:
            self._leases.free(self)
        self._held = False

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.release()


class Leases:
    """The leases that this process holds in one store, and the thread that renews them.

    Args:
        server: of the store.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.seconds = server.address.lease_seconds
        self._database = PostgresDatabase(server, "", write=True)
        self._mutex = threading.RLock()
        # Weak: a writer that nobody has any more frees its session.
        self._held: weakref.WeakValueDictionary[str, Lease] = weakref.WeakValueDictionary()
        self._keeper: threading.Thread | None = None
        self._end = threading.Event()
        _live.add(self)

    def take(self, sid: str, name: str) -> Lease:
        """The lease of a session.

        Args:
            sid: the session's id in hex.
            name: what the user calls it, for the message.

        Raises:
            SessionBusy: another writer has it.
        """
        lease = Lease(self, sid)
        try:
            with self._mutex, self._database.write() as connection:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT_MS}")
                values = {"sid": sid, "owner": lease.owner, "seconds": float(self.seconds)}
                values["holder"] = f"process {os.getpid()} on {socket.gethostname()}"
                taken = connection.execute(_take, values).one_or_none()
                who = None if taken else connection.execute(_who, {"sid": sid}).one_or_none()
            if taken is None:
                raise SessionBusy(_busy(name, who))
            self._held[lease.owner] = lease
            self._keep()
            return lease
        except StoreLocked as error:
            # Its holder is just writing, and takes its time.
            raise SessionBusy(_busy(name, None)) from error
        except BaseException:
            lease.release()
            raise

    def held(self, sid: str) -> Lease | None:
        """The lease of that name, if this process took it and has not freed it."""
        return next((lease for lease in list(self._held.values()) if lease.sid == sid), None)

    def free(self, lease: Lease) -> None:
        """End a lease at once; without a connection it ends by itself."""
        self._held.pop(lease.owner, None)
        try:
            with self._mutex, self._database.write(durable=False) as connection:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT_MS}")
                connection.execute(_free, {"sid": lease.sid, "owner": lease.owner})
        except StoreError as error:
            _log.warning("the lease of session %s ends by itself: %s", lease.sid, error)

    def _keep(self) -> None:
        if self._keeper is None or not self._keeper.is_alive():
            self._end.clear()
            self._keeper = threading.Thread(
                target=_renew_all,
                args=(weakref.ref(self), self._end, self.seconds / _RENEWALS),
                name="hsa-memory leases",
                daemon=True,
            )
            self._keeper.start()

    def renew(self, connection: Any) -> Any:
        """Renew what is held and not just being written; returns the connection to use next."""
        owners = list(self._held.keys())
        if not owners:
            return connection
        try:
            if connection is None or connection.closed:
                connection = self._server.connect()
            statement = _renew.format(schema=self._server.address.schema)
            connection.execute(statement, (owners, float(self.seconds)))
        except driver_errors() as error:
            _log.warning("leases could not be renewed, trying again: %s", error)
            if connection is not None:
                connection.close()
            return None
        return connection

    def close(self) -> None:
        """Stop renewing; what is held ends by itself if it was not released."""
        self._end.set()
        if self._keeper is not None and self._keeper is not threading.current_thread():
            self._keeper.join(_WAIT_MS / 1000)
        self._database.close()

    def free_all(self) -> None:
        """End all leases; for a process that ends without closing its sessions."""
        for lease in list(self._held.values()):
            lease.release()


def _free_at_exit() -> None:
    for leases in list(_live):
        leases.free_all()


atexit.register(_free_at_exit)


def _busy(name: str, who: Any) -> str:
    held = f" ({who[0]}, for {max(0.0, who[1]):.0f} more seconds unless it goes on)" if who else ""
    return (
        f"session {name!r} is being written by another handle or process{held}; close it there, or "
        "open it here with read_only=True"
    )


def _renew_all(leases: weakref.ref[Leases], end: threading.Event, pause: float) -> None:
    connection = None
    try:
        while not end.wait(pause):
            held = leases()
            if held is None:
                break
            connection = held.renew(connection)
            del held
    finally:
        if connection is not None:
            connection.close()
