"""How good a ranking is, per question and on average, by ir-measures over trec_eval.

nDCG@10 with linear gain and log2 discount (Järvelin & Kekäläinen 2002, as trec_eval computes it), recall, reciprocal
rank of the first right document among the first 10, and average precision. R@k is what papers on pictures and words
call so: the share of questions with a right document among the first k, which is recall where there is only one.
"""

from collections.abc import Mapping, Sequence

import ir_measures
import numpy as np
from ir_measures import AP, RR, R, Success, nDCG

MEASURES = {
    "ndcg@10": nDCG @ 10,
    "recall@10": R @ 10,
    "recall@100": R @ 100,
    "mrr@10": RR @ 10,
    "map@100": AP @ 100,
    "r@1": Success @ 1,
    "r@5": Success @ 5,
    "r@10": Success @ 10,
}
_NAMES = {measure: name for name, measure in MEASURES.items()}
DEPTH = 100  # documents per question that the measures look at

Ranking = Mapping[str, Sequence[str]]  # question -> documents, best first
Judgements = Mapping[str, Mapping[str, int]]  # question -> document -> grade


def per_query(judgements: Judgements, ranking: Ranking) -> dict[str, dict[str, float]]:
    """Every measure in [0, 1] for every judged question; one with an empty ranking scores 0."""
    scores = {query: dict.fromkeys(MEASURES, 0.0) for query in judgements}
    qrels = [ir_measures.Qrel(q, d, grade) for q, grades in judgements.items() for d, grade in grades.items()]
    run = [
        # trec_eval orders by score alone and breaks ties by id: a score per rank keeps our order.
        ir_measures.ScoredDoc(query, document, float(-rank))
        for query in judgements
        for rank, document in enumerate(ranking.get(query, ()))
    ]
    for found in ir_measures.iter_calc(list(MEASURES.values()), qrels, run):
        scores[found.query_id][_NAMES[found.measure]] = float(found.value)
    return scores


def first_right(grades: Mapping[str, int], ranked: Sequence[str]) -> int | None:
    """The place, from 1, of the first right document of `ranked`, None where there is none."""
    return next((place for place, name in enumerate(ranked, start=1) if grades.get(name, 0) > 0), None)


def mean(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Each measure averaged over the questions."""
    return {name: float(np.mean([row[name] for row in scores.values()])) for name in MEASURES}


def interval(
    scores: Mapping[str, Mapping[str, float]], measure: str = "ndcg@10", draws: int = 2000
) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean over questions (Efron 1979), with a fixed seed."""
    values = np.array([row[measure] for row in scores.values()])
    picks = np.random.default_rng(0).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
