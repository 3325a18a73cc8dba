"""Which words BM25 compares: text to terms, in one way for what is stored and for what is asked."""

import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import regex
import Stemmer

from rag.function_words import telling

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNKNOWN = "und"

# ISO 639-1 to Snowball (https://snowballstem.org/algorithms/); "english" is Porter2.
_SNOWBALL = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish",
    "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian",
    "it": "italian", "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "nn": "norwegian", "no": "norwegian",
    "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "st": "sesotho",
    "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
_LONGEST_TERM = 64  # characters; anything longer is encoded data rather than a word
_MOST_PARTS = 8  # a longer compound is a path or a table, and nobody types it whole

# Scripts written without spaces between words, and Hangul, whose particles are glued to the words: overlapping
# pairs of characters are the usual index for them (as in Lucene's CJKAnalyzer).
_PAIRED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー"
_WORD = rf"[[\p{{L}}\p{{N}}\p{{M}}]--[{_PAIRED}]]+"
_JOINT = r"(?:[-_.@']|(?<=\d),(?=\d{3}(?!\d)))"
_TOKEN = regex.compile(rf"(?V1)(?P<pairs>[{_PAIRED}][{_PAIRED}\p{{M}}]*)|{_WORD}(?:{_JOINT}{_WORD})*")
_SEPARATOR = regex.compile(r"[-_.@',]")
_CLUSTER = regex.compile(r"\P{M}\p{M}*|\p{M}+")
# Elsewhere (Devanagari, Thai...) combining marks are vowels, and stay.
_MARKED = regex.compile(r"([\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}])[\p{M}\u0640]+")
_CHARACTERS = str.maketrans(dict.fromkeys("’‘ʼ＇", "'") | dict.fromkeys("‐‑", "-") | dict.fromkeys("\xad‌‍‎‏⁠\ufeff"))

_DETECTED_CHARACTERS = 1500
_LEAST_LETTERS = 12
_FILLER = "·"  # terms are letters and digits
_ORDINARY = 100  # terms of a chunk of 200 tokens with its title, about
_LEAST_CONFIDENCE = 0.5

_stemmers = threading.local()  # a PyStemmer object must not be used by two threads at once


def analyse(text: str, language: str) -> str:
    """The BM25 terms of `text`, joined by single spaces, in the order of the text.

    Case, width and accents are folded, words are stemmed by the Snowball algorithm of `language` (ISO 639-1; not at
    all where there is none), and scripts without spaces become overlapping pairs of characters. A compound gives
    its parts and the whole: "RTX-4090" gives "rtx", "4090" and "rtx4090". No word is left out as too common.
    """
    return " ".join(_stemmed(list(_words(text)), language))


def analyse_picture(text: str, language: str) -> str:
    """The BM25 terms of the few words that belong to a picture, filled up to the length of an ordinary passage.

    BM25 measures every length against the average one. A thousand captions of eight words would make each passage
    beside them count as long, and lose rank to the shortest for no reason of its own (eval/LOG.md). The term that
    fills is no word: no question contains it. Without any word there is nothing to fill up.
    """
    terms = analyse(text, language).split()
    return " ".join([*terms, *[_FILLER] * (_ORDINARY - len(terms))]) if terms else ""


def analyse_query(text: str, languages: Iterable[str]) -> str:
    """The distinct terms of a question under each of `languages` in turn, joined by single spaces.

    A question is too short for its language to be detected, so it is asked in every language of the library.
    With no languages the words are not stemmed. Function words ("when", "did") are left out unless there is nothing
    else: in a library of a few notes they are as rare as any word, and BM25 would take them for telling.
    """
    languages = tuple(languages)
    words = telling(list(_words(text)), languages)
    return " ".join(dict.fromkeys(term for code in languages or (UNKNOWN,) for term in _stemmed(words, code)))


def detect_language(text: str) -> str:
    """The language of `text` as ISO 639-1, "und" when the text is too short or too unclear to tell."""
    code, confidence = language_and_confidence(text)
    return code if confidence >= _LEAST_CONFIDENCE and len(code) == 2 else UNKNOWN


def language_and_confidence(text: str) -> tuple[str, float]:
    """The likeliest language of `text` and its probability in [0, 1]; "und" and 0 with too few letters to tell."""
    sample = _sample(text)
    if sum(map(str.isalpha, sample)) < _LEAST_LETTERS:
        return UNKNOWN, 0.0
    code, confidence = _identifier().classify(sample)
    return str(code), float(confidence)


def _words(text: str) -> Iterator[str]:
    """The words of `text`, folded but not stemmed, in order."""
    folded = unicodedata.normalize("NFKC", text.translate(_CHARACTERS)).casefold()
    for match in _TOKEN.finditer(unicodedata.normalize("NFKC", folded)):
        token = match.group()
        if match["pairs"]:
            yield from _pairs(token)
        elif token.isalnum():
            yield token[:_LONGEST_TERM]
        else:
            yield from _compound(token.removesuffix("'s"))


def _pairs(run: str) -> Iterator[str]:
    clusters = _CLUSTER.findall(run)
    if len(clusters) == 1:
        yield clusters[0][:_LONGEST_TERM]
    for first, second in pairwise(clusters):
        yield (first + second)[:_LONGEST_TERM]


def _compound(token: str) -> Iterator[str]:
    """The parts of a compound, then the whole as people also write it: "e-mail" email, "U.S." us, "3,000" 3000."""
    parts = _SEPARATOR.split(token)
    for part in parts:
        yield part[:_LONGEST_TERM]
    if 1 < len(parts) <= _MOST_PARTS and "'" not in token:
        acronym = all(len(part) == 1 for part in parts)
        whole = "".join(parts) if acronym else token.replace("-", "").replace("_", "").replace(",", "")
        yield whole[:_LONGEST_TERM]


def _stemmed(words: Sequence[str], language: str) -> list[str]:
    """Stemmed first and stripped of accents after, because the stemmers' rules need the accents."""
    stemmer = _stemmer(language)
    return _without_marks(" ".join(stemmer.stemWords(words) if stemmer else words)).split()


def _without_marks(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _MARKED.sub(r"\1", unicodedata.normalize("NFD", text)))


def _stemmer(language: str) -> "Stemmer.Stemmer | None":
    name = _SNOWBALL.get(language)
    if name is None:
        return None
    known: dict[str, Stemmer.Stemmer] = _stemmers.__dict__
    if name not in known:
        known[name] = Stemmer.Stemmer(name)
    return known[name]


def _sample(text: str) -> str:
    """The beginning and, of a long text, a piece from its middle, where there is prose rather than front matter."""
    half = _DETECTED_CHARACTERS // 2
    middle = max(half, len(text) // 2)
    return text[:half] + " " + text[middle : middle + half]


@cache
def _identifier() -> "LanguageIdentifier":
    # Loading the model takes about a second, so it waits for the first document.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
