"""Which facts does a sentence state that can be looked up in another: its numbers, dates and names?

A number may be written in several ways and read in several: "1,000", "1 000" and "a thousand" are the same, and "1.500"
is fifteen hundred in one country and one and a half in another. So a number is the set of its readings, and two are the
same where they share one. A date is the set of its readings too ("5/3/2024").
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache

from babel.dates import get_month_names

_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl")  # whose months are known by name
_SMALL = {  # numbers as they are written out up to a dozen; beyond, English alone
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
}
_TENS = ("thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000, "mille": 1000, "mil": 1000, "tausend": 1000} | {
    name: 10**power
    for power, names in ((6, "million millions millionen millón millones"), (9, "billion milliarde milliarden"))
    for name in names.split()
}
_ARTICLES = {"one", "eins", "un", "uno"}  # they seldom count anything

_WORD = re.compile(r"\w+")
_DIGITS = re.compile(
    r"(?<![a-zA-Z\u00c0-\u04ff\d_.,])(?<![^\W\d_]-)"  # but behind a letter of a script without spaces
    r"(?P<digits>\d{1,3}(?:[ \u00a0\u202f'’]\d{3})+(?!\d)|\d+(?:[.,:]\d+)*)(?P<part>[½¼¾⅓⅔⅛])?"
    r"(?:\s?(?P<half>[ap])\.?m\b\.?)?",
    re.IGNORECASE,
)
_GROUPED = re.compile(r"\d{1,3}(?:([.,])\d{3})+")
_UNIT = re.compile(r"[\s-]*(%|€|[^\W\d_]+)")
_CODE = re.compile(r"\b(?:[A-Z]{1,5}-\d\w*|[^\W\d_]{1,8}\d\w*)")  # E168, RTX-4090
_OF = r"(?:\s*(?:of|de|du|d[’']|del)\s+|[\s.]*)"
_YEAR = r"(?P<year>\d{4})(?!\d)"
_CHINESE = re.compile(r"(?:(?P<year>\d{4})年)?(?P<month>\d{1,2})月(?:(?P<day>\d{1,2})[日号])?")
_ISO = re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?(?![\d-])")
_SLASHED = re.compile(r"\b(\d{1,2})([./])(\d{1,2})\2(\d{4})\b")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it stands in a text, its readings in one spelling each, and the word that it counts ("" for none)."""

    text: str
    readings: frozenset[str]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Date:
    """A date as it stands in a text, and its readings: (year, month, day), 0 where one is not told."""

    text: str
    readings: frozenset[tuple[int, int, int]]

    def is_told_by(self, other: "Date") -> bool:
        """Whether `other` tells all that this date does."""
        return any(
            all(mine in (0, its) for mine, its in zip(reading, known, strict=True))
            for reading in self.readings
            for known in other.readings
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text states that can be looked up. A number inside a date is not among the numbers."""

    numbers: tuple[Number, ...]
    dates: tuple[Date, ...]
    names: tuple[str, ...]


def facts(sentence: str, *, nouns_are_capital: bool = False) -> Facts:
    """The facts of one sentence.

    Args:
        nouns_are_capital: as in German, where one capital letter makes no name; two words with one do.
    """
    sentence = unicodedata.normalize("NFC", sentence)
    dates, rest = _dates(sentence)
    return Facts(tuple(_numbers(rest)), tuple(dates), tuple(_names(rest, nouns_are_capital)))


def same_name(one: str, other: str) -> bool:
    """Whether two words are the same name but for an ending: "German" and "Germany", "Ana's" and "Ana"."""
    one, other = _folded(one), _folded(other)
    if one == other:
        return True
    shorter, longer = sorted((one, other), key=len)
    if longer.startswith(shorter):
        return len(shorter) >= 4 and len(longer) - len(shorter) <= 3
    shared = next(i for i, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b)
    return shared >= 5 and len(one) + len(other) - 2 * shared <= 2


def _folded(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"(?:['’]s|[^\w]|_)", "", "".join(c for c in letters if not unicodedata.combining(c)))


def _dates(text: str) -> tuple[list[Date], str]:
    """The dates of `text`, and it without them."""
    found: list[Date] = []
    for pattern in (_ISO, _SLASHED, _CHINESE, *_with_month_names()):

        def take(match: re.Match[str]) -> str:
            readings = _readings_of_date(match)
            if readings:
                found.append(Date(match[0].strip(), readings))
            return " ; " if readings else match[0]

        text = pattern.sub(take, text)
    return found, text


def _readings_of_date(match: re.Match[str]) -> frozenset[tuple[int, int, int]]:
    if match.re is _SLASHED:
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        readings = {(year, second, first)} | ({(year, first, second)} if match[2] == "/" else set())
    else:
        told = match.groupdict()
        month = told["month"]
        number = int(month) if month.isdecimal() else _months()[_plain_month(month)]
        readings = {(int(told.get("year") or 0), number, int(told.get("day") or 0))}
    return frozenset((y, m, d) for y, m, d in readings if 1 <= m <= 12 and d <= 31 and (y or d))


@cache
def _months() -> dict[str, int]:
    """The number of each month by its name and its short name, in the languages that are known."""
    found: dict[str, int] = {}
    for language in _LANGUAGES:
        for width in ("wide", "abbreviated"):
            for number, name in get_month_names(width, locale=language).items():
                if len(_plain_month(name)) >= 3:
                    found.setdefault(_plain_month(name), number)
    return found | {"sept": 9}


@cache
def _with_month_names() -> tuple[re.Pattern[str], ...]:
    names = "|".join(sorted(map(re.escape, _months()), key=len, reverse=True))
    month = rf"(?P<month>{names})\b\.?"
    day = r"\b(?P<day>\d{1,2})(?:st|nd|rd|th|er|º)?(?!\d)"
    return (
        re.compile(rf"{day}{_OF}{month}(?:,?{_OF}{_YEAR})?", re.IGNORECASE),
        re.compile(rf"\b{month}\s+(?:de\s+)?{_YEAR}", re.IGNORECASE),
        re.compile(rf"\b{month}\s+{day}(?:,?\s+{_YEAR})?", re.IGNORECASE),
    )


def _plain_month(name: str) -> str:
    return name.casefold().rstrip(".")


def _numbers(text: str) -> Iterator[Number]:
    for match in _DIGITS.finditer(text):
        unit = _UNIT.match(text, match.end())
        word = unit[1].casefold() if unit else ""
        readings = frozenset(_spelled(value) for value in _readings(match, word)) or frozenset([match["digits"]])
        if ":" in match["digits"] or match["half"]:
            readings = frozenset(_times(match)) or readings
        yield Number(match[0].strip(), readings, _unit(text, match.end(), word))
    yield from _written_out(text)


def _readings(match: re.Match[str], following: str) -> Iterator[Decimal]:
    digits = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in match["digits"])
    plain = re.sub(r"[ \u00a0\u202f'’]", "", digits)
    part = Decimal(str(unicodedata.numeric(match["part"]))) if match["part"] else Decimal(0)
    spelled = {plain.replace(",", "."), plain.replace(".", "").replace(",", "."), plain.replace(",", "")}
    if _GROUPED.fullmatch(plain):
        spelled.add(re.sub(r"[.,]", "", plain))
        spelled = {each for each in spelled if not each.endswith(".000")}
    elif not ("," in plain and "." in plain):
        spelled = {plain.replace(",", ".")}
    for each in spelled:
        try:
            value = Decimal(each) + part
        except InvalidOperation:  # "1.2.3" is a version
            continue
        yield value
        if following in _SCALES:
            yield value * _SCALES[following]


def _times(match: re.Match[str]) -> Iterator[str]:
    """ "7 pm" and "19:00"; a time is no number."""
    hour, _, minute = match["digits"].partition(":")
    if not (hour.isdecimal() and (minute.isdecimal() or not minute)):  # 127.0.0.1:8080, 7.30 pm
        return
    late = 12 if (match["half"] or "").casefold() == "p" and int(hour) < 12 else 0
    yield f"{int(hour) + late}:{int(minute or 0):02}"


def _written_out(text: str) -> Iterator[Number]:
    words = list(_WORD.finditer(text))
    for i, match in enumerate(words):
        value = _values().get(match[0].casefold())
        if value is None or match[0].casefold() in _ARTICLES:
            continue
        following = words[i + 1][0].casefold() if i + 1 < len(words) else ""
        readings = {value, value * _SCALES.get(following, 1)}
        if value >= 20 and value % 10 == 0 and 0 < _values().get(following, 0) < 10:
            readings = {value + _values()[following]}
        yield Number(match[0], frozenset(map(_spelled, map(Decimal, readings))), _unit(text, match.end(), following))


@cache
def _values() -> dict[str, int]:
    found = {word: value for words in _SMALL.values() for value, word in reversed(list(enumerate(words.split())))}
    return found | {word: 30 + 10 * i for i, word in enumerate(_TENS)} | {"dozen": 12}


def _unit(text: str, end: int, word: str) -> str:
    """The word that a number counts: what follows it, or what follows the scale `word` behind it."""
    if word not in _SCALES:
        return word
    following = _UNIT.match(text, text.casefold().index(word, end) + len(word))
    return following[1].casefold() if following else ""


def _spelled(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _names(text: str, nouns_are_capital: bool) -> Iterator[str]:
    """Words with a capital letter that do not begin the sentence, and codes of letters and digits."""
    words = [match for match in _WORD.finditer(text) if not match[0].isdecimal()]
    named = [m[0][0].isupper() and len(m[0]) > 1 and not _begins(text, m.start()) for m in words]
    for i, match in enumerate(words):
        if not named[i] or _CODE.match(text, match.start()):
            continue
        beside = any(0 <= j < len(words) and named[j] and _touch(words, min(i, j)) for j in (i - 1, i + 1))
        if beside or not nouns_are_capital:
            yield match[0]
    yield from (match[0] for match in _CODE.finditer(text))


def _begins(text: str, start: int) -> bool:
    """Whether a sentence, or something quoted, begins at `start`."""
    before = text[:start].rstrip(" \t\"'“”„«‘*_([")
    return not before or before[-1] in ".!?:;\n•-…。"


def _touch(words: list[re.Match[str]], first: int) -> bool:
    """Whether only a space parts two words that follow each other."""
    return words[first + 1].start() - words[first].end() == 1
