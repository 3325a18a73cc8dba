"""How surprising a similarity is: worked by hand, calibrated on what is known to be chance, and on tiny libraries."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.retrieve.chance import Background, background

DIM = 96


def directions(count: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def towards(rows: NDArray[np.float32], others: NDArray[np.float32], cosine: float) -> NDArray[np.float32]:
    """Each of `others` turned so that its cosine to its row is about `cosine`."""
    mixed = cosine * rows + math.sqrt(1 - cosine**2) * others
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def best_chances(queries: NDArray[np.float32], pictures: NDArray[np.float32], seed: int = 9) -> NDArray[np.float64]:
    unrelated = directions(32, seed) @ pictures.T
    found = []
    for query in queries:
        scores = pictures @ query
        found.append(background(scores, unrelated, len(pictures)).chance(float(scores.max())))
    return np.array(found)


def test_chance_by_hand() -> None:
    judged = Background(centre=0.2, spread=0.05, location=3.0, scale=0.5, sampled=500, population=1000)
    z = (0.45 - 0.2) / 0.05  # 5
    assert judged.chance(0.45) == pytest.approx(1000 / 500 * math.exp(-(z - 3.0) / 0.5))
    assert judged.chance(0.1) == pytest.approx(1000)  # never more than there are


def test_the_spread_is_that_below_the_middle_and_half_the_usual_one() -> None:
    own = np.array([0.1, 0.2, 0.3, 0.4, 0.9] * 40)
    unrelated = np.tile([[0.2, 0.3, 0.4, 0.5, 0.6], [0.0, 0.1, 0.2, 0.3, 0.4]], 40)  # 2 queries, 200 pictures
    judged = background(own, unrelated, 200)
    usual_mean, usual_variance = (0.4 + 0.2) / 2, 0.1**2
    assert judged.centre == pytest.approx((8 * usual_mean + 200 * 0.3) / 208)
    own_spread = math.sqrt((8 * usual_variance + 40 * 0.2**2 + 40 * 0.1**2) / (8 + 80))
    assert judged.spread == pytest.approx(own_spread)  # the unrelated queries have the same below their middle


@pytest.mark.parametrize("count", [1, 2, 3, 5, 20, 100, 1000])
def test_unrelated_queries_seldom_find_anything_that_stands_out(count: int) -> None:
    """Of 200 queries, 5 % may by the meaning of .05; 32 texts to judge by leave room for about as much again."""
    found = best_chances(directions(200, 1), directions(count, 2))
    assert np.mean(found < 0.05) <= 0.11
    assert np.mean(found < 0.5) >= 0.15  # and it is not deaf: half a picture by chance is quite usual


@pytest.mark.parametrize("count", [1, 2, 3, 5, 20, 100, 1000])
def test_a_picture_that_is_meant_stands_out_in_a_library_of_any_size(count: int) -> None:
    queries = directions(50, 3)
    meant = towards(queries, directions(50, 4), 0.6)
    others = directions(count, 5)
    found = []
    for query, picture in zip(queries, meant, strict=True):
        pictures = np.concatenate([others[:-1], picture[np.newaxis]])
        unrelated = directions(32, 9) @ pictures.T
        found.append(background(pictures @ query, unrelated, count).chance(float(picture @ query)))
    assert np.mean(np.array(found) < 0.05) >= 0.95


def test_matches_do_not_hide_themselves_when_they_are_many() -> None:
    query = directions(1, 6)
    matching = towards(np.repeat(query, 40, axis=0), directions(40, 7), 0.7)
    pictures = np.concatenate([directions(60, 8), matching])
    judged = background(pictures @ query[0], directions(32, 9) @ pictures.T, 100)
    assert all(judged.chance(float(picture @ query[0])) < 0.05 for picture in matching)


def test_levels_of_queries_differ_and_the_verdict_does_not() -> None:
    """The same picture seen through a query that scores everything .3 higher is as surprising."""
    pictures, query = directions(300, 1), directions(1, 2)[0]
    unrelated = directions(32, 9) @ pictures.T
    scores = pictures @ query
    low, high = background(scores, unrelated, 300), background(scores + 0.3, unrelated + 0.3, 300)
    for score in (0.0, 0.2, 0.4):
        assert high.chance(score + 0.3) == pytest.approx(low.chance(score), rel=1e-3)


def test_equal_pictures_and_an_embedder_that_says_one_thing_are_no_error() -> None:
    same = np.repeat(directions(1, 1), 50, axis=0)
    judged = background(same @ same[0], directions(32, 9) @ same.T, 50)
    assert math.isfinite(judged.chance(1.0))
    flat = background(np.full(50, 0.5), np.full((32, 50), 0.5), 50)
    assert flat.chance(0.5) == pytest.approx(50, rel=1)
    assert flat.chance(0.5) > 0.05  # nothing stands out where all is the same


def test_a_higher_score_is_never_less_surprising() -> None:
    judged = background(directions(100, 1) @ directions(1, 2)[0], directions(32, 9) @ directions(100, 1).T, 100)
    chances = [judged.chance(score) for score in np.linspace(-1, 1, 201)]
    assert chances == sorted(chances, reverse=True)
    assert all(0 < chance <= 100.0001 for chance in chances)


def test_more_pictures_make_the_same_score_less_surprising() -> None:
    scores, unrelated = directions(100, 1) @ directions(1, 2)[0], directions(32, 9) @ directions(100, 1).T
    few, many = background(scores, unrelated, 100), background(scores, unrelated, 10_000)
    assert many.chance(0.5) == pytest.approx(100 * few.chance(0.5))
