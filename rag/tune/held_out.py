"""How good is a retriever on questions that are held out? Dense search alone, in a small part of the library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.protocols import Embedder, Store
from rag.tune.measures import ndcg
from rag.tune.pairs import is_right
from rag.tune.questions import words_of
from rag.tune.records import Excerpt, Pair

_POOL = 2000  # passages at most that the questions are asked of, where there are many questions
_LEAST, _MOST = 10, 50  # passages near each question
_DEPTH = 60  # passages that a ranking looks at: enough for ten documents

TEMPERATURE = 0.05  # of InfoNCE, see rag.tune.loss

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Questions, the passages that they are asked of, and the documents that are right for each.

    `vectors` float32[P, D] are those of the `passages`, of the model before tuning.
    """

    queries: tuple[str, ...]
    right: tuple[Mapping[str, int], ...]
    passages: tuple[Excerpt, ...]
    vectors: Rows

    def score(self, queries: Rows, passages: Rows | None = None) -> float:
        """Mean nDCG@10 over documents, in [0, 1], of float32[Q, D] queries; 0 where there are none.

        `passages` float32[P, D] are their vectors where they are not as they were.
        """
        if not self.queries:
            return 0.0
        cosines = queries @ (self.vectors if passages is None else passages).T
        documents = [each.document or each.id for each in self.passages]
        return float(np.mean([_ndcg(row, documents, right) for row, right in zip(cosines, self.right, strict=True)]))

    def likelihood(self, queries: Rows) -> float:
        """Mean log of the share, by softmax of cosine / TEMPERATURE, that what is right has of all passages; <= 0.

        It moves with every query, where nDCG only does so when two passages change places: with few questions it tells
        two models apart sooner. 0 where there are no questions.
        """
        if not self.queries:
            return 0.0
        documents = np.array([each.document or each.id for each in self.passages])
        logits = queries @ self.vectors.T / TEMPERATURE
        right = np.stack([np.isin(documents, list(each)) for each in self.right])
        return float(np.mean(_log_sum(np.where(right, logits, -np.inf)) - _log_sum(logits)))


def held_out(pairs: Sequence[Pair], store: Store, embedder: Embedder) -> HeldOut:
    """The queries of pairs, asked of their positives and of the passages that are near to them now."""
    right: dict[str, dict[str, int]] = {}
    words: dict[str, str] = {}
    passages: dict[str, Excerpt] = {}
    for pair in filter(is_right, pairs):
        key = words_of(pair.query)
        words.setdefault(key, pair.query)
        right.setdefault(key, {})[pair.group] = 1
        passages[pair.positive.id] = pair.positive
    each = max(_LEAST, min(_MOST, _POOL // max(len(words), 1)))
    for row in embedder.embed(list(words.values()), "query"):
        for match in store.search_vector(embedder.space, row, each):
            passages.setdefault(match.chunk.id, Excerpt(match.chunk.id, "", match.chunk.document_id))
    kept = tuple(passages.values())
    return HeldOut(tuple(words.values()), tuple(right.values()), kept, vectors_of(kept, store, embedder))


def vectors_of(excerpts: Sequence[Excerpt], store: Store, embedder: Embedder) -> Rows:
    """float32[N, D]: from the store, or embedded now where a passage is not in the library."""
    if not excerpts:
        return np.zeros((0, embedder.dim), np.float32)
    known = store.vectors(embedder.space, list(dict.fromkeys(excerpt.id for excerpt in excerpts)))
    foreign = {excerpt.id: excerpt.text for excerpt in excerpts if excerpt.id not in known}
    known |= dict(zip(foreign, embedder.embed(list(foreign.values()), "passage"), strict=True))
    return (
        np.stack([known[excerpt.id] for excerpt in excerpts]) if excerpts else np.zeros((0, embedder.dim), np.float32)
    )


def _log_sum(logits: Rows) -> Rows:
    """float[N]: the log of the sum of exponentials of each row."""
    most = logits.max(axis=1, keepdims=True)
    return np.asarray(most[:, 0] + np.log(np.exp(logits - most).sum(axis=1)))


def _ndcg(cosines: Rows, documents: Sequence[str], right: Mapping[str, int]) -> float:
    order = np.argsort(-cosines, kind="stable")[:_DEPTH]
    return ndcg(list(dict.fromkeys(documents[place] for place in order)), right)
