"""A question to one ranked list: one list per retriever, fused."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rag.errors import InvalidQuery
from rag.filters import Filter
from rag.protocols import Embedder, Store
from rag.records import Hit, Match, SearchResult
from rag.retrieve.fuse import Leg, fuse

TEXT, BM25 = "text", "bm25"

POOL = 100  # candidates from each retriever at least, so that the order does not depend on how many are asked for
_POOL_PER_HIT = 4
_CHARACTERS = 10_000  # of a query that are read; an embedder of 512 tokens reads about 2,500
_TERMS = 256  # of a query that BM25 compares, the first ones: as many as the embedder reads words


@dataclass(frozen=True, slots=True)
class Ranked:
    """One retriever's own list, best first: exact cosines for "text", BM25 for "bm25"."""

    retriever: str
    matches: tuple[Match, ...]


class Searcher:
    """Searches `store` with a query's vector and a query's words. Safe to share between threads.

    `analyse_query` turns a query into the terms that the store was filled with, joined by spaces.
    """

    def __init__(self, embedder: Embedder, store: Store, analyse_query: Callable[[str], str]) -> None:
        self._embedder = embedder
        self._store = store
        self._analyse_query = analyse_query

    def search(self, query: str, k: int, where: Filter | None = None) -> SearchResult:
        """The `k` best chunks among those that match `where`.

        Of a long query the beginning counts. One without any letter or digit finds nothing: the nearest vectors to
        "???" are chance. Chunks that say the same are all listed; `rag.retrieve.context` chooses among them.

        Raises:
            InvalidQuery: the query is empty.
        """
        return self.explain(query, k, where)[0]

    def explain(self, query: str, k: int, where: Filter | None = None) -> tuple[SearchResult, tuple[Ranked, ...]]:
        """`search`, and beside it the list of each retriever, as deep as its pool of candidates.

        Raises:
            InvalidQuery: the query is empty.
        """
        text = beginning(query)
        if not text:
            raise InvalidQuery("the question is empty; type some words to look for")
        if k <= 0 or not any(map(str.isalnum, text)):
            return SearchResult(query, (), {}), (Ranked(TEXT, ()), Ranked(BM25, ()))
        return self._search(query, text, k, where)

    def _search(self, query: str, text: str, k: int, where: Filter | None) -> tuple[SearchResult, tuple[Ranked, ...]]:
        ms: dict[str, float] = {}
        pool = max(POOL, _POOL_PER_HIT * k)
        with _timed(ms, "load"):  # seconds at the first question, nothing after it
            self._embedder.load()
        with _timed(ms, "embed"):
            vector = self._embedder.embed([text], "query")[0]
        with _timed(ms, TEXT):
            near = self._store.search_vector(self._embedder.space, vector, pool, where)
        with _timed(ms, BM25):
            words = self._store.search_words(self._terms(text), pool, where)
        with _timed(ms, "fuse"):
            listed = {match.chunk.id for match in near}
            only_words = [match.chunk.id for match in words if match.chunk.id not in listed]
            vectors = self._store.vectors(self._embedder.space, only_words)
            legs = [
                Leg(TEXT, "cosine", _scores(near), {name: float(v @ vector) for name, v in vectors.items()}),
                Leg(BM25, "bm25", _scores(words), whole=len(words) < pool),
            ]
            hits = _hits(legs, (*near, *words), k)
        return SearchResult(query, hits, ms), (Ranked(TEXT, tuple(near)), Ranked(BM25, tuple(words)))

    def _terms(self, text: str) -> str:
        return " ".join(self._analyse_query(text).split()[:_TERMS])


def beginning(query: str) -> str:
    """What is read of a query: its beginning, with runs of white space as one space."""
    return " ".join(query.split())[:_CHARACTERS]


def _hits(legs: Sequence[Leg], matches: Sequence[Match], k: int) -> tuple[Hit, ...]:
    chunks = {match.chunk.id: match.chunk for match in matches}
    best = fuse(legs)[:k]
    return tuple(Hit(chunks[f.id], rank, f.score, f.found_by) for rank, f in enumerate(best, start=1))


def _scores(matches: Sequence[Match]) -> list[tuple[str, float]]:
    return [(match.chunk.id, match.score) for match in matches]


@contextmanager
def _timed(ms: dict[str, float], stage: str) -> Iterator[None]:
    """Put the milliseconds that the block takes under `stage`."""
    started = time.perf_counter()
    yield
    ms[stage] = (time.perf_counter() - started) * 1000
