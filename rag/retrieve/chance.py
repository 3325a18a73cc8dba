"""How surprising it is that a picture is as similar to words as it is.

Similarities of words to pictures have no scale of their own: one query's best picture scores below the worst of
another's, so that no flat cut-off parts what is meant from what is merely nearest. What can be told is whether a
score stands out among those which *this* query gets from pictures in general, of which a random sample of the library
is the background:

    z = (score - centre) / sqrt(spread * usual spread)

The centre is the sample's median, the spread the root mean square of what lies below it: of a library in which forty
of a hundred pictures match, the matches must not hide themselves. A handful of pictures says little about its own
centre and spread, and a single one nothing, so both are drawn towards what unrelated queries get, as if PRIOR more
pictures had been seen. The usual spread is that of unrelated queries. It has half of the say (a geometric mean),
since a query that is about pictures tells them apart more than others do, which is no reason to believe it less.

How high a z is no chance any more depends on the model and on the library, whose pictures are neither independent nor
normally distributed. So that is not assumed but seen: the best z of each unrelated query is a draw from the
distribution of the best by chance, which for a maximum is Gumbel's (1958, Statistics of Extremes; fitted by moments).
Its tail gives how many pictures would score as high if none were meant, the E-value of sequence search, which is
calibrated in the same way (Karlin & Altschul 1990, https://doi.org/10.1073/pnas.87.6.2264):

    chance = population / sampled * exp(-(z - location) / scale)
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRIOR = 8  # pictures' worth of weight that unrelated queries have in a query's centre and spread
_LEAST_SPREAD = 1e-4  # of cosines; below it they are equal but for rounding
_LEAST_SCALE = 0.1  # of z: unrelated queries that all reach the same best do not make the next one impossible
_EULER = 0.5772156649


@dataclass(frozen=True, slots=True)
class Background:
    """What scores one query gets by chance from `population` pictures."""

    centre: float
    spread: float  # half its own, half the usual one
    location: float  # of Gumbel's distribution of the best z among `sampled` pictures
    scale: float
    sampled: int
    population: int

    def chance(self, score: float) -> float:
        """How many of the pictures would score at least `score` by chance: in [0, population], falling with it."""
        z = (score - self.centre) / self.spread
        log = math.log(self.population / self.sampled) - (z - self.location) / self.scale
        return math.exp(min(log, math.log(self.population)))


def background(own: NDArray[np.floating], unrelated: NDArray[np.floating], population: int) -> Background:
    """The background of a query.

    Args:
        own: its cosines to a random sample of pictures, float[N], N >= 1.
        unrelated: cosines to the same sample of queries that mean none of these pictures, float[M, N], M >= 2.
        population: how many pictures are searched, >= 1.
    """
    sampled = unrelated.shape[1]
    usual = unrelated.mean(axis=0)
    prior = float(usual.mean()), float(((unrelated - usual) ** 2).mean())
    centres, spreads = _centres_and_spreads(unrelated, prior)
    usual_spread = float(np.exp(np.log(spreads).mean()))
    best = (unrelated.max(axis=1) - centres) / np.sqrt(spreads * usual_spread)
    scale = max(float(best.std(ddof=1)) * math.sqrt(6) / math.pi, _LEAST_SCALE)
    centre, own_spread = (float(value[0]) for value in _centres_and_spreads(own[np.newaxis], prior))
    spread = math.sqrt(own_spread * usual_spread)
    return Background(centre, spread, float(best.mean()) - _EULER * scale, scale, sampled, population)


def _centres_and_spreads(
    scores: NDArray[np.floating], prior: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64[M] of each row of `scores` (float[M, N]), drawn towards the `prior` mean and variance."""
    mean, variance = prior
    medians = np.median(scores, axis=1)
    below = np.minimum(scores - medians[:, np.newaxis], 0.0)
    count = np.count_nonzero(below, axis=1)
    squares = (below.astype(np.float64) ** 2).sum(axis=1)
    centres = (PRIOR * mean + scores.shape[1] * medians) / (PRIOR + scores.shape[1])
    spreads = np.sqrt((PRIOR * variance + squares) / (PRIOR + count))
    return centres.astype(np.float64), np.maximum(spreads, _LEAST_SPREAD)
