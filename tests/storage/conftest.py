"""Small layouts, turns and chunks whose right bytes can be told from their tokens alone; work that
dies."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xxhash

from hsa_memory.storage import (
    Layout,
    SessionStore,
    Store,
    Turn,
    Vfs,
    database,
    derived,
    locks,
)

LAYOUT = Layout(
    fingerprint="ab" * 32, chunk_size=4, dtype="bfloat16", kv_bytes=96, landmark_bytes=16
)


def make_turn(number: int, num_tokens: int = 6, **fields: object) -> Turn:
    """A turn that is a function of its number."""
    values = {
        "turn_id": f"turn-{number}",
        "role": ("user", "assistant")[number % 2],
        "text": f"message {number} " * (number % 5 + 1),
        "tokens": (np.arange(num_tokens, dtype=np.uint32) * 7 + number) % 4096,
        "timestamp": 1000.5 + number,
        "metadata": {"number": number},
    }
    return Turn(**{**values, **fields})


def expected_rows(session: SessionStore, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks and K/V that chunks first..stop-1 must have: bytes drawn from their tokens, and
    from those that they look ahead at."""
    layout, size = session.layout, session.layout.chunk_size
    beyond = layout.lookahead if stop > first else 0
    tokens = session.tokens(first * size, stop * size + beyond)
    starts = range(0, (stop - first) * size, size)
    rows = [tokens[start : start + size + layout.lookahead] for start in starts]
    seeds = [xxhash.xxh3_64_intdigest(row.tobytes() + bytes([7])) for row in rows]
    width = layout.landmark_bytes + layout.kv_bytes
    rows = np.array(
        [np.random.default_rng(seed).integers(0, 256, width, np.uint8) for seed in seeds], np.uint8
    ).reshape(stop - first, width)
    return rows[:, : layout.landmark_bytes].copy(), rows[:, layout.landmark_bytes :].copy()


def tail_of(count: int) -> bytes:
    """The tail that belongs to a number of chunks."""
    return f"tail of {count} ".encode() * 20


def catch_up(session: SessionStore, step: int = 5) -> None:
    """Write and publish every chunk whose tokens are there, as the API layer does."""
    available = session.layout.num_chunks(session.num_tokens)
    while session.published < available:
        first, stop = session.published, min(available, session.published + step)
        session.write_chunks(first, *expected_rows(session, first, stop))
        session.publish(stop, tail_of(stop))


def fill(session: SessionStore) -> None:
    """Write every chunk anew that forgetting made a hole of, as the API layer does."""
    for hole in session.own_holes:
        for first in range(hole.start, hole.stop, 3):
            stop = min(first + 3, hole.stop)
            session.fill(first, *expected_rows(session, first, stop))
    session.publish(session.published, tail_of(session.published))


def assert_right(session: SessionStore) -> None:
    """Every published byte is what its tokens ask for."""
    count = session.published
    landmarks, kv = expected_rows(session, 0, count)
    np.testing.assert_array_equal(session.landmarks(), landmarks)
    np.testing.assert_array_equal(session.gather(np.arange(count)), kv)
    assert session.tail() in (None, tail_of(count))


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is: nobody gives up waiting for a lock, and chunks are forced to the
    disk by their number, not by the time that has passed."""
    monkeypatch.setattr(locks, "_WAIT_SECONDS", 300.0)
    monkeypatch.setattr(database, "_BUSY_SECONDS", 300.0)
    monkeypatch.setattr(derived, "_CHECKPOINT_SECONDS", float("inf"))


@pytest.fixture
def kit() -> SimpleNamespace:
    """The helpers above."""
    return SimpleNamespace(
        layout=LAYOUT,
        turn=make_turn,
        rows=expected_rows,
        tail=tail_of,
        catch_up=catch_up,
        fill=fill,
        assert_right=assert_right,
    )


@pytest.fixture
def open_session(tmp_path: Path) -> Iterator[Callable[..., SessionStore]]:
    """Opens sessions of a store under tmp_path; everything is closed at the end."""
    stores = []

    def opened(name: str = "alice", **options: object) -> SessionStore:
        store = Store.open(tmp_path / "store")
        stores.append(store)
        return store.session(name, **{"layout": LAYOUT, **options})

    yield opened
    for store in stores:
        store.close()


class DyingVfs(Vfs):
    """Kills its process before change number `deadline` (from 0)."""

    def __init__(self, deadline: int) -> None:
        self._left = deadline

    def _tick(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def open(self, path, *, write=False, create=False):
        if create:
            self._tick()
        return super().open(path, write=write, create=create)

    def write(self, fd, data, offset):
        self._tick()
        super().write(fd, data, offset)

    def sync(self, fd, *, data_only=False):
        self._tick()
        super().sync(fd, data_only=data_only)

    def rename(self, old, new):
        self._tick()
        super().rename(old, new)

    def unlink(self, path):
        self._tick()
        super().unlink(path)

    def make_dir(self, path, *, parents=False):
        self._tick()
        super().make_dir(path, parents=parents)


def run_to_death(work: Callable[[Vfs], None], *, step: int = 1, most: int = 2000) -> Iterator[int]:
    """Run `work` in children that die at change 0, `step`, 2 * `step`, ...; yields after each, and
    ends after the first that comes to its end."""
    for deadline in range(0, most, step):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(DyingVfs(deadline))
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            yield deadline
            continue
        assert os.WEXITSTATUS(status) == 0, "the work failed by itself"
        return
    raise AssertionError(f"not done after {most} changes")


@pytest.fixture
def deaths() -> Callable[..., Iterator[int]]:
    """`run_to_death`."""
    return run_to_death


@pytest.fixture
def mounted() -> Iterator[Callable[..., Path]]:
    """Mounts small file systems in memory; skips the test where that is not allowed."""
    # Not below `tmp_path`, which other users cannot reach.
    folder = Path(tempfile.mkdtemp(prefix="hsa-memory-disks-"))
    folder.chmod(0o755)
    points: list[Path] = []

    def mount(options: str, *, again: bool = False) -> Path:
        point = points[-1] if again else folder / str(len(points))
        point.mkdir(exist_ok=True)
        if os.geteuid() != 0:
            pytest.skip("only the superuser may mount a file system")
        options = f"remount,{options}" if again else options
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount a file system: {done.stderr.strip()}")
        if not again:
            points.append(point)
        return point

    yield mount
    for point in points:
        subprocess.run(["umount", "-l", str(point)], check=True)
    shutil.rmtree(folder)
