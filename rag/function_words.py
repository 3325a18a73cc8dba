"""Which words of a question tell what it is about, and which only hold it together."""

import re
from collections.abc import Iterable, Sequence
from functools import cache

_WORD = re.compile(r"[^\W_]+")


def telling(words: Sequence[str], languages: Iterable[str] | None = None) -> Sequence[str]:
    """`words` (case folded) without the function words of the language that has most of them; all, where none is left.

    Only `languages` (ISO 639-1) are thought of, every one that has a list where they are not known.
    """
    known = _lists() if languages is None else languages
    common = max((function_words(code) & set(words) for code in known), key=len, default=frozenset())
    return [word for word in words if word not in common] or words


@cache
def function_words(language: str) -> frozenset[str]:
    """Snowball's list of stop words, as bm25s has it, with "don't" as two words; empty for other languages."""
    return frozenset(word for entry in _lists().get(language, ()) for word in _WORD.findall(entry.casefold()))


@cache
def _lists() -> dict[str, Sequence[str]]:
    from bm25s import stopwords  # brings scipy along, so it waits for the first question

    return {
        "da": stopwords.STOPWORDS_DANISH, "de": stopwords.STOPWORDS_GERMAN, "en": stopwords.STOPWORDS_EN_PLUS,
        "es": stopwords.STOPWORDS_SPANISH, "fr": stopwords.STOPWORDS_FRENCH, "it": stopwords.STOPWORDS_ITALIAN,
        "nl": stopwords.STOPWORDS_DUTCH, "no": stopwords.STOPWORDS_NORWEGIAN, "pt": stopwords.STOPWORDS_PORTUGUESE,
        "ru": stopwords.STOPWORDS_RUSSIAN, "sv": stopwords.STOPWORDS_SWEDISH, "tr": stopwords.STOPWORDS_TURKISH,
    }  # fmt: skip
