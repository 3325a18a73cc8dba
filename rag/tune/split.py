"""Which pairs are trained on, which are watched while training, and which questions judge what came of it?

What judges is the newest, and about other documents than what is trained on: a retriever is wanted for the next
question, not for those that it has seen. And before that: how much may one document have learnt about it?
"""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from rag.errors import TuneError
from rag.tune.pairs import REAL, is_right
from rag.tune.questions import question_id, words_of
from rag.tune.records import Pair, Question

LEAST = 10  # pairs; fewer teach nothing
GATE, DEV = 0.25, 0.15  # of the pairs that may judge
SURE = 0.7  # a pair judges from this weight on: what was only opened says more about the list than about the passage
DUPLICATE = 0.95  # cosine of two queries that ask the same
_BLOCK = 1024  # rows compared at once

SHARE = 0.1  # of all pairs, that may be about one document
FREE = 10  # pairs that any document may have

VectorsOf = Callable[[Sequence[str]], NDArray[np.float32]]
"""Queries -> float32[N, D], unit rows of the embedder before tuning."""


@dataclass(frozen=True, slots=True)
class Split:
    """Pairs to train on, pairs to choose settings by, questions to judge by, and what was left out of all three.

    Args:
        near_duplicates: pairs whose query asks the same as one that is watched or judged by.
        held_back: guessed pairs about documents, or queries, that are watched or judged by.
        kept: pairs whose query is a kept question.
    """

    train: tuple[Pair, ...]
    dev: tuple[Pair, ...]
    gate: tuple[Question, ...]
    near_duplicates: int
    held_back: int
    kept: int


def split(pairs: Sequence[Pair], questions: Sequence[Question], vectors_of: VectorsOf, seed: int = 0) -> Split:
    """Part pairs into 60 % to train on, 15 % to watch and 25 % to judge by, all of one document on one side.

    What people are sure of judges, if there are ten such pairs, else what was guessed from the library itself. The
    newest judge; `seed` chooses what is watched. Whatever is about the same document or passage, or the same query,
    stays on one side, so that a document with more than a quarter of all pairs is trained on. Pairs that only graded
    losses can use (`label` below .5) judge nothing. The kept `questions` judge in any case.

    Raises:
        TuneError: there are fewer than ten pairs, all are about one document, or all ask the same.
    """
    known = {words_of(each.text) for each in questions}
    free = [pair for pair in pairs if words_of(pair.query) not in known]
    _check(free)
    gate, dev = _chosen(_judges(free), seed)
    taken = {id(pair) for pair in (*gate, *dev)}
    sides = _Sides.of((*gate, *dev))
    rest = [pair for pair in free if id(pair) not in taken]
    train = [pair for pair in rest if not sides.has(pair)]
    asked = [each.text for each in questions] + [pair.query for pair in gate]
    kept_dev = _unlike(dev, asked, vectors_of)
    kept_train = _unlike(train, asked + [pair.query for pair in dev], vectors_of)
    if not kept_train:
        raise TuneError(
            f"all {len(free)} pairs ask nearly the same, so that none is left to train on; others are needed"
        )
    return Split(
        train=tuple(kept_train),
        dev=tuple(kept_dev),
        gate=(*questions, *_questions(gate)),
        near_duplicates=len(dev) + len(train) - len(kept_dev) - len(kept_train),
        held_back=len(rest) - len(train),
        kept=len(pairs) - len(free),
    )


def judging(pairs: Sequence[Pair]) -> int:
    """How many of these pairs can judge a library: what people are sure of, about documents that are in it."""
    return len([pair for pair in pairs if pair.source in REAL and _sure(pair) and pair.positive.document])


@dataclass(frozen=True, slots=True)
class Share:
    """A document (or imported passage) that had more than its share of the pairs."""

    group: str
    pairs: int
    kept: int


@dataclass(frozen=True, slots=True)
class Capped:
    """Pairs of which no document has more than its share, and the documents that had."""

    pairs: tuple[Pair, ...]
    shares: tuple[Share, ...]


def cap(pairs: Sequence[Pair]) -> Capped:
    """Leave no document more than its share of what is learnt, so that none comes to attract every question.

    A tenth of all that is left, or two average shares where there are fewer than twenty documents, and ten in any
    case. What people said stays first, then what is surest, then what is newest. Pairs keep their order.
    """
    counts = Counter(pair.group for pair in pairs)
    limit = _limit(list(counts.values()))
    over = {group for group, count in counts.items() if count > limit}
    left = {id(pair) for group in over for pair in sorted(_of(pairs, group), key=_worth)[:limit]}
    kept = tuple(pair for pair in pairs if pair.group not in over or id(pair) in left)
    shares = sorted((Share(group, counts[group], limit) for group in over), key=lambda s: (-s.pairs, s.group))
    return Capped(kept, tuple(shares))


def _limit(counts: Sequence[int]) -> int:
    """The most pairs that a document may have: the largest number that is no more than its share of what is left."""
    share = max(SHARE, 2 / max(len(counts), 1))
    limit = max(counts, default=0)
    while limit > FREE and limit > share * sum(min(count, limit) for count in counts):
        limit -= 1
    return max(limit, FREE)


