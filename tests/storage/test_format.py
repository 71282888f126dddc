"""Bytes that must not change without a new version; a reader written from FORMAT.md alone."""

import sqlite3
import struct
from pathlib import Path

import msgpack
import numpy as np
import pytest
import xxhash
import zstandard

from hsa_memory.storage import FormatTooNew, FormatTooOld, Layout, Store
from hsa_memory.storage.cipher import PLAIN
from hsa_memory.storage.geometry import RECORD, Geometry, geometry_of
from hsa_memory.storage.header import decode_header, encode_header
from hsa_memory.storage.records import RecordTable


def xxh3(*parts: bytes) -> int:
    return xxhash.xxh3_64_intdigest(b"".join(parts))


def test_golden_header_page() -> None:
    page = encode_header("kv", {"gen": 1, "sid": "0f"})
    assert page[:29].hex() == "894853414b560d0a1a0a00020d00000082a367656e01a3736964a23066"
    assert page[29:4088] == bytes(4059)
    assert page[4088:].hex() == "7ba5c17ad969b4fb"


def test_golden_record(monkeypatch) -> None:
    monkeypatch.setattr("os.urandom", lambda n: bytes(range(1, n + 1)))
    table = RecordTable(1, 2, 77, lambda seqs: {}, lambda chunk: PLAIN)
    record = table.make(
        0,
        np.full((1, 4), 5, np.uint8),
        np.full((1, 6), 9, np.uint8),
        np.array([8, 4095], np.uint32),
        np.array([3]),
    )
    assert record.tobytes().hex() == (
        "93ff4af79d4b95a8ddcd5bf9805c60d463efaf14900ac6f80000000000000000"
        "0300000000000000020000000102030405060708090a0b0c075686ffbf9dbc9b"
    )


@pytest.mark.parametrize(("major", "error"), [(0, FormatTooOld), (3, FormatTooNew)])
def test_other_major_versions_are_refused(tmp_path, major, error) -> None:
    page = encode_header("store", {"store": "00" * 16})
    body = page[:10] + struct.pack("<H", major << 8) + page[12:4088]
    with pytest.raises(error, match=f"format {major}"):
        decode_header("store", body + struct.pack("<Q", xxh3(body)), "here")

    Store.open(tmp_path / "store").close()
    connection = sqlite3.connect(tmp_path / "store" / "catalog.db")
    connection.execute(f"PRAGMA user_version={major << 8}")
    connection.close()
    with pytest.raises(error, match=f"format {major}"):
        Store.open(tmp_path / "store")


def test_required_features_are_refused_and_unknown_fields_are_not() -> None:
    page = encode_header("kv", {"required_features": ["holograms"]})
    with pytest.raises(FormatTooNew, match="holograms"):
        decode_header("kv", page, "here")
    fields = {"required_features": [], "colour": "red"}
    assert decode_header("kv", encode_header("kv", fields), "here") == fields


@pytest.mark.parametrize(
    ("kv_bytes", "stride", "cap"),
    [
        (96, 96, 4096),
        (97, 97, 4096),
        (125, 128, 4096),
        (121, 121, 4096),
        (8192, 8192, 4096),
        (8000, 8192, 4096),
        (7000, 7168, 4096),
        (32 << 10, 32 << 10, 4096),
        (64 << 10, 64 << 10, 2048),
        (256 << 10, 256 << 10, 512),
    ],
)
def test_geometry_wastes_at_most_a_twentieth(kv_bytes, stride, cap) -> None:
    layout = Layout(
        fingerprint="f", chunk_size=4, dtype="float32", kv_bytes=kv_bytes, landmark_bytes=4
    )
    assert geometry_of(layout) == Geometry(stride=stride, cap=cap)
    assert RECORD.itemsize == 64


def test_a_reader_written_from_the_document_agrees(tmp_path, kit) -> None:
    with Store.open(tmp_path / "store") as store:
        with store.session("alice", layout=kit.layout) as session:
            session.append([kit.turn(i) for i in range(12)])
            kit.catch_up(session)
            landmarks, kv = kit.rows(session, 0, 18)
            folder = Path(session.folder)
    read_like_a_stranger(tmp_path / "store", folder, landmarks, kv, kit)


def header(page: bytes, kind: bytes) -> dict:
    assert page[:10] == b"\x89HSA" + kind + b"\r\n\x1a\n"
    version, length = struct.unpack_from("<HI", page, 10)
    assert version == 0x0200
    assert struct.unpack_from("<Q", page, 4088)[0] == xxh3(page[:4088])
    return msgpack.unpackb(page[16 : 16 + length])


def read_like_a_stranger(root: Path, folder: Path, landmarks, kv, kit) -> None:
    store_id = bytes.fromhex(header((root / "STORE").read_bytes(), b"ST")["store"])
    sid = bytes.fromhex(folder.name)
    connection = sqlite3.connect(folder / "session.db")
    link, stream, newest = bytes(8), b"", float("-inf")
    for row in connection.execute("SELECT * FROM turns ORDER BY seq"):
        seq, turn_id, ts, role, n_tok, tok0, flags, sums, meta, text, tok = row
        parts = b"".join(struct.pack("<Q", xxh3(part)) for part in (text, tok, meta))
        lengths = (len(turn_id), len(role))
        scalars = struct.pack("<qdqqqII", seq, ts, n_tok, tok0, flags, *lengths)
        names = turn_id.encode() + role.encode()
        own = struct.pack("<Q", xxh3(sid, scalars, names, parts, sums[48:]))
        link = struct.pack("<Q", xxh3(link, own))
        assert sums[:48] == parts + own + link + own
        newest = max(newest, ts)
        assert struct.unpack("<d", sums[64:]) == (newest,)
        plain = zstandard.ZstdDecompressor().decompress(text) if flags & 1 else text
        assert plain.decode() == kit.turn(seq).text
        stream += tok
    pub_chunk, gen = connection.execute("SELECT pub_chunk, gen FROM state").fetchone()
    connection.close()
    assert pub_chunk == 18

    segment = (folder / f"g{gen}" / "kv-0.seg").read_bytes()
    rows = (folder / f"g{gen}" / "landmarks.bin").read_bytes()
    fields = header(segment[:4096], b"KV")
    assert header(rows[:4096], b"LM").items() <= fields.items()
    base = -(-(4096 + 64 * fields["cap"]) // 4096) * 4096
    chain = xxh3(store_id, sid)
    for i in range(pub_chunk):
        block = segment[base + i * fields["stride"] :][: fields["kv_bytes"]]
        row = rows[4096 + i * 16 :][:16]
        record = segment[4096 + 64 * i :][:64]
        chain = xxh3(struct.pack("<Q", chain), stream[i * 16 : i * 16 + 16], record[44:56])
        bound = struct.pack("<QQQ", gen, i, chain)
        kv_sum, landmark_sum, found, tok0 = struct.unpack_from("<QQQQ", record)
        assert (kv_sum, landmark_sum, found) == (xxh3(bound, block), xxh3(bound, row), chain)
        assert tok0 == i * 4
        assert struct.unpack_from("<Q", record, 56)[0] == xxh3(bound, record[:56])
        assert block == kv[i].tobytes()
        assert row == landmarks[i].tobytes()
