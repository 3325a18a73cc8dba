"""Which words of a question tell what it is about."""

from rag.function_words import function_words, telling


def test_the_language_that_has_most_of_them_is_taken() -> None:
    assert telling(["wo", "ist", "die", "kanne"]) == ["kanne"]
    assert telling(["when", "did", "we", "die"]) == ["die"]  # an article in German, and no function word in English


def test_only_known_languages_are_thought_of() -> None:
    assert telling(["wo", "ist", "die", "kanne"], ["en"]) == ["wo", "ist", "die", "kanne"]
    assert telling(["wo", "ist"], []) == ["wo", "ist"]


def test_where_nothing_else_is_left_all_of_them_tell() -> None:
    assert telling(["what", "is", "it"], ["en"]) == ["what", "is", "it"]
    assert telling([]) == []


def test_lists() -> None:
    assert {"don", "t", "the"} <= function_words("en")
    assert function_words("tlh") == frozenset()
