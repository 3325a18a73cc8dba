"""One writer per library, across processes: the operating system holds the lock and frees it when a process dies."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rag.errors import DiskFull, LibraryBusy, StoreError

_LOCK, _HOLDER = "writer.lock", "writer.pid"


@contextmanager
def write_lock(home: Path, wait: float = 2.0) -> Iterator[None]:
    """Hold the write lock of the library in `home`.

    Who holds it is told by a file beside the lock; one left by a process that died says nothing, since its lock
    is free.

    Args:
        home: the library's folder, which exists.
        wait: seconds to wait for another writer to end.

    Raises:
        LibraryBusy: another writer holds the lock longer than that.
        StoreError: the folder cannot be written to.
    """
    lock = FileLock(home / _LOCK, timeout=wait)
    with _translated(home):
        try:
            lock.acquire()
        except Timeout as exc:
            raise LibraryBusy(
                f"{_holder(home)} is writing to the library in {str(home)!r}; wait until it is done, or end it"
            ) from exc
        try:
            (home / _HOLDER).write_text(str(os.getpid()), "utf-8")
        except OSError:
            lock.release()
            raise
    try:
        yield
    finally:
        with suppress(OSError):  # it only says who to wait for
            (home / _HOLDER).unlink()
        lock.release()


def _holder(home: Path) -> str:
    try:
        pid = int((home / _HOLDER).read_text("utf-8"))
    except (OSError, ValueError):
        return "another process"
    return "another part of this program" if pid == os.getpid() else f"process {pid}"


@contextmanager
def _translated(home: Path) -> Iterator[None]:
    try:
        yield
    except Timeout:
        raise
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise DiskFull(f"cannot write to {str(home)!r}: the disk is full; make room and try again") from exc
        raise StoreError(f"cannot write to the library in {str(home)!r}: {exc}") from exc
