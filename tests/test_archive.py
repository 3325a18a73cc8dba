"""Archives: what is written comes back, what is damaged is noticed, and what is hostile does no harm."""

import errno
import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag.errors import ArchiveError, DiskFull
from rag.moving import archive as archive_module
from rag.moving.archive import MANIFEST, Archive, open_archive, write_archive

DATA = {"documents/000000.jsonl": b'{"a": 1}\n' * 500, "vectors/text/000000.npy": bytes(range(256)) * 9}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "library.zip"
    with write_archive(path) as archive:
        archive.add("documents/000000.jsonl", DATA["documents/000000.jsonl"])
        archive.add("vectors/text/000000.npy", DATA["vectors/text/000000.npy"], deflated=False)
        archive.finish({"schema": 2}, {"documents": 1})
    return path


def all_of(path: Path) -> dict[str, bytes]:
    with open_archive(path) as archive:
        return {name: archive.read(name) for name in archive.contents.members}


def test_what_is_written_comes_back(path: Path, tmp_path: Path) -> None:
    assert all_of(path) == DATA
    with open_archive(path) as archive:
        assert archive.contents.index == {"schema": 2}
        assert archive.contents.counts == {"documents": 1}
        assert archive.size() == sum(map(len, DATA.values()))
        assert archive.names("vectors") == ["vectors/text/000000.npy"]
        assert archive.names("vector") == []
        archive.copy("documents/000000.jsonl", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA["documents/000000.jsonl"]


def test_a_file_larger_than_a_block_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MEMBER_BYTES", 3_000_000)
    large = bytes(range(251)) * 20_000  # 5,020,000 bytes: five blocks, and more than may be read into memory
    (tmp_path / "large").write_bytes(large)
    with write_archive(tmp_path / "a.zip") as archive:
        member = archive.add_file("originals/00000000", tmp_path / "large")
        with pytest.raises(ArchiveError, match="larger than"):
            archive.add("documents/000000.jsonl", large)
        archive.finish(None, {})
    assert member.size == len(large)
    with open_archive(tmp_path / "a.zip") as opened:
        with pytest.raises(ArchiveError, match="bytes"):
            opened.read("originals/00000000")
        opened.copy("originals/00000000", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == large


def test_an_archive_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    def write() -> None:
        with write_archive(tmp_path / "a.zip") as archive:
            archive.add("documents/000000.jsonl", b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_not_written_over(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ArchiveError, match="there already"), write_archive(path):
        pass
    assert path.read_bytes() == before


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="make room"), write_archive(tmp_path / "a.zip"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ArchiveError, match="nowhere"), write_archive(tmp_path / "nowhere" / "a.zip"):
        pass
    assert list(tmp_path.iterdir()) == []


# --- damage ------------------------------------------------------------------------------------------------------


def test_every_flipped_byte_of_a_member_is_noticed(path: Path) -> None:
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        spans = {each.filename: _data_span(whole, each) for each in file.infolist()}
    assert set(spans) == {*DATA, MANIFEST}
    for name, (start, end) in spans.items():
        for at in (start, (start + end) // 2):  # the last byte of what is packed may hold bits that mean nothing
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            with pytest.raises(ArchiveError, match=rf"{name}|no manifest"):
                all_of(path)
    path.write_bytes(whole)
    assert all_of(path) == DATA


def _data_span(whole: bytes, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Where the bytes of a member lie: after its local header of 30 bytes, its name and its extra field."""
    header = whole[entry.header_offset :]
    start = entry.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    return start, start + entry.compress_size


def test_no_flipped_byte_anywhere_gives_other_data(path: Path) -> None:
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            assert all_of(path) == DATA  # a date or a comment of the zip itself
        except ArchiveError:
            continue


@pytest.mark.parametrize("length", [0, 1, 100, -1, -30])
def test_an_archive_cut_short_is_refused(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ArchiveError, match="not an archive, or is damaged"):
        all_of(path)


def test_what_is_no_archive_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"nothing\.zip"), open_archive(tmp_path / "nothing.zip"):
        pass
    with pytest.raises(ArchiveError, match="cannot read"), open_archive(tmp_path):
        pass
    (tmp_path / "other.zip").write_bytes(made({"word/document.xml": b"x"}, manifest=None))
    with pytest.raises(ArchiveError, match="manifest"), open_archive(tmp_path / "other.zip"):
        pass


# --- archives that somebody made ---------------------------------------------------------------------------------


def made(
    files: dict[str, bytes],
    manifest: object = "right",
    change: Callable[[zipfile.ZipInfo], None] = lambda entry: None,
    **values: object,
) -> bytes:
    """A zip with `files`, each entry changed by `change`, and a manifest that lists them or is what is given."""
    right = {
        "format": archive_module.FORMAT,
        "version": archive_module.VERSION,
        "created": "2026-01-01T00:00:00+00:00",
        "index": None,
        "counts": {},
        "members": {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        },
        **values,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            change(entry)
            file.writestr(entry, data)
        if manifest is not None:
            file.writestr(MANIFEST, json.dumps(right if manifest == "right" else manifest))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "../outside.jsonl",
        "documents/../../outside.jsonl",
        "/etc/passwd",
        "C:\\outside.jsonl",
        "documents\\000000.jsonl",
        "documents/",
        "documents//000000.jsonl",
        "documents/\u202e.jsonl",
        "documents/000000.jsonl\n",
        "",
        ".hidden",
        "documents/000000.jsonl.exe",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.zip").write_bytes(made({name: b"x"}))
    with pytest.raises(ArchiveError, match="no name of a member"):
        all_of(tmp_path / "a.zip")


def test_a_link_is_refused(tmp_path: Path) -> None:
    def link(entry: zipfile.ZipInfo) -> None:
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16

    (tmp_path / "a.zip").write_bytes(made({"originals/00000000": b"/etc/passwd"}, change=link))
    with pytest.raises(ArchiveError, match="originals/00000000"):
        all_of(tmp_path / "a.zip")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    zeros = bytes(3_000_000)
    packed = made({"documents/000000.jsonl": zeros})
    assert len(packed) < 10_000, "it is a bomb, if a small one"
    (tmp_path / "a.zip").write_bytes(packed)
    assert all_of(tmp_path / "a.zip") == {"documents/000000.jsonl": zeros}  # as large as it says
    lying = packed.replace(len(zeros).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(lying)
    with pytest.raises(ArchiveError, match="100 bytes"):
        all_of(tmp_path / "a.zip")
    lying = packed.replace(len(zeros).to_bytes(4, "little"), (0xF0000000).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(lying)
    with pytest.raises(ArchiveError, match="unpack to"):
        all_of(tmp_path / "a.zip")


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    """Many entries that share one stretch of packed bytes: a bomb of another kind."""
    data = bytes(range(256)) * 40
    file = zipfile.ZipFile(io.BytesIO(made({"documents/000000.jsonl": data})))
    entries = {f"documents/{number:06d}.jsonl": file.getinfo("documents/000000.jsonl") for number in range(400)}
    archive = Archive.__new__(Archive)
    archive._path, archive._file = tmp_path / "a.zip", _Listing(entries)  # type: ignore[assignment]
    archive._path.write_bytes(b"x" * 1000)
    with pytest.raises(ArchiveError, match="overlap"):
        archive._entries()


class _Listing:
    def __init__(self, entries: dict[str, zipfile.ZipInfo]) -> None:
        self._entries = entries

    def infolist(self) -> Iterator[zipfile.ZipInfo]:
        for name, entry in self._entries.items():
            copy = zipfile.ZipInfo(name)
            copy.compress_size, copy.file_size, copy.compress_type = entry.compress_size, entry.file_size, 8
            yield copy


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(MANIFEST, b"{}")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr(MANIFEST, b"{}")
    with pytest.raises(ArchiveError, match="twice"):
        all_of(tmp_path / "a.zip")


MANIFESTS = {
    "not JSON": b"{",
    "of another program": {"format": "other"},
    "a list": [],
    "deep": b"[" * 100_000,
    "without members": {"format": archive_module.FORMAT, "version": 2},
    "half a character": b'{"format": "\xed\xa0\x80"}',
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_wrong_manifest_is_refused(tmp_path: Path, name: str) -> None:
    value = MANIFESTS[name]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(MANIFEST, value if isinstance(value, bytes) else json.dumps(value))
    with pytest.raises(ArchiveError, match=r"a\.zip"):
        all_of(tmp_path / "a.zip")


@pytest.mark.parametrize("version", [0, 3, "1", None])
def test_another_version_is_refused_by_name(tmp_path: Path, version: object) -> None:
    (tmp_path / "a.zip").write_bytes(made({}, version=version))
    with pytest.raises(ArchiveError, match=f"version {version!r}, this program reads versions up to 2"):
        all_of(tmp_path / "a.zip")


def test_members_must_be_those_of_the_manifest(tmp_path: Path) -> None:
    path, some = tmp_path / "a.zip", {"size": 1, "sha256": "0" * 64}
    for members, listed, reason in (
        ({"failures.jsonl": b"x"}, {}, "not in the manifest"),
        ({}, {"failures.jsonl": some}, "missing"),
        ({"failures.jsonl": b"xy"}, {"failures.jsonl": some}, "has 2 bytes"),
        ({"failures.jsonl": b"x"}, {"failures.jsonl": some}, "its hash"),
    ):
        path.write_bytes(made(members, members=listed))
        with pytest.raises(ArchiveError, match=reason):
            all_of(path)


def test_what_is_encrypted_or_packed_otherwise_is_refused(tmp_path: Path) -> None:
    def packed_otherwise(entry: zipfile.ZipInfo) -> None:
        entry.compress_type = zipfile.ZIP_LZMA

    (tmp_path / "a.zip").write_bytes(made({"failures.jsonl": b"x"}, change=packed_otherwise))
    with pytest.raises(ArchiveError, match="unknown way"):
        all_of(tmp_path / "a.zip")
    plain = bytearray(made({"failures.jsonl": b"x"}))
    at = plain.index(b"PK\x01\x02")
    plain[at + 8] |= 0x1  # the flag of encryption in the directory
    (tmp_path / "a.zip").write_bytes(bytes(plain))
    with pytest.raises(ArchiveError, match="encrypted"):
        all_of(tmp_path / "a.zip")
