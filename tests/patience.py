"""Waiting for what must happen. How long is no part of what a test shows: the machines may be slow and busy."""

import time
from collections.abc import Callable

PATIENCE = 120.0  # seconds


def until(happens: Callable[[], object]) -> None:
    """Return as soon as `happens()` is true.

    Raises:
        AssertionError: it was not within `PATIENCE`.
    """
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
