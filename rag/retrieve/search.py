"""A question to one ranked list: one list per retriever, fused."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rag.errors import InvalidQuery, ModelError
from rag.filters import Filter, In, both
from rag.protocols import IMAGE_SPACE, Embedder, ImageEmbedder, Reranker, Store
from rag.records import Chunk, Hit, Match, Query, SearchResult
from rag.retrieve.chance import Background
from rag.retrieve.fuse import WEIGHT, Fused, Leg, Scale, fuse
from rag.retrieve.literal import raised
from rag.retrieve.looks import Look, Looks
from rag.retrieve.rerank import DEPTH, RERANK

TEXT, BM25 = "text", "bm25"
IMAGE, LIKENESS = "image", "likeness"  # words to pictures, picture to pictures
PICTURE_TEXT, PICTURE_BM25 = "picture_text", "picture_bm25"  # the words of a picture that was given beside words
_SCALES: Mapping[str, Scale] = {
    TEXT: "cosine",
    BM25: "bm25",
    IMAGE: "chance",
    LIKENESS: "likeness",
    PICTURE_TEXT: "cosine",
    PICTURE_BM25: "bm25",
}

POOL = 100  # candidates from each retriever at least, so that the order does not depend on how many are asked for
_POOL_PER_HIT = 4
_CHARACTERS = 10_000  # of a query that are read; an embedder of 512 tokens reads about 2,500
_TERMS = 256  # of a query that BM25 compares, the first ones: as many as the embedder reads words
_SECOND = 0.5  # what the words in a picture weigh against the words that were typed beside it


@dataclass(frozen=True, slots=True)
class Ranked:
    """One retriever's own list, best first: BM25 as `rag.retrieve.literal` raises it, or exact cosines to `vector`
    (float32[D]) in `space`.

    What is said of its other fields in `rag.retrieve.fuse.Leg` holds here.
    """

    retriever: str
    matches: tuple[Match, ...]
    weight: float = 1.0
    space: str = ""
    vector: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    background: Background | None = None
    usual: float = 0.0
    whole: bool = True

    @property
    def scale(self) -> Scale:
        return _SCALES[self.retriever]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query made ready: what was typed, what was read in its picture, and the picture, given or from the library."""

    typed: str
    read: str
    picture: bytes | None
    origin: Chunk | None
    same: tuple[str, ...]

    @property
    def shown(self) -> bool:
        return self.picture is not None or self.origin is not None


