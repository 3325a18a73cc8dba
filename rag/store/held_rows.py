"""The rows of a small index held in memory: a search in less time than a call into a database takes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rag.filters import Filter
from rag.records import Chunk, Match
from rag.store.arrow_filters import mask
from rag.store.bm25 import term_scores
from rag.store.exact import best, cosines, may_be_nearest
from rag.store.lance_rows import CHUNK_COLUMNS, WORDS_COLUMN, SpaceColumns, Values, matrix, to_chunks

Positions = NDArray[np.int64]


class HeldRows:
    """A table of chunks, their words and vectors as it was when it was read. Threads may share it."""

    def __init__(self, table: pa.Table, spaces: Mapping[str, SpaceColumns]) -> None:
        table = table.sort_by("id")  # so that a tie, which goes by id, goes by position
        self._rows = table.select(CHUNK_COLUMNS)
        self._position = {name: position for position, name in enumerate(table["id"].to_pylist())}
        self._vectors = {name: _Vectors(table, columns) for name, columns in spaces.items()}
        self._postings = _Postings(table[WORDS_COLUMN])
        self._chunks: dict[int, Chunk] = {}  # made when they are first found

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        """The chunks of those ids that are there, in the order asked."""
        return self._made([self._position[name] for name in ids if name in self._position])

    def vectors(self, space: str, ids: Sequence[str]) -> dict[str, Values]:
        """By id, the vectors (float32[D]) of those chunks that have one in `space`."""
        held = self._vectors[space]
        places = ((name, held.row.get(self._position.get(name, -1))) for name in ids)
        return {name: held.values[row] for name, row in places if row is not None}

    def sample(self, space: str, n: int) -> Values:
        """float32[M, D]: the first `n` vectors by the ids of their chunks, or as many as there are."""
        return self._vectors[space].values[: max(n, 0)]

    def nearest(self, space: str, query: Values, k: int, where: Filter | None) -> list[Match]:
        """The `k` chunks whose vectors in `space` have the highest cosines to `query` (float32[D])."""
        held = self._vectors[space]
        rows = np.arange(len(held.values)) if where is None else np.flatnonzero(mask(where, self._rows)[held.positions])
        if k <= 0 or not len(rows):
            return []
        values = held.values if where is None else held.values[rows]
        near = may_be_nearest(values, query, k)
        return self._best(held.positions[rows[near]], cosines(values[near], query), k)

    def wordiest(self, terms: Sequence[str], k: int, where: Filter | None) -> list[Match]:
        """The `k` chunks with the highest BM25 above 0 for the terms of a query."""
        scores = self._postings.scores(terms)
        if where is not None:
            scores[~mask(where, self._rows)] = 0.0
        found = np.flatnonzero(scores > 0)
        return self._best(found, scores[found], k)

    def _best(self, positions: Positions, scores: NDArray[np.float64], k: int) -> list[Match]:
        order = best(positions.tolist(), scores, k)
        return [Match(chunk, float(scores[i])) for chunk, i in zip(self._made(positions[order]), order, strict=True)]

    def _made(self, positions: Iterable[int]) -> list[Chunk]:
        positions = [int(position) for position in positions]
        new = [position for position in dict.fromkeys(positions) if position not in self._chunks]
        if new:
            self._chunks.update(zip(new, to_chunks(self._rows.take(pa.array(new, pa.int64()))), strict=True))
        return [self._chunks[position] for position in positions]


class _Vectors:
    """Those of one space: `values` float32[M, D], the `positions` of their chunks, and the `row` of each position."""

    def __init__(self, table: pa.Table, columns: SpaceColumns) -> None:
        present = table[columns.vectors.name].is_valid()
        self.positions: Positions = np.flatnonzero(np.asarray(present))
        self.values = matrix(table.filter(present), columns)
        self.row = {position: row for row, position in enumerate(self.positions.tolist())}


class _Postings:
    """For each term the positions of the chunks it stands in and how often, term after term in two arrays."""

    def __init__(self, words: pa.ChunkedArray) -> None:
        split = pc.split_pattern(words.combine_chunks(), " ")  # analysed words have single spaces between them
        chunk = np.asarray(pc.list_parent_indices(split), np.int64)
        encoded = split.flatten().dictionary_encode()
        term = np.asarray(encoded.indices, np.int64)
        vocabulary = encoded.dictionary.to_pylist()
        if "" in vocabulary:  # of a chunk without words
            is_term = term != vocabulary.index("")
            chunk, term = chunk[is_term], term[is_term]
        pairs, times = np.unique(term * len(words) + chunk, return_counts=True)
        self._number = {name: number for number, name in enumerate(vocabulary)}
        self._starts = np.searchsorted(pairs, np.arange(len(vocabulary) + 1) * len(words))
        self._positions = (pairs % max(len(words), 1)).astype(np.int32)
        self._times = times.astype(np.int32)
        self._lengths = np.bincount(chunk, minlength=len(words)).astype(np.float32)
        self._worded = int(np.count_nonzero(self._lengths))
        self._mean_length = len(chunk) / max(self._worded, 1)

    def scores(self, terms: Sequence[str]) -> NDArray[np.float64]:
        """float64[N] >= 0: the BM25 of each chunk."""
        scores = np.zeros(len(self._lengths))
        for term, repeats in Counter(terms).items():
            if (number := self._number.get(term)) is None:
                continue
            of_term = slice(self._starts[number], self._starts[number + 1])
            positions = self._positions[of_term]
            worth = term_scores(self._times[of_term], self._lengths[positions], self._worded, self._mean_length)
            scores[positions] += repeats * worth
        return scores
