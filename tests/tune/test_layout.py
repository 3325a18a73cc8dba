"""Laying vectors out: directions by hand, a fixed seed, and the same points turned back onto themselves."""

import numpy as np
import pytest

from rag.tune.layout import aligned, pca, plane, umap

LINE = np.array([[1, 1, 0], [2, 2, 0], [4, 4, 0], [9, 9, 0]], np.float32)
CORNERS = np.array([[0, 0], [4, 0], [4, 1], [0, 2]], np.float32)


def test_pca_by_hand() -> None:
    assert np.allclose(np.abs(np.diff(pca(LINE, 2)[:, 0])), np.array([1, 2, 5]) * 2**0.5, atol=1e-5)
    assert np.allclose(pca(LINE, 2)[:, 1], 0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (5, 1), (5, 2)])
def test_too_few_rows_or_numbers_leave_the_rest_flat(shape: tuple[int, int]) -> None:
    vectors = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    laid = pca(vectors, 3)
    assert laid.shape == (shape[0], 3)
    assert np.isfinite(laid).all()
    assert (laid[:, min(shape) :] == 0).all()


def test_other_vectors_are_laid_down_in_the_same_plane() -> None:
    laid = plane(LINE, 2)
    np.testing.assert_allclose(laid(LINE[1:3]), pca(LINE, 2)[1:3], atol=1e-5)
    assert laid(LINE[:0]).shape == (0, 2)


def test_umap_keeps_neighbours_and_a_seed_gives_one_map() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(8, dtype=np.float32)[:2], 15, axis=0)
    vectors = centres + rng.normal(scale=0.05, size=centres.shape).astype(np.float32)
    laid = umap(vectors, 2)
    np.testing.assert_array_equal(laid, umap(vectors, 2))
    first, second = laid[:15], laid[15:]
    apart = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert apart > 2 * max(first.std(), second.std())


def test_too_few_for_umap_are_laid_out_by_pca() -> None:
    np.testing.assert_array_equal(umap(LINE, 2), pca(LINE, 2))


@pytest.mark.parametrize("mirrored", [1, -1])
def test_what_was_turned_mirrored_scaled_and_moved_comes_back(mirrored: int) -> None:
    angle = np.radians(50)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ np.diag([1, mirrored])
    moved = (CORNERS @ turn * 0.3 + [5, -2]).astype(np.float32)
    back = aligned(moved, CORNERS)
    np.testing.assert_allclose(back(moved), CORNERS, atol=1e-5)
    centre = np.array([[2, 0.75]], np.float32) @ turn * 0.3 + [5, -2]
    np.testing.assert_allclose(back(centre.astype(np.float32)), [[2, 0.75]], atol=1e-5)  # what moved along, too


def test_points_in_one_place_are_put_where_the_others_are() -> None:
    np.testing.assert_allclose(aligned(np.ones((4, 2), np.float32), CORNERS)(np.ones((1, 2), np.float32)), [[2, 0.75]])
