"""Bytes that somebody made up, checksums and all: an error with a type or the right value, soon."""

import dataclasses
import math
import os
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hsa_memory.storage import CorruptMetadata, Store, StoreError
from hsa_memory.storage.checksums import xxh3, xxh3_bytes
from hsa_memory.storage.header import KINDS, decode_header, encode_header
from hsa_memory.storage.maps import MAX_MAP_BYTES, pack_map, unpack_map
from hsa_memory.storage.rows import STATE_COLUMNS, State, decode_head, decode_state, note_sum

SID = bytes(range(16))
INTS = st.one_of(st.integers(-(2**70), 2**70), st.sampled_from([0, 1, 2**31, 2**62, 2**63 - 1]))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
MADE_UP = {
    "a huge claim of a text": b"\x81\xa1a\xdb\xff\xff\xff\xff",
    "a huge claim of bytes": b"\x81\xa1a\xc6\xff\xff\xff\xff",
    "a huge claim of a list": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "a huge claim of a map": b"\xdf\xff\xff\xff\xff",
    "lists in lists": b"\x81\xa1a" + b"\x91" * 60_000 + b"\xc0",
    "maps in maps": b"\x81\xa1a" * 20_000 + b"\xc0",
    "an extension": b"\x81\xa1a\xc7\x01\x05x",
    "a timestamp": b"\x81\xa1a\xd6\xff\0\0\0\0",
    "a timestamp deep inside": b"\x81\xa1a\x92\x01\x81\xa1b\xd7\xff\0\0\0\0\0\0\0\0",
    "a key twice": b"\x82\xa1a\x01\xa1a\x02",
    "a key twice deep inside": b"\x81\xa1a\x82\xa1a\x01\xa1a\x02",
    "no UTF-8": b"\x81\xa1a\xa1\xff",
    "no UTF-8 in a key": b"\x81\xa1\xff\x01",
    "more bytes behind": b"\x80\x80",
    "a number as key": b"\x81\x01\x01",
    "a byte that means nothing": b"\x81\xa1a\xc1",
    "no map": b"\x91\x01",
    "nothing": b"",
    "too much": b"\x81\xa1a\xc6" + struct.pack(">I", MAX_MAP_BYTES) + bytes(MAX_MAP_BYTES),
}


@pytest.mark.parametrize("name", MADE_UP)
def test_a_map_that_we_did_not_make_is_refused_with_words(name: str) -> None:
    with pytest.raises(CorruptMetadata, match=r"here: .*\w"):
        unpack_map(MADE_UP[name], "here")


@settings(max_examples=60, deadline=None)
@given(value=st.dictionaries(st.text(max_size=6), PLAIN, max_size=5), tail=st.binary(max_size=3))
def test_maps_come_back_as_they_were_or_not_at_all(value, tail) -> None:
    blob = pack_map(value)
    assert unpack_map(blob, "here") == value
    if tail:
        with pytest.raises(CorruptMetadata):
            unpack_map(blob + tail, "here")


@settings(max_examples=250, deadline=None)
@given(
    blob=st.binary(max_size=200) | st.sampled_from(list(MADE_UP.values())), cut=st.integers(0, 9)
)
@example(blob=b"\x81\xa1a\xca\x7f\xc0\x00\x00", cut=0)
def test_any_bytes_are_a_map_or_refused(blob, cut) -> None:
    blob = blob[: len(blob) - cut]
    try:
        found = unpack_map(blob, "here")
    except CorruptMetadata:
        return
    # What it holds is what a plain decoder finds, and can be written again.
    assert repr(msgpack.unpackb(blob, strict_map_key=False)) == repr(found)
    assert repr(unpack_map(pack_map(found), "here")) == repr(found)


def test_metadata_may_hold_a_nan_that_equals_nothing(open_session, kit) -> None:
    with open_session() as session:
        session.append([kit.turn(0, metadata={"x": math.nan, "y": math.inf})])
    with open_session() as session:
        (turn,) = session.turns()
        assert math.isnan(turn.metadata["x"])
        assert turn.metadata["y"] == math.inf
        assert turn.metadata["x"] != turn.metadata["x"]
        assert session.append([kit.turn(0, metadata={"x": math.nan})])[0].seq == 0
        assert session.check() == []


@pytest.mark.parametrize("value", [msgpack.Timestamp(3), [{"t": msgpack.Timestamp(3, 4)}]])
def test_a_timestamp_in_metadata_is_refused_before_it_is_stored(value) -> None:
    with pytest.raises(ValueError, match="extension"):
        pack_map({"when": value})


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    body=st.binary(max_size=300),
    length=st.none() | st.integers(0, 2**32 - 1),
    version=st.none() | st.integers(0, 2**16 - 1),
    magic=st.none() | st.binary(min_size=10, max_size=10),
)
def test_any_header_with_a_right_checksum_is_read_or_refused(
    kind, body, length, version, magic
) -> None:
    page = bytearray(encode_header(kind, {"gen": 1}))
    page[16 : 16 + len(body)] = body
    struct.pack_into("<I", page, 12, len(body) if length is None else length)
    if version is not None:
        struct.pack_into("<H", page, 10, version)
    if magic is not None:
        page[:10] = magic
    struct.pack_into("<Q", page, 4088, xxh3(bytes(page[:4088])))
    try:
        assert isinstance(decode_header(kind, bytes(page), "here"), dict)
    except StoreError:
        return


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=80))
def test_any_head_file_is_read_or_ignored(data) -> None:
    sealed = data[:48] + xxh3_bytes(SID + data[:48])
    for blob in (data, sealed):
        found = decode_head(blob, SID)
        assert found is None or len(blob) == 56


