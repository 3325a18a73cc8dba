"""One data set through the program's own search: every question, every retriever, every measure."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from eval import metrics
from eval.ask import HYBRID, Rankings, ask
from eval.cache import CachedEmbedder, CachedImageEmbedder
from eval.configurations import OURS
from eval.datasets import Dataset
from eval.index import OnProgress, build_index, texts_have_looks
from eval.stores import spaces_of, temporary_store
from rag.config import Settings
from rag.protocols import Reranker
from rag.retrieve import fuse
from rag.retrieve.search import beginning

_LOOKS = "texts have a vector of the image embedder here, so that pictures find them; in the program they have none"
_NAMED = 5  # documents of a question in its row

Scores = Mapping[str, Mapping[str, float]]  # question -> measure -> value
Progresses = Callable[[str], OnProgress]  # the name of a stage to how its progress is shown


def run(
    dataset: Dataset,
    embedder: CachedEmbedder,
    settings: Settings,
    *,
    store: str = "lance",
    depth: int = metrics.DEPTH,
    fusion: str = OURS,
    fusions: Sequence[str] = (),
    progress: Progresses = lambda stage: lambda done, total: None,
    image_embedder: CachedImageEmbedder | None = None,
    reranker: Reranker | None = None,
) -> dict[str, Any]:
    """Index `dataset` in a temporary folder, ask all its questions, and give the result as the contract has it.

    Args:
        depth: documents per question that are ranked; measures that look deeper than this count less than they could.
        fusion: whose one list the result is about: ours, or a name in `eval.fusions`.
        fusions: names in `eval.fusions`, scored beside it.
        progress: called with "index" and "ask".
        image_embedder: what looks at pictures; without one they are found by their words.
        reranker: puts the first hits of the one list in its order.
    """
    started = time.monotonic()
    dataset = dataset if image_embedder is not None else dataset.without_looks()
    if fusion != OURS:
        fusions = tuple(dict.fromkeys([fusion, *fusions]))
    spaces = spaces_of(embedder, image_embedder)
    with (
        TemporaryDirectory(prefix="commonplace-eval-") as folder,
        temporary_store(store, spaces, settings) as (opened, _),
    ):
        try:
            index = build_index(dataset, embedder, settings, opened, Path(folder), progress("index"), image_embedder)
            index, known = replace(index, reranker=reranker), embedder.hits
            if embedder.remembers:  # then nobody measures how long one question takes, and batches are quicker
                texts = [beginning(text) for text in dataset.queries.values()]
                embedder.embed([text for text in texts if text], "query")
            rankings = ask(dataset, index, depth, fusions, progress("ask"), ocr=settings.ocr)
        finally:
            embedder.save()
            if image_embedder is not None:
                image_embedder.save()
    scores = {name: metrics.per_query(dataset.judgements, ranking) for name, ranking in rankings.documents.items()}
    by_retriever = {name: metrics.mean(found) for name, found in scores.items()}
    fused = HYBRID if fusion == OURS else fusion
    return {
        "dataset": dataset.name,
        "queries": len(dataset.queries),
        "documents": len(index.names),
        "chunks": index.chunks,
        "metrics": by_retriever[fused],
        "fused": fused,
        "by_retriever": by_retriever,
        **({"by_direction": by_direction(dataset, scores)} if _has_pictures(dataset) else {}),
        "intervals": {name: {"ndcg@10": metrics.interval(found)} for name, found in scores.items()},
        "per_query": {query: {name: found[query] for name, found in scores.items()} for query in dataset.queries},
        "questions": _questions(dataset, rankings, fused),
        "notes": [*dataset.notes, *([_LOOKS] if image_embedder and texts_have_looks(dataset) else [])],
        "settings": _settings(embedder, image_embedder, settings, store, depth)
        | {"reranker": reranker.state.name if reranker else None},
        "index": {
            "seconds": index.seconds,
            "documents_per_second": len(index.names) / index.seconds,
            "vectors_from_cache": known,
        },
        "ms": _medians(rankings.ms),
        "seconds": time.monotonic() - started,
    }


def _questions(dataset: Dataset, rankings: Rankings, fused: str) -> dict[str, Any]:
    """Of each question its words, what is right, where each retriever has the first right one, and what came first."""

    def shown(name: str) -> str:
        """Files as they lie in their folder, so that a report does not tell where that is."""
        return Path(name).relative_to(dataset.folder).as_posix() if dataset.folder else name

    return {
        query: {
            "text": text,
            "right": [shown(name) for name, grade in dataset.judgements[query].items() if grade > 0][:_NAMED],
            "rank": {
                name: metrics.first_right(dataset.judgements[query], ranking[query])
                for name, ranking in rankings.documents.items()
                if query in ranking
            },
            "found": [shown(name) for name in rankings.documents[fused].get(query, ())[:_NAMED]],
        }
        for query, text in dataset.queries.items()
    }


def _has_pictures(dataset: Dataset) -> bool:
    return bool(dataset.pictures) or any(entry.image for entry in dataset.entries)


def by_direction(dataset: Dataset, scores: Mapping[str, Scores]) -> dict[str, Any]:
    """The measures of "words to pictures", "pictures to words" and the like: how was asked, and what is right."""
    images = {entry.id for entry in dataset.entries if entry.image}
    asked: dict[str, list[str]] = {}
    for query, grades in dataset.judgements.items():
        asked_with = "pictures" if query in dataset.pictures else "words"
        right = {"pictures" if name in images else "words" for name, grade in grades.items() if grade > 0}
        asked.setdefault(f"{asked_with} to {' and '.join(sorted(right))}", []).append(query)
    return {
        direction: {
            "queries": len(queries),
            "by_retriever": {
                name: metrics.mean({query: found[query] for query in queries}) for name, found in scores.items()
            },
        }
        for direction, queries in asked.items()
    }


def _settings(
    embedder: CachedEmbedder, looking: CachedImageEmbedder | None, settings: Settings, store: str, depth: int
) -> dict[str, Any]:
    return {
        **_model("embedder", embedder),
        "image_embedder": _model("name", looking) if looking else None,
        "ocr": settings.ocr,
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


def _model(name: str, model: CachedEmbedder | CachedImageEmbedder) -> dict[str, str]:
    state = model.state
    return {
        name: state.name,
        "fingerprint": model.fingerprint,
        "device": state.device,
        "precision": state.precision,
    }


def _medians(ms: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median over the questions of each stage and of their sum."""
    stages = list(dict.fromkeys(stage for row in ms for stage in row))
    medians = {stage: float(np.median([row.get(stage, 0.0) for row in ms])) for stage in stages}
    return {**medians, "total": float(np.median([sum(row.values()) for row in ms]))}
