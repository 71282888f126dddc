"""Export files: whatever is not as it was written is found before anything is done with it."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsa_memory.storage import ArchiveReader, ArchiveWriter, ImportRejected, Vfs
from hsa_memory.storage.archive import MANIFEST

CONTENT = {"0/truth-0": b"who said what", "0/kv-0": bytes(range(200)), "1/truth-0": b""}
ABOUT = {"sessions": 2, "colour": "green"}


def write(path: Path, content: dict[str, bytes] = CONTENT, about: dict = ABOUT) -> Path:
    writer = ArchiveWriter(Vfs(), str(path))
    for name, data in content.items():
        with writer.member(name) as put:
            put(data[:5])
            put(data[5:])
    writer.finish(about)
    return path


def read(path: Path) -> tuple[dict[str, bytes], dict]:
    with ArchiveReader(Vfs(), str(path)) as archive:
        content = {name: b"".join(archive.pieces(name)) for name in archive.members}
        return content, archive.manifest


@pytest.fixture
def export(tmp_path) -> Path:
    return write(tmp_path / "export.tar")


def test_what_was_written_is_read(export) -> None:
    content, manifest = read(export)
    assert content == CONTENT
    assert manifest["colour"] == "green"


def test_any_tar_program_can_list_it(export) -> None:
    with tarfile.open(export) as archive:
        assert archive.getnames() == [*CONTENT, MANIFEST]
        assert archive.extractfile("0/kv-0").read() == CONTENT["0/kv-0"]
        assert {member.mode for member in archive} == {0o600}


def test_an_export_is_there_whole_or_not_at_all(tmp_path) -> None:
    writer = ArchiveWriter(Vfs(), str(tmp_path / "export.tar"))
    with writer.member("0/truth-0") as put:
        put(b"half")
    assert not (tmp_path / "export.tar").exists()
    writer.abandon()
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_an_export_takes_no_other_files_place(export) -> None:
    with pytest.raises(FileExistsError):
        write(export)
    assert read(export)[0] == CONTENT


def test_every_flipped_bit_is_found(export, tmp_path) -> None:
    good = export.read_bytes()
    path = tmp_path / "flipped"
    for place in range(len(good)):
        data = bytearray(good)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        with pytest.raises(ImportRejected):
            read(path)


def test_every_shorter_or_longer_file_is_rejected(export, tmp_path) -> None:
    good = export.read_bytes()
    path = tmp_path / "cut"
    for length in [*range(0, len(good), 7), len(good) - 1]:
        path.write_bytes(good[:length])
        with pytest.raises(ImportRejected):
            read(path)
    for more in (b"\0", bytes(512), bytes(10240), good):
        path.write_bytes(good + more)
        with pytest.raises(ImportRejected):
            read(path)


def crafted(path: Path, members: list[tarfile.TarInfo], data: bytes = b"x" * 600) -> Path:
    """A tar that tarfile makes of these members, behind those of a good export."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for member in members:
            member.mode = 0o600
            archive.addfile(member, io.BytesIO(data) if member.size else None)
    return path


def member(name: str, size: int = 0, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in fields.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    "bad",
    [
        member("../../outside", 600),
        member("/etc/passwd", 600),
        member("0/../../truth-0", 600),
        member("0/truth-0/../../x", 600),
        member("0/unknown-0", 600),
        member("0/truth-00", 600),
        member("0\\truth-0", 600),
        member("manifest", 600),
        member("0/truth-0", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("0/truth-0", type=tarfile.LNKTYPE, linkname="0/kv-0"),
        member("0/truth-0", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        member("0/truth-0", type=tarfile.BLKTYPE),
        member("0/truth-0", type=tarfile.FIFOTYPE),
        member("0/truth-0", type=tarfile.DIRTYPE),
        member("0/truth-0", 600, mtime=1),
        member("0/truth-0", 600, uid=1),
        member("0/truth-0", 600, uname="root"),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_a_hostile_member_is_rejected(tmp_path, bad) -> None:
    with pytest.raises(ImportRejected):
        read(crafted(tmp_path / "bad.tar", [bad]))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tar"]


def test_a_size_that_lies_is_rejected(export, tmp_path) -> None:
    from hsa_memory.storage import archive

    good = export.read_bytes()
    path = tmp_path / "lie"
    for size in (0, 12, 14, 1 << 20, archive.MAX_MEMBER_BYTES):
        path.write_bytes(archive._header("0/truth-0", size) + good[512:])
        with pytest.raises(ImportRejected):
            read(path)


def test_a_second_member_of_a_name_is_rejected(tmp_path) -> None:
    writer = ArchiveWriter(Vfs(), str(tmp_path / "twice"))
    for _ in range(2):
        with writer.member("0/truth-0") as put:
            put(b"x")
    writer.finish(ABOUT)
    with pytest.raises(ImportRejected, match="same name"):
        read(tmp_path / "twice")


def test_a_manifest_of_another_export_is_rejected(export, tmp_path) -> None:
    other = write(tmp_path / "other", {**CONTENT, "0/truth-0": b"who said WHAT"})
    ours, theirs = export.read_bytes(), other.read_bytes()
    assert len(ours) == len(theirs)
    start = ours.index(b"manifest" + bytes(92))
    (tmp_path / "mixed").write_bytes(ours[:start] + theirs[start:])
    with pytest.raises(ImportRejected, match="checksum"):
        read(tmp_path / "mixed")


@pytest.mark.parametrize(
    "about",
    [
        {"version": [2, 0]},
        {"version": [0, 9]},
        {"version": 1},
        {"version": []},
        {"format": "another program's"},
        {"required_features": ["holograms"]},
    ],
)
def test_other_versions_and_formats_are_rejected(tmp_path, about) -> None:
    with pytest.raises(ImportRejected):
        read(write(tmp_path / "other", about={**ABOUT, **about}))


def test_a_newer_minor_version_may_say_more(tmp_path) -> None:
    path = write(tmp_path / "newer", about={**ABOUT, "version": [1, 7], "shape": "round"})
    assert read(path)[0] == CONTENT


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=3000))
def test_arbitrary_bytes_are_rejected(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "file"
    path.write_bytes(data)
    with pytest.raises(ImportRejected):
        read(path)


@settings(max_examples=60, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=8))
def test_changed_bytes_are_rejected(tmp_path_factory, changes) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    path = write(folder / "file")
    good = path.read_bytes()
    data = bytearray(good)
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data)
    if data == good:
        assert read(path)[0] == CONTENT
    else:
        with pytest.raises(ImportRejected):
            read(path)


def test_a_link_to_an_export_is_followed(export, tmp_path) -> None:
    (tmp_path / "link").symlink_to(export)
    assert read(tmp_path / "link")[0] == CONTENT
