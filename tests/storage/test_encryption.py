"""Encryption: nothing readable on disk, no nonce twice, no byte where it does not belong."""

import os
import random
import shutil
import signal
import struct
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hsa_memory.storage import (
    CorruptChunk,
    CorruptMetadata,
    Store,
)
from hsa_memory.storage.cipher import place_of
from hsa_memory.storage.database import Database
from hsa_memory.storage.geometry import geometry_of
from hsa_memory.storage.header import decode_header
from hsa_memory.storage.writers import SessionWriters

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
OVERHEAD = 28
# Where the first block of a segment lies: after its header and its table.
BLOCKS = 4096 + 4096 * 64


def opened(root: Path, key: bytes | None = KEY, user: str | None = "alice") -> Store:
    return Store.open(root, user=user, key=key)


def fill_up(store: Store, kit, name: str = "diary", turns: int = 30) -> None:
    with store.session(name, layout=kit.layout) as session:
        first = session.num_turns
        session.append([kit.turn(first + i) for i in range(turns)], meta={"note": {"a": "canary"}})
        kit.catch_up(session)


def folder_of(root: Path, name: str = "diary", user: str | None = "alice") -> Path:
    with Store.open(root, user=user) as store:
        (found,) = (info.id for info in store.list_sessions() if info.name == name)
    return root / "s" / found[:2] / found


