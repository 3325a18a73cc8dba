"""The fusions that ours is compared with, worked by hand."""

from eval.fusions import fused

LISTS = {"text": [("a", 0.9), ("b", 0.8), ("c", 0.1)], "bm25": [("c", 12.0), ("b", 6.0), ("d", 0.0)]}


def test_reciprocal_ranks() -> None:
    # b: 2/62 = .03226; c: 1/63 + 1/61 = .03227; a: 1/61 = .0164; d: 1/63 = .0159
    assert fused("rrf", LISTS) == ["c", "b", "a", "d"]


def test_relative_scores() -> None:
    # Text stretched: a 1, b .875, c 0; BM25: c 1, b .5, d 0.
    # Half and half: b .6875, a .5, c .5, d 0. At .7: b .7625, a .7, c .3, d 0.
    assert fused("relative.5", LISTS) == ["b", "a", "c", "d"]
    assert fused("relative.7", LISTS) == ["b", "a", "c", "d"]
    assert fused("relative.5", {"text": [], "bm25": [("x", 3.0)]}) == ["x"]
