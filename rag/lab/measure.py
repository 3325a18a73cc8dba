"""How good a space is: do neighbours share a label, do alike come together, are the rest spread out?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.tune.space import nearest, uniformity

NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one space. `neighbours` in [0, 1] is better high; `alignment` in [0, 4] and `uniformity` <= 0 better low.

    `neighbours` is the accuracy of the vote of the 5 nearest images known. `alignment` is the mean squared distance of
    two images of the same label, `uniformity` the logarithm of the mean of exp(-2 d^2) over pairs of images (Wang &
    Isola 2020, https://arxiv.org/abs/2005.10242).
    """

    neighbours: float
    alignment: float
    uniformity: float


def quality(
    known: NDArray[np.float32], known_labels: NDArray[np.int64], asked: NDArray[np.float32], labels: NDArray[np.int64]
) -> Quality:
    """Of float32[N, D] with labels int64[N], judged by float32[M, D], all rows of length 1."""
    return Quality(_voted(known, known_labels, asked, labels), _alignment(asked, labels), uniformity(asked))


def _voted(
    known: NDArray[np.float32], known_labels: NDArray[np.int64], asked: NDArray[np.float32], labels: NDArray[np.int64]
) -> float:
    """A tie goes to the smallest label."""
    votes = known_labels[nearest(known, asked, NEIGHBOURS)]
    counts = (votes[:, :, None] == np.unique(known_labels)[None, None]).sum(axis=1)
    return float((np.unique(known_labels)[counts.argmax(axis=1)] == labels).mean())


def _alignment(vectors: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """|a - b|^2 = 2 - 2 a.b, and the sum of a.b over pairs within a label is |sum of a|^2 less the a.a."""
    total, pairs = 0.0, 0
    for label in np.unique(labels):
        rows = vectors[labels == label].astype(np.float64)
        total += float((rows.sum(axis=0) ** 2).sum() - (rows**2).sum())
        pairs += len(rows) * (len(rows) - 1)
    return 2 - 2 * total / pairs if pairs else 0.0
