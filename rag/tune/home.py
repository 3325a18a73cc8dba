"""Is a question like those that were learnt from? Only then the tuned side answers it, else the model as it came.

Base and tuned vectors of a query live in the space of the same documents, so each query may take the one or the other
(switching between experts by the nearest known queries: RouterRetriever, Lee et al. 2024,
https://arxiv.org/abs/2409.02685). What is learnt about one subject then costs nothing on all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rag.errors import TuneError
from rag.tune.tensors import read_tensors, write_tensors

NEIGHBOURS = 5
AWAY_AT_HOME = 0.02  # of the away-questions, the share that may be taken for home
LOST = 0.05  # of the questions like those learnt from, the share that is given up where no away-question tells more

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Home:
    """`queries` float32[M, D], M >= 1: what the base model makes of those that were learnt from."""

    FILE: ClassVar[str] = "home.safetensors"

    queries: Rows
    threshold: float

    def nearness(self, rows: Rows) -> Rows:
        """float32[N]: each row's mean cosine to its 5 nearest queries that were learnt from (fewer: to all)."""
        return nearness(rows, self.queries)

    def is_home(self, rows: Rows) -> NDArray[np.bool_]:
        """bool[N] for float32[N, D] vectors of the base model."""
        return np.asarray(self.nearness(rows) >= self.threshold)

    def write(self, folder: Path) -> None:
        write_tensors(folder / self.FILE, {"queries": self.queries})

    @classmethod
    def read(cls, folder: Path, dim: int, threshold: float) -> "Home":
        """The home in a run's folder; TuneError where it is not one for vectors of `dim` numbers."""
        queries = read_tensors(folder / cls.FILE, {"queries": 2})["queries"]
        if not len(queries) or queries.shape[1] != dim:
            raise TuneError(f"{str(folder / cls.FILE)!r} is for vectors of another size; train again")
        return cls(queries, threshold)


def nearness(rows: Rows, queries: Rows) -> Rows:
    """float32[N]: the mean of each row's `NEIGHBOURS` highest cosines to float32[M, D] queries, M >= 1."""
    cosines = rows @ queries.T
    count = min(NEIGHBOURS, cosines.shape[1])
    return np.asarray(np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1), np.float32)


def fit_threshold(home: Sequence[float] | Rows, away: Sequence[float] | Rows = ()) -> float:
    """The lowest nearness at which a question is at home.

    So low that questions like those learnt from come in (all but 5 % of them), yet so high that of the away-questions
    at most 2 % do: leaving those alone goes first.

    Args:
        home: nearness of held-out questions, which were not learnt from; at least one.
        away: nearness of questions of other subjects, if there are any.
    """
    threshold = float(np.quantile(np.asarray(home, np.float64), LOST))
    others = np.asarray(away, np.float64)
    if len(others):
        allowed = int(AWAY_AT_HOME * len(others))
        highest = float(np.sort(others)[len(others) - 1 - allowed])  # the first that must stay out
        threshold = max(threshold, float(np.nextafter(highest, np.inf)))
    return threshold
