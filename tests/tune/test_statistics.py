"""Tests of differences against cases that were counted by hand, and against scipy."""

from math import inf, sqrt

import numpy as np
import pytest
from scipy import stats

from rag.tune.statistics import bootstrap, detectable, holm, sign_flip, spread_of, t_test


def made(count: int, mean: float, seed: int = 1) -> np.ndarray:
    """Differences with zeros and a long tail, as those of nDCG have."""
    random = np.random.default_rng(seed)
    return random.choice([0.0, 1.0], count) * random.exponential(0.2, count) * random.choice([-1, 1], count) + mean


# --- the sign-flip test ---


def test_all_patterns_of_few_differences_are_counted() -> None:
    # Sums of +-1 +-2 +-4: 7 5 3 1 -1 -3 -5 -7. Seen: -1 + 2 + 4 = 5, which two of the eight reach.
    assert sign_flip([-1, 2, 4]) == 2 / 8
    assert sign_flip([-1, 2, 4], "two-sided") == 4 / 8
    assert sign_flip([1, -2, -4]) == 7 / 8  # the other way round: all but -7 reach -5


def test_differences_of_nothing_do_not_matter() -> None:
    assert sign_flip([0, -1, 0, 2, 4, 0]) == sign_flip([-1, 2, 4])
    assert sign_flip([0.0] * 50) == sign_flip([]) == 1.0


def test_sums_that_differ_by_rounding_are_equal() -> None:
    # .1 + .2 + .3 is not .3 + .2 + .1 in floats; seven of the eight patterns of +-.1 +-.2 +-.3 reach -.6 + .2 = -.4.
    assert sign_flip([0.1, -0.2, -0.3]) == 7 / 8
    assert sign_flip([0.1, 0.2, -0.3], "two-sided") == 1.0  # 0 is reached by all


def test_drawn_patterns_agree_with_scipy_and_with_the_exact_count() -> None:
    values = made(60, 0.03)
    theirs = stats.permutation_test(
        (values, np.zeros_like(values)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
        alternative="greater",
        rng=np.random.default_rng(5),
    )
    # Two shares of 10,000 draws each differ by chance: four standard errors are .02 at most.
    assert sign_flip(values) == pytest.approx(theirs.pvalue, abs=0.02)
    few = [0.31, -0.07, 0.11, 0.23, -0.02, 0.05, 0.13, -0.17, 0.19, 0.29, 0.03, -0.01, 0.37]  # 13: exact
    exact, drawn = sign_flip(few), sign_flip([*few, 1e-9])  # a fourteenth that changes nothing: drawn
    assert drawn == pytest.approx(exact, abs=0.01)
    assert drawn != exact


def test_a_sure_gain_has_the_smallest_p_that_draws_can_give() -> None:
    assert sign_flip([0.1] * 40) == 1 / 10_001
    assert sign_flip([0.1] * 40, draws=99) == 1 / 100


def test_the_same_seed_gives_the_same_p_however_many_are_drawn_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    values = made(80, 0.01)
    p, low = sign_flip(values, seed=3), bootstrap(values, seed=3)
    assert sign_flip(values, seed=4) != p
    monkeypatch.setattr("rag.tune.statistics._BLOCK", 8 * 80 * 100)  # blocks of 800 draws
    assert sign_flip(values, seed=3) == p
    assert bootstrap(values, seed=3) == low


def test_no_effect_is_found_in_about_one_of_twenty() -> None:
    random = np.random.default_rng(0)
    ps = [sign_flip(random.normal(0, 0.2, 50), draws=400) for _ in range(400)]
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=4 * sqrt(0.05 * 0.95 / 400))


# --- the t test ---


def test_t_by_hand_and_by_scipy() -> None:
    # Mean 2, deviations -1 0 1, so s = 1 and t = 2 / (1 / sqrt(3)) = 3.4641 with 2 degrees of freedom. There the
    # chance of more than t is 1/2 - t / (2 sqrt(2 + t^2)) = 1/2 - sqrt(12) / (2 sqrt(14)).
    assert t_test([1, 2, 3]) == pytest.approx(0.5 - sqrt(12) / (2 * sqrt(14)))
    values = made(30, 0.05)
    assert t_test(values, "two-sided") == pytest.approx(stats.ttest_rel(values + 0.5, np.full(30, 0.5)).pvalue)


@pytest.mark.filterwarnings("error")
def test_t_where_there_is_no_spread() -> None:
    assert t_test([0, 0, 0]) == t_test([0.3]) == t_test([]) == 1.0
    assert t_test([0.1] * 5) == t_test([-0.1] * 5, "two-sided") == 0.0
    assert t_test([-0.1] * 5) == 1.0


# --- intervals ---


def test_an_interval_by_hand() -> None:
    # Two differences, 0 and 1: means of two draws are 0, 1/2, 1 with the chances 1/4, 1/2, 1/4.
    assert bootstrap([0, 1], level=0.95) == (0.0, 1.0)
    assert bootstrap([0, 1], level=0.4) == (0.5, 0.5)  # the middle 40 % are all 1/2
    assert bootstrap([0.25]) == (0.25, 0.25)
    assert bootstrap([]) == (-inf, inf)


def test_an_interval_is_that_of_scipy() -> None:
    values = made(200, 0.02)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=1).confidence_interval
    assert bootstrap(values) == pytest.approx((theirs.low, theirs.high), abs=0.002)
    low, high = bootstrap(values)
    assert low < values.mean() < high


# --- several tests ---


def test_holm_by_hand() -> None:
    # Sorted: .01 * 4, .02 * 3, .03 * 2, .04 * 1 -> .04, .06, .06, .04; never smaller than one before: the last is .06.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.03]) == [0.03]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02, 0.02]) == [0.04, 0.04]
    assert holm([]) == []


# --- what could have been shown ---


def test_the_smallest_gain_by_hand() -> None:
    # z(.95) = 1.6449 and z(.8) = .8416, so 2.4865 * .2 / sqrt(n).
    gains = {50: 7.0, 100: 5.0, 200: 3.5, 300: 2.9, 400: 2.5, 800: 1.8}
    assert {count: round(100 * detectable(count), 1) for count in gains} == gains
    assert detectable(100, spread=0.1) == pytest.approx(detectable(100) / 2)
    assert detectable(0) == inf


def test_such_a_gain_is_seen_four_times_of_five() -> None:
    random = np.random.default_rng(2)
    seen = [sign_flip(random.normal(detectable(60), 0.2, 60), draws=300) < 0.05 for _ in range(300)]
    assert np.mean(seen) == pytest.approx(0.8, abs=4 * sqrt(0.8 * 0.2 / 300))


def test_the_spread_of_differences() -> None:
    assert spread_of([0.0, 0.2]) == pytest.approx(0.1 * sqrt(2))  # deviations +-.1, squares .02 over N - 1 = 1
    assert spread_of([]) == spread_of([0.4]) == spread_of([0.0, 0.0]) == 0.2
