"""Measures of a space of labelled images on vectors whose angles are known."""

from math import exp, log

import numpy as np
import pytest

from rag.lab.measure import quality


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
