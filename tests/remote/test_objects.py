"""Objects against a real S3-compatible server, a folder and the faults in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hsa_memory.storage import Store
from hsa_memory.storage.errors import (
    CorruptMetadata,
    InvalidAddress,
    SessionMissing,
    StorePermission,
    StoreUnreachable,
)
from hsa_memory.storage.objects import ObjectStore, digest_of

DATA = bytes(range(256)) * 40


def key_of(data: bytes, folder: str = "store/sid/g1") -> str:
    return f"{folder}/chunks-0-5-{digest_of(data).hex()}"


@pytest.fixture(params=["s3", "folder", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "s3":
        return ObjectStore(request.getfixturevalue("bucket"))
    if request.param == "folder":
        return ObjectStore((tmp_path / "objects").as_uri())
    return ObjectStore("memory:///")


def read(objects: ObjectStore, data: bytes) -> bytes:
    return objects.get(key_of(data), len(data), digest_of(data))


def test_an_object_comes_back_and_is_listed_until_it_is_deleted(objects: ObjectStore) -> None:
    other = key_of(b"other", "store/another/g1")
    objects.put(key_of(DATA), DATA)
    objects.put(key_of(DATA), DATA)
    objects.put(other, b"other")
    assert read(objects, DATA) == DATA
    assert objects.below("store/sid") == [(key_of(DATA), len(DATA))]
    assert sorted(objects.below("store")) == sorted([(key_of(DATA), len(DATA)), (other, 5)])
    assert objects.below("nothing") == []
    objects.delete(["store/missing", key_of(DATA), "store/missing too"])
    assert objects.below("store/sid") == []
    with pytest.raises(CorruptMetadata, match="missing"):
        read(objects, DATA)


def test_a_damaged_object_is_found_and_written_again(objects: ObjectStore) -> None:
    for damage in (DATA[:-1], b"x" + DATA[1:], b""):
        objects._put(key_of(DATA), damage, "overwrite")
        with pytest.raises(CorruptMetadata, match="not what was written"):
            read(objects, DATA)
        objects.put(key_of(DATA), DATA)
        assert read(objects, DATA) == DATA


@pytest.mark.parametrize(
    "faults",
    [
        [503],
        [503, 503, 503],
        [500, 409],
        [409],
        [412],
        [412, 412, 409],
        ["lost"],
        ["lost", "lost"],
        ["torn"],
        ["torn", 503, "torn", "lost"],
        [429, "lost"],
    ],
    ids=str,
)
def test_a_fault_on_the_way_loses_nothing(faulty: Any, bucket: str, faults: list[Any]) -> None:
    objects = ObjectStore(bucket)
    faulty.faults = list(faults)
    objects.put(key_of(DATA), DATA)
    assert faulty.faults == []
    assert read(objects, DATA) == DATA
    assert len(objects.below("store")) == 1


def test_a_storage_that_never_answers_is_told(faulty: Any, bucket: str) -> None:
    faulty.faults = [503] * 50
    with pytest.raises(StoreUnreachable, match="Try again"):
        ObjectStore(bucket).put(key_of(DATA), DATA)


def test_a_storage_that_refuses_is_told_at_once(faulty: Any, bucket: str) -> None:
    faulty.faults = [403]
    with pytest.raises(StorePermission, match="credentials"):
        ObjectStore(bucket).put(key_of(DATA), DATA)
    assert faulty.faults == []


@pytest.mark.parametrize("url", ["bucket", "ftp://x/y", "s3://", "http://host/x", ""])
def test_an_impossible_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="objects"):
        ObjectStore(url)


def test_a_missing_bucket_is_told_before_anything_is_made(
    bucket: str, postgres: str, database: str, tmp_path: Path
) -> None:
    missing = bucket.replace("bucket-", "no-such-bucket-")
    with pytest.raises(InvalidAddress, match="no bucket for s3://no-such-bucket-.* Make it"):
        Store.open(tmp_path / "cache", database=database, objects=missing)
    assert not (tmp_path / "cache").exists()
    with pytest.raises(SessionMissing):
        Store.open(tmp_path / "cache", database=database, create=False)
    Store.open(tmp_path / "cache", database=database, objects=bucket).close()


def test_a_storage_that_does_not_answer_at_opening_may_answer_later(
    bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    ObjectStore(bucket).require_there()
    assert "cannot list" in caplog.text
