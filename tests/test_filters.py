"""What a person types after --where."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag.errors import InvalidQuery
from rag.filters import And, Dated, In, Not, Tagged, Under, both, parse


def test_nothing_is_no_filter() -> None:
    assert parse("  ") is None
    assert both(None, None) is None


def test_one_word_is_its_own_filter() -> None:
    assert parse("kind:pdf,note") == In("kind", ("pdf", "note"))
    assert parse("tag:#work,home") == Tagged(("work", "home"))
    assert parse("after:2024-01-31") == Dated(start=datetime(2024, 1, 31, tzinfo=UTC))
    assert parse("before:2024-01-31") == Dated(end=datetime(2024, 1, 31, tzinfo=UTC))
    assert parse("language:de") == In("language", ("de",))


def test_words_are_joined_by_and_and_a_minus_excludes() -> None:
    assert parse("kind:note -tag:secret") == And((In("kind", ("note",)), Not(Tagged(("secret",)))))


def test_folders_may_hold_blanks_and_a_tilde() -> None:
    assert parse('folder:"~/my notes"') == Under(str(Path.home() / "my notes"))


@pytest.mark.parametrize(
    "text",
    ["pdf", "kind:", "kind:film", "colour:red", "after:soon", "folder:~no-such-person/x", 'folder:"open', "-", ":x"],
)
def test_what_cannot_be_understood_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(InvalidQuery):
        parse(text)
