"""Measures of a space on vectors whose angles are known, and maps of it."""

from math import exp, log

import numpy as np
import pytest

from rag.lab.maps import pca, umap
from rag.lab.measure import nearest, quality


def at(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_quality_by_hand() -> None:
    known, labels = at(0, 1, 2, 3, 90, 91, 92), np.array([4, 4, 4, 4, 7, 7, 7])
    asked, right = at(0, 60, 90), np.array([4, 4, 7])
    found = quality(known, labels, asked, right)
    # By the nearest five: 0° sees four 4s and a 7, 60° sees three 7s and two 4s, 90° three 7s and two 4s.
    assert found.neighbours == pytest.approx(2 / 3)
    assert found.alignment == pytest.approx(2 - 2 * 0.5, abs=1e-6)  # the one pair of 4s is 60° apart
    squares = (2 - 2 * 0.5, 2 - 2 * 0, 2 - 2 * (3**0.5 / 2))
    assert found.uniformity == pytest.approx(log(sum(exp(-2 * square) for square in squares) / 3), abs=1e-5)


def test_one_image_has_no_pairs_to_judge() -> None:
    found = quality(at(0, 90), np.array([0, 1]), at(0), np.array([0]))
    assert (found.neighbours, found.alignment, found.uniformity) == (1, 0, 0)  # the tie goes to the smaller label


def test_nearest_is_in_order() -> None:
    assert nearest(at(0, 50, 20, 90), at(10, 80), 3).tolist() == [[0, 2, 1], [3, 1, 2]]  # a tie keeps the order


def test_maps() -> None:
    line = np.array([[1, 1, 0], [2, 2, 0], [4, 4, 0], [9, 9, 0]], np.float32)
    assert np.allclose(np.abs(np.diff(pca(line, 2)[:, 0])), np.array([1, 2, 5]) * 2**0.5, atol=1e-5)
    assert np.allclose(pca(line, 2)[:, 1], 0, atol=1e-5)
    assert umap(line, 2).shape == (4, 2)  # too few for it
