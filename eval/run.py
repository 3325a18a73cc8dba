"""One data set through the program's own search: every question, every retriever, every measure."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from eval import metrics
from eval.cache import CachedEmbedder
from eval.datasets import Dataset
from eval.fusions import fused
from eval.index import Index, OnProgress, StoreName, build_index
from rag.config import Settings
from rag.records import Chunk
from rag.retrieve import fuse, search
from rag.retrieve.search import Ranked

HYBRID = "hybrid"
RETRIEVERS = (search.TEXT, search.BM25, HYBRID)

_CHUNKS_PER_DOCUMENT = 2  # asked for, since a document is found by its best chunk and long ones have several

Progresses = Callable[[str], OnProgress]  # the name of a stage to how its progress is shown


@dataclass(frozen=True, slots=True)
class Rankings:
    """By retriever and question the names of documents, best first; and the milliseconds of each stage by question."""

    documents: Mapping[str, Mapping[str, Sequence[str]]]
    ms: Sequence[Mapping[str, float]]


def run(
    dataset: Dataset,
    embedder: CachedEmbedder,
    settings: Settings,
    *,
    store: StoreName = "lance",
    depth: int = metrics.DEPTH,
    fusions: Sequence[str] = (),
    progress: Progresses = lambda stage: lambda done, total: None,
) -> dict[str, Any]:
    """Index `dataset` in a temporary folder, ask all its questions, and give the result as the contract has it.

    Args:
        depth: documents per question that are ranked; measures that look deeper than this count less than they could.
        fusions: names in `eval.fusions`, scored beside ours.
        progress: called with "index" and "ask".
    """
    started = time.monotonic()
    with TemporaryDirectory(prefix="commonplace-eval-") as folder:
        index = build_index(dataset, embedder, settings, store, Path(folder), progress("index"))
        known = embedder.hits
        try:
            if embedder.remembers:  # then nobody measures how long one question takes, and batches are quicker
                embedder.embed([search.beginning(text) for text in dataset.queries.values()], "query")
            rankings = ask(dataset, index, depth, fusions, progress("ask"))
        finally:
            index.store.close()
            embedder.save()
    scores = {name: metrics.per_query(dataset.judgements, ranking) for name, ranking in rankings.documents.items()}
    by_retriever = {name: metrics.mean(found) for name, found in scores.items()}
    return {
        "dataset": dataset.name,
        "queries": len(dataset.queries),
        "documents": len(index.names),
        "chunks": index.chunks,
        "metrics": by_retriever[HYBRID],
        "by_retriever": by_retriever,
        "intervals": {name: {"ndcg@10": metrics.interval(found)} for name, found in scores.items()},
        "per_query": {query: {name: found[query] for name, found in scores.items()} for query in dataset.queries},
        "notes": list(dataset.notes),
        "settings": _settings(embedder, settings, store, depth),
        "index": {
            "seconds": index.seconds,
            "documents_per_second": len(index.names) / index.seconds,
            "vectors_from_cache": known,
        },
        "ms": _medians(rankings.ms),
        "seconds": time.monotonic() - started,
    }


def ask(dataset: Dataset, index: Index, depth: int, fusions: Sequence[str], show: OnProgress) -> Rankings:
    """Every question through the Searcher, as deep as `depth` documents."""
    documents: dict[str, dict[str, list[str]]] = {name: {} for name in (*RETRIEVERS, *fusions)}
    ms = []
    for number, (query, text) in enumerate(dataset.queries.items(), start=1):
        result, lists = index.searcher.explain(text, depth * _CHUNKS_PER_DOCUMENT)
        found = {ranked.retriever: [match.chunk for match in ranked.matches] for ranked in lists}
        found[HYBRID] = [hit.chunk for hit in result.hits]
        found.update((fusion, _fused(fusion, lists)) for fusion in fusions)
        for name, chunks in found.items():
            ranked = _documents(chunks, index.names)
            documents[name][query] = _without_itself(query, ranked, dataset.judgements[query])[:depth]
        ms.append(result.ms)
        show(number, len(dataset.queries))
    return Rankings(documents, ms)


def _fused(fusion: str, lists: Sequence[Ranked]) -> list[Chunk]:
    chunks = {match.chunk.id: match.chunk for ranked in lists for match in ranked.matches}
    scores = {ranked.retriever: [(match.chunk.id, match.score) for match in ranked.matches] for ranked in lists}
    return [chunks[name] for name in fused(fusion, scores)]


def _documents(chunks: Sequence[Chunk], names: Mapping[str, str]) -> list[str]:
    """The documents of `chunks`, each at the place of its best chunk."""
    return list(dict.fromkeys(names[chunk.document_id] for chunk in chunks))


def _without_itself(query: str, ranked: Sequence[str], grades: Mapping[str, int]) -> list[str]:
    """Where questions are documents too (same id), finding oneself is no merit, unless it is judged to be one."""
    return [name for name in ranked if name != query or grades.get(name, 0) > 0]


def _settings(embedder: CachedEmbedder, settings: Settings, store: StoreName, depth: int) -> dict[str, Any]:
    state = embedder.state
    return {
        "embedder": state.name,
        "fingerprint": embedder.fingerprint,
        "device": state.device,
        "precision": state.precision,
        "chunk_tokens": min(settings.chunk_tokens, embedder.max_tokens),
        "store": store,
        "documents_per_query": depth,
        "fusion": {
            "weight": fuse.WEIGHT,
            "power": fuse.POWER,
            "contrast_ranks": fuse.CONTRAST_RANKS,
            "background": fuse.BACKGROUND,
        },
    }


def _medians(ms: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median over the questions of each stage and of their sum."""
    stages = list(dict.fromkeys(stage for row in ms for stage in row))
    medians = {stage: float(np.median([row.get(stage, 0.0) for row in ms])) for stage in stages}
    return {**medians, "total": float(np.median([sum(row.values()) for row in ms]))}
