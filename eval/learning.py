"""A data set to learn from and to judge by: pairs of its training questions, and how well an embedder answers the rest.

The index is made once. An embedder whose passages are its own is tried in the same index, whose vectors are exchanged
for the time of the trial: words, chunks and fusion stay exactly the same.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from eval import metrics
from eval.ask import ask
from eval.cache import CachedEmbedder
from eval.datasets import Dataset, load
from eval.index import Index, build_index
from eval.run import Progresses
from rag.config import Settings
from rag.ingest.chunk import embedding_text, says_something
from rag.protocols import Embedder
from rag.records import Chunk, document_id
from rag.store.memory_store import MemoryStore
from rag.tune.records import Excerpt, Pair

DEV = 0.1  # of the training questions, held out to choose by
_BATCH = 512  # passages embedded at a time

Scores = Mapping[str, Mapping[str, float]]  # retriever -> question -> nDCG@10


@dataclass(frozen=True)
class Ground:
    """An indexed data set. `chunks` are those with a vector, `rows` float32[N, D] what the base model makes of them."""

    dataset: Dataset
    index: Index
    chunks: tuple[Chunk, ...]
    rows: NDArray[np.float32]

    @property
    def store(self) -> MemoryStore:
        """The index itself, all exact."""
        if not isinstance(self.index.store, MemoryStore):
            raise TypeError("a ground is kept in memory")
        return self.index.store

    def only(self, queries: Sequence[str]) -> "Ground":
        """The same with these questions alone, by name."""
        asked = {name: self.dataset.queries[name] for name in queries}
        judged = {name: self.dataset.judgements[name] for name in queries}
        return replace(self, dataset=replace(self.dataset, queries=asked, judgements=judged))

    def texts(self) -> list[str]:
        """The passages as an embedder reads them."""
        return [embedding_text(chunk) for chunk in self.chunks]


def ground(folder: Path, embedder: CachedEmbedder, settings: Settings, progress: Progresses) -> Ground:
    """The data set in `folder`, its test questions to be asked, indexed in memory."""
    dataset = load(folder, "test").without_looks()
    store = MemoryStore({embedder.space: embedder.dim})
    with TemporaryDirectory(prefix="commonplace-eval-") as scratch:
        index = build_index(dataset, embedder, settings, store, Path(scratch), progress(f"index {dataset.name}"))
    embedder.save()
    chunks = tuple(chunk for chunk in store.chunks(list(index.names)) if says_something(chunk))
    rows = embedder.embed([embedding_text(chunk) for chunk in chunks], "passage")
    return Ground(dataset, index, chunks, rows)


def scores(ground: Ground, embedder: Embedder, progress: Progresses) -> Scores:
    """nDCG@10 of every test question by each retriever and all together, with the passages as they are indexed."""
    index = replace(ground.index, embedder=embedder)
    rankings = ask(ground.dataset, index, metrics.DEPTH, (), progress(f"ask {ground.dataset.name}"))
    return {
        name: {query: row["ndcg@10"] for query, row in metrics.per_query(ground.dataset.judgements, found).items()}
        for name, found in rankings.documents.items()
    }


@contextmanager
def embedded_anew(ground: Ground, embedder: Embedder, progress: Progresses) -> Iterator[None]:
    """For the time of the block the passages have the vectors of `embedder`."""
    _put(ground, embedded(ground.texts(), embedder, progress))
    try:
        yield
    finally:
        _put(ground, ground.rows)


def embedded(texts: Sequence[str], embedder: Embedder, progress: Progresses) -> NDArray[np.float32]:
    """float32[N, D]: passages, in parts so that it is seen how far it is."""
    show, rows = progress("embed"), []
    for start in range(0, len(texts), _BATCH):
        rows.append(embedder.embed(texts[start : start + _BATCH], "passage"))
        show(min(start + _BATCH, len(texts)), len(texts))
    return np.concatenate(rows)


def _put(ground: Ground, rows: NDArray[np.float32]) -> None:
    names = [chunk.id for chunk in ground.chunks]
    ground.store.add_vectors(ground.index.embedder.space, dict(zip(names, rows, strict=True)))


# --- pairs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lessons:
    """Pairs to train on, in an order of chance, and questions held out of them with their right documents."""

    train: tuple[Pair, ...]
    dev: Mapping[str, frozenset[str]]  # question -> document ids


def lessons(folder: Path, ground: Ground, seed: int = 0) -> Lessons:
    """The training judgements as pairs: a question and, of a document that answers it, the nearest passage.

    What is held out depends on the question alone, so it is the same for every seed; `seed` shuffles the rest, of which
    the first n are a random sample of n.
    """
    taught = load(folder, "train")
    held_out = {name for name in taught.queries if _share(name) < DEV}
    ids = {document_id(entry.id) for entry in ground.dataset.entries}
    right = {name: [d for d in map(document_id, grades_of(taught, name)) if d in ids] for name in taught.queries}
    vectors = dict(
        zip(taught.queries, ground.index.embedder.embed(list(taught.queries.values()), "query"), strict=True)
    )
    passages = _by_document(ground)
    pairs = [
        _pair(taught.queries[name], _nearest(vectors[name], *passages[document]))
        for name in taught.queries
        if name not in held_out
        for document in right[name]
        if document in passages
    ]
    order = np.random.default_rng(seed).permutation(len(pairs))
    dev = {taught.queries[name]: frozenset(right[name]) for name in sorted(held_out) if right[name]}
    return Lessons(tuple(pairs[place] for place in order), dev)


def grades_of(dataset: Dataset, query: str) -> list[str]:
    """The right documents of a question, by the data set's names."""
    return [name for name, grade in dataset.judgements[query].items() if grade > 0]


def _share(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32


def _by_document(ground: Ground) -> dict[str, tuple[list[Chunk], NDArray[np.float32]]]:
    places: dict[str, list[int]] = {}
    for place, chunk in enumerate(ground.chunks):
        places.setdefault(chunk.document_id, []).append(place)
    return {name: ([ground.chunks[p] for p in found], ground.rows[found]) for name, found in places.items()}


def _nearest(query: NDArray[np.float32], chunks: Sequence[Chunk], rows: NDArray[np.float32]) -> Chunk:
    return chunks[int(np.argmax(rows @ query))]


def _pair(query: str, chunk: Chunk) -> Pair:
    name = hashlib.sha256(f"{query}\0{chunk.id}".encode()).hexdigest()[:32]
    return Pair(name, query, Excerpt(chunk.id, embedding_text(chunk), chunk.document_id), "import", time=0.0)
