"""One file that holds a whole library: a zip of plain members, and a manifest with the size and sha256 of each.

Members are JSON lines, NumPy arrays and files as they were; nothing in an archive is ever executed or unpickled. One
that is written appears under its name when it is whole. One that is read may come from anybody: a member counts only
if the manifest lists it, and is believed only once its size and hash are as the manifest says.
"""

import errno
import hashlib
import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rag.errors import ArchiveError, DiskFull

FORMAT, VERSION = "commonplace-library", 2
READABLE = (1, 2)  # version 1 had neither feedback nor questions
MANIFEST = "manifest.json"
MEMBER_BYTES = 1 << 30  # the largest member that is read into memory; files are streamed and may be larger
_BLOCK = 1 << 20
_DEFLATE_RATIO = 1032  # no stream of deflate becomes longer than this (zlib, "Maximum Expansion Factor")
_NAME = re.compile(r"[a-z0-9_]+(?:/[a-z0-9_-]+)*(?:\.[a-z0-9]+)?")
_REMEDY = "take another copy of it, or export the library again"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)  # zipfile's own


@dataclass(frozen=True, slots=True)
class Member:
    """What a member must be: its size in bytes, and its hash in hex."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Contents:
    """The manifest of an archive. `index` is that of the library's index, None where it has none yet.

    `counts` are what must be found in the members; `created` is ISO 8601, UTC.
    """

    format: str
    version: int
    created: str
    index: dict[str, Any] | None
    counts: dict[str, int]
    members: dict[str, Member]


_CONTENTS = TypeAdapter(Contents)


class ArchiveWriter:
    """Adds members, each once, to an archive in the making; `write_archive` gives one."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._members: dict[str, Member] = {}

    def add(self, name: str, data: bytes, *, deflated: bool = True) -> None:
        """Add bytes; ArchiveError where they are more than a reader would take."""
        if len(data) > MEMBER_BYTES:
            raise ArchiveError(f"{name!r} would be larger than {MEMBER_BYTES >> 20} MiB; remove the largest documents")
        self._write(name, [data], deflated)

    def add_file(self, name: str, path: Path) -> Member:
        """Add a file as it is, however large, and tell what was added."""
        with path.open("rb") as opened:
            self._write(name, iter(lambda: opened.read(_BLOCK), b""), deflated=False)
        return self._members[name]

    def finish(self, index: Mapping[str, Any] | None, counts: Mapping[str, int]) -> None:
        """Write the manifest, which makes it an archive."""
        contents = Contents(
            format=FORMAT,
            version=VERSION,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            index=dict(index) if index is not None else None,
            counts=dict(counts),
            members=self._members,
        )
        self._file.writestr(_entry(MANIFEST, deflated=True), json.dumps(asdict(contents), indent=1))

    def _write(self, name: str, blocks: Iterable[bytes], deflated: bool) -> None:
        digest, size = hashlib.sha256(), 0
        with self._file.open(_entry(name, deflated), "w", force_zip64=True) as member:
            for block in blocks:
                member.write(block)
                digest.update(block)
                size += len(block)
        self._members[name] = Member(size, digest.hexdigest())


@contextmanager
def write_archive(path: Path) -> Iterator[ArchiveWriter]:
    """An archive that stands at `path`, whole, when the block ends, and is not there when it raises.

    Raises:
        ArchiveError: there is a file already, or it cannot be written there.
        DiskFull: there is no room for it.
    """
    if path.exists():
        raise ArchiveError(f"{str(path)!r} is there already; choose another name, or move it away")
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with beside.open("xb") as opened:
            with zipfile.ZipFile(opened, "w", compresslevel=1) as file:
                yield ArchiveWriter(file)
            opened.flush()
            os.fsync(opened.fileno())
        beside.replace(path)
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise DiskFull(f"cannot write {str(path)!r}: the disk is full; make room and try again") from exc
        raise ArchiveError(f"cannot write {str(path)!r}: {exc}") from exc
    finally:
        beside.unlink(missing_ok=True)


