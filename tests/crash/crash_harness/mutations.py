"""Protocols that are wrong on purpose: the harness must see it.

Each is a patch of the recorded process; the states are opened by the real store. A mutation that
the store bears by construction says so in its docstring, and its test shows what holds instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hsa_memory.storage import database, derived, generation, records, segment
from hsa_memory.storage.errors import DurabilityLost
from hsa_memory.storage.vfs import Vfs

Mutation = Callable[[], None]
MUTATIONS: dict[str, Mutation] = {}


def mutation(patch: Mutation) -> Mutation:
    """Register a patch under its name."""
    MUTATIONS[patch.__name__.replace("_", "-")] = patch
    return patch


def _set_synchronous(level: str) -> None:
    configure = database.Database._configure

    def configured(self: Any, connection: Any) -> None:
        configure(self, connection)
        connection.execute(f"PRAGMA synchronous={level}")

    database.Database._configure = configured  # type: ignore[method-assign]


@mutation
def synchronous_normal() -> None:
    """SQLite does not wait for the disk at a commit."""
    _set_synchronous("NORMAL")


@mutation
def synchronous_off() -> None:
    """SQLite never waits for the disk."""
    _set_synchronous("OFF")


def _nothing(*_: Any, **__: Any) -> None:
    pass


@mutation
def no_chunk_sync() -> None:
    """The durable watermark moves without an fdatasync of segments and landmarks."""

    def sync(self: generation.Generation) -> None:
        self._dirty.clear()

    generation.Generation.sync = sync  # type: ignore[method-assign]


@mutation
def no_sync_at_seal() -> None:
    """A segment that fills is sealed without an fdatasync."""
    commit, sync = derived.Derived._commit, generation.Generation.sync
    sealing: list[object] = []

    def committed(self: Any, new: Any, **options: Any) -> None:
        cap, old = self._geometry.cap, self._truth.state
        sealing[:] = range(old.pub_chunk // cap, new.pub_chunk // cap)
        commit(self, new, **options)
        sealing.clear()

    def synced(self: generation.Generation) -> None:
        self._dirty.clear() if sealing else sync(self)

    derived.Derived._commit = committed  # type: ignore[method-assign]
    generation.Generation.sync = synced  # type: ignore[method-assign]


@mutation
def publish_before_write() -> None:
    """The watermark moves before the bytes of the chunks are written."""
    late: list[Callable[[], None]] = []
    write_blocks, write_records = segment.Segment.write_blocks, segment.Segment.write_records
    publish = derived.Derived.publish

    def blocks(self: Any, first: int, kv: Any) -> None:
        late.append(lambda: write_blocks(self, first, kv))

    def rows(self: Any, first: int, part: Any) -> None:
        late.append(lambda: write_records(self, first, part))

    def published(self: Any, num_chunks: int, blob: bytes) -> None:
        publish(self, num_chunks, blob)
        for call in late:
            call()
        late.clear()

    segment.Segment.write_blocks = blocks  # type: ignore[method-assign]
    segment.Segment.write_records = rows  # type: ignore[method-assign]
    derived.Derived.publish = published  # type: ignore[method-assign]


@mutation
def no_directory_sync() -> None:
    """No directory is synced by us; SQLite still syncs those of its logs."""
    Vfs.sync_dir = _nothing  # type: ignore[method-assign]


@mutation
def no_header_sync() -> None:
    """A new segment is not synced once its header is written.

    The store bears it: `durable_chunk` moves only after an fdatasync of the segment, which is one
    of the whole file and takes its header along. Chunks above it are looked at when the session is
    opened, the header of their segment first.
    """
    create = segment.Segment.create.__func__  # type: ignore[attr-defined]

    def created(cls: Any, vfs: Vfs, *rest: Any, **options: Any) -> Any:
        sync, vfs.sync = vfs.sync, _nothing  # type: ignore[method-assign, assignment]
        try:
            return create(cls, vfs, *rest, **options)
        finally:
            vfs.sync = sync  # type: ignore[method-assign]

    segment.Segment.create = classmethod(created)  # type: ignore[assignment, method-assign]


@mutation
def unbound_checksums() -> None:
    """The chain hash, and with it every checksum of derived bytes, does not depend on the tokens.

    As long as tokens are durable before anything is made of them, and stay, nothing shows: that is
    the first line of defence, and the checksums are the second. They are needed where a session
    goes on from an older session.db, over the chunks of turns that it does not know. Readers must
    be as wrong as the writer, so this is a patch of the whole host.
    """
    records.RecordTable._chain = lambda self, *_: 0  # type: ignore[method-assign]


@mutation
def sync_again() -> None:
    """A failed fsync is tried a second time."""
    sync = Vfs.sync

    def synced(self: Vfs, fd: int, **options: Any) -> None:
        try:
            sync(self, fd, **options)
        except DurabilityLost:
            sync(self, fd, **options)

    Vfs.sync = synced  # type: ignore[method-assign]
