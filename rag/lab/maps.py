"""Vectors laid out in two or three dimensions, for people to look at."""

import warnings

import numpy as np
from numpy.typing import NDArray

_LEAST = 20  # points that UMAP makes something of


def pca(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """float32[N, dimensions] along the directions in which float32[N, D] spreads most; N and D are no fewer."""
    from sklearn.decomposition import PCA

    laid: NDArray[np.float32] = PCA(dimensions, svd_solver="full").fit_transform(vectors)
    return laid


def umap(vectors: NDArray[np.float32], dimensions: int, seed: int = 0) -> NDArray[np.float32]:
    """float32[N, dimensions] in which neighbours by cosine stay neighbours (McInnes et al. 2018, arXiv 1802.03426).

    The same vectors and seed give the same map. With fewer than 20 points it is `pca`.
    """
    if len(vectors) < _LEAST:
        return pca(vectors, dimensions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that a seed costs it its threads
        from umap import UMAP

        laid: NDArray[np.float32] = UMAP(n_components=dimensions, metric="cosine", random_state=seed).fit_transform(
            vectors
        )
    return laid