@dataclass(frozen=True, slots=True)
class _Course:
    """One search under way: how deep, where, how long each stage took, and what went without."""

    pool: int
    where: Filter | None
    ms: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Searcher:
    """Searches `store` with a query's vectors and a query's words. Safe to share between threads; keep one.

    `analyse_query` turns a query into the terms that the store was filled with, joined by spaces. Without an
    `image_embedder` pictures are found by their words alone. A `reranker` puts the first hits for words in its order.
    `fusion_weight` is what the vectors of texts weigh against words, where that was learnt for this library.
    """

    def __init__(
        self,
        embedder: Embedder,
        store: Store,
        analyse_query: Callable[[str], str],
        image_embedder: ImageEmbedder | None = None,
        reranker: Reranker | None = None,
        fusion_weight: float = WEIGHT,
    ) -> None:
        self._embedder = embedder
        self._store = store
        self._meaning = fusion_weight / WEIGHT
        self._analyse_query = analyse_query
        self._reranker = reranker
        self._looks = None if image_embedder is None else Looks(image_embedder, store)

    def search(self, query: Query | str, k: int, where: Filter | None = None) -> SearchResult:
        """The `k` best chunks among those that match `where`.

        Of a long text the beginning counts. One without any letter or digit finds nothing: the nearest vectors to
        "???" are chance. Typed words weigh twice what is read in a picture given with them. Where passages compete
        with pictures for a query in words, a picture is found by what they say of its looks only if it stands out.

        Chunks that say the same are all listed; `rag.retrieve.context` chooses among them. The same picture in
        several places is listed once, at the better one; the others are in `Hit.also`, and a filter finds them. A
        picture is not among those that are like it, whether it stands in one place or in several.

        Raises:
            InvalidQuery: the query is empty, or the picture that others should be like is not there.
            UnreadableFile: the query's picture cannot be decoded.
        """
        return self.explain(query, k, where)[0]

    def explain(
        self, query: Query | str, k: int, where: Filter | None = None
    ) -> tuple[SearchResult, tuple[Ranked, ...]]:
        """`search`, and beside it the list of each retriever, as deep as its pool of candidates."""
        query = Query(query) if isinstance(query, str) else query
        asked = self._made_ready(query)
        if k <= 0 or not (asked.typed or asked.read or asked.shown):
            return SearchResult(query.text, (), {}), (Ranked(TEXT, ()), Ranked(BM25, ()))
        course = _Course(max(POOL, _POOL_PER_HIT * k), where)
        lists = (*self._by_words(asked, course), *(self._by_looks(asked, course) or self._by_bytes(asked, course)))
        with _timed(course.ms, "fuse"):
            best = fuse(legs_of(lists, self._store, gated=bool(asked.typed) and _passages_compete(lists)))
            hits = _hits(best, lists, asked.origin, k if self._reranker is None else max(k, DEPTH))
        hits = self._reranked(asked, hits, course)[:k]
        return SearchResult(query.text, hits, course.ms, tuple(course.notes)), lists

    def _reranked(self, asked: _Asked, hits: tuple[Hit, ...], course: _Course) -> tuple[Hit, ...]:
        """The hits for a query in words alone, the first of them in the reranker's order."""
        if self._reranker is None or not asked.typed or asked.shown:
            return hits
        try:
            with _timed(course.ms, "load"):
                self._reranker.load()
            with _timed(course.ms, RERANK):
                return (*self._reranker.rerank(asked.typed, hits[:DEPTH]), *hits[DEPTH:])
        except ModelError as exc:
            course.notes.append(f"What was found is not reranked: {exc}")
            return hits

    def _made_ready(self, query: Query) -> _Asked:
        if not (query.text.strip() or query.picture is not None or query.like):
            raise InvalidQuery("the question is empty; type some words to look for")
        origin = self._origin(query.like) if query.like else None
        read = f"{query.picture_text} {query.described}".strip() or (_said(origin) if origin else "")
        return _Asked(_told(query.text), _told(read), query.picture, origin, query.same)

    def _origin(self, like: str) -> Chunk:
        """The chunk of that id, or the first picture of the document of that id, or its beginning."""
        chunks = self._store.get([like]) or sorted(self._store.chunks([like]), key=lambda chunk: chunk.modality)
        if not chunks:
            raise InvalidQuery(f"there is no {like!r} in the library to look for more like it; search again")
        return chunks[0]

    def _by_words(self, asked: _Asked, course: _Course) -> list[Ranked]:
        """By meaning and by words: for what was typed, and for what was read in the picture."""
        texts = [(asked.typed, (TEXT, BM25))] if asked.typed else []
        if asked.read:
            texts.append((asked.read, (PICTURE_TEXT, PICTURE_BM25) if asked.typed else (TEXT, BM25)))
        if not texts:
            return []
        with _timed(course.ms, "load"):  # seconds at the first question, nothing after it
            self._embedder.load()
        with _timed(course.ms, "embed"):
            vectors = self._embedder.embed([text for text, _ in texts], "query")
        lists = []
        for (text, (meaning, words)), vector, weight in zip(texts, vectors, (1.0, _SECOND), strict=False):
            with _timed(course.ms, meaning):
                near = self._store.search_vector(self._embedder.space, vector, course.pool, course.where)
            with _timed(course.ms, words):
                worded = raised(text, self._store.search_words(self._terms(text), course.pool, course.where))
            lists.append(Ranked(meaning, tuple(near), weight * self._meaning, self._embedder.space, vector))
            lists.append(Ranked(words, worded, weight, whole=len(worded) < course.pool))
        return lists

    def _by_looks(self, asked: _Asked, course: _Course) -> list[Ranked]:
        """By what pictures look like: for what was typed, and for the picture."""
        looks = self._looks
        if looks is None:
            if asked.shown:
                course.notes.append("Pictures are not compared by what they look like: there is no image embedder.")
            return []
        sample = looks.sample()
        if not len(sample):
            return []
        lists = []
        try:
            if asked.typed or asked.picture is not None:
                with _timed(course.ms, "load"):
                    looks.load()
            if asked.typed:
                with _timed(course.ms, IMAGE):
                    lists.append(_seen(IMAGE, looks.of_words(asked.typed, sample, course.pool, course.where)))
            if asked.shown:
                with _timed(course.ms, LIKENESS):
                    lists.extend(self._alike(looks, asked, sample, course))
        except ModelError as exc:
            course.notes.append(f"Pictures are not compared by what they look like: {exc}")
        return lists

    def _by_bytes(self, asked: _Asked, course: _Course) -> list[Ranked]:
        """The very picture that was given, where nothing tells what pictures look like."""
        if not asked.same:
            return []
        found = [
            Match(chunk, 1.0)
            for chunk in self._store.get(asked.same)
            if self._store.count(both(course.where, In("id", (chunk.id,))))
        ]
        return [Ranked(LIKENESS, tuple(found))] if found else []

    def _alike(self, looks: Looks, asked: _Asked, sample: NDArray[np.float32], course: _Course) -> list[Ranked]:
        if asked.picture is not None:
            return [_seen(LIKENESS, looks.of_picture(asked.picture, sample, course.pool, course.where))]
        vectors = self._store.vectors(IMAGE_SPACE, [asked.origin.id] if asked.origin else [])
        found = [looks.of_vector(vector, sample, course.pool, course.where) for vector in vectors.values()]
        return [_seen(LIKENESS, look) for look in found]

    def _terms(self, text: str) -> str:
        return " ".join(self._analyse_query(text).split()[:_TERMS])


