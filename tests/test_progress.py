"""How long work is told."""

import pytest

from rag.progress import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (3600, "1 h 00 min"), (7799, "2 h 09 min")],
)
def test_durations_are_short_and_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text
