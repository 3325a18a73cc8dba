"""Records as lines of JSON: read one by one, so that a broken line costs itself only; written whole or not at all."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from rag.errors import DiskFull, TuneError
from rag.files import write_whole

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was passed over, and why. `line` counts from 1; 0: it is no one line that is amiss."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.reason}" if self.line else f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Lines(Generic[T]):
    """What a file holds: its records in their order, and the lines that hold none."""

    records: tuple[T, ...] = ()
    bad: tuple[BadLine, ...] = ()


def read_lines(path: Path, adapter: TypeAdapter[T], amiss: Callable[[T], str] = lambda record: "") -> Lines[T]:
    """The records in the file at `path`, one for each line that is not blank. A file that is not there holds none.

    Args:
        amiss: says why a record is of no use, "" where it is.

    Raises:
        TuneError: the file cannot be read.
    """
    records: list[T] = []
    bad: list[BadLine] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    record = adapter.validate_json(line)
                    reason = amiss(record)
                except ValidationError as exc:
                    reason = reason_of(exc)
                if reason:
                    bad.append(BadLine(str(path), number, reason))
                else:
                    records.append(record)
    except FileNotFoundError:
        return Lines()
    except OSError as exc:
        raise TuneError(f"cannot read {str(path)!r}: {exc.strerror or exc}") from exc
    return Lines(tuple(records), tuple(bad))


def append_lines(path: Path, records: Iterable[T], adapter: TypeAdapter[T]) -> None:
    """Add records at the end of a file, in one piece and on lines of their own, also behind one that was cut off.

    Raises:
        DiskFull, TuneError: nothing, or a part of one line that is passed over later, was written.
    """
    data = _as_lines(records, adapter)
    if not data:
        return
    with changing(path), _written(path), path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            data = data if file.read(1) == b"\n" else b"\n" + data
        file.write(data)


def write_lines(path: Path, records: Iterable[T], adapter: TypeAdapter[T]) -> None:
    """Make these records all that a file holds, in one step: readers see the old file or the new one.

    Raises:
        DiskFull, TuneError: the file is as it was.
    """
    write_whole(path, _as_lines(records, adapter), TuneError)


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Keep others, in other processes too, from changing the file at `path` between its being read and written."""
    with _written(path):
        lock = FileLock(path.with_name(f"{path.name}.lock"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def reason_of(error: ValidationError) -> str:
    """What is wrong with a line, in a few words, by the field where it is wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}: {first['msg']}" if field else first["msg"]


def _as_lines(records: Iterable[T], adapter: TypeAdapter[T]) -> bytes:
    return b"".join(adapter.dump_json(record) + b"\n" for record in records)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """The folder for the file made; the system's errors turned into ours."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise DiskFull(f"cannot write {str(path)!r}: the disk is full; make room and try again") from exc
        raise TuneError(f"cannot write {str(path)!r}: {exc.strerror or exc}") from exc
