"""Everything in memory, everything exact: the oracle that other stores are compared with, and a store for tests."""

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rag.filters import Filter
from rag.records import Chunk, EmbeddedChunk, Match, Vector, rows
from rag.store.bm25 import term_scores
from rag.store.checks import checked, checked_query, checked_vectors, dimension, normal_words
from rag.store.exact import best, cosines, may_be_nearest
from rag.store.matching import matches

Postings = dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]  # term -> chunk positions, times it stands there


class MemoryStore:
    """A Store whose `spaces` map a name to the dimension of its vectors. Readers see one immutable snapshot."""

    def __init__(self, spaces: Mapping[str, int]) -> None:
        self._spaces = dict(spaces)
        self._snapshot = _Snapshot({}, self._spaces)
        self._writing = threading.Lock()

    def replace_documents(self, documents: Mapping[str, Sequence[EmbeddedChunk]]) -> None:
        embedded = checked(documents, self._spaces)
        with self._writing:
            held = {name: e for name, e in self._snapshot.held.items() if e.chunk.document_id not in documents}
            held.update((e.chunk.id, e) for e in embedded)
            self._snapshot = _Snapshot(held, self._spaces)

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        held = self._snapshot.held
        return [held[name].chunk for name in ids if name in held]

    def chunks(self, documents: Sequence[str]) -> list[Chunk]:
        by_document = self._snapshot.by_document
        return [chunk for document in dict.fromkeys(documents) for chunk in by_document.get(document, ())]

    def embedded(self, documents: Sequence[str]) -> list[EmbeddedChunk]:
        snapshot, order = self._snapshot, list(self._spaces)
        found = [
            snapshot.held[chunk.id] for name in dict.fromkeys(documents) for chunk in snapshot.by_document.get(name, ())
        ]
        return [
            EmbeddedChunk(e.chunk, normal_words(e.words), tuple(sorted(e.vectors, key=lambda v: order.index(v.space))))
            for e in found
        ]

    def vectors(self, space: str, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        dimension(space, self._spaces)
        held = self._snapshot.held
        return {name: v.values for name in ids if name in held for v in held[name].vectors if v.space == space}

    def add_vectors(self, space: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        checked_vectors(space, vectors, self._spaces)
        with self._writing:
            held = dict(self._snapshot.held)
            for name in vectors.keys() & held.keys():
                others = tuple(vector for vector in held[name].vectors if vector.space != space)
                held[name] = replace(held[name], vectors=(*others, Vector(space, vectors[name])))
            self._snapshot = _Snapshot(held, self._spaces)

    def without_vector(self, space: str, k: int, where: Filter | None = None) -> list[Chunk]:
        dimension(space, self._spaces)
        return self._snapshot.without(space, where)[: max(k, 0)]

    def sample(self, space: str, n: int) -> NDArray[np.float32]:
        dimension(space, self._spaces)
        return self._snapshot.matrices[space][1][: max(n, 0)]

    def search_vector(
        self, space: str, vector: NDArray[np.float32], k: int, where: Filter | None = None
    ) -> list[Match]:
        query = checked_query(space, vector, self._spaces)
        return self._snapshot.nearest(space, query, k, where)

    def search_words(self, words: str, k: int, where: Filter | None = None) -> list[Match]:
        return self._snapshot.wordiest(words, k, where)

    def count(self, where: Filter | None = None, without: str | None = None) -> int:
        if without is None:
            return int(self._snapshot.allowed(where).sum())
        dimension(without, self._spaces)
        return len(self._snapshot.without(without, where))

    def versions(self) -> dict[str, tuple[str, int]]:
        by_document = self._snapshot.by_document
        return {document: (chunks[0].version, len(chunks)) for document, chunks in by_document.items()}

    def maintain(self) -> None:
        """Nothing to tidy."""

    def close(self) -> None:
        """Nothing to close."""


class _Snapshot:
    """What the store holds at one moment; its indexes are built when they are first asked for."""

    def __init__(self, held: Mapping[str, EmbeddedChunk], spaces: Mapping[str, int]) -> None:
        self.held = held
        self._spaces = spaces

    @cached_property
    def embedded(self) -> list[EmbeddedChunk]:
        """In the order of their ids, so that a stable sort by score breaks ties by id."""
        return [self.held[name] for name in sorted(self.held)]

    @cached_property
    def by_document(self) -> dict[str, list[Chunk]]:
        found: dict[str, list[Chunk]] = defaultdict(list)
        for embedded in self.embedded:
            found[embedded.chunk.document_id].append(embedded.chunk)
        return {document: sorted(chunks, key=lambda chunk: chunk.ordinal) for document, chunks in found.items()}

    @cached_property
    def matrices(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """For each space the positions of the chunks that have a vector there, and float32[N, D] of them."""
        found = {}
        for space, dim in self._spaces.items():
            pairs = [(i, v) for i, e in enumerate(self.embedded) for v in e.vectors if v.space == space]
            matrix = rows([v for _, v in pairs]) if pairs else np.empty((0, dim), np.float32)
            found[space] = (np.array([i for i, _ in pairs], np.int64), matrix)
        return found

    @cached_property
    def lengths(self) -> NDArray[np.float64]:
        return np.array([len(e.words.split()) for e in self.embedded], np.float64)

    @cached_property
    def postings(self) -> Postings:
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for i, embedded in enumerate(self.embedded):
            for term, times in Counter(embedded.words.split()).items():
                found[term].append((i, times))
        return {term: (np.array([i for i, _ in p]), np.array([n for _, n in p], float)) for term, p in found.items()}

    def allowed(self, where: Filter | None) -> NDArray[np.bool_]:
        """bool[N]: which chunks match."""
        if where is None:
            return np.ones(len(self.embedded), bool)
        return np.array([matches(where, e.chunk) for e in self.embedded], bool)

    def without(self, space: str, where: Filter | None) -> list[Chunk]:
        """The chunks that match and have no vector in `space`, by id."""
        kept = self.allowed(where)
        kept[self.matrices[space][0]] = False
        return [self.embedded[int(i)].chunk for i in np.flatnonzero(kept)]

    def nearest(self, space: str, query: NDArray[np.float32], k: int, where: Filter | None) -> list[Match]:
        if k <= 0:
            return []
        positions, matrix = self.matrices[space]
        kept = self.allowed(where)[positions]
        positions, matrix = positions[kept], matrix[kept]
        near = may_be_nearest(matrix, query, k)
        return self._matches(positions[near], cosines(matrix[near], query), k)

    def wordiest(self, words: str, k: int, where: Filter | None) -> list[Match]:
        scores = self._bm25(words)
        scores[~self.allowed(where)] = 0.0
        found = np.flatnonzero(scores > 0)
        return self._matches(found, scores[found], k)

    def _bm25(self, words: str) -> NDArray[np.float64]:
        """float64[N] >= 0: the BM25 of each chunk."""
        worded = int(np.count_nonzero(self.lengths))
        scores = np.zeros(len(self.embedded))
        for term, repeats in Counter(words.split()).items():
            if term in self.postings:
                positions, times = self.postings[term]
                mean_length = float(self.lengths.sum() / worded)
                scores[positions] += repeats * term_scores(times, self.lengths[positions], worded, mean_length)
        return scores

    def _matches(self, positions: NDArray[np.int64], scores: NDArray[np.float64], k: int) -> list[Match]:
        chunks = [self.embedded[int(i)].chunk for i in positions]
        return [Match(chunks[i], float(scores[i])) for i in best([chunk.id for chunk in chunks], scores, k)]
