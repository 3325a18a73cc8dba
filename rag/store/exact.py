"""What is the exact similarity, and what is the exact order? The same arithmetic for every store."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def cosines(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64[N] in [-1, 1]: the cosine of each row of `vectors` (float32[N, D]) to `query` (float32[D]).

    Each row is summed on its own, not by a matrix product, so that equal rows get equal cosines wherever they stand.
    """
    wide, q = vectors.astype(np.float64), query.astype(np.float64)
    dots = (wide * q).sum(axis=1)
    lengths = np.sqrt((wide * wide).sum(axis=1)) * np.sqrt((q * q).sum())
    cosine: NDArray[np.float64] = np.clip(dots / lengths, -1.0, 1.0)
    return cosine


def may_be_nearest(vectors: NDArray[np.float32], query: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The rows of `vectors` (float32[N, D]) among which are the `k` nearest, found by fast products in float32.

    Their rounding may be off by a little, so a little more is kept, whose exact cosines are then worth taking. Row by
    row they take a millisecond for 10,000 rows; a product with the whole matrix would wake the threads of BLAS, which
    then spin for twenty.
    """
    rough = np.vecdot(vectors, query)
    return np.flatnonzero(rough >= kth_highest(rough, k) - 1e-4 * float(np.linalg.norm(query)))


def best(ids: Sequence[str] | Sequence[int], scores: NDArray[np.float64], k: int) -> list[int]:
    """The positions of the k highest scores, best first, ties by id."""
    if k <= 0:
        return []
    candidates = np.flatnonzero(scores >= kth_highest(scores, k)).tolist()
    return sorted(candidates, key=lambda i: (-scores[i], ids[i]))[:k]


def kth_highest(scores: NDArray[np.floating], k: int) -> float:
    """The k-th highest score (k from 1), or minus infinity where there are no more than k."""
    return float(np.partition(scores, -k)[-k]) if k < len(scores) else -np.inf
