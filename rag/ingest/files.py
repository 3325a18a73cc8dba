"""The bytes of a file on disk, as a Source."""

import os
from datetime import UTC, datetime
from pathlib import Path

from rag.errors import UnreadableFile
from rag.records import Source

_MIB = 1024 * 1024


def load(path: str, media_type: str, max_mb: int | None = None) -> Source:
    """Read the file at `path`, which may be at most `max_mb` MiB.

    Raises:
        UnreadableFile: it is gone, may not be read, is too large, or the disk failed.
    """
    try:
        with Path(path).open("rb") as opened:
            stat = os.fstat(opened.fileno())
            _check_size(path, stat.st_size, max_mb)
            data = opened.read() if max_mb is None else opened.read(max_mb * _MIB + 1)
    except FileNotFoundError as exc:
        raise UnreadableFile(path, "it vanished while being read") from exc
    except PermissionError as exc:
        raise UnreadableFile(path, "you may not read it; change its permissions") from exc
    except (OSError, ValueError) as exc:
        raise UnreadableFile(path, f"it cannot be read from the disk: {exc}") from exc
    _check_size(path, len(data), max_mb)  # it may have grown meanwhile
    return Source(path, media_type, data, _time(stat.st_mtime))


def _check_size(path: str, size: int, max_mb: int | None) -> None:
    if max_mb is not None and size > max_mb * _MIB:
        found = f"it has {size / _MIB:.1f} MiB, more than the {max_mb} that are read"
        raise UnreadableFile(path, f"{found}; set RAG_MAX_FILE_MB higher to read it")


def _time(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
