"""Which files there are to read in the files and folders given. Imports no reader."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rag.ingest import media
from rag.records import Failure

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".ragignore"
"""Patterns as in .gitignore, for the folder that it lies in and those below."""

_PASSED_OVER = frozenset({"node_modules", "__pycache__"})  # beside everything whose name begins with a dot


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that a reader takes. `path` is absolute, without links; `size` in bytes."""

    path: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class ScanResult:
    """`files` sorted by path, each once; `skipped`: of a kind that no reader takes; `failed`: with the reason."""

    files: tuple[FoundFile, ...]
    skipped: tuple[str, ...]
    failed: tuple[Failure, ...]


def scan(paths: Sequence[Path | str]) -> ScanResult:
    """Walk files and folders.

    Links to folders are not followed, nor are links to files inside folders: what they point to is found where it
    lies, or is outside of what was asked for, and then the link is reported as skipped. A file or folder given by
    name may be a link, or hidden. Hidden files and folders, `node_modules` and what `.ragignore` names are passed
    over silently.
    """
    walk = _Walk()
    for path in paths:
        walk.add(os.path.realpath(path))
    return walk.result()


@dataclass
class _Walk:
    files: dict[str, FoundFile] = field(default_factory=dict)
    skipped: dict[str, None] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    seen_folders: set[str] = field(default_factory=set)

    def add(self, path: str) -> None:
        if not _is_utf8(path):
            self.failed[path] = "its name is not valid UTF-8; rename it"
        elif Path(path).is_dir():
            self._add_folder(path)
        elif Path(path).is_file():
            self._add_file(path)
        elif Path(path).exists():
            self.skipped[path] = None  # a socket, a device
        else:
            self.failed[path] = "it does not exist"

    def _add_folder(self, root: str) -> None:
        folders = [(root, _ignored_in(root, []))]
        while folders:
            folder, ignores = folders.pop()
            if folder in self.seen_folders:
                continue
            self.seen_folders.add(folder)
            for entry in self._entries(folder):
                if entry.name.startswith(".") or entry.name in _PASSED_OVER:
                    continue
                is_folder = entry.is_dir(follow_symlinks=False)
                if any(ignore.covers(entry.path, is_folder) for ignore in ignores):
                    continue
                if not _is_utf8(entry.path):
                    self.failed[entry.path] = "its name is not valid UTF-8; rename it"
                elif is_folder:
                    folders.append((entry.path, _ignored_in(entry.path, ignores)))
                elif entry.is_symlink():
                    self._add_link(entry.path, root)
                elif entry.is_file(follow_symlinks=False):
                    self._add_file(entry.path)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except OSError as exc:
            self.failed[folder] = f"the folder cannot be read: {exc.strerror}"
            return []

    def _add_link(self, path: str, root: str) -> None:
        if not Path(os.path.realpath(path)).is_relative_to(root):
            self.skipped[path] = None

    def _add_file(self, path: str) -> None:
        try:
            size = Path(path).stat().st_size
            kind = media.media_type_of_name(Path(path).name) or _sniffed(path)
        except OSError as exc:
            self.failed[path] = f"it cannot be read: {exc.strerror}"
            return
        if kind is None:
            self.skipped[path] = None
        elif not os.access(path, os.R_OK):
            self.failed[path] = "you may not read it; change its permissions"
        else:
            self.files[path] = FoundFile(path, kind, size)

    def result(self) -> ScanResult:
        failed = sorted((_printable(path), error) for path, error in self.failed.items())
        return ScanResult(
            files=tuple(self.files[path] for path in sorted(self.files)),
            skipped=tuple(sorted(map(_printable, self.skipped))),
            failed=tuple(Failure(path, error) for path, error in failed),
        )


@dataclass(frozen=True, slots=True)
class _Ignore:
    folder: str
    patterns: "GitIgnoreSpec"

    def covers(self, path: str, is_folder: bool) -> bool:
        relative = os.path.relpath(path, self.folder).replace(os.sep, "/")
        return self.patterns.match_file(relative + "/" * is_folder)


def _ignored_in(folder: str, above: list[_Ignore]) -> list[_Ignore]:
    """What `folder` ignores: what the folders above it do, and its own `.ragignore`."""
    file = Path(folder) / IGNORE_FILE
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return above
    from pathspec import GitIgnoreSpec  # takes a tenth of a second, and few folders have such a file

    return [*above, _Ignore(folder, GitIgnoreSpec.from_lines(lines))]


def _sniffed(path: str) -> str | None:
    with Path(path).open("rb") as opened:
        return media.sniff(opened.read(media.HEAD), Path(path).name)


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _printable(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
