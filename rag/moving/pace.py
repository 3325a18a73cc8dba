"""How far has moving come, how fast is it, and how long will it take?"""

import time
from collections.abc import Callable

from rag.records import Progress

OnProgress = Callable[[Progress], None]


class Pace:
    """Counts what has been moved, of `total`, and tells `on_progress`."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._total, self._on_progress = total, on_progress
        self._started, self._done = time.monotonic(), 0

    def tell(self, path: str, count: int) -> None:
        """`count` more are done; `path` names what was last in work."""
        self._done += count
        if self._on_progress is None:
            return
        seconds = time.monotonic() - self._started
        left = seconds * (self._total - self._done) / self._done if self._done else None
        self._on_progress(Progress(self._done, self._total, path, self._done, seconds, left, "move"))
