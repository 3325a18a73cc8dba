"""Which passages look right for a query and are not? They teach more than passages taken by chance.

What is near a query in the library is searched as ever, by meaning and by words, and what may be right after all is
left out: the documents that answer it, copies of its positives, and, as the retriever already sees it, whatever is
nearly as near as the positive (the positive-aware rule of NV-Retriever, Moreira et al. 2024,
https://arxiv.org/abs/2407.15831, which found .95 of the positive's score best).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag.protocols import Embedder, Store
from rag.records import Chunk
from rag.tune.records import Excerpt, Pair

_NEAREST, _NEAREST_SMALL = 0.95, 0.9
_SMALL = 5000  # chunks: with fewer, less else is said about the same thing, and what is near is often right
_BATCH = 256  # queries embedded at once

# Queries with a passage each -> how sure a cross-encoder is that it answers it, in [0, 1].
Teacher = Callable[[Sequence[tuple[str, str]]], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Mining:
    """How negatives are chosen.

    Args:
        pool: candidates from meaning, and as many from words.
        nearest: a candidate counts as wrong up to this share of the positive's cosine; None: .95, or .9 in a library
            of fewer than 5,000 chunks.
        negatives: how many a pair gets at most, drawn from the first `among` that are left.
        duplicate: a passage as near to a positive as that says the same (cosine).
        believed: with a teacher, a candidate that it believes as much is left out.
        seed: of the draw.
    """

    pool: int = 50
    nearest: float | None = None
    negatives: int = 4
    among: int = 10
    duplicate: float = 0.95
    believed: float = 0.5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Mined:
    """Pairs with their negatives, and how many candidates were left out and why.

    Args:
        answers: they are of a document that answers the query.
        duplicates: they say what a positive says.
        near: they are nearly as near as the positive.
        believed: the teacher takes them for answers.
        without: pairs that got none; they learn from the other pairs of their batch alone.
    """

    pairs: tuple[Pair, ...]
    candidates: int = 0
    answers: int = 0
    duplicates: int = 0
    near: int = 0
    believed: int = 0
    without: int = 0


def mine(
    pairs: Sequence[Pair],
    store: Store,
    embedder: Embedder,
    terms: Callable[[str], str],
    text_of: Callable[[Chunk], str],
    mining: Mining = Mining(),
    *,
    teacher: Teacher | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Mined:
    """Every pair, in the order given, with negatives from the library; those that it has already come first.

    The same pairs, library and seed give the same negatives, whatever the order of the pairs.

    Args:
        store: of the library, with vectors of `embedder`.
        terms: a query's words as the store was filled with them, joined by spaces.
        text_of: a chunk as the embedder reads it.
        teacher: a cross-encoder that is better than the retriever; it is asked about what is left.
        on_progress: queries done, and all.
    """
    if mining.nearest is None:
        mining = replace(mining, nearest=_NEAREST_SMALL if store.count() < _SMALL else _NEAREST)
    miner = _Miner(store, embedder, terms, text_of, mining, teacher)
    by_query: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_query.setdefault(pair.query, []).append(pair)
    mined: dict[str, Pair] = {}
    for done, (query, vector) in enumerate(_embedded(list(by_query), embedder), start=1):
        mined.update((pair.id, pair) for pair in miner.of_query(vector, by_query[query]))
        on_progress(done, len(by_query))
    found = tuple(mined[pair.id] for pair in pairs)
    counts = miner.counts
    return Mined(
        found,
        candidates=counts["candidates"],
        answers=counts["answers"],
        duplicates=counts["duplicates"],
        near=counts["near"],
        believed=counts["believed"],
        without=sum(not pair.negatives for pair in found),
    )


class _Miner:
    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        terms: Callable[[str], str],
        text_of: Callable[[Chunk], str],
        mining: Mining,
        teacher: Teacher | None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._terms = terms
        self._text_of = text_of
        self._mining = mining
        self._teacher = teacher
        self.counts: Counter[str] = Counter()

    def of_query(self, vector: NDArray[np.float32], pairs: Sequence[Pair]) -> Iterator[Pair]:
        """The pairs of one query, whose vector is float32[D], with their negatives."""
        wrong = self._wrong(vector, pairs)
        for pair in pairs:
            # By the pair's own name, so that the draw does not depend on the other pairs.
            draw = np.random.default_rng([self._mining.seed, *pair.id.encode()])
            given = {excerpt.id for excerpt in pair.negatives}
            left = [excerpt for excerpt in wrong if excerpt.id not in given]
            wanted = max(self._mining.negatives - len(pair.negatives), 0)
            drawn = sorted(draw.permutation(len(left))[:wanted])
            yield replace(pair, negatives=(*pair.negatives, *(left[place] for place in drawn)))

    def _wrong(self, vector: NDArray[np.float32], pairs: Sequence[Pair]) -> list[Excerpt]:
        """The first passages, the nearest first, that do not answer the query of `pairs`."""
        mining, space = self._mining, self._embedder.space
        candidates = self._candidates(vector, pairs[0].query)
        positives = self._vectors([pair.positive for pair in pairs])
        known = self._store.vectors(space, [chunk.id for chunk in candidates])
        limit = (mining.nearest or 0.0) * float((positives @ vector).min())
        answering = {name for pair in pairs for name in (pair.positive.id, pair.positive.document) if name}
        ranked: list[tuple[float, Chunk]] = []
        for chunk in candidates:
            reason = _reason(chunk, known.get(chunk.id), vector, positives, answering, limit, mining.duplicate)
            self.counts[reason or "left"] += 1
            if not reason:
                ranked.append((float(known[chunk.id] @ vector), chunk))
        self.counts["candidates"] += len(candidates)
        ranked.sort(key=lambda scored: (-scored[0], scored[1].id))
        excerpts = [Excerpt(chunk.id, self._text_of(chunk), chunk.document_id) for _, chunk in ranked]
        return self._doubted(pairs[0].query, excerpts)[: mining.among]

    def _candidates(self, vector: NDArray[np.float32], query: str) -> list[Chunk]:
        near = self._store.search_vector(self._embedder.space, vector, self._mining.pool)
        worded = self._store.search_words(self._terms(query), self._mining.pool)
        return list({match.chunk.id: match.chunk for match in (*near, *worded)}.values())

    def _vectors(self, excerpts: Sequence[Excerpt]) -> NDArray[np.float32]:
        """float32[N, D]: from the store, or embedded now where a passage is not in the library."""
        known = self._store.vectors(self._embedder.space, [excerpt.id for excerpt in excerpts])
        foreign = [excerpt.text for excerpt in excerpts if excerpt.id not in known]
        rows = iter(self._embedder.embed(foreign, "passage"))
        return np.stack([known[e.id] if e.id in known else next(rows) for e in excerpts])

    def _doubted(self, query: str, excerpts: Sequence[Excerpt]) -> list[Excerpt]:
        """Those that the teacher does not take for answers, as many as are needed."""
        if self._teacher is None:
            return list(excerpts)
        asked = excerpts[: 2 * self._mining.among]
        beliefs = self._teacher([(query, excerpt.text) for excerpt in asked])
        left = [e for e, belief in zip(asked, beliefs, strict=True) if belief < self._mining.believed]
        self.counts["believed"] += len(asked) - len(left)
        return left


def _reason(
    chunk: Chunk,
    row: NDArray[np.float32] | None,
    query: NDArray[np.float32],
    positives: NDArray[np.float32],
    answering: set[str],
    limit: float,
    duplicate: float,
) -> str:
    """Why a candidate is no negative, as `Mined` counts it; "" where it is one."""
    if chunk.id in answering or chunk.document_id in answering:
        return "answers"
    if row is None:  # a picture without a word
        return "says nothing"
    if float((positives @ row).max()) >= duplicate:
        return "duplicates"
    return "near" if float(row @ query) > limit else ""


def _embedded(queries: Sequence[str], embedder: Embedder) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for start in range(0, len(queries), _BATCH):
        part = queries[start : start + _BATCH]
        yield from zip(part, embedder.embed(part, "query"), strict=True)
