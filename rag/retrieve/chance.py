"""How surprising it is that a picture is as similar to a query as it is.

Similarities of words to pictures have no scale of their own: one query's best picture scores below the worst of
another's, so that no flat cut-off parts what is meant from what is merely nearest. What can be told is whether a
score stands out among the scores which *this* query gets from pictures in general. A random sample of the library
is that background:

    z = (score - centre) / spread,    centre: the sample's median, spread: root mean square of what lies below it

Only the lower half measures the spread: of a library in which forty of a hundred pictures match, the matches must not
hide themselves. Then `chance` = population * P(T > z) is how many pictures would score as high if none were meant: the
E-value of sequence search (Karlin & Altschul 1990, https://doi.org/10.1073/pnas.87.6.2264).

A handful of pictures says little about its own centre and spread, and a single one nothing at all. So both are drawn
towards those of other queries that are known to mean none of these pictures, as if PRIOR more pictures had been seen,
and T is Student's t with the degrees of freedom that this leaves (the moderated t of Smyth 2004,
https://doi.org/10.2202/1544-6115.1027). With a few hundred pictures neither matters any more.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRIOR = 8  # pictures' worth of weight that other queries have
_LEAST_SPREAD = 1e-3  # differences of cosines below this are rounding (bf16) rather than meaning


@dataclass(frozen=True, slots=True)
class Background:
    """What scores one query gets by chance from `population` pictures; `freedom` is how well that is known."""

    centre: float
    spread: float
    freedom: float
    population: int

    def chance(self, score: float) -> float:
        """How many of the pictures would score at least `score` by chance: in [0, population], falling with it."""
        return self.population * _upper_tail((score - self.centre) / self.spread, self.freedom)


def background(own: NDArray[np.floating], others: NDArray[np.floating], population: int) -> Background:
    """The background of a query.

    Args:
        own: its cosines to a random sample of pictures, float[N], N >= 1.
        others: cosines of unrelated queries to the same sample, float[M, N]; NaN where there is none, M may be 0.
        population: how many pictures are searched.
    """
    centre = float(np.median(own))
    below = own[own < centre] - centre
    squares, freedom = float((below**2).sum()), float(len(below))
    if np.isfinite(others).any():
        usual = np.nanmean(others, axis=0)
        varied = float(np.nanmean((others - usual) ** 2))
        centre = (PRIOR * float(np.nanmean(usual)) + len(own) * centre) / (PRIOR + len(own))
        squares, freedom = squares + PRIOR * varied, freedom + PRIOR
    spread = max(math.sqrt(squares / freedom) if freedom else math.inf, _LEAST_SPREAD)
    return Background(centre, spread, max(freedom, 1.0), population)


def _upper_tail(t: float, freedom: float) -> float:
    """P(T > t) of Student's t, by Wallace's normal approximation (1959, https://doi.org/10.1214/aoms/1177706094)."""
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    normal = math.copysign(scale * math.sqrt(freedom * math.log1p(t * t / freedom)), t)
    return 0.5 * math.erfc(normal / math.sqrt(2))