@settings(max_examples=150, deadline=None)
@given(
    changes=st.dictionaries(
        st.sampled_from([name for name in STATE_COLUMNS if name not in ("sum", "link")]),
        INTS | st.floats() | st.text(max_size=3) | st.none() | st.binary(max_size=9),
        max_size=3,
    ),
    link=st.binary(min_size=7, max_size=9) | st.none() | st.text(max_size=8),
)
def test_any_state_row_is_possible_or_refused(changes, link) -> None:
    whole = State(n_turn=3, n_tok=30, pub_chunk=7, durable_chunk=5, tail_serial=-2)
    made = dataclasses.replace(whole, **changes, link=link)
    try:
        found = made.checksum(SID)
    except (TypeError, ValueError, struct.error, OverflowError):
        found = b"8 bytes!"
    row = (*(getattr(made, name) for name in STATE_COLUMNS[:-1]), found)
    try:
        state = decode_state(row, SID, "here")
    except CorruptMetadata:
        return
    assert 0 <= state.durable_chunk <= state.pub_chunk < 2**48
    assert 0 <= state.n_turn <= state.n_tok < 2**48


# ---- rows of session.db, with checksums that are right for what they say


@pytest.fixture
def forged(tmp_path, kit):
    """A session, and a connection that changes its rows."""
    with Store.open(tmp_path / "store") as store:
        with store.session("a", layout=kit.layout) as session:
            session.append([kit.turn(i) for i in range(8)])
            kit.catch_up(session)
            path = Path(session.folder) / "session.db"
            sid = bytes.fromhex(session.info.id)
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection, sid
    connection.close()


def use_everything(root: Path, kit, *, read_only: bool) -> list[str]:
    """Use a session in every way; returns the types of the errors, all of them of the store."""
    errors = []
    with Store.open(root) as store:
        try:
            session = store.session("a", layout=None, read_only=read_only)
        except StoreError as error:
            return [type(error).__name__, *[finding.kind for finding in store.check()]]
        errors += [finding.kind for finding in session.recovered]
        uses = [session.turns, session.turn_index, session.landmarks, session.tail, session.check]
        uses += [lambda: session.find("turn-3"), lambda: session.get_meta("x")]
        uses += [lambda: session.tokens(0, session.num_tokens), session.refresh, store.check]
        uses += [lambda: session.gather(range(session.published)), session.stats]
        if not read_only:
            uses += [lambda: session.append([kit.turn(8)])]
            if session.layout.kv_bytes == kit.layout.kv_bytes:
                uses += [lambda: kit.catch_up(session)]
            uses += [lambda: session.rollback(0), session.close]
            uses += [lambda: store.check(repair=True)]
        for use in uses:
            try:
                found = use()
            except StoreError as error:
                errors.append(type(error).__name__)
            else:
                if getattr(use, "__name__", "") == "check":
                    errors += [finding.kind for finding in found]
    return errors


FORGED_STATES = {
    "turns without end": {"n_turn": 2**40, "n_tok": 2**41},
    "tokens without end": {"n_tok": 2**47},
    "chunks without end": {"n_tok": 2**47, "pub_chunk": 2**46, "durable_chunk": 2**46},
    "a generation that is not there": {"gen": 7},
    "a huge generation": {"gen": 2**47},
    "more turns than tokens": {"n_turn": 100, "n_tok": 3},
    "less than nothing": {"n_turn": -1},
    "chunks of nobody": {"pub_chunk": 30, "durable_chunk": 40},
    "another last tail": {"tail_serial": 99},
    "an old epoch": {"epoch": 0, "commits": 0},
}


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("name", FORGED_STATES)
def test_a_forged_state_row_is_told_and_costs_little(tmp_path, kit, forged, name, read_only):
    connection, sid = forged
    cursor = connection.execute(f"SELECT {', '.join(STATE_COLUMNS)} FROM state")
    *fields, _ = cursor.fetchone()
    state = dataclasses.replace(State(*fields), **FORGED_STATES[name])
    row = state.to_row(sid)
    assignments = ", ".join(f"{column} = :{column}" for column in row)
    connection.execute(f"UPDATE state SET {assignments}", row)
    errors = use_everything(tmp_path / "store", kit, read_only=read_only)
    assert errors or name == "an old epoch"


