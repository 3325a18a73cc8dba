"""A place that a model can be had from: which files it offers, and how they are brought here."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from rag.errors import DiskFull, ModelError, RagError

HUB = "hf:"
"""What a reference begins with that means a repository of the model hub: "hf:owner/name"."""


class Stopped(Exception):
    """The person asked to stop: no error. What came so far is kept."""


@dataclass(frozen=True, slots=True)
class OfferedFile:
    """One file of a model elsewhere. `sha256` and the git object id `blob` are "" where they are not known."""

    name: str
    bytes: int
    sha256: str = ""
    blob: str = ""


class Origin(Protocol):
    """`source` is "hf:owner/name" or a path, `revision` a commit or "", `licence` "" where it is not told."""

    @property
    def source(self) -> str: ...

    @property
    def revision(self) -> str: ...

    @property
    def licence(self) -> str: ...

    @property
    def files(self) -> tuple[OfferedFile, ...]: ...

    def fetch(self, file: OfferedFile, to: Path, on_bytes: Callable[[int], None], stop: Event) -> None:
        """Write a file, or what is still missing of it, to `to`. `on_bytes` is told of every piece that came.

        Raises:
            ModelError: it cannot be had, or not be written.
            DiskFull: there is no room.
            Stopped: `stop` was set.
        """


def no_room(exc: OSError, to: Path) -> RagError:
    """The error of ours for a file that could not be written."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(f"no room left to write {str(to)!r}; free some space, then run the same command again to go on")
    return ModelError(f"cannot write {str(to)!r}: {exc.strerror or exc}")
