"""What vectors weigh: many questions move it, few hardly do, none leave it."""

import numpy as np
import pytest

from rag.retrieve.fuse import WEIGHT, Leg, fuse
from rag.tune.fusion_weight import WEIGHTS, Weighed, fit_fusion_weight

RIGHT_BY_MEANING = Weighed(np.array([1.0, 0.0]), np.array([0.0, 0.4]), ("a", "b"), {"b": 1})  # from weight 2.5 on
RIGHT_BY_WORDS = Weighed(np.array([0.0, 0.6]), np.array([0.4, 0.0]), ("a", "b"), {"b": 1})  # below weight 1.5


def test_the_default_is_among_the_weights_and_stays_without_questions() -> None:
    assert WEIGHT in WEIGHTS
    assert fit_fusion_weight([]) == WEIGHT
    assert fit_fusion_weight([Weighed(np.zeros(1), np.zeros(1), ("a",), {"a": 1})] * 50) == WEIGHT


def test_a_question_is_scored_at_a_weight() -> None:
    assert RIGHT_BY_MEANING.ndcg(2.4) == pytest.approx(1 / np.log2(3))  # .96 against 1: second place
    assert RIGHT_BY_MEANING.ndcg(2.6) == 1.0
    both = Weighed(np.array([3.0, 2.0, 1.0]), np.zeros(3), ("a", "a", "b"), {"b": 1})
    assert both.ndcg(1.0) == pytest.approx(1 / np.log2(3)), "a document counts once, at its best place"


def test_many_questions_move_it_as_far_as_they_need_and_few_do_not() -> None:
    most = fit_fusion_weight([RIGHT_BY_MEANING] * 20)
    assert most == min(weight for weight in WEIGHTS if weight > 2.5), "no further than pays"
    least = fit_fusion_weight([RIGHT_BY_WORDS] * 20)
    assert least == max(weight for weight in WEIGHTS if weight < 1.5)
    # One question gains 1 - 1/log2(3) = .37, and going to 1.75 * 2^(3/4) costs 4 * ln(2^(3/4))^2 = 1.08.
    assert fit_fusion_weight([RIGHT_BY_MEANING]) == WEIGHT
    assert fit_fusion_weight([RIGHT_BY_MEANING] * 10 + [RIGHT_BY_WORDS] * 10) in (WEIGHT, most, least)


def test_it_weighs_as_the_searcher_does() -> None:
    legs = [
        Leg("bm25", "bm25", [("x", 9.0), ("y", 4.0), ("z", 1.0)]),
        Leg("text", "cosine", [("z", 0.8), ("y", 0.5), ("x", 0.1)]),
    ]
    weighed = Weighed.of(legs, {"x": "X", "y": "Y", "z": "Z"}, {"Z": 1})
    for weight in WEIGHTS:
        changed = [legs[0], Leg("text", "cosine", legs[1].listed, weight=weight / WEIGHT)]
        order = [hit.id.upper() for hit in fuse(changed)]
        assert weighed.ndcg(weight) == pytest.approx(1 / np.log2(order.index("Z") + 2))
