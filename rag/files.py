"""A file is written whole or not at all, also through a crash or a power cut."""

import errno
import os
from pathlib import Path

from rag.errors import DiskFull, RagError


def write_whole(path: Path, data: bytes, failure: type[RagError]) -> None:
    """Put `data` in the file at `path`, whose folder is made if it is not there.

    Raises:
        DiskFull: there is no room; what was there before stays.
        RagError: a `failure`, where it cannot be written for another reason.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as exc:
        beside.unlink(missing_ok=True)
        if exc.errno == errno.ENOSPC:
            raise DiskFull(f"cannot write {str(path)!r}: the disk is full; make room and try again") from exc
        raise failure(f"cannot write {str(path)!r}: {exc.strerror or exc}") from exc
