"""Vectors laid out in two or three dimensions, for people to look at."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST = 20  # points that UMAP makes something of

Points = NDArray[np.float32]  # float32[N, 2 or 3]


def pca(vectors: NDArray[np.float32], dimensions: int) -> Points:
    """float32[N, dimensions] along the directions in which float32[N, D] spreads most; the rest is 0.

    Where N or D are smaller than `dimensions` there are no more directions than that.
    """
    return plane(vectors, dimensions)(vectors)


def plane(vectors: NDArray[np.float32], dimensions: int) -> Callable[[NDArray[np.float32]], Points]:
    """What lays any vectors down along the directions in which float32[N, D] spreads most, as `pca` does."""
    from sklearn.decomposition import PCA

    found = min(dimensions, *vectors.shape)
    model = PCA(found, svd_solver="full").fit(vectors) if len(vectors) > 1 else None

    def laid(others: NDArray[np.float32]) -> Points:
        if model is None or not len(others):
            return np.zeros((len(others), dimensions), np.float32)
        return np.pad(model.transform(others), ((0, 0), (0, dimensions - found))).astype(np.float32)

    return laid


def umap(vectors: NDArray[np.float32], dimensions: int, seed: int = 0) -> Points:
    """float32[N, dimensions] in which neighbours by cosine stay neighbours (McInnes et al. 2018, arXiv 1802.03426).

    The same vectors and seed give the same map, which costs it all threads but one. With fewer than 20 points it is
    `pca`.
    """
    if len(vectors) < _LEAST:
        return pca(vectors, dimensions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that a seed costs it its threads
        from umap import UMAP

        laid: Points = UMAP(
            n_components=dimensions, metric="cosine", random_state=seed, n_jobs=1, n_neighbors=min(15, len(vectors) - 1)
        ).fit_transform(vectors)
    return laid


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Turns, mirrors, scales and moves points: `(points - of) @ turn * scale + to`."""

    of: NDArray[np.float64]
    turn: NDArray[np.float64]
    scale: float
    to: NDArray[np.float64]

    def __call__(self, points: Points) -> Points:
        moved: Points = ((points - self.of) @ self.turn * self.scale + self.to).astype(np.float32)
        return moved


def aligned(points: Points, onto: Points) -> Alignment:
    """What brings float[N, D] points as near as it can to their places in float[N, D] `onto`.

    Procrustes: least squares over a rotation or reflection, one scale and a shift (Schönemann & Carroll 1970,
    https://doi.org/10.1007/BF02291478). Points that all lie in one place stay of one size.
    """
    from scipy.linalg import orthogonal_procrustes

    of, to = points.mean(axis=0, dtype=np.float64), onto.mean(axis=0, dtype=np.float64)
    centred = points - of
    turn, stretch = orthogonal_procrustes(centred, onto - to)
    size = float((centred**2).sum())
    return Alignment(of, turn, float(stretch) / size if size else 1.0, to)
