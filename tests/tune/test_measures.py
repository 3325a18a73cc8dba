"""The measures by hand, and against ir-measures (trec_eval)."""

from math import log2

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, R, nDCG

from rag.tune.measures import ndcg, place, recall


def test_by_hand() -> None:
    right = {"a": 2, "b": 1, "wrong": 0}
    # a at 3 and b at 1, of the best order a b: (1/log2(2) + 2/log2(4)) / (2/log2(2) + 1/log2(3)).
    assert ndcg(["b", "x", "a"], right) == pytest.approx((1 + 2 / 2) / (2 + 1 / log2(3)))
    assert recall(["b", "x", "a"], right) == 1.0
    assert recall(["b", "x", "a"], right, depth=2) == 0.5
    assert place(["wrong", "x", "a"], right) == 3


def test_depth_cuts_both_the_list_and_the_best_one() -> None:
    right = dict.fromkeys("abc", 1)
    assert ndcg(["a"], right, depth=1) == 1.0  # no list of one could be better, though two more are right
    assert ndcg(["x", "a"], right, depth=1) == 0.0


def test_nothing_right_and_nothing_found() -> None:
    assert ndcg(["a"], {}) == recall(["a"], {}) == ndcg(["a"], {"a": 0}) == recall([], {"a": 1}) == 0.0
    assert place([], {"a": 1}) is None
    assert place(["a"], {"a": -1}) is None


def test_they_are_those_of_ir_measures() -> None:
    random = np.random.default_rng(0)
    names = [f"d{number}" for number in range(40)]
    rights, lists, qrels, run = {}, {}, [], []
    for case in map(str, range(60)):
        graded = random.permutation(names)[: random.integers(1, 16)]
        rights[case] = {str(name): int(random.integers(0, 4)) for name in graded}
        lists[case] = [str(name) for name in random.permutation(names)[: random.integers(1, 26)]]
        qrels += [ir_measures.Qrel(case, document, grade) for document, grade in rights[case].items()]
        run += [ir_measures.ScoredDoc(case, document, -float(at)) for at, document in enumerate(lists[case])]
    theirs: dict[str, dict[object, float]] = {case: {} for case in rights}
    for found in ir_measures.iter_calc([nDCG @ 10, R @ 20, RR], qrels, run):
        theirs[found.query_id][found.measure] = found.value
    for case, right in rights.items():
        first = place(lists[case], right)
        ours = {nDCG @ 10: ndcg(lists[case], right), R @ 20: recall(lists[case], right), RR: 1 / first if first else 0}
        assert ours == pytest.approx(theirs[case], abs=1e-9), case
