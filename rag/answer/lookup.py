"""Which facts of a sentence stand in no source, and which stand there otherwise?"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.answer.facts import Date, Facts, Number, facts, same_name

_STEM = 5  # characters by which two words that are counted are the same
_UNIT = 3  # letters of the shortest word that is taken for what a number counts
_WORD = re.compile(r"\w+")
_SUBJECT = re.compile(r"\W*([^\W\d_]{3,})\s+([^\W\d_])")
_OPENERS = frozenset(
    _WORD.findall(
        "according overall therefore however additionally finally also then this these that those they their there "
        "here because since although while when during after before both some most many based thus hence instead "
        "other another each such with from into about what which where who whom whose how why "
        "the his her its our die der das ein eine les des los las una per von"
    )
)
# Between two names these say nothing of who did what.
_JOINS = frozenset(_WORD.findall("and und the der die das et les y los with mit for für from"))
_PASSIVE = frozenset(_WORD.findall("by was were been is are von vom wurde wurden par été por fue fueron da dal stato"))


@dataclass(frozen=True, slots=True)
class Told:
    """A text, and what can be looked up in it."""

    text: str
    facts: Facts
    readings: frozenset[str]
    words: frozenset[str]

    @classmethod
    def of(cls, text: str, *, nouns_are_capital: bool = False) -> "Told":
        found = facts(text, nouns_are_capital=nouns_are_capital)
        readings = {reading for number in found.numbers for reading in number.readings}
        readings |= {str(part) for date in found.dates for reading in date.readings for part in reading if part}
        return cls(text, found, frozenset(readings), frozenset(map(str.casefold, _WORD.findall(text))))

    def has_number(self, number: Number) -> bool:
        """A year, or a day, may stand inside a date."""
        return bool(number.readings & self.readings)

    def has_date(self, date: Date) -> bool:
        return any(map(date.is_told_by, self.facts.dates))

    def has_name(self, name: str) -> bool:
        """Whether each part of a name stands here, endings aside."""
        parts = _WORD.findall(name.casefold())
        return all(part in self.words or any(same_name(part, word) for word in self.words) for part in parts)

    def tells_when_or_how_many(self, claim: "Told") -> bool:
        """Whether there is a number or a date here that `claim` does not have."""
        others = (number for number in self.facts.numbers if not claim.has_number(number))
        return any(others) or any(not claim.has_date(date) for date in self.facts.dates)

    def tells_who(self, claim: "Told") -> bool:
        """Whether there is a name here that `claim` does not have."""
        return any(not claim.has_name(name) for name in self.facts.names)


def looked_up(claim: Told, here: Told, around: Told, anywhere: Sequence[Told]) -> tuple[list[str], list[str]]:
    """What is amiss with the facts of `claim`, in plain words: those that stand in no source, and other doubts.

    A fact that the sentence `here` does not have may stand `around` it, where that only points to it ("she", "then"):
    not where the sentence has another one in its place.

    Args:
        here: the sentence that the claim rests on.
        around: the passage that holds it.
        anywhere: all passages.
    """
    invented, doubts = [], []
    for text, stands, tells_another in _stated(claim, anywhere):
        if stands(here):
            continue
        if not any(map(stands, anywhere)):
            invented.append(f"“{text}” stands in no source")
        elif not stands(around):
            doubts.append(f"“{text}” stands in another source")
        elif tells_another(here, claim):
            doubts.append(f"“{text}” does not stand where the source says this")
    doubts += _counted_otherwise(claim.facts.numbers, here.facts.numbers)
    doubts += _in_other_parts(claim, here)
    return list(dict.fromkeys(invented)), list(dict.fromkeys(doubts))


_Stands = Callable[[Told], bool]


def _stated(claim: Told, anywhere: Sequence[Told]) -> Iterator[tuple[str, _Stands, Callable[[Told, Told], bool]]]:
    """Each fact of `claim` as it is written, whether it stands in a text, and whether one of its kind does."""
    for number in claim.facts.numbers:
        yield number.text, lambda told, it=number: told.has_number(it), Told.tells_when_or_how_many  # type: ignore[misc]
    for date in claim.facts.dates:
        yield date.text, lambda told, it=date: told.has_date(it), Told.tells_when_or_how_many  # type: ignore[misc]
    for name in (*_subject(claim, anywhere), *claim.facts.names):
        yield name, lambda told, it=name: told.has_name(it), Told.tells_who  # type: ignore[misc]


def _subject(claim: Told, anywhere: Sequence[Told]) -> Iterator[str]:
    """The word that a claim begins with, where it is likely to be a name: every sentence begins with a capital.

    It is one where it opens no phrase and another capital follows, where the sources write it with a capital inside a
    sentence, and where they do not know it.
    """
    match = _SUBJECT.match(claim.text)
    if match is None or not match[1][0].isupper() or match[1].casefold() in _OPENERS:
        return
    word = match[1]
    known = any(word.casefold() in told.words for told in anywhere)
    if not known or match[2].isupper() or any(word in told.facts.names for told in anywhere):
        yield word


def _counted_otherwise(said: Sequence[Number], there: Sequence[Number]) -> Iterator[str]:
    """Numbers that count one thing in the claim and another in the source, which counts that too."""
    for number in said:
        unit = number.unit[:_STEM]
        counts = [other for other in there if unit and other.unit[:_STEM] == unit]
        same = [other for other in there if other.readings & number.readings]
        if len(number.unit) >= _UNIT and counts and same and not any(other in counts for other in same):
            yield f"the source says “{counts[0].text} {counts[0].unit}”, not “{number.text} {number.unit}”"


def _in_other_parts(claim: Told, here: Told) -> Iterator[str]:
    """Names that changed places around the same word, as in "Ana hired Bob" and "Bob hired Ana"."""
    said, there = _WORD.findall(claim.text), _WORD.findall(here.text)
    if set(map(str.casefold, said)) & _PASSIVE != set(map(str.casefold, there)) & _PASSIVE:
        return
    capital = {word for word in {*said} & {*there} if word[0].isupper() and len(word) > 1}
    order = [word for word in said if word in capital]
    for one, other in pairwise(dict.fromkeys(order)):
        if there.index(other) < there.index(one):
            between = {*_between(said, one, other)} & {*_between(there, other, one)}
            if any(word.islower() and len(word) >= _UNIT and word not in _JOINS for word in between):
                yield f"“{one}” and “{other}” have changed places"


def _between(words: Sequence[str], first: str, second: str) -> Sequence[str]:
    start = words.index(first)
    return words[start + 1 : words.index(second, start)] if second in words[start:] else ()