def all_bytes(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# ---- what is on the disk


@pytest.mark.parametrize("user", ["alice", None])
def test_nothing_that_was_said_is_on_the_disk(tmp_path, kit, user) -> None:
    text, secret = "the canary sings at midnight", {"colour": "canary yellow"}
    store = opened(tmp_path, user=user)
    session = store.session("diary", layout=kit.layout)
    session.append(
        [kit.turn(i, 40, text=f"{text} {i}", metadata=secret) for i in range(20)],
        meta={"note": {"of": "canary wing"}},
    )
    kit.catch_up(session)
    session.append([kit.turn(20, 3, text=text)])
    landmarks, kv = kit.rows(session, 0, session.published)
    needles = [text.encode(), b"canary", kit.tail(session.published)[:12]]
    long = [turn.tokens.astype("<u4") for turn in session.turns() if len(turn.tokens) > 20]
    needles += [tokens[i : i + 4].tobytes() for tokens in long for i in (0, 17)]
    needles += [row[k : k + 8].tobytes() for row in (*landmarks, *kv) for k in (0, 8)]
    # The log of the database is there now, and gone after the close.
    kit.assert_right(session)
    while_open = all_bytes(tmp_path)
    assert any(name.endswith("-wal") for name in while_open)
    session.close()
    (tmp_path / "trash").mkdir(exist_ok=True)
    closed = all_bytes(tmp_path)
    for name, data in (*while_open.items(), *closed.items()):
        assert [needle for needle in needles if needle in data] == [], name
    store.close()
    with (
        Store.open(tmp_path / "plain") as plain,
        plain.session("diary", layout=kit.layout) as other,
    ):
        other.append([kit.turn(i, 40, text=f"{text} {i}", metadata=secret) for i in range(20)])
        kit.catch_up(other)
    there = b"".join(all_bytes(tmp_path / "plain").values())
    # The search would find them.
    assert needles[3] in there
    assert needles[-1] in there


def test_what_stays_readable(tmp_path, kit) -> None:
    with opened(tmp_path, user="alice the user") as store:
        fill_up(store, kit, "a name")
    there = b"".join(all_bytes(tmp_path).values())
    for word in (b"alice the user", b"a name", b"turn-7", b"assistant"):
        assert word in there


def test_the_key_is_on_the_disk_wrapped_only(tmp_path, kit) -> None:
    with opened(tmp_path) as store:
        fill_up(store, kit)
        owner = store._owner()
        secret = store._keys.user_key(owner.key, owner.id)
    for name, data in all_bytes(tmp_path).items():
        assert [x for x in (KEY, secret) if x in data] == [], name


# ---- the same as without


def test_a_session_is_the_same_with_and_without(tmp_path, kit) -> None:
    seen = []
    for key in (None, KEY):
        root = tmp_path / str(bool(key))
        with opened(root, key) as store:
            fill_up(store, kit)
            with store.session("diary", layout=kit.layout) as session:
                session.forget([4, 9], blank=3, reach=5, keys=["note"])
                kit.fill(session)
                session.append([kit.turn(100, 9)])
                kit.catch_up(session)
        with opened(root, key) as store, store.session("diary", layout=kit.layout) as session:
            assert session.recovered == []
            kit.assert_right(session)
            said = [(t.role, t.text, t.tokens.tolist(), t.metadata) for t in session.turns()]
            count = session.published
            seen.append((said, session.landmarks().tobytes(), session.tail()))
            seen[-1] += (session.gather(np.arange(count)[::-1]).tobytes(), session.get_meta("note"))
            assert store.check() == []
    assert seen[0] == seen[1]


def test_a_reader_follows_a_writer(tmp_path, kit) -> None:
    with opened(tmp_path) as store, opened(tmp_path) as beside:
        fill_up(store, kit)
        reader = beside.session("diary", layout=kit.layout, read_only=True)
        kit.assert_right(reader)
        # Each opening seals with a key of its own.
        for _ in range(3):
            fill_up(store, kit, turns=4)
            assert reader.refresh()
            kit.assert_right(reader)
            assert reader.turns()[-1].text == kit.turn(reader.num_turns - 1).text


# ---- nonces


def rows_in(data: bytes, start: int, stride: int, width: int) -> list[bytes]:
    return [data[i : i + width] for i in range(start, len(data) - width + 1, stride)]


def block_stride(layout) -> int:
    return geometry_of(layout, OVERHEAD).stride


def sealed(root: Path, layout) -> list[tuple[bytes, bytes, bytes]]:
    """(salt of the writer, nonce, what it sealed) of everything that the files of a store hold."""
    found = []
    for folder in (root / "s").glob("*/*"):
        where = str(folder / "session.db")
        database = Database(where, write=False)
        with database.read() as connection:
            rows = connection.exec_driver_sql("SELECT text, tok, meta FROM turns").all()
            notes = connection.exec_driver_sql("SELECT key, value FROM notes").all()
        database.close()
        values = [value for row in rows for value in row]
        values += [value for key, value in notes if key.startswith("user-")]
        truth = SimpleNamespace(where=where, sid=bytes.fromhex(folder.name))
        salts = SessionWriters(truth).salts()
        width = layout.landmark_bytes + OVERHEAD
        values += rows_in((folder / "g1" / "landmarks.bin").read_bytes(), 4096, width, width)
        for path in (folder / "g1").glob("kv-*.seg"):
            stride, width = block_stride(layout), layout.kv_bytes + OVERHEAD
            values += rows_in(path.read_bytes(), BLOCKS, stride, width)
        for path in (folder / "g1").glob("tail-*.bin"):
            data = path.read_bytes()
            length = decode_header("tail", data[:4096], str(path))["bytes"]
            values.append(data[4096 : 4096 + length])
        for value in values:
            number = struct.unpack_from("<I", value)[0]
            if number:
                found.append((salts[number], value[:12], value))
    return found


def victim(root: Path, seed: int, kit) -> None:
    random.seed(seed)
    store = opened(root)
    session = store.session("diary", layout=kit.layout)
    while True:
        first = session.num_turns
        session.append([kit.turn(first + i, 5) for i in range(random.choice((1, 2, 5)))])
        kit.catch_up(session, step=random.choice((1, 7)))
        if random.random() < 0.2:
            session.rollback(random.randint(0, session.published))
        if random.random() < 0.2:
            session.close()
            session = store.session("diary", layout=kit.layout)
        os.write(1, b"")
        if session.num_turns > 40 + seed * 5:
            os.kill(os.getpid(), signal.SIGKILL)


def test_no_nonce_comes_twice(tmp_path, kit) -> None:
    """Kills, openings, roll backs, and copies of the store that all go on."""
    stores = [tmp_path / "store-0"]
    with opened(stores[0]) as store:
        fill_up(store, kit)
    used: dict[tuple[bytes, bytes], set[bytes]] = defaultdict(set)
    total = 0
    for round_ in range(8):
        for root in list(stores):
            child = os.fork()
            if child == 0:
                try:
                    victim(root, round_, kit)
                finally:
                    os._exit(1)
            assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
            for salt, nonce, data in sealed(root, kit.layout):
                used[salt, nonce].add(data)
                total += 1
        if round_ in (2, 5):
            copy = tmp_path / f"store-{len(stores)}"
            shutil.copytree(stores[-1], copy)
            stores.append(copy)
    assert len(used) > 500
    # One nonce under one key: always the same bytes, seen again.
    assert [key for key, values in used.items() if len(values) > 1] == []
    assert len({salt for salt, _ in used}) > 10
    for root in stores:
        with opened(root) as store:
            assert store.check() == []
            with store.session("diary", layout=kit.layout) as session:
                kit.catch_up(session)
                kit.assert_right(session)


def test_the_child_of_a_fork_seals_nothing(tmp_path, kit) -> None:
    with opened(tmp_path) as store, store.session("diary", layout=kit.layout) as session:
        session.append([kit.turn(0)])
        cipher = session._truth.cipher
        child = os.fork()
        if child == 0:
            try:
                cipher.seal(b"text", b"place")
            except Exception as error:
                os._exit(0 if type(error).__name__ == "SessionClosed" else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        session.append([kit.turn(1)])


def test_a_fork_begins_with_maps_that_are_encrypted(tmp_path, kit) -> None:
    with opened(tmp_path) as store:
        fill_up(store, kit, turns=10)
        with store.session("diary", layout=kit.layout) as session:
            session.set_meta("wish", {"a": "canary yellow"})
            for name in ("branch", "twig"):
                store.fork(session, name, 7, keep=("wish", "none"))
        for name in ("branch", "twig"):
            with store.session(name, layout=kit.layout) as fork:
                assert fork.get_meta("wish") == {"a": "canary yellow"}
                assert fork.get_meta("none") is None
                fork.append([kit.turn(7)])
                fork.set_meta("wish", {"a": "canary red"})
                kit.catch_up(fork)
                kit.assert_right(fork)
            with store.session(name, layout=kit.layout, read_only=True) as fork:
                assert fork.get_meta("wish") == {"a": "canary red"}
        assert store.check() == []
    for path, blob in all_bytes(tmp_path).items():
        assert b"canary" not in blob, path


# ---- bytes in the wrong place


def test_blocks_that_were_swapped_are_refused(tmp_path, kit) -> None:
    """Also by somebody who makes the checksums right again."""
    with opened(tmp_path) as store, store.session("diary", layout=kit.layout) as session:
        session.append([kit.turn(i) for i in range(30)])
        kit.catch_up(session)
        generation = session._derived.generation
        ids = np.arange(4)
        (path,) = (Path(session.folder) / "g1").glob("kv-*.seg")
        stride, width = block_stride(kit.layout), kit.layout.kv_bytes + OVERHEAD
        blocks = rows_in(path.read_bytes(), BLOCKS, stride, width)[:4]
        stored = np.frombuffer(b"".join(blocks), np.uint8).reshape(4, width)
        out = np.empty((4, kit.layout.kv_bytes), np.uint8)
        cipher, kind = session._truth.cipher, f"/{generation.number}/kv/".encode()
        assert cipher.open_rows(stored, kind, ids, out) == []
        np.testing.assert_array_equal(out, session.gather(ids))
        swapped = np.ascontiguousarray(stored[::-1])
        assert cipher.open_rows(swapped, kind, ids, out) == [0, 1, 2, 3]


def test_a_swapped_value_is_refused(tmp_path, kit) -> None:
    with opened(tmp_path) as store, store.session("diary", layout=kit.layout) as session:
        session.append([kit.turn(i) for i in range(3)])
        truth = session._truth
        with truth.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT text FROM turns ORDER BY seq").all()
        assert truth.cipher.open(rows[1][0], place_of(truth.sid, 1, "text"))
        for seq, column in ((2, "text"), (1, "meta")):
            with pytest.raises(CorruptMetadata, match="is not what was encrypted there"):
                truth.cipher.open(rows[1][0], place_of(truth.sid, seq, column))


def test_a_damaged_block_is_named(tmp_path, kit) -> None:
    with opened(tmp_path) as store:
        fill_up(store, kit)
    (path,) = (folder_of(tmp_path) / "g1").glob("kv-*.seg")
    data = bytearray(path.read_bytes())
    data[BLOCKS + 3 * block_stride(kit.layout) + 40] ^= 1
    path.write_bytes(data)
    with opened(tmp_path) as store, store.session("diary", layout=kit.layout) as session:
        with pytest.raises(CorruptChunk) as damage:
            session.gather(np.arange(6))
        assert damage.value.chunk_ids == [3]
        session.rollback(3)
        kit.catch_up(session)
        kit.assert_right(session)


# ---- checking


def test_a_check_without_the_key_looks_at_every_checksum(tmp_path, kit) -> None:
    with opened(tmp_path) as store:
        fill_up(store, kit)
    folder = folder_of(tmp_path)
    with opened(tmp_path, None, user=None) as store:
        (found,) = store.check()
    assert (found.kind, found.user, found.session) == ("not-checked", "alice", "diary")
    for name, offset, kind in (
        ("g1/kv-0.seg", BLOCKS + 50, "corrupt-chunk"),
        ("g1/kv-0.seg", 4096 + 70, "corrupt-chunk"),
        ("g1/landmarks.bin", 4096 + 50, "corrupt-landmark"),
        ("session.db", None, "corrupt-turn"),
        ("tail", 4096 + 20, "corrupt-tail"),
    ):
        root = tmp_path / "damaged"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(tmp_path / "s", root / "s")
        for part in ("STORE", "catalog.db"):
            shutil.copy(tmp_path / part, root / part)
        place = root / folder.relative_to(tmp_path)
        paths = sorted(place.glob("g1/tail-*")) if name == "tail" else [place / name]
        for path in paths:
            data = bytearray(path.read_bytes())
            at = data.find(b"turn-9") + 30 if offset is None else offset
            data[at] ^= 1
            path.write_bytes(data)
        with opened(root, None, user=None) as store:
            kinds = {x.kind for x in store.check()}
        assert {"not-checked", kind} <= kinds, name


def test_a_block_of_an_earlier_writing_is_refused(tmp_path, kit) -> None:
    with opened(tmp_path) as store, store.session("diary", layout=kit.layout) as session:
        session.append([kit.turn(i) for i in range(12)])
        kit.catch_up(session)
        (path,) = (Path(session.folder) / "g1").glob("kv-*.seg")
        before = path.read_bytes()
        session.rollback(2)
        kit.catch_up(session)
        data = bytearray(path.read_bytes())
        place = slice(BLOCKS + 5 * block_stride(kit.layout), BLOCKS + 6 * block_stride(kit.layout))
        # The same tokens, and yet sealed to other bytes.
        assert data[place] != before[place]
        data[place] = before[place]
        path.write_bytes(data)
        with pytest.raises(CorruptChunk) as damage:
            session.gather(np.arange(8))
        assert damage.value.chunk_ids == [5]
