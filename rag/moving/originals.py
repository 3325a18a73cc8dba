"""Which files go along with a library, and where do they go on another machine?

What was given to the library to keep (`files` and `originals` in its folder) always goes along. The files that were
indexed where they lie go if that is asked for, as long as they are what was indexed. They come out in `originals`.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter

from rag.ingest.attachments import safe_name
from rag.moving.archive import Archive, ArchiveWriter
from rag.moving.shards import lines, read_lines
from rag.store.catalogue import Catalogue
from rag.text import encodable

KEPT_FOLDERS = ("files", "originals")  # of a library's home
_INDEX = "originals.jsonl"
_LONGEST_NAME, _LONGEST_SUFFIX, _LONGEST_PATH = 200, 20, 600  # bytes, bytes, characters


@dataclass(frozen=True, slots=True)
class Original:
    """A file: where it lay, when it was changed (seconds since the epoch), and which member it is.

    `inside` is its path in the library's folder, with "/" between names; "" for one that lay elsewhere.
    """

    path: str
    inside: str
    modified: float
    member: str


_ORIGINAL = TypeAdapter(Original)


def kept_files(home: Path) -> list[Path]:
    """The files that the library in `home` keeps, whether they are indexed or not."""
    found = (path for folder in KEPT_FOLDERS for path in (home / folder).rglob("*"))
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def outside_files(catalogue: Catalogue, home: Path) -> tuple[list[Path], list[str]]:
    """The files elsewhere that documents and their pictures were read from, and those that are gone or have changed."""
    wanted = {info.path: info.sha256 for info in catalogue.infos() if info.parent is None}
    wanted |= {path: digest for shown in catalogue.shown().values() for path, digest in shown.items()}
    outside = {path: sha256 for path, sha256 in wanted.items() if not _is_kept(Path(path), home)}
    same = [path for path, sha256 in sorted(outside.items()) if file_hash(Path(path)) == sha256]
    return list(map(Path, same)), sorted(outside.keys() - set(same))


def write_originals(archive: ArchiveWriter, home: Path, files: Sequence[Path]) -> Iterator[Path]:
    """Add `files`, telling each that was added."""
    originals = []
    for number, path in enumerate(files):
        member = f"originals/{number:08d}"
        archive.add_file(member, path)
        inside = path.relative_to(home).as_posix() if _is_kept(path, home) else ""
        originals.append(Original(str(path), inside, path.stat().st_mtime, member))
        yield path
    archive.add(_INDEX, lines(map(_ORIGINAL.dump_json, originals)))


def read_originals(archive: Archive) -> list[Original]:
    """The files in an archive; ArchiveError where what it says about them cannot be."""
    originals = read_lines(archive, _INDEX, _ORIGINAL)
    if sorted(original.member for original in originals) != archive.names("originals"):
        raise archive.error(f"{_INDEX!r} does not name the files that are in it")
    if len({original.path for original in originals}) < len(originals):
        raise archive.error(f"{_INDEX!r} names a file twice")
    return originals


def places(archive: Archive, originals: Iterable[Original], home: Path) -> dict[str, PurePosixPath | None]:
    """For each path of old the place of that file in the library's folder; None where the very file still lies there.

    Places are made of safe names below `files` or `originals`, so that none leads anywhere else, and no two are the
    same on a disk that does not tell "A" from "a".
    """
    found: dict[str, PurePosixPath | None] = {}
    taken: set[str] = set()
    for original in originals:
        sha256 = archive.contents.members[original.member].sha256
        if not original.inside and file_hash(Path(original.path)) == sha256:
            found[original.path] = None
            continue
        place = _place(original)
        while str(place).casefold() in taken:
            place = place.with_name(_next_name(place.name))
        taken.add(str(place).casefold())
        found[original.path] = place
    return found


def extract(archive: Archive, original: Original, path: Path) -> None:
    """Write the file to `path`, with the time at which it was changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    archive.copy(original.member, path)
    with suppress(OSError, OverflowError, ValueError):  # a time that this disk does not know
        os.utime(path, (original.modified, original.modified))


def is_encodable(path: Path) -> bool:
    """Whether the path can be written down: a name on a Unix disk need not be valid Unicode."""
    return encodable(str(path)) == str(path)


def file_hash(path: Path) -> str | None:
    """sha256 in hex; None where there is no file that can be read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


def _is_kept(path: Path, home: Path) -> bool:
    return any(path.is_relative_to(home / folder) for folder in KEPT_FOLDERS)


def _place(original: Original) -> PurePosixPath:
    names = [name for name in re.split(r"[\\/]+", original.inside or original.path) if name]
    if original.inside and names[:1] and names[0] in KEPT_FOLDERS:
        folder, names = names[0], names[1:]
    else:
        folder = "originals"
    safe = [_fitting(safe_name(name)) for name in names] or ["_"]
    if sum(map(len, safe)) > _LONGEST_PATH:
        safe = [original.member.rpartition("/")[2], safe[-1]]
    return PurePosixPath(folder, *safe)


def _fitting(name: str) -> str:
    """`name` short enough for any disk, with its ending unless that is long; "_" where nothing is left of it."""
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix.encode()) <= _LONGEST_SUFFIX else ""
    stem = name.removesuffix(suffix).encode()[: _LONGEST_NAME - _LONGEST_SUFFIX].decode("utf-8", "ignore")
    return stem + suffix or "_"


def _next_name(name: str) -> str:
    """`plan (2).pdf` after `plan.pdf`, `plan (3).pdf` after that."""
    path = PurePosixPath(name)
    numbered = re.fullmatch(r"(.*) \((\d+)\)", path.stem)
    stem, number = (numbered[1], int(numbered[2]) + 1) if numbered else (path.stem, 2)
    return f"{stem} ({number}){path.suffix}"
