"""A counter that goes up whenever what the screen shows has changed; pages ask for it and redraw when it moved."""

import threading


class Pulse:
    """Thread-safe. `version` only grows; `busy` says whether to ask often."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._busy = 0

    @property
    def version(self) -> int:
        return self._version

    @property
    def busy(self) -> bool:
        return self._busy > 0

    def touch(self) -> None:
        """Something changed."""
        with self._lock:
            self._version += 1

    def __enter__(self) -> "Pulse":
        """Work begins: changes are to be expected until it ends."""
        with self._lock:
            self._busy += 1
            self._version += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._busy -= 1
            self._version += 1
