"""A full disk, a failed fsync: typed errors, nothing acknowledged lost. Injected through Vfs."""

import errno
import os
import resource
import shutil

import pytest

from hsa_memory.storage import (
    CorruptMetadata,
    DurabilityLost,
    Store,
    StoreError,
    StoreFull,
    StorePermission,
    Vfs,
)


class FaultyVfs(Vfs):
    """Fails the n-th call of one kind, once."""

    def __init__(self) -> None:
        self.kind = ""
        self.countdown = -1
        self.calls = 0

    def arm(self, kind: str, countdown: int) -> None:
        """Let call number `countdown` from now (from 0) of a kind fail."""
        self.kind, self.countdown, self.calls = kind, countdown, 0

    def _due(self, kind: str) -> bool:
        if kind != self.kind:
            return False
        self.calls += 1
        return self.calls == self.countdown + 1

    def write(self, fd, data, offset):
        if self._due("write"):
            os.pwrite(fd, bytes(data)[: len(data) // 2], offset)
            raise StoreFull("no space left (injected)")
        super().write(fd, data, offset)

    def allocate(self, fd, offset, length):
        if self._due("allocate"):
            raise StoreFull("no space left (injected)")
        super().allocate(fd, offset, length)

    def sync(self, fd, *, data_only=False):
        if self._due("sync"):
            raise DurabilityLost("fsync failed (injected)")
        super().sync(fd, data_only=data_only)


@pytest.fixture
def faulty() -> FaultyVfs:
    return FaultyVfs()


def grow(session, kit, turns: int) -> None:
    for i in range(session.num_turns, session.num_turns + turns):
        session.append([kit.turn(i, num_tokens=40)])
        kit.catch_up(session)


@pytest.mark.parametrize("kind", ["write", "allocate", "sync"])
def test_the_nth_failure_loses_nothing(tmp_path, kit, faulty, kind, monkeypatch) -> None:
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", 16)
    # Every call of the rarer kinds, every seventh write.
    for n in range(0, 400, 7 if kind == "write" else 1):
        root = tmp_path / f"{kind}-{n}"
        with Store.open(root, vfs=faulty) as store, store.session("a", layout=kit.layout):
            pass
        store = Store.open(root, vfs=faulty)
        session = store.session("a", layout=kit.layout)
        faulty.arm(kind, n)
        failed = None
        try:
            grow(session, kit, 5)
            session.close()
        except StoreError as error:
            failed = error
        fired = faulty.calls > n
        faulty.arm("", -1)
        if isinstance(failed, DurabilityLost) and not session._closed:
            with pytest.raises(DurabilityLost, match="earlier"):
                session.turns()
        elif isinstance(failed, StoreFull):
            # Space has come back: the same session goes on.
            grow(session, kit, 1)
        acknowledged = session.num_turns
        store.close()
        with Store.open(root) as store, store.session("a", layout=kit.layout) as session:
            assert session.num_turns == acknowledged
            kit.catch_up(session)
            kit.assert_right(session)
            assert session.check() == []
        if not fired:
            return
    pytest.fail("more calls than expected: raise the bound")


def test_a_full_database_is_a_full_store(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        session = store.session("a", layout=kit.layout)
        session.append([kit.turn(0)])
        session._truth.database._driver.execute("PRAGMA max_page_count=12")
        with pytest.raises(StoreFull, match="Free space"):
            session.append([kit.turn(1, text=os.urandom(40_000).hex())])
        assert session.num_turns == 1
        session.append([kit.turn(2)])
        assert [turn.turn_id for turn in session.turns()] == ["turn-0", "turn-2"]


def test_a_failed_commit_ends_the_writer(open_session, kit) -> None:
    session = open_session()
    session.append([kit.turn(0)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        # The log cannot grow: SQLite reports an I/O error from inside the transaction.
        with pytest.raises(DurabilityLost):
            session.append([kit.turn(1, text=os.urandom(100_000).hex())])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises(DurabilityLost, match="earlier write failed"):
        session.turns()
    session.close()
    session = open_session()
    assert session.num_turns == 1
    session.append([kit.turn(1)])
    assert session.check() == []


def test_system_errors_become_store_errors(tmp_path, monkeypatch) -> None:
    vfs = Vfs()
    cases = {errno.ENOSPC: StoreFull, errno.EACCES: StorePermission, errno.EIO: StoreError}
    for number, expected in cases.items():

        def fail(*_: object, number: int = number) -> int:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", fail)
            with pytest.raises(expected):
                vfs.write(0, b"x", 0)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", fail)
            patch.setattr(os, "fsync", fail)
            with pytest.raises(DurabilityLost, match="open it again"):
                vfs.sync(0, data_only=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_write_access_is_read_only(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        store.session("a", layout=kit.layout).close()
    for path in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    with Store.open(tmp_path / "store", read_only=True) as store:
        assert store.session("a", layout=None).num_turns == 0
    with pytest.raises(StorePermission):
        Store.open(tmp_path / "store").session("a", layout=None)


@pytest.mark.parametrize("name", ["session.db", "catalog.db", "s"])
def test_a_missing_database_is_no_matter_of_permission(tmp_path, kit, name) -> None:
    with Store.open(tmp_path / "store") as store:
        store.session("alice", layout=kit.layout).append([kit.turn(0)])
    found = next((tmp_path / "store").rglob(name))
    if found.is_dir():
        shutil.rmtree(found)
    else:
        found.unlink()

    def use() -> None:
        with Store.open(tmp_path / "store") as store:
            store.session("alice", layout=kit.layout)

    with pytest.raises(CorruptMetadata, match=r"\.db is missing"):
        use()


def test_what_was_committed_is_acknowledged_without_head_bin(tmp_path, kit, faulty) -> None:
    with Store.open(tmp_path / "store", vfs=faulty) as store:
        session = store.session("a", layout=kit.layout)
        session.append([kit.turn(0)])
        # The write after the commit is that of head.bin, here cut off half way.
        faulty.arm("write", 0)
        (turn,) = session.append([kit.turn(1)])
        assert faulty.calls == 1
        assert (turn.seq, session.num_turns) == (1, 2)
        faulty.arm("", -1)
        with Store.open(tmp_path / "store", read_only=True) as reading:
            assert reading.session("a", layout=None).num_turns == 2
        session.append([kit.turn(2)])
        assert session.check() == []


def test_what_closing_meets_never_hides_the_error_before_it(tmp_path, faulty, kit) -> None:
    store = Store.open(tmp_path / "store", vfs=faulty)

    def leave(name: str, error: Exception | None) -> None:
        with store.session(name, layout=kit.layout) as session:
            grow(session, kit, 3)
            faulty.arm("sync", 0)
            if error is not None:
                raise error

    with pytest.raises(KeyError):
        leave("alice", KeyError("first"))
    with pytest.raises(DurabilityLost):
        leave("bob", None)
