"""Figures of a space, by hand on vectors whose angles are known, and when they are alarming."""

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest

from rag.tune.space import Figures, alarms, alignment, effective_rank, figures, hubness, nearest, uniformity

USUAL = Figures(alignment=0.8, uniformity=-3.0, rank=100, hubness=1.0)


def at(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_alignment_is_the_mean_squared_distance() -> None:
    assert alignment(at(0, 0), at(90, 180)) == pytest.approx((2 + 4) / 2)


def test_uniformity_is_over_all_pairs() -> None:
    squares = (2 - 2 * 0.5, 2 - 2 * 0, 2 - 2 * (3**0.5 / 2))  # 0° to 60°, 0° to 90°, 60° to 90°
    assert uniformity(at(0, 60, 90)) == pytest.approx(log(sum(exp(-2 * square) for square in squares) / 3), abs=1e-5)
    assert uniformity(at(0)) == 0


def test_the_effective_rank_counts_directions() -> None:
    axes = np.concatenate([np.eye(6, dtype=np.float32), -np.eye(6, dtype=np.float32)])
    assert effective_rank(axes) == pytest.approx(6)
    assert effective_rank(axes[[0, 6]]) == pytest.approx(1)
    assert effective_rank(np.full((3, 4), 0.5, np.float32)) == 1
    # Singular values 2 and 1 (twice the squares: 4 and 1) have shares 2/3 and 1/3.
    uneven = np.array([[2, 0], [-2, 0], [0, 1], [0, -1]], np.float32)
    assert effective_rank(uneven) == pytest.approx(exp(-(2 / 3 * log(2 / 3) + 1 / 3 * log(1 / 3))))


def test_hubness_is_the_skewness_of_how_often_a_document_comes_up() -> None:
    documents = at(*range(0, 120, 10))  # twelve; of three queries near 0° the first ten come up, three times each
    counts = np.array([3] * 10 + [0, 0])
    skewness = (((counts - counts.mean()) / counts.std()) ** 3).mean()
    assert hubness(documents, at(0, 1, 2)) == pytest.approx(skewness)
    circle = at(*range(0, 360, 30))
    assert hubness(circle, np.zeros((0, 2), np.float32)) == 0  # each one is near to ten of eleven others, evenly


def test_without_queries_there_is_no_alignment() -> None:
    nothing = np.zeros((0, 2), np.float32)
    assert figures(at(0, 30, 60), nothing, nothing).alignment is None
    assert figures(at(0), nothing, nothing) == Figures(None, 0.0, 1.0, 0.0)


def test_a_change_is_said_from_a_certain_size_on() -> None:
    assert alarms(USUAL, USUAL) == ()
    assert alarms(USUAL, replace(USUAL, alignment=0.4, rank=80, hubness=1.9, uniformity=-2.6)) == ()
    found = alarms(USUAL, Figures(alignment=0.9, uniformity=-2.4, rank=60, hubness=2.5))
    assert [part in words for part, words in zip(("60 dir", "hubness 2.5", "-2.40", "0.90"), found, strict=True)] == [
        True
    ] * 4
    assert alarms(replace(USUAL, alignment=None), USUAL) == ()


def test_nearest_is_in_order() -> None:
    assert nearest(at(0, 50, 20, 90), at(10, 80), 3).tolist() == [[0, 2, 1], [3, 1, 2]]  # a tie keeps the order
    assert nearest(at(0), at(0, 1), 5).shape == (2, 1)
    assert nearest(at(0, 1), np.zeros((0, 2), np.float32), 5).shape == (0, 2)
