"""One flipped bit, a cut, a missing file: told, or healed, or without any effect. Never wrong."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hsa_memory.storage import CorruptChunk, CorruptMetadata, SessionMissing, Store, StoreError
from hsa_memory.storage.header import decode_header, encode_header

NUM_TURNS = 24
FILES = ("STORE", "catalog.db", "session.db", "head.bin", "kv-0.seg", "kv-1.seg", "landmarks.bin")
FILES += ("tail-0.bin", "tail-1.bin")


@pytest.fixture(scope="module")
def make_pristine(tmp_path_factory) -> Callable[..., Path]:
    """Makes a store once: closed well, or copied as a kill would leave it (log and all)."""
    made: dict[bool, Path] = {}

    def make(kit, *, killed: bool) -> Path:
        if killed not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("hsa_memory.storage.geometry._MAX_CAP", 16)
                folder = tmp_path_factory.mktemp("pristine")
                store = Store.open(folder / "work")
                session = store.session("alice", layout=kit.layout)
                for i in range(NUM_TURNS):
                    session.append([kit.turn(i)])
                    kit.catch_up(session)
                session.set_meta("progress", {"offset": 7})
                if killed:
                    shutil.copytree(folder / "work", folder / "store")
                store.close()
                if not killed:
                    (folder / "work").rename(folder / "store")
                made[killed] = folder / "store"
        return made[killed]

    return make


@pytest.fixture
def damage(tmp_path, make_pristine, kit):
    """Copies the pristine store, lets `change` at one file, and judges what comes of it."""
    copies = iter(range(10_000))

    def judge(name: str, change: Callable[[Path], None], *, killed: bool = False) -> str:
        root = tmp_path / f"copy-{next(copies)}"
        shutil.copytree(make_pristine(kit, killed=killed), root)
        change(next(root.rglob(name)))
        try:
            return verdict(root, kit)
        finally:
            shutil.rmtree(root)

    return judge


def verdict(root: Path, kit) -> str:
    """ "told", "healed" or "harmless"; an AssertionError is a wrong answer."""
    try:
        with Store.open(root, create=False) as store:
            if not store.has_session("alice"):
                # A row that is not found: the check must know that it is missing.
                assert store.check() != []
                return "told"
            with store.session("alice", layout=kit.layout, read_only=True) as session:
                findings = session.recovered + session.check()
                told = bool(findings)
            with store.session("alice", layout=kit.layout) as session:
                assert_true_turns(session, kit)
                heal(session, kit)
                left = {finding.kind for finding in session.check()}
                # SQLite's own book-keeping is not ours to repair; the content above is right.
                assert left <= {"corrupt-database"}
            return "healed" if told else "harmless"
    except (StoreError, SessionMissing):
        return "told"


def heal(session, kit) -> None:
    """What the API layer does with a session: encode what is missing or cannot be trusted."""
    kit.catch_up(session)
    try:
        kit.assert_right(session)
    except CorruptChunk as error:
        session.rollback(min(error.chunk_ids))
        kit.catch_up(session)
        kit.assert_right(session)
    session.check(repair=True)
    kit.catch_up(session)


def assert_true_turns(session, kit) -> None:
    assert session.num_turns == NUM_TURNS
    for i, turn in enumerate(session.turns()):
        expected = kit.turn(i)
        assert (turn.turn_id, turn.text, turn.role) == (
            expected.turn_id,
            expected.text,
            expected.role,
        )
        assert turn.metadata == expected.metadata
        assert turn.timestamp == expected.timestamp
        assert turn.tokens.tolist() == expected.tokens.tolist()
        assert session.find(turn.turn_id).seq == i
    if not any(finding.kind == "lost-changes" for finding in session.recovered):
        assert session.get_meta("progress") == {"offset": 7}
    assert session.turn_index().role_code.tolist() == [i % 2 for i in range(NUM_TURNS)]


def flip(offset: int, bit: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        blob = bytearray(path.read_bytes())
        blob[offset % len(blob)] ^= 1 << bit
        path.write_bytes(blob)

    return change


def test_an_undamaged_copy_is_harmless(damage) -> None:
    assert damage("STORE", lambda path: None) == "harmless"
    assert damage("STORE", lambda path: None, killed=True) == "harmless"


def test_every_bit_of_a_header_counts() -> None:
    page = encode_header("kv", {"gen": 1, "sid": "ab" * 16})
    draw = random.Random(1)
    for offset in range(len(page)):
        damaged = bytearray(page)
        damaged[offset] ^= 1 << draw.randrange(8)
        with pytest.raises(CorruptMetadata):
            decode_header("kv", bytes(damaged), "here")
    for length in (0, 1, 4095):
        with pytest.raises(CorruptMetadata, match="4096"):
            decode_header("kv", page[:length], "here")
    with pytest.raises(CorruptMetadata, match="magic"):
        decode_header("tail", page, "here")


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".db")])
def test_a_flipped_bit_of_our_files_is_never_a_wrong_answer(damage, make_pristine, kit, name):
    size = next(make_pristine(kit, killed=False).rglob(name)).stat().st_size
    draw = random.Random(name)
    offsets = [0, 10, 12, 20, 4090, 4096, 4100] + [draw.randrange(size) for _ in range(14)]
    for offset in offsets:
        damage(name, flip(offset, draw.randrange(8)))


@pytest.mark.parametrize("name", ["STORE", "head.bin", "landmarks.bin", "kv-0.seg"])
def test_a_flipped_bit_of_a_header_in_place_is_told_or_healed(damage, name) -> None:
    for offset in (0, 9, 11, 13, 30, 55):
        assert damage(name, flip(offset, 3)) in ("told", "healed")


def test_each_part_of_a_record_is_covered(damage) -> None:
    for offset in range(4096 + 64, 4096 + 128, 3):
        assert damage("kv-0.seg", flip(offset, 5)) == "healed"


def test_each_kind_of_body_is_covered(damage, make_pristine, kit) -> None:
    root = make_pristine(kit, killed=False)
    segment = next(root.rglob("kv-1.seg")).read_bytes()
    landmarks = next(root.rglob("landmarks.bin")).read_bytes()
    with Store.open(root, read_only=True) as store:
        with store.session("alice", layout=kit.layout, read_only=True) as session:
            rows, blocks = kit.rows(session, 20, 21)
    at = segment.find(blocks.tobytes())
    assert at > 0
    for offset in (at, at + 50, at + 95):
        assert damage("kv-1.seg", flip(offset, 0)) == "healed"
    at = landmarks.find(rows.tobytes())
    for offset in (at, at + 15):
        assert damage("landmarks.bin", flip(offset, 7)) == "healed"


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("name", ["session.db", "catalog.db"])
def test_a_flipped_bit_of_a_database_is_never_a_wrong_answer(
    damage, make_pristine, kit, name, killed
) -> None:
    size = next(make_pristine(kit, killed=killed).rglob(name)).stat().st_size
    draw = random.Random(name)
    offsets = [*range(0, 100, 9), *(draw.randrange(size) for _ in range(30))]
    for offset in offsets:
        damage(name, flip(offset, draw.randrange(8)), killed=killed)


def test_text_tokens_and_metadata_in_the_database_are_covered(damage, make_pristine, kit) -> None:
    blob = next(make_pristine(kit, killed=False).rglob("session.db")).read_bytes()
    parts = [b"message 5 ", kit.turn(5).tokens.tobytes(), b"\x81\xa6number\x05", b"turn-5user"]
    for part in parts:
        at = blob.find(part)
        if part == b"turn-5user":
            at = blob.find(b"turn-5")
        assert at > 0, part
        for offset in (at, at + 4):
            assert damage("session.db", flip(offset, 1)) == "told"


def test_a_damaged_log_does_not_hide_acknowledged_turns(damage, make_pristine, kit) -> None:
    wal = next(make_pristine(kit, killed=True).rglob("session.db-wal"))
    draw = random.Random(3)
    for _ in range(25):
        damage(wal.name, flip(draw.randrange(wal.stat().st_size), draw.randrange(8)), killed=True)
    assert damage(wal.name, Path.unlink, killed=True) == "told"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_told_or_healed(damage, name) -> None:
    expected = ("told", "healed")
    if name in ("tail-0.bin", "tail-1.bin"):
        expected += ("harmless",)
    assert damage(name, Path.unlink) in expected


@pytest.mark.parametrize("name", FILES)
def test_a_cut_or_longer_file_is_never_a_wrong_answer(damage, name) -> None:
    for length in (0, 1, 56, 4095, 4096, 4097, 4600, 5300, 8192):

        def cut(path: Path, length: int = length) -> None:
            path.write_bytes(path.read_bytes()[:length])

        damage(name, cut)
    damage(name, lambda path: path.write_bytes(path.read_bytes() + b"more" * 2000))


def test_blocks_that_changed_places_are_told(damage) -> None:
    def swap(path: Path) -> None:
        blob = bytearray(path.read_bytes())
        base = 8192
        blob[base : base + 96], blob[base + 96 : base + 192] = (
            blob[base + 96 : base + 192],
            blob[base : base + 96],
        )
        path.write_bytes(blob)

    assert damage("kv-0.seg", swap) == "healed"


def test_files_of_another_session_are_told(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        folders = []
        for name in ("alice", "bob"):
            with store.session(name, layout=kit.layout) as session:
                session.append([kit.turn(i) for i in range(8)])
                kit.catch_up(session)
                folders.append(Path(session.folder) / "g1")
        for name in ("kv-0.seg", "landmarks.bin", "tail-1.bin"):
            shutil.copy(folders[0] / name, folders[1] / name)
        with store.session("bob", layout=kit.layout) as session:
            assert session.published == 0
            assert session.recovered
            kit.catch_up(session)
            kit.assert_right(session)


@pytest.mark.parametrize("synced", [False, True])
def test_a_lost_record_with_its_block_does_not_pass_for_new_tokens(tmp_path, kit, synced) -> None:
    """An old block and its old record agree with each other, but not with the tokens."""
    with Store.open(tmp_path / "store") as store:
        with store.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(0, num_tokens=8)])
            kit.catch_up(session)
            folder = Path(session.folder)
        saved = (folder / "g1" / "kv-0.seg").read_bytes()
        # The same session, had its power failed before the turn was stored.
        with store.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(1, num_tokens=8)])
            session.rollback(0)
            landmarks, kv = kit.rows(session, 2, 4)
            tokens = session._truth.stream.tokens
            session._truth.stream.tokens_with_ends = lambda *_: (tokens(8, 16), _ends())
            session.write_chunks(0, landmarks, kv)
            session.publish(2, b"")
            if not synced:
                session._derived.settle = lambda: None
        assert (folder / "g1" / "kv-0.seg").read_bytes() != saved
        if synced:
            # Nothing of the kind can happen to chunks that were synced; a check looks anyway.
            found = store.check()
            assert {"chunk 0", "chunk 1"} <= {finding.detail for finding in found}
            store.check(repair=True)
        with store.session("alice", layout=kit.layout) as session:
            assert session.published == 0
            assert synced or [finding.kind for finding in session.recovered] == ["corrupt-chunk"]
            kit.catch_up(session)
            kit.assert_right(session)


def _ends():
    import numpy as np

    return np.array([0, 0])


def test_repair_heals_and_says_so(tmp_path, make_pristine, kit) -> None:
    shutil.copytree(make_pristine(kit, killed=False), tmp_path / "store")
    segment = next((tmp_path / "store").rglob("kv-0.seg"))
    flip(8192 + 96 * 9 + 3, 2)(segment)
    flip(4100, 1)(next((tmp_path / "store").rglob("catalog.db")))
    next((tmp_path / "store").rglob("head.bin")).unlink()
    (tmp_path / "store" / "catalog.db").unlink()
    with Store.open(tmp_path / "store") as store:
        kinds = {finding.kind for finding in store.check()}
        assert {"corrupt-chunk", "corrupt-head", "corrupt-catalog", "unlisted-session"} <= kinds
        found = store.check(repair=True)
        assert {finding.kind for finding in found} == kinds
        assert all(finding.repaired for finding in found)
        assert store.check() == []
        assert {finding.session for finding in found} == {"", "alice"}
        with store.session("alice", layout=kit.layout) as session:
            assert session.published == 9
            assert_true_turns(session, kit)
            kit.catch_up(session)
            kit.assert_right(session)


@pytest.mark.parametrize("name", ["catalog.db", "session.db"])
def test_a_schema_that_sqlite_cannot_even_complain_about_is_told(
    tmp_path, make_pristine, kit, name
) -> None:
    root = shutil.copytree(make_pristine(kit, killed=False), tmp_path / "store")
    path = next(root.rglob(name))
    # The last byte of the first page that holds text of the schema.
    text = max(path.read_bytes()[:8192].rfind(word) for word in (b"CREATE TABLE", b"CREATE UNIQUE"))
    flip(text + 1, 7)(path)
    with Store.open(root) as store:
        with pytest.raises(CorruptMetadata):
            store.session("alice", layout=kit.layout)
        assert store.check() != []


def test_a_damaged_turn_is_told_as_such_to_a_writer(tmp_path, make_pristine, kit) -> None:
    root = shutil.copytree(make_pristine(kit, killed=False), tmp_path / "store")
    path = next(root.rglob("session.db"))
    flip(path.read_bytes().rfind(b"message 20"), 0)(path)
    for read in (
        lambda session: session.turns(),
        lambda session: session.turns_in_tokens([(0, session.num_tokens)]),
        lambda session: session.append([kit.turn(20)]),
    ):
        with pytest.raises(CorruptMetadata, match="turn 20 .*is damaged"):
            _write_and(read, root, kit)


def _write_and(read, root: Path, kit) -> None:
    with Store.open(root) as store, store.session("alice", layout=kit.layout) as session:
        session.set_meta("progress", {"offset": 8})
        read(session)
