"""Who may use a model now: a few at a time, first come first served, and a short line before it."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rag.errors import TooBusy

_GLANCE = 0.1  # seconds between two looks at whether the one who waits is still wanted


class Gate:
    """Lets `places` through at once; `waiting` may stand in line, others are refused. Thread-safe.

    The browser UI and the API share one: there is one language model, whoever asks it.
    """

    def __init__(self, places: int = 1, waiting: int = 8) -> None:
        self._places = self._free = places
        self._waiting = waiting
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def enter(self, stop: threading.Event | None = None, *, always: bool = False) -> Iterator[None]:
        """Hold a place for the block, once it is this caller's turn.

        Args:
            stop: set it to leave the line.
            always: stand in line however long it is: for the person at the screen.

        Raises:
            TooBusy: the line is full, or `stop` was set before it was this caller's turn.
        """
        self._take(stop, always)
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nobody holds a place; False where that took longer than `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._free == self._places, seconds)

    def _take(self, stop: threading.Event | None, always: bool) -> None:
        ticket = object()
        with self._changed:
            if not always and not self._free and len(self._line) >= self._waiting:
                raise TooBusy(f"{len(self._line)} others are waiting for the model already; ask again in a moment")
            self._line.append(ticket)
            try:
                while not self._free or self._line[0] is not ticket:
                    if stop is not None and stop.is_set():
                        raise TooBusy("it was given up before it was its turn")
                    self._changed.wait(_GLANCE if stop is not None else None)
                self._free -= 1
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()
