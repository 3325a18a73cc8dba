"""Tier 0: what do vectors weigh against words in this library? Fitted on questions whose right documents are known.

The one number that decides is moved from its default only as far as the questions pay for it: a normal prior on its
logarithm, so that twice as much and half as much are alike. How much there is to gain differs from one collection to
the next (Bruch, Gai & Ingber 2023, https://arxiv.org/abs/2210.11934, section 5).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from rag.retrieve.fuse import WEIGHT, Leg, evidence_of
from rag.tune.measures import ndcg

PRIOR = 4.0  # questions' worth of nDCG@10 that a weight e times as large or small must gain
WEIGHTS = tuple(WEIGHT * 2 ** (step / 4) for step in range(-8, 9))  # a quarter to four times the default
_DEPTH = 60  # chunks that are looked at: enough for ten documents

Evidence = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Weighed:
    """A question's candidates, best ids first: what words and what vectors (at weight 1) say for each.

    `documents` are those of the candidates, `right` the grades of the documents that answer the question.
    """

    words: Evidence
    meaning: Evidence
    documents: tuple[str, ...]
    right: Mapping[str, int]

    @classmethod
    def of(cls, legs: Sequence[Leg], document_of: Mapping[str, str], right: Mapping[str, int]) -> "Weighed":
        """From the legs of a search by texts alone: those of scale "bm25" are words, those of "cosine" meaning."""
        ids, evidence = evidence_of(legs)
        sums = {"bm25": np.zeros(len(ids)), "cosine": np.zeros(len(ids))}
        for leg, values in zip(legs, evidence, strict=True):
            sums[leg.scale] += values
        return cls(sums["bm25"], sums["cosine"] / WEIGHT, tuple(document_of[name] for name in ids), right)

    def ndcg(self, weight: float) -> float:
        """nDCG@10 of the documents with vectors at that weight."""
        order = np.argsort(-(self.words + weight * self.meaning), kind="stable")[:_DEPTH]
        return ndcg(list(dict.fromkeys(self.documents[place] for place in order)), self.right)


def fit_fusion_weight(questions: Sequence[Weighed], prior: float = PRIOR) -> float:
    """The weight in WEIGHTS with the largest sum of nDCG@10 over the questions - prior * log(weight / default)^2.

    Of two alike the one nearer to the default; without questions the default.
    """

    def worth(weight: float) -> float:
        return sum(question.ndcg(weight) for question in questions) - prior * log(weight / WEIGHT) ** 2

    return max(sorted(WEIGHTS, key=lambda weight: abs(log(weight / WEIGHT))), key=worth)
