"""How well a list of documents answers a question whose right documents are known.

As trec_eval, and with it ir-measures, computes them; `tests/tune/test_measures.py` compares. They are here because the
gate belongs to the program, and the libraries that measure only to the benchmarks.
"""

from collections.abc import Mapping, Sequence
from math import log2

Right = Mapping[str, int]  # document -> grade; those of 0 and below are not right


def ndcg(documents: Sequence[str], right: Right, depth: int = 10) -> float:
    """nDCG in [0, 1] of the first `depth` documents, each listed once; 0 where nothing is right.

    Grades as gains and log2 as discount (Järvelin & Kekäläinen 2002, https://doi.org/10.1145/582415.582418).
    """
    ideal = _discounted(sorted((grade for grade in right.values() if grade > 0), reverse=True)[:depth])
    return _discounted([max(0, right.get(document, 0)) for document in documents[:depth]]) / ideal if ideal else 0.0


def recall(documents: Sequence[str], right: Right, depth: int = 20) -> float:
    """The share in [0, 1] of what is right that is among the first `depth` documents; 0 where nothing is right."""
    wanted = {document for document, grade in right.items() if grade > 0}
    return len(wanted.intersection(documents[:depth])) / len(wanted) if wanted else 0.0


def place(documents: Sequence[str], right: Right) -> int | None:
    """The place of the first right document, from 1; None where none is listed."""
    return next((at for at, document in enumerate(documents, start=1) if right.get(document, 0) > 0), None)


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / log2(at + 1) for at, gain in enumerate(gains, start=1))