def _of(pairs: Iterable[Pair], group: str) -> list[Pair]:
    return [pair for pair in pairs if pair.group == group]


def _worth(pair: Pair) -> tuple[bool, float, float, str]:
    """Small for what is worth most."""
    return pair.source not in REAL, -pair.weight, -pair.time, pair.id


def _check(pairs: Sequence[Pair]) -> None:
    if len(pairs) < LEAST:
        raise TuneError(
            f"there are {len(pairs)} pairs to learn from, and {LEAST} are the least; search, and say what was right, "
            "or bring pairs: rag tune import FILE"
        )
    if len({pair.group for pair in pairs}) == 1:
        raise TuneError(
            f"all {len(pairs)} pairs are about one document ({pairs[0].group}): a retriever would learn to find it "
            "whatever is asked; pairs about others are needed"
        )


def _judges(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs that may judge: what people are sure of, else what is sure, else whatever is right."""
    right, sure = list(filter(is_right, pairs)), list(filter(_sure, pairs))
    real = [pair for pair in sure if pair.source in REAL]
    return next((some for some in (real, sure) if len(some) >= LEAST), right)


def _sure(pair: Pair) -> bool:
    return is_right(pair) and pair.weight >= SURE


def _chosen(judges: Sequence[Pair], seed: int) -> tuple[list[Pair], list[Pair]]:
    """The pairs of gate and dev. Pairs about no document of the library cannot be asked of it: they never judge."""
    chance = random.Random(seed)  # noqa: S311 - no secret is made of it
    bundles = _bundles(judges)
    chance.shuffle(bundles)
    newest_first = sorted(bundles, key=lambda bundle: -max(pair.time for pair in bundle))
    askable = [bundle for bundle in newest_first if all(pair.positive.document for pair in bundle)]
    gate = _filled(askable, ceil(GATE * sum(map(len, askable))))
    judging = {id(bundle) for bundle in gate}
    dev = _filled((bundle for bundle in bundles if id(bundle) not in judging), ceil(DEV * len(judges)))
    return [pair for bundle in gate for pair in bundle], [pair for bundle in dev for pair in bundle]


def _filled(bundles: Iterable[list[Pair]], room: int) -> list[list[Pair]]:
    """The first bundles that fit."""
    chosen = []
    for bundle in bundles:
        if len(bundle) <= room:
            room -= len(bundle)
            chosen.append(bundle)
    return chosen


def _bundles(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """The pairs parted so that no two parts share a document, a passage or a query."""
    bundle_of = list(range(len(pairs)))

    def root(number: int) -> int:
        while bundle_of[number] != number:
            bundle_of[number] = number = bundle_of[bundle_of[number]]
        return number

    first: dict[tuple[str, str], int] = {}
    for number, pair in enumerate(pairs):
        for mark in _marks(pair):
            bundle_of[root(number)] = root(first.setdefault(mark, number))
    found: dict[int, list[Pair]] = defaultdict(list)
    for number, pair in enumerate(pairs):
        found[root(number)].append(pair)
    return list(found.values())


def _marks(pair: Pair) -> tuple[tuple[str, str], ...]:
    """What must not be on two sides: the document, what its passage says, what was asked."""
    passage = hashlib.sha256(words_of(pair.positive.text).encode()).hexdigest()
    return ("group", pair.group), ("passage", passage), ("query", words_of(pair.query))


@dataclass(frozen=True, slots=True)
class _Sides:
    """What is watched or judged by."""

    marks: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> "_Sides":
        return cls(frozenset(mark for pair in pairs for mark in _marks(pair)))

    def has(self, pair: Pair) -> bool:
        return any(mark in self.marks for mark in _marks(pair))


def _unlike(pairs: Sequence[Pair], queries: Collection[str], vectors_of: VectorsOf) -> list[Pair]:
    """The pairs whose query asks the same as none of `queries`."""
    if not pairs or not queries:
        return list(pairs)
    others = vectors_of(list(dict.fromkeys(queries)))
    own = list(dict.fromkeys(pair.query for pair in pairs))
    alike: set[str] = set()
    for start in range(0, len(own), _BLOCK):
        part = own[start : start + _BLOCK]
        nearest = (vectors_of(part) @ others.T).max(axis=1)
        alike.update(query for query, cosine in zip(part, nearest, strict=True) if cosine >= DUPLICATE)
    return [pair for pair in pairs if pair.query not in alike]


def _questions(pairs: Iterable[Pair]) -> list[Question]:
    """One question for each query, whose right documents are those of all its pairs."""
    asked: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        asked[words_of(pair.query)].append(pair)
    return [
        Question(
            question_id(group[0].query),
            group[0].query,
            dict.fromkeys((pair.positive.document for pair in group), 1),
            group[0].source,
            max(pair.time for pair in group),
        )
        for group in asked.values()
    ]
