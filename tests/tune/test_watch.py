"""The chart of how content people are: what counts as right, where the limit lies, and how often it is wrong."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import betabinom

from rag.tune.records import Act, Choice, Shown, ShownChunk
from rag.tune.watch import LEAST, TAIL, WINDOW, Watched, control_limit, watch

Acts = Sequence[tuple[Act, str]]

TOP: Acts = [("open", "first")]
BELOW: Acts = [("open", "second")]


def logged(*lists: tuple[str, Acts]) -> tuple[dict[str, Shown], list[Choice]]:
    """Lists of two chunks by such retrievers, one after the other, with what was done with them."""
    chunks = (ShownChunk("first", "d1", 1), ShownChunk("second", "d2", 2))
    shown = {
        f"list {time}": Shown(f"list {time}", float(time), "words", "space", retriever, chunks)
        for time, (retriever, _) in enumerate(lists)
    }
    choices = [
        Choice(f"list {time}", time + 0.5, act, chunk) for time, (_, acts) in enumerate(lists) for act, chunk in acts
    ]
    return shown, choices


def watched(*lists: tuple[str, Acts]) -> Watched | None:
    return watch(*logged(*lists), "live", "old")


@pytest.mark.parametrize(
    ("acts", "right"),
    [
        (TOP, 1),
        (BELOW, 0),
        ([*TOP, *BELOW], 1),
        ([("up", ""), *BELOW], 1),
        ([("down", ""), *TOP], 0),
        ([("copy", "")], 1),
        ([("wrong", "first")], 0),
        ([("wrong", "first"), ("pin", "second")], 0),
        ([("wrong", "second"), ("this", "first")], 1),
    ],
)
def test_what_is_right_at_the_top(acts: Acts, right: int) -> None:
    found = watched(*[("old", TOP)] * LEAST, *[("live", acts)] * LEAST)
    assert found is not None
    assert (found.lately, found.lately_right) == (LEAST, right * LEAST)


@pytest.mark.parametrize("acts", [[], [("wrong", "second")]])
def test_what_does_not_tell_is_not_counted(acts: Acts) -> None:
    assert watched(*[("old", TOP)] * LEAST, *[("live", acts)] * 100) is None


def test_with_few_lists_nothing_is_said() -> None:
    assert watched(*[("old", TOP)] * LEAST, *[("live", BELOW)] * (LEAST - 1)) is None
    assert watched(*[("old", TOP)] * (LEAST - 1), *[("live", BELOW)] * LEAST) is None


def test_only_the_last_lists_of_the_live_retriever_and_those_of_the_one_before_count() -> None:
    found = watched(*[("old", TOP)] * 30, *[("other", BELOW)] * 30, *[("live", BELOW)] * 9, *[("live", TOP)] * WINDOW)
    assert found == Watched(30, 30, WINDOW, WINDOW, control_limit(30, 30, WINDOW))
    assert found.proposal is None


def test_a_fall_is_told_with_its_figures() -> None:
    found = watched(*[("old", TOP)] * 60, *[("old", BELOW)] * 40, *[("live", TOP)] * 10, *[("live", BELOW)] * 40)
    assert found is not None
    assert found.is_worse
    assert found.proposal == (
        "Fewer searches are right at the top since the last swap: 10 of the last 50 that somebody used, and 60 of 100 "
        f"before it. Fewer than {control_limit(60, 100, 50)} of 50 is more than chance explains. To go back: rag tune "
        "rollback"
    )


def test_the_limit_by_hand() -> None:
    # With a uniform prior 9 of 9 gives Beta(10, 1), density 10 p^9. That of 3 further ones none is right has the
    # chance 10 B(10, 4) = 10 * 9! 3! / 13! = 1/286, above .00135; of 4 none 10 * 9! 4! / 14! = 1/1001, below it,
    # and one is right with C(4, 1) 10 * 10! 3! / 14! = 10/1001, above it.
    assert control_limit(9, 9, 3) == 0
    assert control_limit(9, 9, 4) == 1


def test_the_limit_is_that_of_scipy() -> None:
    for right, of in ((3, 20), (60, 100), (500, 500), (0, 40)):
        for further in (20, 50):
            shares = betabinom.cdf(range(further + 1), further, right + 1, of - right + 1)
            assert control_limit(right, of, further) == int((shares < TAIL).sum())


def alarms(before: float, now: float, runs: int = 200, lists: int = 300) -> float:
    """In how many of so many runs a proposal is made within so many lists, looking after each."""
    random = np.random.default_rng(3)
    raised = 0
    for _ in range(runs):
        earlier = int(random.binomial(100, before))
        right = np.concatenate([[0], np.cumsum(random.random(lists) < now)])
        raised += any(
            right[at] - right[max(0, at - WINDOW)] < control_limit(earlier, 100, min(at, WINDOW))
            for at in range(LEAST, lists + 1)
        )
    return raised / runs


def test_it_seldom_cries_wolf_and_sees_one_that_is_there() -> None:
    assert alarms(0.6, 0.6) <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    assert alarms(0.6, 0.3) >= 0.9