def legs_of(lists: Sequence[Ranked], store: Store, *, gated: bool) -> list[Leg]:
    """What is fused: the lists with the scores of what only others listed, where a vector in `store` tells them."""
    legs = [
        Leg(
            ranked.retriever,
            ranked.scale,
            [(match.chunk.id, match.score) for match in ranked.matches],
            whole=ranked.whole,
            weight=ranked.weight,
            background=ranked.background,
            gated=gated,
            usual=ranked.usual,
        )
        for ranked in lists
    ]
    entering = {name for leg in legs for name, _ in leg.entering()}
    others = [sorted(entering.difference(name for name, _ in leg.listed)) for leg in legs]
    return [
        replace(leg, looked_up=_cosines(ranked, store, ids))
        for leg, ranked, ids in zip(legs, lists, others, strict=True)
    ]


def _cosines(ranked: Ranked, store: Store, ids: Sequence[str]) -> dict[str, float]:
    if ranked.vector is None or not ids:
        return {}
    return {name: float(v @ ranked.vector) for name, v in store.vectors(ranked.space, ids).items()}


def beginning(query: str) -> str:
    """What is read of a query: its beginning, with runs of white space as one space."""
    return " ".join(query.split())[:_CHARACTERS]


def _told(text: str) -> str:
    """The beginning of `text`, "" where it has no letter or digit."""
    text = beginning(text)
    return text if any(map(str.isalnum, text)) else ""


def _said(picture: Chunk) -> str:
    """What is known of a picture in words."""
    return " ".join(filter(None, (picture.caption, picture.text, picture.around)))


def _seen(retriever: str, look: Look) -> Ranked:
    return Ranked(retriever, look.matches, 1.0, IMAGE_SPACE, look.vector, look.background, look.usual)


def _passages_compete(lists: Sequence[Ranked]) -> bool:
    """Whether anything but pictures, and the words in them, is a candidate."""
    return any(match.chunk.picture is None for ranked in lists for match in ranked.matches)


def _hits(best: Sequence[Fused], lists: Sequence[Ranked], origin: Chunk | None, k: int) -> tuple[Hit, ...]:
    """The `k` best, the same picture once, and without the one that others should be like."""
    chunks = {match.chunk.id: match.chunk for ranked in lists for match in ranked.matches}
    kept: dict[str, tuple[Fused, list[Chunk]]] = {}  # by digest, or by id where there is none
    for fused in best:
        chunk = chunks[fused.id]
        if origin is not None and _same_picture(chunk, origin):
            continue
        first = kept.setdefault(chunk.digest or chunk.id, (fused, []))
        if first[0] is not fused:
            first[1].append(chunk)
    return tuple(
        Hit(chunks[fused.id], rank, fused.score, fused.found_by, tuple(also))
        for rank, (fused, also) in enumerate(list(kept.values())[:k], start=1)
    )


def _same_picture(chunk: Chunk, origin: Chunk) -> bool:
    """Whether `chunk` is the picture `origin`, here or elsewhere, or holds more of the words in it."""
    if chunk.id == origin.id or (chunk.digest and chunk.digest == origin.digest):
        return True
    return chunk.document_id == origin.document_id and chunk.picture is not None and chunk.picture == origin.picture


@contextmanager
def _timed(ms: dict[str, float], stage: str) -> Iterator[None]:
    """Add the milliseconds that the block takes to `stage`."""
    started = time.perf_counter()
    yield
    ms[stage] = ms.get(stage, 0.0) + (time.perf_counter() - started) * 1000
