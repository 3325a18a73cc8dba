"""Small pictures kept on disk, by the digest of what they show: made once, looked up ever after."""

import errno
import hashlib
import os
import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rag.errors import DiskFull, StoreError

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Thumbnails:
    """WebP files `<folder>/<2 hex>/<digest>-<size>.webp`, `size` the most pixels of a side. Threads may share it.

    A digest is a sha256 in hex; what is not, as that of a later frame, is hashed, so that no name leads out of the
    folder. Losing the folder loses nothing but time: everything in it can be made again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, digest: str, size: int) -> bytes | None:
        """What is kept, None where nothing is."""
        try:
            return self._path(digest, size).read_bytes()
        except OSError:
            return None

    def put(self, digest: str, size: int, data: bytes) -> None:
        """Keep `data`, whole or not at all, also through a crash; one that is there already stays, as if it were new.

        Raises:
            DiskFull: there is no room for it.
            StoreError: the folder cannot be written to.
        """
        path = self._path(digest, size)
        beside = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.new")
        try:
            if path.exists():
                path.touch()
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(data)
            beside.replace(path)
        except OSError as exc:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            if exc.errno == errno.ENOSPC:
                raise DiskFull(f"cannot write {str(path)!r}: the disk is full; make room and try again") from exc
            raise StoreError(f"cannot write {str(path)!r}: {exc}") from exc

    def remove(self, digests: Iterable[str]) -> None:
        """Forget all sizes of these; what is not there is gone already."""
        for name in map(_name, digests):
            for path in (self._folder / name[:2]).glob(f"{name}-*"):
                with suppress(OSError):  # another program may hold it open; it does no harm
                    path.unlink()

    def digests(self, older_than: float) -> set[str]:
        """What is kept and was put there before that time (seconds since the epoch)."""
        files = self._folder.glob("??/*.webp")
        return {path.name.partition("-")[0] for path in files if path.stat().st_mtime < older_than}

    def _path(self, digest: str, size: int) -> Path:
        name = _name(digest)
        return self._folder / name[:2] / f"{name}-{size:d}.webp"


def _name(digest: str) -> str:
    return digest if _DIGEST.fullmatch(digest) else hashlib.sha256(digest.encode("utf-8", "replace")).hexdigest()
