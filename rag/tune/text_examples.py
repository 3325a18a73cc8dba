"""Pairs as the trainer reads them: every text once, and which may not be taken for wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.tune.records import Pair

GOOD = 0.5  # a graded pair with a label below this is no answer


@dataclass(frozen=True, slots=True)
class Row:
    """A pair in numbers: places in `Examples.queries` and `Examples.documents`."""

    query: int
    positive: int
    negatives: tuple[int, ...]
    weight: float
    label: float | None

    @property
    def target(self) -> float:
        return 1.0 if self.label is None else self.label


@dataclass(frozen=True, slots=True)
class Examples:
    """All texts once, all pairs as rows. `right` has the documents that any pair says answer a query."""

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    rows: tuple[Row, ...]
    right: tuple[frozenset[int], ...]

    def known(self, queries: Sequence[int], documents: Sequence[int]) -> NDArray[np.bool_]:
        """bool[N, M]: where a pair says that the document answers the query."""
        return np.array([[document in self.right[query] for document in documents] for query in queries], bool)


def examples_of(pairs: Sequence[Pair]) -> Examples:
    """Equal texts are one text, and a passage that answers a query does so under every text that its id ever had.

    What one pair calls right and another one wrong counts as right.
    """
    queries: dict[str, int] = {}
    documents: dict[str, int] = {}
    texts_of_id: dict[str, set[int]] = {}
    for pair in pairs:
        queries.setdefault(pair.query, len(queries))
        for excerpt in (pair.positive, *pair.negatives):
            place = documents.setdefault(excerpt.text, len(documents))
            texts_of_id.setdefault(excerpt.id, set()).add(place)
    right: list[set[int]] = [set() for _ in queries]
    for pair in pairs:
        if pair.label is None or pair.label >= GOOD:
            right[queries[pair.query]] |= {documents[pair.positive.text]} | texts_of_id[pair.positive.id]

    def row(pair: Pair) -> Row:
        query = queries[pair.query]
        wrong = tuple(documents[excerpt.text] for excerpt in pair.negatives)
        kept = tuple(dict.fromkeys(place for place in wrong if place not in right[query]))
        return Row(query, documents[pair.positive.text], kept, pair.weight, pair.label)

    rows = tuple(row(pair) for pair in pairs)
    return Examples(tuple(queries), tuple(documents), rows, tuple(frozenset(places) for places in right))
