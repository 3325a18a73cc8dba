"""Are people as content since another retriever searches? If not beyond what chance explains, going back is proposed.

A p-chart with a moving window (Montgomery, "Introduction to Statistical Quality Control", chapter 7): the share of
lists that were right at the top, among the last WINDOW with the live retriever, must not fall below a control limit
that follows from the lists of the retriever before it. The limit has the tail of the usual three sigma, but exactly:
given S of N lists before, the count among n further ones is beta-binomial, which allows for few lists before and for
shares near 0 or 1. An EWMA chart sees small changes sooner, but with normal limits it raised a false alarm within 500
lists in 4 to 52 % of simulations, this one in 1 to 5 % (eval/LOG.md); a drop from 60 to 40 % is seen after 62 lists.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import comb, exp, lgamma

from rag.tune.records import Act, Choice, Shown

WINDOW = 50  # lists whose share is watched
LEAST = 20  # lists of either retriever; with fewer nothing is said
TAIL = 0.00135  # chance of a false alarm at one look: three standard deviations of a normal variable

_GOOD: frozenset[Act] = frozenset({"pin", "this", "open", "copy", "cited"})


@dataclass(frozen=True, slots=True)
class Watched:
    """How many of the lists that somebody did something with were right at the top, before and lately.

    `least` is the control limit: fewer than so many of the `lately` are out of control.
    """

    before_right: int
    before: int
    lately_right: int
    lately: int
    least: int

    @property
    def is_worse(self) -> bool:
        return self.lately_right < self.least

    @property
    def proposal(self) -> str | None:
        """What to do, in plain words with the figures; None where there is nothing to do."""
        if not self.is_worse:
            return None
        return (
            f"Fewer searches are right at the top since the last swap: {self.lately_right} of the last {self.lately} "
            f"that somebody used, and {self.before_right} of {self.before} before it. Fewer than {self.least} of "
            f"{self.lately} is more than chance explains. To go back: rag tune rollback"
        )


def watch(shown: Mapping[str, Shown], choices: Iterable[Choice], live: str, before: str) -> Watched | None:
    """What feedback says of the retriever `live` beside that `before` it ("": the model as it came).

    None where there are fewer than LEAST lists of either that somebody did something with.
    """
    told = _told(shown, choices)
    earlier = [right for each, right in told if each.retriever == before]
    lately = [right for each, right in told if each.retriever == live][-WINDOW:]
    if min(len(earlier), len(lately)) < LEAST:
        return None
    least = control_limit(sum(earlier), len(earlier), len(lately))
    return Watched(sum(earlier), len(earlier), sum(lately), len(lately), least)


@cache
def control_limit(right: int, of: int, further: int) -> int:
    """Fewer than so many of `further` lists have a chance below TAIL, given that `right` lists of `of` were so before.

    By the beta-binomial distribution with a uniform prior: C(n, k) B(k + a, n - k + b) / B(a, b).
    """
    a, b, chance = right + 1, of - right + 1, 0.0
    for count in range(further + 1):
        ways = comb(further, count)
        chance += ways * exp(_log_beta(count + a, further - count + b) - _log_beta(a, b))
        if chance >= TAIL:
            return count
    return further


def _log_beta(a: int, b: int) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _told(shown: Mapping[str, Shown], choices: Iterable[Choice]) -> list[tuple[Shown, bool]]:
    """The lists that somebody did something with, oldest first, and whether they were right at the top."""
    by_list: dict[str, list[Choice]] = defaultdict(list)
    for choice in choices:
        by_list[choice.shown].append(choice)
    found = [(shown[name], _right(shown[name], acts)) for name, acts in by_list.items() if name in shown]
    told = [(each, right) for each, right in found if right is not None]
    return sorted(told, key=lambda one: (one[0].time, one[0].id))


def _right(shown: Shown, choices: Iterable[Choice]) -> bool | None:
    """Whether a list was right at the top; None where what was done with it does not tell.

    A thumb decides. Else something good was done with the answer as a whole or with the first chunk; or only with
    another one, or the first was called wrong. That nothing was done with a chunk says nothing.
    """
    top = {chunk.chunk for chunk in shown.chunks if chunk.rank == 1}
    acts = {(choice.act, not choice.chunk or choice.chunk in top) for choice in choices}
    if ("up", True) in acts or ("down", True) in acts:
        return ("up", True) in acts
    if any(first for act, first in acts if act in _GOOD):
        return True
    return False if ("wrong", True) in acts or any(act in _GOOD for act, _ in acts) else None
