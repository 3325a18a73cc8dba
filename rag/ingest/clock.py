"""How much time a file has left: what reads pixels stops before it is over, so that the rest of the file is kept."""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

_SLOWER = 1.5  # the next step may take so much longer than the slowest so far
_end: ContextVar[float] = ContextVar("end", default=math.inf)


@contextmanager
def limited_to(seconds: float) -> Iterator[None]:
    """What is done inside should be done in `seconds`; `in_time` sees to it."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def in_time(items: Iterable[T]) -> Iterator[T]:
    """Items for as long as one more, should it take somewhat longer than the slowest so far, is done in time.

    The time of an item is what passes until the next one is asked for. The first is given whenever any time is left.
    """
    slowest = 0.0
    for item in items:
        started = time.monotonic()
        if started + slowest * _SLOWER >= _end.get():
            return
        yield item
        slowest = max(slowest, time.monotonic() - started)
