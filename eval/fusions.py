"""Other ways to fuse the same lists, so that ours has something to beat on any data set: `eval run --fusions`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from rag.retrieve.search import BM25

RANK_CONSTANT = 60

Listed = Sequence[tuple[str, float]]  # (id, raw score), best first
Points = dict[str, float]  # id -> what one list gives it


def _reciprocal_ranks(retriever: str, listed: Listed) -> Points:
    """1 / (60 + rank), rank from 1 (Cormack, Clarke & Büttcher 2009)."""
    return {name: 1 / (RANK_CONSTANT + rank) for rank, (name, _) in enumerate(listed, start=1)}


def _relative_scores(text_weight: float, retriever: str, listed: Listed) -> Points:
    """The list stretched to 0..1 (one whose scores are all equal, to 1) and weighted."""
    weight = 1 - text_weight if retriever == BM25 else text_weight
    if not listed:
        return {}
    high, low = listed[0][1], listed[-1][1]
    return {name: weight * ((score - low) / (high - low) if high > low else 1.0) for name, score in listed}


FUSIONS: Mapping[str, Callable[[str, Listed], Points]] = {
    "rrf": _reciprocal_ranks,
    "relative.5": partial(_relative_scores, 0.5),
    "relative.7": partial(_relative_scores, 0.7),
}


def fused(fusion: str, lists: Mapping[str, Listed]) -> list[str]:
    """Every id of `lists` (by retriever), best sum first, ties by id."""
    totals: Points = {}
    for retriever, listed in lists.items():
        for name, points in FUSIONS[fusion](retriever, listed).items():
            totals[name] = totals.get(name, 0.0) + points
    return sorted(totals, key=lambda name: (-totals[name], name))
