"""The Searcher over the exact store with hashed vectors."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.embed.hashing import HashingEmbedder
from rag.errors import InvalidQuery
from rag.filters import Under
from rag.retrieve.search import POOL, Searcher
from tests.retrieve.made import filled, terms

TEXTS = [
    "The kettle whistles when the water boils.",
    "Bees swarm in May when the hive is full.",
    "A bicycle chain wants oil after rain.",
    "The chain of command in a beehive starts with the queen.",
    "Water the tomatoes every morning.",
]


@pytest.fixture
def searcher() -> Searcher:
    embedder = HashingEmbedder()
    return Searcher(embedder, filled(TEXTS, embedder), terms)


def found(searcher: Searcher, query: str, k: int = 5) -> list[str]:
    return [hit.chunk.text for hit in searcher.search(query, k).hits]


def test_the_text_itself_is_found_first_by_both(searcher: Searcher) -> None:
    hit = searcher.search(TEXTS[2], 3).hits[0]
    assert (hit.chunk.text, hit.rank, hit.score) == (TEXTS[2], 1, pytest.approx(1.0))
    assert [(by.retriever, by.rank) for by in hit.found_by] == [("bm25", 1), ("text", 1)]
    assert hit.found_by[1].score == pytest.approx(1.0, abs=1e-5)


def test_ranks_scores_and_count(searcher: Searcher) -> None:
    result = searcher.search("water in the hive", 3)
    assert [hit.rank for hit in result.hits] == [1, 2, 3]
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
    assert searcher.search("water", 0).hits == ()


def test_times_of_every_stage_are_told(searcher: Searcher) -> None:
    ms = searcher.search("water", 3).ms
    assert {"embed", "text", "bm25", "fuse"} <= set(ms)
    assert all(t >= 0 for t in ms.values())


def test_a_filter_holds_for_every_list(searcher: Searcher) -> None:
    result, lists = searcher.explain("water chain hive", 5, Under("/notes/4.md"))
    assert [hit.chunk.text for hit in result.hits] == [TEXTS[4]]
    assert [{m.chunk.path for m in ranked.matches} for ranked in lists] == [{"/notes/4.md"}] * 2


def test_each_list_is_there_to_look_at(searcher: Searcher) -> None:
    _, (text, bm25) = searcher.explain("oil for the chain", 5)
    assert (text.retriever, bm25.retriever) == ("text", "bm25")
    assert len(text.matches) == len(TEXTS)
    assert {m.chunk.text for m in bm25.matches} == {
        t for t in TEXTS if {"for", "the", "chain", "oil"} & set(terms(t).split())
    }


def test_an_empty_query_is_refused(searcher: Searcher) -> None:
    for query in ("", "  \n\t "):
        with pytest.raises(InvalidQuery, match="empty"):
            searcher.search(query, 5)


@pytest.mark.parametrize("query", ["???", "— … !", "''\"", "\u200b", '()[]{}*~"\\'])
def test_only_punctuation_finds_nothing(searcher: Searcher, query: str) -> None:
    assert searcher.search(query, 5).hits == ()


def test_a_very_long_query(searcher: Searcher) -> None:
    query = TEXTS[1] + " and so on" * 10_000
    assert len(query) > 100_000
    assert found(searcher, query)[0] == TEXTS[1]


def test_only_the_first_terms_are_compared() -> None:
    asked = []

    class Noting:
        """The store, with the terms that it was asked for."""

        def __init__(self, embedder: HashingEmbedder) -> None:
            self._store = filled(TEXTS, embedder)
            self.search_vector, self.vectors = self._store.search_vector, self._store.vectors

        def search_words(self, words: str, k: int, where: object = None) -> object:
            asked.append(words.split())
            return self._store.search_words(words, k)

    embedder = HashingEmbedder()
    Searcher(embedder, Noting(embedder), terms).search(" ".join(f"word{i}" for i in range(1000)), 5)  # type: ignore[arg-type]
    assert asked == [[f"word{i}" for i in range(256)]]


def test_words_that_nothing_holds_leave_it_to_the_vectors(searcher: Searcher) -> None:
    result, (text, bm25) = searcher.explain("zymurgy", 5)
    assert bm25.matches == ()
    assert [hit.chunk.id for hit in result.hits] == [match.chunk.id for match in text.matches]


def test_an_empty_store_finds_nothing() -> None:
    embedder = HashingEmbedder()
    assert Searcher(embedder, filled([], embedder), terms).search("water", 5).hits == ()


def test_the_order_does_not_depend_on_how_many_are_asked_for() -> None:
    embedder = HashingEmbedder(dim=16)
    texts = [f"note {i} on water {'and tea ' * (i % 7)}in the {'kettle' if i % 3 else 'garden'}" for i in range(400)]
    searcher = Searcher(embedder, filled(texts, embedder), terms)
    few, many = (found(searcher, "tea water in the garden kettle 7", k) for k in (5, POOL // 4))
    assert few == many[:5]


def test_cosines_of_chunks_that_only_words_found_are_looked_up() -> None:
    """The chunk with the rare word is behind 120 others by cosine; its own cosine still counts, exactly."""

    class Pointing(HashingEmbedder):
        """A query points along the first axis; texts fall away from it in the order of their numbers."""

        def embed(self, texts: object, kind: object) -> NDArray[np.float32]:  # type: ignore[override]
            rows = np.zeros((len(list(texts)), self.dim), np.float32)  # type: ignore[call-overload]
            for row, text in zip(rows, list(texts), strict=True):  # type: ignore[call-overload]
                angle = int(text.split()[0]) / 200 if text[0].isdigit() else 0.0
                row[0], row[1] = np.cos(angle), np.sin(angle)
            return rows

    embedder = Pointing()
    texts = [f"{i} common" for i in range(150)] + ["150 rare"]
    searcher = Searcher(embedder, filled(texts, embedder), terms)
    result, (text, _) = searcher.explain("rare", 5)
    assert "150 rare" not in [match.chunk.text for match in text.matches]
    assert "150 rare" in [hit.chunk.text for hit in result.hits]
    assert len(text.matches) == POOL
