"""The library's measures against values worked out by hand."""

from math import log2

import pytest

from eval import metrics


def scores(grades: dict[str, int], ranked: list[str]) -> dict[str, float]:
    return metrics.per_query({"q": grades}, {"q": ranked})["q"]


def test_one_right_document_at_rank_three() -> None:
    found = scores({"a": 1}, ["x", "y", "a"])
    assert found["ndcg@10"] == pytest.approx((1 / log2(3 + 1)) / (1 / log2(1 + 1)))
    assert found["recall@10"] == 1
    assert found["mrr@10"] == pytest.approx(1 / 3)
    assert found["map@100"] == pytest.approx(1 / 3)


def test_grades_have_linear_gain() -> None:
    """The best order is b (3), a (1); found are a at rank 1 and b at rank 3."""
    found = scores({"a": 1, "b": 3}, ["a", "x", "b"])
    dcg = 1 / log2(2) + 3 / log2(4)
    ideal = 3 / log2(2) + 1 / log2(3)
    assert found["ndcg@10"] == pytest.approx(dcg / ideal)
    assert found["mrr@10"] == 1
    assert found["map@100"] == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_depths() -> None:
    ranked = [f"x{i}" for i in range(10)] + ["a"] + [f"y{i}" for i in range(89)] + ["b"]
    found = scores({"a": 1, "b": 1}, ranked)  # at ranks 11 and 101
    assert (found["ndcg@10"], found["recall@10"], found["mrr@10"]) == (0, 0, 0)
    assert found["recall@100"] == 1 / 2


def test_the_order_given_counts_where_trec_eval_would_sort_by_name() -> None:
    assert scores({"a": 1}, ["a", "z"])["mrr@10"] == 1
    assert scores({"z": 1}, ["a", "z"])["mrr@10"] == 1 / 2


def test_judged_wrong_and_absent_documents() -> None:
    found = scores({"a": 1, "absent": 1, "wrong": 0}, ["wrong", "a"])
    assert found["recall@10"] == 1 / 2
    assert found["ndcg@10"] == pytest.approx((1 / log2(3)) / (1 / log2(2) + 1 / log2(3)))


def test_a_question_that_finds_nothing_scores_zero_and_counts() -> None:
    found = metrics.per_query({"q": {"a": 1}, "r": {"a": 1}}, {"q": ["a"], "r": []})
    assert set(found["r"].values()) == {0.0}
    assert metrics.mean(found)["ndcg@10"] == 1 / 2


def test_interval() -> None:
    same = {str(i): dict.fromkeys(metrics.MEASURES, 0.5) for i in range(20)}
    assert metrics.interval(same) == (0.5, 0.5)
    halves = {str(i): dict.fromkeys(metrics.MEASURES, float(i % 2)) for i in range(400)}
    low, high = metrics.interval(halves)
    # The mean of 400 coins has the standard error .5 / 20; the interval reaches 1.96 of these to either side.
    assert low == pytest.approx(0.5 - 1.96 * 0.5 / 20, abs=0.01)
    assert high == pytest.approx(0.5 + 1.96 * 0.5 / 20, abs=0.01)
    assert metrics.interval(halves) == (low, high)
