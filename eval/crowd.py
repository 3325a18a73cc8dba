"""Do a thousand pictures harm the questions about texts, and are those that are asked for found among the texts?

A collection of texts is asked its questions, then again with unrelated pictures beside it: drawn shapes, of which the
last ASKED_FOR are then asked for by their captions. Every ranking is made of the very same lists, fused three ways:
as the program does it, without its gate, and by reciprocal ranks.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from eval import metrics
from eval.cache import CachedEmbedder, CachedImageEmbedder
from eval.datasets import Dataset, Entry
from eval.fusions import fused
from eval.index import Index, build_index
from eval.run import Progresses
from eval.shapes import Scene, draw, held_out_scenes, training_scenes
from eval.stores import spaces_of, temporary_store
from rag.config import Settings
from rag.protocols import IMAGE_SPACE
from rag.records import ModelState
from rag.retrieve.fuse import fuse
from rag.retrieve.search import Ranked, legs_of

ASKED_FOR = 100  # pictures that questions ask for; the others are there to be confused with them
TARGET = 0.005  # of nDCG@10 that a crowd of pictures may change

_DEPTH = 100  # chunks per question
_FIRST = 10  # places that are looked at for pictures
_SEEDS = 1_000_000  # of the drawings, far from those that a model is trained on
_FUSIONS = ("gate", "no gate", "rrf")


class Blindfold:
    """An ImageEmbedder that sees nothing: a random direction for every picture and every text, always the same."""

    space = IMAGE_SPACE
    state = ModelState("image embedder", "blindfold", "cpu", "fp32", "no model: directions are random", loaded=True)

    def __init__(self, dim: int = 128) -> None:
        self.dim = dim
        self.fingerprint = f"blindfold-{dim}"

    def load(self) -> None:
        """Nothing to load."""

    def embed_images(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        return self._directions([b"picture" + picture for picture in pictures])

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._directions([b"text" + text.encode("utf-8", "surrogatepass") for text in texts])

    def _directions(self, items: Sequence[bytes]) -> NDArray[np.float32]:
        rows = np.zeros((len(items), self.dim), np.float32)
        for row, item in zip(rows, items, strict=True):
            seed = int.from_bytes(hashlib.sha256(item).digest()[:8], "big")
            direction = np.random.default_rng(seed).standard_normal(self.dim)
            row[:] = direction / np.linalg.norm(direction)
        return rows


def crowd(
    dataset: Dataset,
    embedder: CachedEmbedder,
    image_embedder: CachedImageEmbedder,
    settings: Settings,
    pictures: int,
    *,
    store: str = "memory",
    progress: Progresses = lambda stage: lambda done, total: None,
) -> dict[str, Any]:
    """Ask `dataset` alone, beside `pictures` pictures without a word, and beside the same pictures with captions.

    The result has a row per collection and fusion: nDCG@10 of the questions about texts and its change with a 95 %
    bootstrap interval, the share of these questions with a picture among the first ten, and, where pictures have no
    words, the share of ASKED_FOR captions whose picture is first and among the first ten of the whole list.
    """
    unread = settings.model_copy(update={"ocr": False})  # there is nothing to read in shapes
    scenes = _scenes(pictures)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="commonplace-crowd-") as folder:
        files = _drawn(scenes, Path(folder))
        alone: Mapping[str, Mapping[str, float]] = {}
        for name, entries in {
            "none": [],
            "without words": _entries(scenes, files, captions=False),
            "with captions": _entries(scenes, files, captions=True),
        }.items():
            beside = replace(dataset, entries=(*dataset.entries, *entries))
            place = Path(folder) / name
            place.mkdir()
            with temporary_store(store, spaces_of(embedder, image_embedder)) as (opened, _):
                index = build_index(beside, embedder, unread, opened, place, progress("index"), image_embedder)
                scores, shown = _texts(dataset, index)
                alone = alone or scores["gate"]
                asked = scenes[-ASKED_FOR:] if name == "without words" else []
                found = _pictures(asked, files[-ASKED_FOR:], index) if asked else {}
            rows += [
                {"pictures": name, "fusion": fusion}
                | _row(scores[fusion], alone, shown[fusion])
                | found.get(fusion, {})
                for fusion in (_FUSIONS if entries else _FUSIONS[:1])
            ]
        embedder.save()
        image_embedder.save()
    return {
        "dataset": dataset.name,
        "queries": len(dataset.queries),
        "pictures": pictures,
        "asked_for": min(ASKED_FOR, pictures),
        "image_embedder": image_embedder.state.name,
        "rows": rows,
    }


def print_crowd(result: Mapping[str, Any], console: Console) -> None:
    """The rows as a table."""
    console.print(
        f"{result['dataset']}: {result['queries']} questions, {result['pictures']} pictures as "
        f"{result['image_embedder']} sees them, {result['asked_for']} of them asked for"
    )
    table = Table("pictures", "fusion", "ndcg@10", "change", "95 %", "questions that show one", "R@1", "R@10")
    for row in result["rows"]:
        low, high = row["interval"]
        recall = [f"{row[name]:.2f}" if name in row else "" for name in ("r@1", "r@10")]
        shares = (f"{row['ndcg@10']:.4f}", f"{row['change']:+.4f}", f"{low:+.4f} to {high:+.4f}", f"{row['shown']:.3f}")
        table.add_row(row["pictures"], row["fusion"], *shares, *recall)
    console.print(table)


def _scenes(count: int) -> list[Scene]:
    """`count` scenes, the last ASKED_FOR of them each the only one of its kind."""
    asked = held_out_scenes(min(ASKED_FOR, count))
    return [*training_scenes(count - len(asked), seed=_SEEDS), *asked]


def _drawn(scenes: Sequence[Scene], folder: Path) -> list[Path]:
    files = [folder / f"{number}.png" for number in range(len(scenes))]
    for number, (scene, file) in enumerate(zip(scenes, files, strict=True)):
        draw(scene, _SEEDS + number).save(file)
    return files


def _entries(scenes: Sequence[Scene], files: Sequence[Path], *, captions: bool) -> list[Entry]:
    return [
        Entry(str(file), "", scene.caption if captions else "", file) for scene, file in zip(scenes, files, strict=True)
    ]


def _texts(dataset: Dataset, index: Index) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, float]]:
    """Every measure by fusion and question, and by fusion the share of questions with a picture among the first."""
    found: dict[str, dict[str, list[str]]] = {fusion: {} for fusion in _FUSIONS}
    shown = dict.fromkeys(_FUSIONS, 0)
    for query, text in dataset.queries.items():
        for fusion, ids in _rankings(text, index).items():
            chunks = index.store.get(ids)
            found[fusion][query] = list(dict.fromkeys(index.names[chunk.document_id] for chunk in chunks))
            shown[fusion] += any(chunk.modality == "image" for chunk in chunks[:_FIRST])
    scores = {fusion: metrics.per_query(dataset.judgements, ranking) for fusion, ranking in found.items()}
    return scores, {fusion: count / len(dataset.queries) for fusion, count in shown.items()}


def _pictures(scenes: Sequence[Scene], files: Sequence[Path], index: Index) -> dict[str, dict[str, float]]:
    """By fusion, how often the picture of a caption is first, and among the first ten, of the whole list."""
    places: dict[str, list[int]] = {fusion: [] for fusion in _FUSIONS}
    for scene, file in zip(scenes, files, strict=True):
        for fusion, ids in _rankings(scene.caption, index).items():
            names = [index.names[chunk.document_id] for chunk in index.store.get(ids)]
            places[fusion].append(names.index(str(file)) if str(file) in names else len(names))
    return {
        fusion: {"r@1": float(np.mean(np.equal(at, 0))), "r@10": float(np.mean(np.less(at, _FIRST)))}
        for fusion, at in places.items()
    }


def _rankings(text: str, index: Index) -> dict[str, list[str]]:
    """By fusion the ids of chunks, best first."""
    result, lists = index.searcher.explain(text, _DEPTH)
    ungated = fuse(legs_of(lists, index.store, gated=False))
    return {
        "gate": [hit.chunk.id for hit in result.hits],
        "no gate": [hit.id for hit in ungated[:_DEPTH]],
        "rrf": fused("rrf", _scores(lists))[:_DEPTH],
    }


def _scores(lists: Sequence[Ranked]) -> dict[str, list[tuple[str, float]]]:
    return {ranked.retriever: [(match.chunk.id, match.score) for match in ranked.matches] for ranked in lists}


def _row(
    scores: Mapping[str, Mapping[str, float]], alone: Mapping[str, Mapping[str, float]], shown: float
) -> dict[str, Any]:
    change = {query: {"ndcg@10": row["ndcg@10"] - alone[query]["ndcg@10"]} for query, row in scores.items()}
    return {
        "ndcg@10": float(np.mean([row["ndcg@10"] for row in scores.values()])),
        "change": float(np.mean([row["ndcg@10"] for row in change.values()])),
        "interval": metrics.interval(change),
        "shown": shown,
    }
