"""The pairs that are learnt from: kept as lines of JSON, and made one where several say the same."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from rag.errors import TuneError
from rag.text import encodable, one_line
from rag.tune.lines import Lines, append_lines, read_lines, write_lines
from rag.tune.questions import words_of
from rag.tune.records import Excerpt, Pair, PairSource

REAL: frozenset[PairSource] = frozenset({"feedback", "import"})  # what people said; the rest was guessed
RIGHT = 0.5  # a graded pair is a right answer from this label on
_ADAPTER = TypeAdapter(Pair)


def new_pair(
    query: str,
    positive: Excerpt,
    source: PairSource,
    time: float,
    *,
    negatives: Sequence[Excerpt] = (),
    weight: float = 1.0,
    label: float | None = None,
) -> Pair:
    """A pair whose id (16 hex digits) follows from its source, its query and its positive.

    Raises:
        TuneError: the query or a passage has no words, or the weight or label is out of range.
    """
    name = hashlib.sha256("\n".join((source, words_of(query), positive.id)).encode()).hexdigest()[:16]
    pair = Pair(name, one_line(encodable(query)), positive, source, time, tuple(negatives), weight, label)
    if reason := _amiss(pair):
        raise TuneError(reason)
    return pair


def imported(text: str) -> Excerpt:
    """A passage that is no chunk of the library: the same text has the same id."""
    text = encodable(text).strip()
    return Excerpt(f"import:{hashlib.sha256(text.encode()).hexdigest()[:32]}", text)


def read_pairs(path: Path) -> Lines[Pair]:
    """The pairs in a file; lines that hold none, or one that cannot be learnt from, are passed over and named."""
    return read_lines(path, _ADAPTER, _amiss)


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Make these pairs all that a file holds, in one step."""
    write_lines(path, pairs, _ADAPTER)


def pair_without(pair: Pair, documents: Collection[str]) -> Pair | None:
    """A pair as it stays where these documents (by id) are forgotten, None where it goes with one of them."""
    if pair.positive.document in documents:
        return None
    return replace(pair, negatives=tuple(each for each in pair.negatives if each.document not in documents))


def append_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Add pairs at the end of a file."""
    append_lines(path, pairs, _ADAPTER)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A passage that was called right and wrong for one query, and what it is taken for."""

    query: str
    passage: str
    taken_as: str  # "right" or "wrong"


@dataclass(frozen=True, slots=True)
class Tidied:
    """Pairs of which no two have the same query and passage; `duplicates` were joined into others."""

    pairs: tuple[Pair, ...]
    duplicates: int
    contradictions: tuple[Contradiction, ...]


def tidy(pairs: Iterable[Pair]) -> Tidied:
    """Join pairs that say the same, and take no passage for right and wrong at once.

    Of equal pairs the surest counts, with the negatives of all; of equally sure ones the newest. A negative that is
    a right answer to the same query in another pair is dropped: nobody asks which of two is right by being shown the
    one and the other. Pairs keep the order in which their queries and passages came first.
    """
    groups: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[words_of(pair.query), pair.positive.text].append(pair)
    joined = [_joined(group) for group in groups.values()]
    right: dict[str, set[str]] = defaultdict(set)
    for pair in filter(is_right, joined):
        right[words_of(pair.query)].add(pair.positive.text)
    tidied, contradictions = [], []
    for pair in joined:
        answers = right[words_of(pair.query)]
        contradictions += [
            Contradiction(pair.query, one_line(each.text, 80), "right")
            for each in pair.negatives
            if each.text in answers
        ]
        tidied.append(replace(pair, negatives=tuple(each for each in pair.negatives if each.text not in answers)))
    return Tidied(tuple(tidied), sum(len(group) - 1 for group in groups.values()), tuple(dict.fromkeys(contradictions)))


def is_right(pair: Pair) -> bool:
    """Whether the passage answers the query: graded pairs may say that it does not."""
    return pair.label is None or pair.label >= RIGHT


def _joined(pairs: Sequence[Pair]) -> Pair:
    best = max(pairs, key=lambda pair: (pair.weight, pair.time))
    negatives = {each.text: each for pair in pairs for each in pair.negatives}
    return replace(best, negatives=tuple(negatives.values()))


def _amiss(pair: Pair) -> str:
    """Why a pair cannot be learnt from, "" where it can."""
    if not has_words(pair.query):
        return "the query has no words"
    if not all(has_words(each.text) for each in (pair.positive, *pair.negatives)):
        return "a passage has no words"
    if not 0 < pair.weight <= 1:  # not a number is not between them either
        return f"the weight {pair.weight} is not above 0 and at most 1"
    if pair.label is not None and not 0 <= pair.label <= 1:
        return f"the label {pair.label} is not between 0 and 1"
    if not math.isfinite(pair.time):
        return f"the time {pair.time} is no number of seconds"
    return ""


def has_words(text: str) -> bool:
    """Whether there is a letter or digit in it: nothing is learnt from "???"."""
    return any(map(str.isalnum, text))
