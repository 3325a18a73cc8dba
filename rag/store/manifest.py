"""Which embedder wrote this index? A small JSON file beside it says so, and another embedder is refused."""

import errno
import json
import os
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag.errors import DiskFull, IndexMismatch, StoreError
from rag.protocols import Embedder

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What made an index. `chunker` is the version of the rules that cut the chunks; `created` is ISO 8601, UTC."""

    schema: int
    space: str
    embedder: str
    fingerprint: str
    dim: int
    chunker: int
    created: str

    @classmethod
    def of(cls, embedder: Embedder, chunker: int = 1) -> "Manifest":
        """The manifest of an index that `embedder` begins now."""
        return cls(
            schema=_SCHEMA,
            space=embedder.space,
            embedder=embedder.state.name,
            fingerprint=embedder.fingerprint,
            dim=embedder.dim,
            chunker=chunker,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def check_manifest(path: Path, expected: Manifest) -> Manifest:
    """The manifest at `path`, written now from `expected` when there is none.

    Raises:
        IndexMismatch: the index was written by another embedder than `expected` names.
        StoreError: the file cannot be read or written, is damaged, or is of a newer program.
    """
    found = read_manifest(path)
    if found is None:
        write_manifest(path, expected)
        return expected
    if (found.space, found.fingerprint, found.dim) != (expected.space, expected.fingerprint, expected.dim):
        raise IndexMismatch(
            f"the index in {str(path.parent)!r} was written by {_named(found)}, the settings name {_named(expected)}; "
            f"set embedder to {found.embedder!r} again, or set RAG_HOME to a new folder and add the files there"
        )
    return found


def read_manifest(path: Path) -> Manifest | None:
    """The manifest at `path`, None when there is no such file; StoreError when it cannot be used."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise StoreError(f"cannot read {str(path)!r}: {exc}; {_REMEDY}") from exc
    if isinstance(values, dict) and isinstance(values.get("schema"), int) and values["schema"] > _SCHEMA:
        raise StoreError(f"{str(path)!r} was written by a newer Commonplace; update the program")
    if not _is_whole(values):
        raise StoreError(f"{str(path)!r} is not a manifest of Commonplace; {_REMEDY}")
    return Manifest(**values)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the file whole or not at all, also through a crash or a power cut."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as file:
            json.dump(asdict(manifest), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as exc:
        beside.unlink(missing_ok=True)
        if exc.errno == errno.ENOSPC:
            raise DiskFull(f"cannot write {str(path)!r}: the disk is full; make room and try again") from exc
        raise StoreError(f"cannot write {str(path)!r}: {exc}") from exc


_REMEDY = "move the folder away and add the files again"
_TYPES = {field.name: field.type for field in fields(Manifest)}


def _is_whole(values: Any) -> bool:
    return (
        isinstance(values, dict)
        and values.keys() == _TYPES.keys()
        and all(isinstance(value, int if _TYPES[name] is int else str) for name, value in values.items())
    )


def _named(manifest: Manifest) -> str:
    return f"{manifest.embedder!r} ({manifest.dim} numbers, fingerprint {manifest.fingerprint[:12]})"
