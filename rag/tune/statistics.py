"""Is that difference more than luck? Paired tests, intervals, and what so many questions could have shown at all.

Everything here takes the differences of paired scores, one per question, and asks about their mean. Wilcoxon's test
and the sign test are left out on purpose: they ask about something else (Smucker, Allan & Carterette 2007, "A
Comparison of Statistical Significance Tests for Information Retrieval Evaluation",
https://doi.org/10.1145/1321440.1321528). The same seed gives the same figures.
"""

from collections.abc import Sequence
from math import inf, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["greater", "two-sided"]
Floats = NDArray[np.float64]

DRAWS = 10_000
ALPHA = 0.05  # the chance of a false alarm that is put up with
POWER = 0.8  # the chance of seeing a gain that is there
USUAL_SPREAD = 0.2  # standard deviation of differences of nDCG@10 per question: .13 to .22 in published comparisons

_EXACT = 13  # differences whose 2 ** 13 patterns of signs are all tried: fewer than there would be draws
_BLOCK = 2_000_000  # numbers drawn at a time: 16 MB
_ROUNDING = 1e-10  # two sums of the same numbers in another order are the same sum


def sign_flip(
    differences: Sequence[float] | Floats, side: Side = "greater", seed: int = 0, draws: int = DRAWS
) -> float:
    """The p of a mean as large as this (float64[N], N >= 0) if each difference could as well have had the other sign.

    Fisher's randomisation test for pairs. All patterns of signs are tried where they are few; else so many are drawn
    at random, and the one that was seen counts as one of them, so that p is never 0 (Phipson & Smyth 2010,
    https://doi.org/10.2202/1544-6115.1585). Differences of 0 do not matter. Without any other p is 1.
    """
    values = np.asarray(differences, np.float64)
    values = values[values != 0]
    if not len(values):
        return 1.0
    seen = _extreme(values.sum(), side) - _ROUNDING * np.abs(values).sum()
    if len(values) <= _EXACT:
        patterns = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        return float(np.mean(_extreme(_flipped(values, patterns), side) >= seen))
    random = np.random.default_rng(seed)
    as_large = sum(
        int(np.sum(_extreme(_flipped(values, random.integers(0, 2, (count, len(values)), np.int8)), side) >= seen))
        for count in _blocks(draws, len(values))
    )
    return (1 + as_large) / (1 + draws)


def t_test(differences: Sequence[float] | Floats, side: Side = "greater") -> float:
    """The p of Student's paired t test for the mean (float64[N]); 1 for fewer than two differences, or all 0."""
    from scipy.stats import ttest_1samp  # half a second to import, which only comparisons need

    values = np.asarray(differences, np.float64)
    if len(values) < 2 or not values.any():
        return 1.0
    if np.ptp(values) == 0:  # no spread at all: t is infinite
        return 0.0 if side == "two-sided" or values[0] > 0 else 1.0
    return float(ttest_1samp(values, 0.0, alternative=side).pvalue)


def bootstrap(
    differences: Sequence[float] | Floats, level: float = 0.95, seed: int = 0, draws: int = DRAWS
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean (Efron 1979) of float64[N], N >= 1; for none, everything."""
    values = np.asarray(differences, np.float64)
    if not len(values):
        return -inf, inf
    random = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[random.integers(0, len(values), (count, len(values)))].mean(axis=1)
            for count in _blocks(draws, len(values))
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def holm(ps: Sequence[float]) -> list[float]:
    """Each p as it stands after so many tests, in their order (Holm 1979): below .05 is believed at 5 % for all."""
    adjusted, worst = [1.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = worst
    return adjusted


def detectable(count: int, spread: float = USUAL_SPREAD, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest mean difference that `count` questions show one-sided at `alpha` with the chance `power`.

    (z(1 - alpha) + z(power)) * spread / sqrt(count), where `spread` is the standard deviation of the differences.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)) * spread / sqrt(count) if count else inf


def spread_of(differences: Sequence[float] | Floats) -> float:
    """The standard deviation of the differences; the usual one where they do not tell: fewer than two, or all alike."""
    values = np.asarray(differences, np.float64)
    found = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return found or USUAL_SPREAD


def _flipped(values: Floats, patterns: NDArray[np.integer]) -> Floats:
    """float64[M]: the sum of `values` (float64[N]) with the signs turned where `patterns` ([M, N] of 0 and 1) has 1."""
    turned: Floats = values.sum() - 2.0 * (patterns @ values)
    return turned


def _extreme(sums: Floats, side: Side) -> Floats:
    return sums if side == "greater" else np.abs(sums)


def _blocks(draws: int, width: int) -> list[int]:
    """`draws` in parts that fit in memory, `width` numbers each."""
    most = max(1, _BLOCK // width)
    return [min(most, draws - start) for start in range(0, draws, most)]