class Archive:
    """An archive to read from: what it says that it holds is so, or reading it raises; `open_archive` gives one."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self._path, self._file = path, file
        entries = self._entries()
        self.contents = self._read_contents(entries)
        self._check_members(entries)

    def names(self, folder: str) -> list[str]:
        """The members in `folder`, in order."""
        return sorted(name for name in self.contents.members if name.startswith(folder + "/"))

    def read(self, name: str) -> bytes:
        """A member, whole and checked; ArchiveError where it is missing, damaged or too large for memory."""
        if self._member(name).size > MEMBER_BYTES:
            raise self.error(f"{name!r} says that it has {self._member(name).size} bytes")
        return b"".join(self._blocks(name))

    def copy(self, name: str, path: Path) -> None:
        """Write a member to a new file, block by block; ArchiveError where it is missing or damaged."""
        with path.open("xb") as opened:
            for block in self._blocks(name):
                opened.write(block)

    def size(self) -> int:
        """Bytes of all members together, unpacked."""
        return sum(member.size for member in self.contents.members.values())

    def error(self, reason: str) -> ArchiveError:
        """What to raise where the archive is not as it should be."""
        return ArchiveError(f"cannot use the archive {str(self._path)!r}: {reason}; {_REMEDY}")

    def _blocks(self, name: str) -> Iterator[bytes]:
        expected, digest, size = self._member(name), hashlib.sha256(), 0
        try:
            with self._file.open(name) as member:
                while block := member.read(_BLOCK):
                    digest.update(block)
                    size += len(block)
                    yield block
        except (*_BROKEN, OSError) as exc:
            raise self.error(f"{name!r} is damaged ({exc})") from exc
        if (size, digest.hexdigest()) != (expected.size, expected.sha256):
            raise self.error(f"{name!r} is damaged: its hash is not the one in the manifest")

    def _member(self, name: str) -> Member:
        if name not in self.contents.members:
            raise self.error(f"{name!r} is missing")
        return self.contents.members[name]

    def _entries(self) -> dict[str, zipfile.ZipInfo]:
        """The directory of the zip by name, once nothing in it is strange."""
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._file.infolist():
            if reason := _strangeness(entry):
                raise self.error(f"{entry.filename[:100]!r} {reason}")
            if entry.filename in entries:
                raise self.error(f"{entry.filename!r} is in it twice")
            entries[entry.filename] = entry
        if sum(entry.compress_size for entry in entries.values()) > self._path.stat().st_size:
            raise self.error("its members overlap")
        return entries

    def _read_contents(self, entries: Mapping[str, zipfile.ZipInfo]) -> Contents:
        if MANIFEST not in entries or entries[MANIFEST].file_size > MEMBER_BYTES:
            raise self.error(f"it has no {MANIFEST}, or none of a sensible size")
        try:
            values = json.loads(self._file.read(MANIFEST))
        except (*_BROKEN, OSError, RecursionError) as exc:
            raise self.error(f"{MANIFEST!r} is damaged ({exc})") from exc
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise self.error("it is not an archive of Commonplace")
        if values.get("version") not in READABLE:
            raise ArchiveError(
                f"the archive {str(self._path)!r} has format version {values.get('version')!r}, this program reads "
                f"versions up to {VERSION}; update the program, or export with the one that you have"
            )
        try:
            return _CONTENTS.validate_python(values)
        except ValidationError as exc:
            raise self.error(f"{MANIFEST!r} is not a manifest ({exc.errors()[0]['msg']})") from exc

    def _check_members(self, entries: Mapping[str, zipfile.ZipInfo]) -> None:
        there = {name: entry.file_size for name, entry in entries.items() if name != MANIFEST}
        listed = {name: member.size for name, member in self.contents.members.items()}
        for name in sorted(there.keys() ^ listed.keys()):
            raise self.error(f"{name!r} is missing" if name in listed else f"{name!r} is not in the manifest")
        for name in there:
            if there[name] != listed[name]:
                raise self.error(f"{name!r} has {there[name]} bytes, the manifest says {listed[name]}")


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The archive at `path`, its manifest and directory checked.

    Raises:
        ArchiveError: there is none, it is no archive of ours, damaged or made to do harm, or of another version.
    """
    try:
        opened = path.open("rb")
    except OSError as exc:
        raise ArchiveError(f"cannot read {str(path)!r}: {exc.strerror}") from exc
    with opened:
        try:
            file = zipfile.ZipFile(opened)
        except (*_BROKEN, OSError) as exc:
            raise ArchiveError(f"{str(path)!r} is not an archive, or is damaged ({exc}); {_REMEDY}") from exc
        with file:
            yield Archive(path, file)


def _entry(name: str, deflated: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    return entry


def _strangeness(entry: zipfile.ZipInfo) -> str:
    """Why no archive of ours has such an entry; "" where it may. Links, folders and upward paths have no such names."""
    mode = entry.external_attr >> 16
    if not _NAME.fullmatch(entry.filename) or stat.S_ISLNK(mode) or entry.filename != entry.orig_filename:
        return "is no name of a member"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed in the unknown way {entry.compress_type}"
    if entry.file_size > entry.compress_size * _DEFLATE_RATIO + _BLOCK:
        return f"says that {entry.compress_size} bytes unpack to {entry.file_size}"
    return ""
