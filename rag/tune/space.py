"""How good is a space? Figures to be alarmed by, never a gate: each of them can be better and the search worse."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AROUND = 10  # nearest documents in which a hub comes up too often
_SPREAD = 2000  # rows that uniformity looks at
_AT_ONCE = 1024  # rows compared in one step

Vectors = NDArray[np.float32]

# What a change must come to before it is said; ours, by eye: retrievers that were tuned well stay within them.
_LOST_RANK = 0.7
_MORE_HUBS = 1.0
_CLOSER = 0.5


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one space; alarms and never gates.

    Args:
        alignment: mean of |f(x) - f(x+)|^2 over pairs of a query and what answers it, in [0, 4], low is good; None
            where there are no pairs. `uniformity`: log of the mean of exp(-2 |f(x) - f(y)|^2) over pairs of documents,
            <= 0, low is good (both: Wang & Isola 2020, https://arxiv.org/abs/2005.10242).
        rank: how many directions documents spread in, from 1 to their number of dimensions: exp of the entropy of the
            shares of the singular values (Roy & Vetterli 2007, effective rank).
        hubness: skewness of how often each document is among the 10 nearest of what is asked; 0: all alike, high: a few
            come up everywhere (Radovanović et al. 2010, https://jmlr.org/papers/v11/radovanovic10a.html).
    """

    alignment: float | None
    uniformity: float
    rank: float
    hubness: float


def figures(documents: Vectors, queries: Vectors, positives: Vectors) -> Figures:
    """Of float32[N, D] documents, N >= 1, asked by float32[Q, D], each answered by its row of float32[Q, D].

    All are unit rows. Without queries the documents ask for each other.
    """
    return Figures(
        alignment=alignment(queries, positives) if len(queries) else None,
        uniformity=uniformity(documents),
        rank=effective_rank(documents),
        hubness=hubness(documents, queries),
    )


def alarms(before: Figures, after: Figures) -> tuple[str, ...]:
    """What got worse by so much that it should be looked at, in plain words."""
    found = []
    if after.rank < before.rank * _LOST_RANK:
        found.append(
            f"documents spread in {after.rank:.0f} directions, where they did in {before.rank:.0f}: the space shrinks"
        )
    if after.hubness > before.hubness + _MORE_HUBS:
        found.append(
            f"a few documents come up for everything (hubness {after.hubness:.1f}, before {before.hubness:.1f})"
        )
    if after.uniformity > before.uniformity + _CLOSER:
        found.append(
            f"documents lie closer together (uniformity {after.uniformity:.2f}, before {before.uniformity:.2f}): "
            "they are harder to tell apart"
        )
    if before.alignment is not None and after.alignment is not None and after.alignment > before.alignment:
        found.append(
            f"queries lie further from what answers them ({after.alignment:.2f}, before {before.alignment:.2f})"
        )
    return tuple(found)


def alignment(a: Vectors, b: Vectors) -> float:
    """Mean of |a - b|^2 over N >= 1 pairs of rows."""
    return float(((a.astype(np.float64) - b) ** 2).sum(axis=1).mean())


def uniformity(vectors: Vectors) -> float:
    """Log of the mean of exp(-2 |x - y|^2) over all pairs of the first 2,000 unit rows; 0 where there is no pair."""
    if len(vectors) < 2:
        return 0.0
    rows = vectors[:_SPREAD].astype(np.float64)
    cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    return float(np.log(np.exp(-2 * (2 - 2 * cosines)).mean()))


def effective_rank(vectors: Vectors) -> float:
    """exp(-sum p log p) of the singular values' shares p, of vectors around their mean; 1 where all are the same."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    values = np.sqrt(np.clip(np.linalg.eigvalsh(centred.T @ centred), 0, None))
    total = values.sum()
    if total < 1e-6:
        return 1.0
    shares = values[values > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def hubness(documents: Vectors, queries: Vectors) -> float:
    """Skewness of how often each of the documents is among the nearest of the queries, or of the other documents."""
    asked, itself = (queries, 0) if len(queries) else (documents, 1)  # a document is what is nearest to it
    rows = nearest(documents, asked, AROUND + itself)[:, itself:]
    counts = np.bincount(rows.ravel(), minlength=len(documents)).astype(np.float64)
    spread = counts.std()
    return float((((counts - counts.mean()) / spread) ** 3).mean()) if spread else 0.0


def nearest(known: Vectors, asked: Vectors, k: int) -> NDArray[np.int64]:
    """int64[M, k]: the rows of `known` with the highest cosine, best first, ties in their order."""
    parts = [asked[at : at + _AT_ONCE] @ known.T for at in range(0, len(asked), _AT_ONCE)]
    found = [np.argsort(-part, axis=1, kind="stable")[:, :k] for part in parts]
    return np.concatenate(found) if found else np.zeros((0, min(k, len(known))), np.int64)