NOTES = {
    "huge blocks": {"kv_bytes": 2**26, "stride": 2**26},
    "huge strides": {"stride": 2**62},
    "a huge segment": {"cap": 2**62},
    "no segment": {"cap": 0},
    "a negative stride": {"stride": -1},
    "chunks of nothing": {"chunk_size": 0},
    "a text for a number": {"cap": "x"},
    "a list for a number": {"stride": [1]},
    "a seed that is none": {"seed": "xyz"},
    "a seed of another type": {"seed": 7},
    "a cipher that nobody knows": {"cipher": "rot13"},
    "another width": {"landmark_bytes": 1},
    "the widest": {"landmark_bytes": 2**20, "kv_bytes": 2**26, "stride": 2**27, "cap": 2**20},
}


@pytest.mark.parametrize("name", NOTES)
def test_a_forged_description_of_a_generation_is_told(tmp_path, kit, forged, name) -> None:
    connection, sid = forged
    (old,) = connection.execute("SELECT value FROM notes WHERE key = 'generation-1'").fetchone()
    value = pack_map({**unpack_map(old, "here"), **NOTES[name]})
    for read_only in (True, False):
        connection.execute(
            "UPDATE notes SET value = ?, sum = ? WHERE key = 'generation-1'",
            (value, note_sum(sid, "generation-1", value)),
        )
        assert use_everything(tmp_path / "store", kit, read_only=read_only)


LIMITED = """
import resource, signal, sys, time
import zstandard
from hsa_memory.storage import CorruptMetadata
from hsa_memory.storage.checksums import xxh3_bytes
from hsa_memory.storage.cipher import PLAIN
from hsa_memory.storage.rows import SCALARS, State, _own_sums, decode_turn, encode_turn, place_turn
from hsa_memory.storage.types import Turn
import numpy as np

sid = bytes(16)
turn = Turn(turn_id="a", role="user", text="x" * 99, timestamp=1.0,
            tokens=np.arange(3, dtype=np.uint32))


def forged(frame):
    row = encode_turn(turn, zstandard.ZstdCompressor())
    place_turn(row, sid, State(), PLAIN)
    row |= {"text": frame, "flags": 1}
    sums = row["sums"]
    parts, own = _own_sums(row, sid, sums[48:])
    row["sums"] = parts + own + sums[32:40] + own + sums[48:]
    return [row[name] for name in (*SCALARS, "sums", "meta", "text", "tok")]


def compressed(total, *, told):
    made = zstandard.ZstdCompressor(level=1, write_content_size=told).compressobj(
        size=total if told else -1)
    piece = bytes(1 << 20)
    parts = [made.compress(piece) for _ in range(total >> 20)]
    return b"".join((*parts, made.flush()))


cases = [
    compressed(2 << 30, told=True), compressed(2 << 30, told=False),
    # Frames that only claim: 16 EiB, 1 TiB, 200 MiB.
    *(bytes.fromhex("28b52ffde0") + size.to_bytes(8, "little") + bytes.fromhex("010000")
      for size in (2**64 - 3, 2**40, 200 << 20)),
    b"", b"\\x28\\xb5\\x2f\\xfd", bytes(100), b"\\xff" * 40,
    zstandard.ZstdCompressor().compress(b"\\xff\\xfe not text"),
]
# Addresses are limited, so that what is allocated and never touched counts too.
resource.setrlimit(resource.RLIMIT_AS, (3 << 29, 3 << 29))
# Time of this process, not of others on the machine.
signal.setitimer(signal.ITIMER_PROF, 60)
for i, frame in enumerate(cases):
    before = time.process_time()
    try:
        decode_turn(forged(frame), sid, "here", PLAIN)
    except CorruptMetadata as error:
        assert time.process_time() - before < 20, i
    else:
        sys.exit(f"case {i} was taken for a text")
whole = decode_turn(forged(zstandard.ZstdCompressor().compress(b"a text")), sid, "here", PLAIN)
assert whole.text == "a text"
print("lived")
"""


def test_texts_that_claim_or_hold_gigabytes_are_refused_in_little_memory() -> None:
    # Threads that nobody needs here would take addresses for each core of the machine.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LIMITED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "lived\n"


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    table=st.sampled_from(["turns", "state", "notes", "segments", "holes", "seams"]),
    column=st.integers(0, 12),
    value=INTS.filter(lambda x: abs(x) < 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=9)
    | st.binary(max_size=90)
    | st.none(),
)
@example(table="turns", column=0, value=2**63 - 1)
def test_any_value_in_any_column_is_told_or_harmless(tmp_path, kit, forged, table, column, value):
    connection, _ = forged
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    name = names[column % len(names)]
    connection.execute("SAVEPOINT before")
    connection.execute("RELEASE before")
    old = connection.execute(f"SELECT rowid, {name} FROM {table} LIMIT 1").fetchone()
    if old is None:
        return
    try:
        connection.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", (value, old[0]))
    except sqlite3.Error:
        return  # the table's own rules
    try:
        with Store.open(tmp_path / "store", read_only=True) as store:
            try:
                session = store.session("a", layout=None)
                texts = [turn.text for turn in session.turns()]
                assert texts == [kit.turn(i).text for i in range(8)]
                kit.assert_right(session)
                session.check()
            except StoreError:
                pass
            store.check()
    finally:
        where = (value,) if name in ("seq", "id") and isinstance(value, int) else (old[0],)
        connection.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", (old[1], *where))
